"""A tool call that somebody has to approve, in our words: what agent SDKs' approvals are mapped to and from. Pure.

`logkeel.integrations.langchain`, `.langgraph`, `.pydantic_ai` and `.openai_agents` read an SDK's pending approvals as
`Approval`s, and write people's `Answered` as what the SDK goes on with. In between is `step.ask`:

    for approval in approvals_of(result):
        answers[approval.call_id] = await step.ask(**asking(approval), timeout="24h")
    result = agent.go_on(results_of(...))

An edit's value is the whole call, `{"name": …, "args": …}`; a response's value is a text, or what else the SDK takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from logkeel.definitions import Verb
from logkeel.workflow import Answered


class Call(TypedDict):
    """A tool call: what people see, and what an edit makes of it."""

    name: str
    args: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call that waits. `call_id`: its id in the SDK, unique in a run of the agent. `question`: the SDK's description.

    `more`: all else that the SDK says of it, so that nothing is lost; JSON.
    """

    call_id: str
    name: str
    args: Any
    allow: tuple[Verb, ...] = ("approve", "reject")
    question: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        """The call as it stands."""
        return Call(name=self.name, args=self.args)


def asking(approval: Approval) -> dict[str, Any]:
    """The arguments of `step.ask` for it, but for `timeout` and `to`. The question's name is the call's id."""
    shown: dict[str, Any] = {**approval.call}
    if approval.question:
        shown["description"] = approval.question
    if approval.more:
        shown["more"] = dict(approval.more)
    return {
        "question": f"approve:{approval.call_id}",
        "as_type": Any,
        "show": shown,
        "allow": approval.allow,
    }


def edited(approval: Approval, answer: Answered[Any]) -> Call:
    """The call that an edit makes. Raises ValueError for a value that is no call."""
    value = answer.value
    if not isinstance(value, Mapping) or set(value) != {"name", "args"} or not isinstance(value["name"], str):
        raise ValueError(f'an edit of {approval.call_id} has to be {{"name": ..., "args": ...}}, not {value!r}')
    return Call(name=value["name"], args=value["args"])


def refuse_foreign(approval: Approval, answer: Answered[Any]) -> None:
    """Raise ValueError for a verb that the SDK has no word for here."""
    if answer.verb not in approval.allow:
        raise ValueError(f"{approval.call_id} takes {', '.join(approval.allow)}, not {answer.verb}")
