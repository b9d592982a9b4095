"""Another workflow as a run of its own: started by a flow, awaited or not. Checks, and the block of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from msgspec import UNSET

from logkeel.definitions import ChildBlock
from logkeel.workflow.budgets import uses_problems
from logkeel.workflow.mapping import Fitting, interface_of
from logkeel.workflow.problems import Problem
from logkeel.workflow.starting import is_leaf

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Child:
    """See `child`."""

    workflow: "Workflow[Any]"
    inputs: Mapping[str, str] | None
    writes: str | None
    detach: bool
    on_cancel: str | None
    name: str | None
    uses: Mapping[str, int]


class MoreOfAChild(TypedDict, total=False):
    """Options of a child that few need."""

    name: str | None
    uses: Mapping[str, int]


def child(
    workflow: "Workflow[Any]",
    *,
    inputs: Mapping[str, str] | None = None,
    writes: str | None = None,
    detach: bool = False,
    on_cancel: Literal["cancel", "abandon"] | None = None,
    **more: Unpack[MoreOfAChild],
) -> Child:
    """A run of its own of another workflow, or of this one: with its own history, retries and deadline.

    It is awaited, holding nothing; if it does not succeed, that is the failure `child_failed`. `inputs` and `writes`:
    see `inline`. `detach`: go on at once, and never hear of it. `on_cancel`: what becomes of it when this run does not
    wait for it any more, being cancelled itself for instance; "cancel" unless said. `name`: of the block. `uses`: how
    much of each unit of this workflow's budgets the run, and all below it, may use; unless said, a share of what is
    left when it is started.
    """
    return Child(workflow, inputs, writes, detach, on_cancel, more.get("name"), more.get("uses", {}))


def child_block(block: Child, identity: str, fitting: Fitting, known: "dict[str, Workflow[Any]]") -> ChildBlock:
    """The block of one; `known` (workflows by name) and the problems of `fitting` are filled."""
    inner, problems, place = interface_of(block.workflow), fitting.problems, fitting.place
    fitting.check_one_of_a_name(block.workflow, known)
    if block.detach and block.writes is not None:
        what = f"nobody waits for the run of {inner.name!r}, and its result is to be written"
        problems.append(Problem(what, place, "leave detach=True out, or writes="))
    if block.detach and block.on_cancel is not None:
        what = f"nobody waits for the run of {inner.name!r}, so no cancel reaches it"
        problems.append(Problem(what, place, "leave detach=True out, or on_cancel="))
    if block.on_cancel not in (None, "cancel", "abandon"):
        what = f"on_cancel={block.on_cancel!r} is unknown"
        problems.append(Problem(what, place, "use one of 'cancel', 'abandon'"))
    fitting.check_no_turn(block.workflow)
    problems += uses_problems(block.uses, f"a child {inner.name!r}", place)
    inputs = fitting.inputs(inner, block.inputs)
    writes, returns = (None, None) if block.detach else fitting.result(inner, block.writes)
    return ChildBlock(
        id=identity,
        workflow=inner.name,
        version=block.workflow.version,
        inputs=inputs,
        returns=returns,
        writes=writes,
        detach=block.detach,
        on_cancel="abandon" if block.on_cancel == "abandon" else "cancel",
        leaf=is_leaf(block.workflow),
        uses=dict(block.uses) or UNSET,
    )
