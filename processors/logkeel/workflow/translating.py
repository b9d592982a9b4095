"""Makes the blocks of a definition of an author's flow. Pure; what is wrong is collected, never raised.

Every block of a definition has an id. Ids are unique within the enclosing block that adds a path segment: the cases of
a branch share its segment, as do a body and what follows its failure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args

from msgspec import UNSET, UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    EachBlock,
    Handler,
    HumanBlock,
    InlineBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    SignalBlock,
    SleepBlock,
    StepBlock,
    Verb,
    WithinBlock,
)
from logkeel.records import Control
from logkeel.workflow.blocks import (
    Asking,
    Branch,
    FlowBlock,
    Human,
    Leave,
    Loop,
    Parallel,
    Rescue,
    Sequential,
    Sleep,
    WaitSignal,
    Within,
)
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.each import Each, each_block, with_item
from logkeel.workflow.flow_contents import Contents
from logkeel.workflow.inlining import Inline, Inlining
from logkeel.workflow.naming import Names
from logkeel.workflow.problems import Problem
from logkeel.workflow.saga import Saga, saga_problems, undo_map
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Step

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

Policy = Literal["approve", "reject", "fail", "escalate"]
_BLOCKS = "use steps of this workflow, blocks such as parallel(...) or branch(...), or tuples of them"


@dataclass(slots=True)
class Translation:
    """Walks an author's flow once. Filled on the way: `problems`, `used` (steps in order of use), `inner` workflows."""

    fields: Mapping[str, StateField]
    problems: list[Problem] = field(default_factory=list)
    used: list[Step[..., Any]] = field(default_factory=list)
    inner: dict[str, "Workflow[Any]"] = field(default_factory=dict)

    def translate(self, blocks: tuple[FlowBlock, ...]) -> SequenceBlock:
        """The whole flow as one sequence."""
        return self._sequence(blocks, Names(), "flow")

    def _sequence(self, blocks: tuple[FlowBlock, ...], names: Names, place: str) -> SequenceBlock:
        if not blocks:
            self._problem("a sequence is empty", place, "put a step into it, or take it out")
        identity = names.fresh("sequence")
        return SequenceBlock(id=identity, blocks=tuple(self._blocks(blocks, names, place)))

    def _blocks(self, blocks: tuple[FlowBlock, ...], names: Names, place: str) -> Iterator[Block]:
        for block in blocks:
            translated = self._block(block, names, place)
            if translated is not None:
                yield translated

    def _block(self, block: object, names: Names, place: str) -> Block | None:
        match block:
            case Step():
                self.used.append(block)
                return StepBlock(id=names.fresh(block.name), step=block.name)
            case Sequential(blocks=blocks):
                return self._sequence(blocks, names, place)
            case tuple():
                return self._sequence(block, names, place)
            case Parallel():
                return self._parallel(block, names, place)
            case Branch():
                return self._branch(block, names, place)
            case Loop():
                return self._loop(block, names, place)
            case Leave():
                identity = names.fresh("leave")
                value = self._value(block.field, block.value, f"{place}/{identity}")
                return LeaveBlock(id=identity, field=block.field, value=value)
            case _:
                return self._guarded(block, names, place)

    def _guarded(self, block: object, names: Names, place: str) -> Block | None:
        match block:
            case Rescue():
                return self._rescue(block, names, place)
            case Within():
                return self._within(block, names, place)
            case Sleep():
                identity = names.fresh(block.name)
                duration_ms = self._duration(block.duration, f"{place}/{identity}")
                return SleepBlock(id=identity, duration_ms=duration_ms)
            case WaitSignal():
                return self._signal(block, names, place)
            case Human():
                return self._human(block, names, place)
            case Inline():
                return self._inline(block, names, place)
            case Each():
                return self._each(block, names, place)
            case Saga():
                return self._saga(block, names, place)
            case _:
                self._problem(f"{block!r} is no block of a flow", place, _BLOCKS)
                return None

    def _body(self, block: FlowBlock, names: Names, place: str) -> Block:
        """One of several ways, or a body; an empty tuple is the way that does nothing."""
        if block == ():
            return SequenceBlock(id=names.fresh("nothing"), blocks=())
        return self._block(block, names, place) or SequenceBlock(id=names.fresh("sequence"), blocks=())

    def _inline(self, block: Inline, names: Names, place: str) -> InlineBlock:
        identity = names.fresh(block.name or block.workflow.name)
        inlining = Inlining(self.fields, self.problems, self.inner)
        return inlining.block(block, identity, f"{place}/{identity}")

    def _each(self, block: Each, names: Names, place: str) -> EachBlock:
        identity = names.fresh(block.how.get("name", block.items))
        inside = f"{place}/{identity}"
        within = Translation(with_item(self.fields, block), self.problems, self.used, self.inner)
        body = within._body(block.body, Names(), inside)
        written = Contents({step.name: step for step in self.used}).writes(body)
        plain = [name for name in written if name in self.fields and self.fields[name].definition.reducer == "replace"]
        return each_block(block, identity, body, written=plain, problems=self.problems, place=inside)

    def _saga(self, block: Saga, names: Names, place: str) -> SagaBlock:
        identity, before = names.fresh(block.name), len(self.used)
        inside = f"{place}/{identity}"
        body = self._sequence(block.blocks, Names(), inside)
        steps = self.used[before:]
        undo = undo_map(steps, body, self.inner)
        self.problems += saga_problems(steps, inside)
        if not undo:
            self._problem("a saga has nothing to undo", inside, "declare @step.undo for a step in it, or take it out")
        self.used += [step.undo_step for step in steps if step.undo_step is not None]
        policy = self._one_of("on_cancel", block.on_cancel, ("undo", "leave"), inside)
        return SagaBlock(id=identity, body=body, undo=undo, on_cancel=policy)

    def _optional(self, block: FlowBlock | None, names: Names, place: str) -> Block | UnsetType:
        return UNSET if block is None else self._body(block, names, place)

    def _parallel(self, block: Parallel, names: Names, place: str) -> ParallelBlock:
        identity = names.fresh(block.name)
        inside = f"{place}/{identity}"
        count = len(block.branches)
        if count < 2:
            what = f"parallel has {count} branch{'' if count == 1 else 'es'}"
            self._problem(what, inside, "give it two or more, or write the block without parallel")
        if block.wait not in ("all", "first") and (isinstance(block.wait, str) or not 0 < block.wait <= count):
            what = f"parallel(wait={block.wait!r}) waits for what cannot be: it has {count} branches"
            self._problem(what, inside, f'use wait="all", wait="first", or a number from 1 to {count}')
        branches = tuple(self._blocks(block.branches, Names(), inside))
        return ParallelBlock(id=identity, branches=branches, wait=block.wait)

    def _branch(self, block: Branch, names: Names, place: str) -> BranchBlock:
        identity = names.fresh(block.name)
        inside, inner = f"{place}/{identity}", Names()
        cases = tuple(
            Case(value=self._value(block.field, value, inside), block=self._body(body, inner, inside))
            for value, body in block.cases
        )
        if not cases:
            self._problem("branch has no case", inside, f'write branch("{block.field}", value=block, …)')
        otherwise = self._optional(block.otherwise, inner, inside)
        return BranchBlock(id=identity, field=block.field, cases=cases, otherwise=otherwise)

    def _loop(self, block: Loop, names: Names, place: str) -> LoopBlock:
        identity = names.fresh(block.name)
        inside = f"{place}/{identity}"
        if isinstance(block.max_rounds, bool) or block.max_rounds < 1:
            what = f"loop(max_rounds={block.max_rounds!r}) has no round"
            self._problem(what, inside, "give it a whole number from 1 on")
        body = self._sequence(block.blocks, Names(), inside)
        policy = self._one_of("on_exhausted", block.on_exhausted, ("fail", "continue"), inside)
        return LoopBlock(id=identity, body=body, max_rounds=block.max_rounds, on_exhausted=policy)

    def _rescue(self, block: Rescue, names: Names, place: str) -> RescueBlock:
        identity = names.fresh(block.name)
        inside, inner = f"{place}/{identity}", Names()
        body = self._body(block.body, inner, inside)
        handlers = tuple(Handler(on=on, block=self._body(each, inner, inside)) for on, each in block.on.items())
        if not handlers or "" in block.on:
            what = "rescue has a handler for no error at all" if handlers else "rescue has no handler"
            self._problem(what, inside, 'say on={"timeout": block}, an error code, or "*" for any')
        return RescueBlock(id=identity, body=body, handlers=handlers)

    def _within(self, block: Within, names: Names, place: str) -> WithinBlock:
        identity = names.fresh(block.name)
        inside, inner = f"{place}/{identity}", Names()
        return WithinBlock(
            id=identity,
            timeout_ms=self._duration(block.timeout, inside),
            body=self._body(block.body, inner, inside),
            on_timeout=self._optional(block.on_timeout, inner, inside),
        )

    def _signal(self, block: WaitSignal, names: Names, place: str) -> SignalBlock:
        identity = names.fresh(block.name)
        inside = f"{place}/{identity}"
        policy = self._one_of("on_timeout", block.on_timeout, ("fail", "continue"), inside)
        if policy == "continue" and block.timeout is None:
            remedy = 'give it a timeout, or leave on_timeout="continue" out'
            self._problem("wait_signal goes on without the signal, but never stops to wait", inside, remedy)
        return SignalBlock(
            id=identity,
            name=block.signal,
            writes=block.writes,
            correlate=block.correlate,
            timeout_ms=self._optional_duration(block.timeout, inside),
            on_timeout=policy,
        )

    def _human(self, block: Human, names: Names, place: str) -> HumanBlock:
        identity, how = names.fresh(block.name), block.how
        inside = f"{place}/{identity}"
        given: Mapping[str, object] = dict(how)  # what is said without a type checker
        unknown = sorted(given.keys() - Asking.__annotations__.keys())
        if unknown:
            what = f"human({block.name!r}) knows no {', '.join(unknown)}"
            self._problem(what, inside, f"use {', '.join(Asking.__annotations__)}")
        if "timeout" not in given:
            remedy = 'say timeout="48h" and what on_timeout does, or timeout=None to wait for ever'
            self._problem(f"human({block.name!r}) does not say how long it waits", inside, remedy)
        answer = how.get("answer")
        policy = self._one_of("on_timeout", how.get("on_timeout", "fail"), get_args(Policy), inside)
        return HumanBlock(
            id=identity,
            question=how.get("question", block.name),
            writes=block.writes,
            allow=self._verbs(how.get("allow", ("approve", "reject")), inside),
            answer=answer,
            answer_schema=self._schema(answer),
            shows=tuple(how.get("shows", ())),
            assignee=how.get("assignee"),
            notify=how.get("notify"),
            timeout_ms=self._optional_duration(how.get("timeout"), inside),
            remind_ms=self._optional_duration(how.get("remind"), inside),
            on_timeout=policy,
            escalate_to=how.get("escalate_to"),
            then=self._one_of("then", how.get("then", "fail"), ("approve", "reject", "fail"), inside),
        )

    def _verbs(self, given: Sequence[str], place: str) -> tuple[Verb, ...]:
        return tuple(self._one_of("allow", verb, get_args(Verb), place) for verb in given)

    def _schema(self, name: str | None) -> str | None:
        if name is None or name not in self.fields:
            return None
        schema = self.fields[name].adapter.json_schema()
        return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _value(self, name: str, value: Any, place: str) -> Control:
        """The control value that is meant: an Enum's member, a choice, or a choice by its text."""
        plain: Control = value.value if isinstance(value, Enum) else value
        known = self.fields.get(name)
        choices = () if known is None else known.definition.choices
        if known is not None and known.definition.control_type == "bool":
            choices = (True, False)
        if not choices or plain in choices or plain is None:
            return plain
        by_text = {str(choice).lower() if isinstance(choice, bool) else str(choice): choice for choice in choices}
        if isinstance(plain, str) and plain in by_text:
            return by_text[plain]
        remedy = f"use one of {', '.join(map(repr, choices))}"
        self._problem(f"{plain!r} is no value that field {name!r} can have", place, remedy)
        return plain

    def _duration(self, duration: Duration, place: str) -> int:
        try:
            found = to_milliseconds(duration)
        except ValueError as error:
            self._problem(str(error), place, 'write a duration, e.g. "10m"')
            return 1
        if found < 1:
            self._problem(f"{duration!r} is no time at all", place, "give it a duration above zero")
        return max(found, 1)

    def _optional_duration(self, duration: Duration | None, place: str) -> int | None:
        return None if duration is None else self._duration(duration, place)

    def _one_of(self, name: str, value: str, known: tuple[str, ...], place: str) -> Any:
        if value not in known:
            self._problem(f"{name}={value!r} is unknown", place, f"use one of {', '.join(map(repr, known))}")
            return known[0]
        return value

    def _problem(self, what: str, place: str, remedy: str) -> None:
        self.problems.append(Problem(what, place, remedy))
