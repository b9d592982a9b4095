"""Checks the fields that blocks name: that they exist, are of the kind that is needed, and are written before. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UnsetType

from logkeel.definitions import BranchBlock, HumanBlock, InlineBlock, LeaveBlock, SignalBlock
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

_CONTROL = "type it as Literal, Enum or bool, or mark it as Annotated[str, Control]"


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """Checks of the fields at one place; `problems` is filled."""

    fields: Mapping[str, StateField]
    place: str
    problems: list[Problem]

    def branch(self, block: BranchBlock, written: frozenset[str]) -> bool:
        """The cases against the field's choices; whether they are exhaustive."""
        known = self._control(block.field, written)
        values = [case.value for case in block.cases]
        for value in {str(value): value for value in values if values.count(value) > 1}.values():
            self._problem(f"branch has two cases for {value!r}", "keep one of them")
        if known is None:
            return True
        definition = known.definition
        choices = [True, False] if definition.control_type == "bool" else list(definition.choices)
        left = [choice for choice in choices if choice not in values]
        nullable = definition.nullable and block.field not in written and None not in values
        exhaustive = bool(choices) and not left and not nullable
        if isinstance(block.otherwise, UnsetType) and not exhaustive:
            self._not_exhaustive(block, left)
        return exhaustive

    def _not_exhaustive(self, block: BranchBlock, left: Sequence[object]) -> None:
        if left:
            what = f"branch on {block.field!r} has no case for {', '.join(map(repr, left))}"
            self._problem(what, "add the cases, or say otherwise=")
        elif not self.fields[block.field].definition.choices:
            what = f"branch on {block.field!r} cannot have a case for every value"
            self._problem(what, "say otherwise=, or type the field as Literal")

    def leave(self, block: LeaveBlock, written: frozenset[str]) -> None:
        """The field that a loop is left by."""
        self._control(block.field, written)

    def signal(self, block: SignalBlock, written: frozenset[str]) -> None:
        """Where the payload goes, and what the signal is correlated by."""
        if block.writes is not None:
            self._payload(block.writes, "a signal's payload")
        if block.correlate is not None:
            known = self._control(block.correlate, written)
            if known is not None and known.definition.control_type != "string":
                what = f"signals are correlated by text, and field {block.correlate!r} is none"
                self._problem(what, "correlate by a control field of type str")

    def inline(self, block: InlineBlock, written: frozenset[str]) -> None:
        """What an inner workflow begins with must be there."""
        for name in dict.fromkeys(each.outer for each in block.inputs):
            known = self.fields.get(name)
            if known is None or known.definition.required or name in written:
                continue
            if known.default is None or known.default() is None:
                what = f"workflow {block.workflow!r} begins with {name!r}, which nothing on its way has written"
                self._problem(what, f"put a step that writes {name!r} before it, or give the field a default")

    def human(self, block: HumanBlock) -> None:
        """Where the verb and the answer go, and what happens without one."""
        for name in block.shows:
            self._known(name)
        verbs = {*block.allow} | ({block.on_timeout, block.then} & {"approve", "reject"} if block.timeout_ms else set())
        known = self._control(block.writes, frozenset({block.writes}))
        if known is not None and known.definition.control_type != "string":
            self._problem(f"field {block.writes!r} cannot hold a verb", "type it as Literal of the verbs")
        elif known is not None and known.definition.choices:
            for verb in sorted(verbs - {*known.definition.choices}):
                what = f"field {block.writes!r} cannot hold {verb!r}, which human({block.id!r}) may write"
                self._problem(what, "add it to the field's Literal, or leave it out of allow")
        if not block.allow:
            self._problem(f"human({block.id!r}) takes no answer", "name at least one verb in allow")
        self._answer(block)
        self._policy(block)

    def _answer(self, block: HumanBlock) -> None:
        answering = [verb for verb in block.allow if verb in ("edit", "respond")]
        if block.answer is not None:
            self._payload(block.answer, "an answer")
        if answering and block.answer is None:
            what = f"human({block.id!r}) allows {answering[0]!r}, and its answer goes nowhere"
            self._problem(what, 'say answer="field"')
        if block.answer is not None and not answering:
            what = f"human({block.id!r}) has a field for an answer, and allows neither edit nor respond"
            self._problem(what, 'add "edit" or "respond" to allow, or leave answer out')

    def _policy(self, block: HumanBlock) -> None:
        if block.on_timeout == "escalate" and block.escalate_to is None:
            self._problem(f"human({block.id!r}) escalates to nobody", 'say escalate_to="somebody"')
        if block.on_timeout != "escalate" and block.escalate_to is not None:
            what = f"human({block.id!r}) names {block.escalate_to!r}, whom nobody will ask"
            self._problem(what, 'say on_timeout="escalate", or leave escalate_to out')
        if block.timeout_ms is None and block.on_timeout != "fail":
            what = f"human({block.id!r}) says what happens when its time is over, and has all the time"
            self._problem(what, "give it a timeout, or leave on_timeout out")
        if block.timeout_ms is not None and block.remind_ms is not None and block.remind_ms >= block.timeout_ms:
            self._problem(f"human({block.id!r}) reminds when its time is over", "remind sooner")

    def _control(self, name: str, written: frozenset[str]) -> StateField | None:
        known = self._known(name)
        if known is None:
            return None
        definition = known.definition
        if definition.control_type is None:
            self._problem(f"field {name!r} is no control field, and the engine reads nothing else", _CONTROL)
            return None
        if name not in written and not definition.required and definition.default is None:
            what = f"field {name!r} is looked at before any block on the way has written it"
            self._problem(what, f"put a step that writes {name!r} before, or give the field a default")
        return known

    def _payload(self, name: str, what: str) -> None:
        known = self._known(name)
        if known is not None and known.definition.control_type is not None:
            self._problem(
                f"field {name!r} is a control field, and {what} is opaque to the engine",
                "use a field of another type, and let a step look at it",
            )
        if known is not None and known.elements is not None:
            self._problem(
                f"field {name!r} is kept element by element, and {what} is one value",
                "use a field without reducer, and let a step add it",
            )

    def _known(self, name: str) -> StateField | None:
        found = self.fields.get(name)
        if found is None:
            self._problem(f"{name!r} is no field of the state", f"use one of {', '.join(self.fields)}")
        return found

    def _problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, self.place, remedy))
