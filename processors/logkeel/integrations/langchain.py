"""LangChain's human-in-the-loop middleware: `HITLRequest` and `HITLResponse`. Pure; both are dictionaries.

| LangChain | here |
|---|---|
| `action_requests[i]` (name, args, description) and its `review_configs` | `Approval`, id `i` |
| approve, edit, reject, respond | the same verbs |
| `edited_action` | the value of an edit |
| `message` of reject; of respond | the remark; the value |
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from logkeel.definitions import Verb
from logkeel.integrations.approvals import Approval, edited, refuse_foreign
from logkeel.workflow import Answered

ARGS_SCHEMA = "args_schema"


def approvals_of(request: Mapping[str, Any], *, prefix: str = "") -> list[Approval]:
    """The calls of a `HITLRequest`, in its order; their ids are `prefix` and their number."""
    configs = _configs(request)
    found = []
    for number, action in enumerate(request["action_requests"]):
        config = configs[number]
        found.append(
            Approval(
                call_id=f"{prefix}{number}",
                name=action["name"],
                args=action["args"],
                allow=cast("tuple[Verb, ...]", tuple(config["allowed_decisions"])),
                question=action.get("description", ""),
                more={ARGS_SCHEMA: config[ARGS_SCHEMA]} if ARGS_SCHEMA in config else {},
            )
        )
    return found


def request_of(approvals: Sequence[Approval]) -> dict[str, Any]:
    """The `HITLRequest` that these came from."""
    return {
        "action_requests": [
            {"name": each.name, "args": each.args} | ({"description": each.question} if each.question else {})
            for each in approvals
        ],
        "review_configs": [
            {"action_name": each.name, "allowed_decisions": list(each.allow), **each.more} for each in approvals
        ],
    }


def response_of(approvals: Sequence[Approval], answers: Sequence[Answered[Any]]) -> dict[str, Any]:
    """The `HITLResponse`: one decision for each call, in order. Raises ValueError for an answer that does not fit."""
    return {"decisions": [decision_of(*pair) for pair in zip(approvals, answers, strict=True)]}


def decision_of(approval: Approval, answer: Answered[Any]) -> dict[str, Any]:
    """One decision. Raises ValueError for an answer that does not fit."""
    refuse_foreign(approval, answer)
    match answer.verb:
        case "approve":
            return {"type": "approve"}
        case "edit":
            return {"type": "edit", "edited_action": dict(edited(approval, answer))}
        case "reject":
            return {"type": "reject"} | ({"message": answer.message} if answer.message else {})
        case "respond":
            return {"type": "respond", "message": answer.value}


def answer_of(decision: Mapping[str, Any]) -> Answered[Any]:
    """A decision in our words; `decision_of` turns it back into the same."""
    match decision["type"]:
        case "edit":
            return Answered("edit", dict(decision["edited_action"]))
        case "reject":
            return Answered("reject", message=decision.get("message", ""))
        case "respond":
            return Answered("respond", decision["message"])
        case _:
            return Answered("approve")


def _configs(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The middleware gives one for each action, in order; others give one for each name."""
    actions, configs = request["action_requests"], request["review_configs"]
    if [each["name"] for each in actions] == [each["action_name"] for each in configs]:
        return list(configs)
    by_name = {each["action_name"]: each for each in configs}
    return [by_name[each["name"]] for each in actions]
