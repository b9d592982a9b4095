"""Sagas as the author writes them: a body, and the steps that undo what its steps did. Checked when the flow is built.

Pure. `@charge.undo` declares a step of its own that undoes `charge`; `saga(charge, ship)` says over which blocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from logkeel.definitions import Block, InlineBlock, all_blocks
from logkeel.workflow.declaring import StepOptions
from logkeel.workflow.inlining import SEPARATOR
from logkeel.workflow.problems import Problem, place_of, raise_for
from logkeel.workflow.signature import Read
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Step, UndoOptions
from logkeel.workflow.timeouts import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

REPEATABLE = ("NONE", "IDEMPOTENT")
"""Effects that a saga may leave as they are."""

INHERITED = ("IDEMPOTENT", "KEYED")
"""Effects that an undo step has of the step it undoes, unless it says its own: it gets a key of its own."""


@dataclass(frozen=True, slots=True)
class Saga:
    """Blocks that are undone as a whole, see `saga`."""

    blocks: tuple[Any, ...]
    on_cancel: str
    name: str


def saga(*blocks: Any, on_cancel: Literal["undo", "leave"] = "undo", name: str = "saga") -> Saga:
    """The blocks, one after the other. If one fails for good, what its steps did is undone, the newest step first.

    Then the failure goes on, to a rescue around it or to the end of the run. A step is undone that was completed, or
    that may have had its effect; `@step.undo` says how. A time-out or a cancel of the run undoes as well; with
    `on_cancel="leave"` a cancel leaves things as they are. An undo step that fails for good waits for a human.
    """
    return Saga(blocks, on_cancel, name)


def undo_options(step: Step[..., Any], function: Callable[..., Any], given: UndoOptions) -> StepOptions:
    """How the undo step of `step` is declared. Raises `DefinitionError`."""
    effect, place = given.get("effect"), place_of(function)
    problems = []
    if step.settings.effect.kind == "NONE" and not step.settings.journal:
        what = f"step {step.name!r} has no effect, so there is nothing to undo"
        problems.append(Problem(what, place, "take the undo out, or declare the effect that the step has"))
    if step.undo_step is not None:
        what = f"step {step.name!r} has an undo already: {step.undo_step.name}"
        problems.append(Problem(what, place, "keep one of them"))
    if effect is None and step.settings.effect.kind not in INHERITED and not problems:
        what = f"the undo of step {step.name!r} does not say what a second execution of it would mean"
        remedy = f"write @{step.name}.undo(effect=KEYED), IDEMPOTENT, CHECKED or ONCE: its effect is one of its own"
        problems.append(Problem(what, place, remedy))
    raise_for(problems)
    return StepOptions(
        writes=None,
        effect=effect or step.settings.effect,
        timeout=given.get("timeout", DEFAULT_TIMEOUT),
        retry=given.get("retry"),
        queue=given.get("queue", step.settings.queue),
        name=given.get("name"),
    )


def undo_problems(step: Step[..., Any], undo: Step[..., Any], fields: Mapping[str, StateField]) -> Iterator[Problem]:
    """An undo step reads what its step read, and what it wrote if that is known."""
    place, read_before = undo.signature.place, {read.field for read in step.signature.reads}
    for read in undo.signature.reads:
        if read.field not in fields:
            continue
        if fields[read.field].elements is not None:
            what = f"the undo of {step.name!r} reads {read.field!r}, which is kept element by element"
            yield Problem(what, place, "let the step write what it needs to be undone into a field of its own")
        elif read.field in step.settings.writes:
            if not _takes_nothing(read, fields[read.field]):
                what = f"the undo of {step.name!r} reads {read.field!r}, which nobody knows if the step is in doubt"
                remedy = f"let the parameter accept None, and look by the key what {step.name!r} did"
                yield Problem(what, place, remedy)
        elif read.field not in read_before:
            what = f"the undo of {step.name!r} reads {read.field!r}, which the step neither reads nor writes"
            yield Problem(what, place, f"let {step.name!r} read it too: it is kept as it was then")


def saga_problems(steps: Sequence[Step[..., Any]], place: str) -> Iterator[Problem]:
    """What is wrong with a saga over these steps."""
    for step in dict.fromkeys(steps):
        if step.undo_step is None and step.settings.effect.kind not in REPEATABLE:
            what = f"step {step.name!r} is {step.settings.effect.kind}, stands in a saga, and cannot be undone"
            remedy = f"declare @{step.name}.undo, or put the step behind the saga"
            yield Problem(what, place, remedy)


def undo_map(steps: Sequence[Step[..., Any]], body: Block, inner: "Mapping[str, Workflow[Any]]") -> dict[str, str]:
    """What undoes each step of a body, also of the workflows that are inside of it, by name."""
    found = {step.name: step.undo_step.name for step in steps if step.undo_step is not None}
    for block in all_blocks(body):
        if isinstance(block, InlineBlock) and block.workflow in inner:
            found |= _inner_map(inner[block.workflow], f"{block.workflow}{SEPARATOR}")
    return found


def _inner_map(workflow: "Workflow[Any]", prefix: str) -> dict[str, str]:
    known = {step.name: step.undo_step.name for step in workflow.steps.values() if step.undo_step is not None}
    return {f"{prefix}{name}": f"{prefix}{undo}" for name, undo in known.items()}


def _takes_nothing(read: Read, field: StateField) -> bool:
    return read.accepts_none or read.has_default or (field.default is not None and field.default() is not None)
