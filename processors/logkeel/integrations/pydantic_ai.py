"""Pydantic AI's deferred tools: `DeferredToolRequests` and `DeferredToolResults`.

| Pydantic AI | here |
|---|---|
| a call in `approvals`, with its metadata | `Approval`: approve, edit, reject |
| a call in `calls` (run elsewhere, or a question) | `Approval`: respond; the answer's value is the tool's result |
| `ToolApproved()`, `ToolApproved(override_args=…)` | approve; edit, under the same name |
| `ToolDenied(message)` | reject; the remark |
| `answered_by` | who answered |
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from logkeel.definitions import Verb
from logkeel.integrations.approvals import Approval, edited, refuse_foreign
from logkeel.workflow import Answered

if TYPE_CHECKING:
    from pydantic_ai import DeferredToolRequests, DeferredToolResults
    from pydantic_ai.messages import ToolCallPart

METADATA: Final = "metadata"


def approvals_of(requests: "DeferredToolRequests") -> list[Approval]:
    """The calls that wait for approval, then those that wait for a result."""
    decided = [_approval(call, requests, ("approve", "edit", "reject")) for call in requests.approvals]
    return decided + [_approval(call, requests, ("respond",)) for call in requests.calls]


def results_of(requests: "DeferredToolRequests", answers: Mapping[str, Answered[Any]]) -> "DeferredToolResults":
    """What the agent goes on with; `answers` by call id.

    Raises KeyError for a call without an answer, ValueError for an answer that does not fit.
    """
    from pydantic_ai import DeferredToolResults

    results = DeferredToolResults()
    for approval in approvals_of(requests):
        answer = answers[approval.call_id]
        refuse_foreign(approval, answer)
        if answer.verb == "respond":
            results.calls[approval.call_id] = answer.value
        else:
            results.approvals[approval.call_id] = _decision(approval, answer)
    if any(each.name == "answered_by" for each in fields(DeferredToolResults)):
        by = {name: answer.answered_by for name, answer in answers.items() if answer.answered_by is not None}
        results.answered_by.update(by)
    return results


def answer_of(approval: Approval, decision: Any) -> Answered[Any]:
    """An approval's result (`bool`, `ToolApproved`, `ToolDenied`) in our words."""
    if decision is True or getattr(decision, "kind", "") == "tool-approved":
        args = getattr(decision, "override_args", None)
        return Answered("approve") if args is None else Answered("edit", {"name": approval.name, "args": args})
    return Answered("reject", message=getattr(decision, "message", ""))


def _approval(call: "ToolCallPart", requests: "DeferredToolRequests", allow: tuple[Verb, ...]) -> Approval:
    known = requests.metadata.get(call.tool_call_id)
    return Approval(
        call_id=call.tool_call_id,
        name=call.tool_name,
        args=call.args_as_dict(),
        allow=allow,
        more={} if known is None else {METADATA: known},
    )


def _decision(approval: Approval, answer: Answered[Any]) -> Any:
    from pydantic_ai import ToolApproved, ToolDenied

    if answer.verb == "reject":
        return ToolDenied(answer.message) if answer.message else ToolDenied()
    if answer.verb == "approve":
        return ToolApproved()
    call = edited(approval, answer)
    if call["name"] != approval.name:
        raise ValueError(f"{approval.call_id}: an edit gives {approval.name} other arguments, not another tool")
    return ToolApproved(override_args=call["args"])
