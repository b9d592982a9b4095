"""LangGraph's interrupts, and the `Command` that resumes them.

| an interrupt's value | here |
|---|---|
| a `HITLRequest` of LangChain's middleware | an `Approval` for each of its calls |
| its `ToolApprovalRequest` (one interrupt for each call) | one `Approval` |
| anything else | one `Approval` that is responded to; the answer's value is what `interrupt()` returns |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from logkeel.definitions import Verb
from logkeel.integrations import langchain
from logkeel.integrations.approvals import Approval
from logkeel.workflow import Answered

if TYPE_CHECKING:
    from langgraph.types import Command, Interrupt

INTERRUPT: Final = "interrupt"
"""The name of what is no tool call."""

SCHEMA: Final = "response_schema"


def approvals_of(interrupts: "Sequence[Interrupt]") -> list[Approval]:
    """What the interrupts of a graph ask for; ids begin with the interrupt's."""
    return [approval for each in interrupts for approval in _approvals(each)]


def resume_of(interrupts: "Sequence[Interrupt]", answers: Mapping[str, Answered[Any]]) -> "Command[Any]":
    """The command that resumes them all; `answers` by call id. Raises KeyError, and ValueError as `langchain`."""
    from langgraph.types import Command

    return Command(resume={each.id: _resumed(each, answers) for each in interrupts})


def _approvals(interrupt: "Interrupt") -> list[Approval]:
    value = interrupt.value
    if _is_request(value):
        return langchain.approvals_of(value, prefix=f"{interrupt.id}/")
    schema = getattr(interrupt, SCHEMA, None)
    more = {SCHEMA: schema} if isinstance(schema, dict) else {}
    if _is_tool_approval(value):
        return [
            Approval(
                call_id=f"{interrupt.id}/{value['tool_call_id']}",
                name=value["name"],
                args=value["args"],
                allow=_allowed(more),
                question=value["description"],
                more=more,
            )
        ]
    return [Approval(call_id=interrupt.id, name=INTERRUPT, args=value, allow=("respond",), more=more)]


def _resumed(interrupt: "Interrupt", answers: Mapping[str, Answered[Any]]) -> Any:
    approvals = _approvals(interrupt)
    if _is_request(interrupt.value):
        return langchain.response_of(approvals, [answers[each.call_id] for each in approvals])
    answer = answers[approvals[0].call_id]
    if _is_tool_approval(interrupt.value):
        return langchain.decision_of(approvals[0], answer)
    return answer.value


def _is_request(value: Any) -> bool:
    return isinstance(value, Mapping) and {"action_requests", "review_configs"} <= value.keys()


def _is_tool_approval(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "tool_approval" and "tool_call_id" in value


def _allowed(more: Mapping[str, Any]) -> tuple[Verb, ...]:
    """The decisions that the interrupt's schema names; all, if it has none."""
    named = set(_types(more.get(SCHEMA)))
    verbs = cast("tuple[Verb, ...]", get_args(Verb))
    return tuple(verb for verb in verbs if verb in named) or verbs


def _types(schema: Any) -> Iterator[str]:
    """What `type` may be, anywhere in a JSON Schema."""
    if isinstance(schema, Mapping):
        kind = schema.get("properties", {}).get("type", {})
        if isinstance(kind, Mapping):
            yield from (str(each) for each in (kind.get("const"), *kind.get("enum", ())) if each is not None)
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _types(each)
