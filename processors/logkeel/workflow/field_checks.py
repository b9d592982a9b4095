"""Checks the fields that blocks name: that they exist, are of the kind that is needed, and are written before. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UnsetType

from logkeel.definitions import BranchBlock, ChildBlock, HumanBlock, InlineBlock, LeaveBlock, SignalBlock
from logkeel.records import Control
from logkeel.workflow.case_values import choices_of, may_be_none
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

_NONE = "{None: block}"
_CONTROL = "type it as Literal, Enum or bool, or mark it as Annotated[str, Control]"


@dataclass(frozen=True, slots=True)
class FieldCheck:
    """Checks of the fields at one place; `problems` is filled."""

    fields: Mapping[str, StateField]
    place: str
    problems: list[Problem]

    def branch(self, block: BranchBlock, written: frozenset[str]) -> bool:
        """The cases against the field's choices; whether they are exhaustive."""
        values = [case.value for case in block.cases]
        for value in {str(value): value for value in values if values.count(value) > 1}.values():
            self._problem(f"branch has two cases for {value!r}", "keep one of them")
        known = self._control(block.field)
        if known is None:
            return True
        definition = known.definition
        told = None not in values and self._unwritten(known, written, f"say what happens then: {_NONE}")
        choices = choices_of(definition)
        left: list[Control] = [choice for choice in choices if choice not in values]
        if may_be_none(definition) and block.field not in written and None not in values:
            left.append(None)
        exhaustive = bool(choices) and not left
        if isinstance(block.otherwise, UnsetType) and not exhaustive:
            self._not_exhaustive(known, [value for value in left if value is not None or not told])
        elif exhaustive and not isinstance(block.otherwise, UnsetType):
            self._otherwise(known, values)
        return exhaustive

    def _not_exhaustive(self, known: StateField, left: Sequence[Control]) -> None:
        if not choices_of(known.definition):
            what = f"branch on {known.name!r} cannot have a case for every value"
            self._problem(what, "say otherwise=, or type the field as Literal")
        elif left:
            what = f"branch on {known.name!r} has no case for {', '.join(map(repr, left))}"
            remedy = "add the cases, or say otherwise="
            self._problem(what, remedy if None not in left else f"{remedy}; the case of None is written {_NONE}")

    def _otherwise(self, known: StateField, values: Sequence[Control]) -> None:
        if None in values or not may_be_none(known.definition):
            what = f"branch on {known.name!r} has a case for every value, so nothing gets to otherwise"
            self._problem(what, "leave otherwise out, or leave cases to it")

    def leave(self, block: LeaveBlock, written: frozenset[str]) -> None:
        """The field that a loop is left by; `written` at the block, or anywhere in its loop, for a later round."""
        known = self._control(block.field)
        if known is not None and block.value is not None:
            self._unwritten(known, written, f"let a step in the loop write {block.field!r}")

    def signal(self, block: SignalBlock, written: frozenset[str]) -> None:
        """Where the payload goes, and what the signal is correlated by."""
        if block.writes is not None:
            self._payload(block.writes, "a signal's payload")
        if block.correlate is not None:
            known = self._control(block.correlate)
            if known is not None:
                self._unwritten(known, written, "leave its default out, so that it is an input")
            if known is not None and known.definition.control_type != "string":
                what = f"signals are correlated by text, and field {block.correlate!r} is none"
                self._problem(what, "correlate by a control field of type str")

    def inline(self, block: InlineBlock | ChildBlock, written: frozenset[str]) -> None:
        """What another workflow begins with must be there."""
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
        known = self._control(block.writes)
        if known is not None and known.definition.control_type != "string":
            self._problem(f"field {block.writes!r} cannot hold a verb", "type it as Literal of the verbs")
        elif known is not None and known.definition.choices:
            for verb in sorted({*block.allow} - {*known.definition.choices}):
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
        if block.on_timeout != "escalate" and block.then != "fail":
            what = f"human({block.id!r}) says what follows an escalation, and does not escalate"
            self._problem(what, f'say on_timeout="{block.then}", or on_timeout="escalate" and escalate_to')
        late = block.then if block.on_timeout == "escalate" else block.on_timeout
        if late != "fail" and late not in block.allow:
            what = f"human({block.id!r}) is taken to {late} when its time is over, which it does not allow"
            self._problem(what, f'add "{late}" to allow, or let its end be another one')
        if block.timeout_ms is None and block.on_timeout != "fail":
            what = f"human({block.id!r}) says what happens when its time is over, and has all the time"
            self._problem(what, "give it a timeout, or leave on_timeout out")
        if block.timeout_ms is not None and block.remind_ms is not None and block.remind_ms >= block.timeout_ms:
            self._problem(f"human({block.id!r}) reminds when its time is over", "remind sooner")

    def _control(self, name: str) -> StateField | None:
        known = self._known(name)
        if known is not None and known.definition.control_type is None:
            self._problem(f"field {name!r} is no control field, and the engine reads nothing else", _CONTROL)
            return None
        return known

    def _unwritten(self, known: StateField, written: frozenset[str], or_else: str) -> bool:
        """Whether the field may have no value here, which is told."""
        definition = known.definition
        if known.name in written or definition.required or definition.default is not None:
            return False
        what = f"field {known.name!r} is looked at before any block on the way has written it"
        self._problem(what, f"put a step that writes {known.name!r} before, give the field a default, or {or_else}")
        return True

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
