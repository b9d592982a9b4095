"""Child runs of durable code: what they are started with, and what they have returned. On the loop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logkeel.errors import StepSignatureError
from logkeel.records import ChildCall
from logkeel.steps.journal.session import Journal
from logkeel.steps.journal.waiting import Wait, waited
from logkeel.workflow.durable_code import ChildOptions
from logkeel.workflow.starting import is_leaf

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow


def require_declared(workflow: "Workflow[Any]", declared: Mapping[str, object]) -> None:
    """Raises `StepSignatureError`: workers and limits know of children by what their parent declares."""
    if declared.get(workflow.name) is not workflow:
        raise StepSignatureError(
            f"the code starts a run of workflow {workflow.name!r}, which its step does not declare: write"
            f" children=[{workflow.name}], or name a function that returns this list, if it is defined further below"
        )


async def child_result(
    journal: Journal,
    workflow: "Workflow[Any]",
    inputs: Mapping[str, Any],
    *,
    timeout_ms: int | None,
    options: ChildOptions,
) -> Any:
    """See `DurableCode.child`."""
    name = options.name or workflow.name
    writes = await journal.values.seal(workflow.encode_input(inputs), f"the input of child {name!r}")
    call = ChildCall(
        workflow=workflow.name,
        version=workflow.version,
        abandon=options.on_cancel == "abandon",
        max_descendants=0 if is_leaf(workflow) else options.max_descendants,
        uses=dict(options.uses),
    )
    entry = await waited(journal, Wait("child", name, timeout_ms, writes, call))
    result = () if entry.child is None else await journal.opened_result(entry.child.result)
    return workflow.result(result)
