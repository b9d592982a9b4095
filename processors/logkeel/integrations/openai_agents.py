"""The OpenAI Agents SDK's approvals: `RunResult.interruptions`, and `approve` and `reject` of its `RunState`.

| OpenAI Agents | here |
|---|---|
| a `ToolApprovalItem` (agent, tool, arguments, call id) | `Approval`: approve, reject |
| `state.approve(item)`; `state.reject(item, rejection_message=…)` | approve; reject, and the remark |

The SDK has no word for other arguments: to edit a call, reject it with a remark that says what to do instead.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logkeel.integrations.approvals import Approval, refuse_foreign
from logkeel.workflow import Answered

if TYPE_CHECKING:
    from agents import RunState, ToolApprovalItem


def approvals_of(interruptions: "Sequence[ToolApprovalItem]") -> list[Approval]:
    """The calls that wait, in order."""
    return [_approval(each) for each in interruptions]


def decide(
    state: "RunState[Any, Any]", interruptions: "Sequence[ToolApprovalItem]", answers: Mapping[str, Answered[Any]]
) -> None:
    """Tell the state what was decided; `answers` by call id. The agent then runs on from the state.

    Raises KeyError for a call without an answer, ValueError for an answer that does not fit.
    """
    approvals = approvals_of(interruptions)
    for approval in approvals:
        refuse_foreign(approval, answers[approval.call_id])
    for item, approval in zip(interruptions, approvals, strict=True):
        answer = answers[approval.call_id]
        if answer.verb == "approve":
            state.approve(item)
        elif answer.message:
            state.reject(item, rejection_message=answer.message)
        else:
            state.reject(item)


def _approval(item: "ToolApprovalItem") -> Approval:
    name, call_id = item.name, item.call_id
    if name is None or call_id is None:
        raise ValueError(f"an approval without a tool or a call id cannot be decided later: {item.raw_item!r}")
    namespace = getattr(item, "tool_namespace", None)
    return Approval(
        call_id=call_id,
        name=name,
        args=_arguments(item.arguments),
        question=f"{item.agent.name} wants to call {name}",
        more={"agent": item.agent.name} | ({} if namespace is None else {"namespace": namespace}),
    )


def _arguments(text: str | None) -> Any:
    """JSON, unless the model has written something else."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
