"""Interrupts of a real LangGraph: read as approvals, and resumed with what people answered."""

from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Interrupt, interrupt

from logkeel.integrations.approvals import Approval, asking
from logkeel.integrations.langchain import answer_of, approvals_of, request_of, response_of
from logkeel.integrations.langgraph import approvals_of as interrupts_of
from logkeel.integrations.langgraph import resume_of
from logkeel.workflow import Answered

REQUEST: dict[str, Any] = {
    "action_requests": [
        {"name": "delete", "args": {"path": "/a", "force": True}, "description": "deletes a file"},
        {"name": "ask_user", "args": {}},
    ],
    "review_configs": [
        {
            "action_name": "delete",
            "allowed_decisions": ["approve", "edit", "reject"],
            "args_schema": {"type": "object"},
        },
        {"action_name": "ask_user", "allowed_decisions": ["respond"]},
    ],
}
DECISIONS: list[dict[str, Any]] = [
    {"type": "approve"},
    {"type": "edit", "edited_action": {"name": "move", "args": {"to": "/b"}}},
    {"type": "reject"},
    {"type": "reject", "message": "never"},
    {"type": "respond", "message": "42"},
]


class Step(TypedDict, total=False):
    """A graph's state."""

    said: list[Any]


def graph(*values: Any) -> tuple[Any, dict[int, Any]]:
    """Interrupts with each value at once, one branch for each."""
    builder = StateGraph(Step)

    def collector(number: int, value: Any) -> Any:
        def ask(state: Step) -> dict[str, Any]:
            seen[number] = interrupt(value)
            return {}

        return ask

    seen: dict[int, Any] = {}
    for number, value in enumerate(values):
        builder.add_node(f"ask{number}", collector(number, value))
        builder.add_edge(START, f"ask{number}")
        builder.add_edge(f"ask{number}", END)
    return builder.compile(checkpointer=InMemorySaver()), seen


def resumed(values: tuple[Any, ...], answers: list[Answered[Any]]) -> list[Any]:
    """What `interrupt()` returned, for answers to all approvals in order."""
    (made, seen), config = graph(*values), {"configurable": {"thread_id": "1"}}
    interrupts = made.invoke({}, config)["__interrupt__"]
    approvals = interrupts_of(interrupts)
    command = resume_of(interrupts, {each.call_id: said for each, said in zip(approvals, answers, strict=True)})
    made.invoke(command, config)
    return [seen[number] for number in range(len(values))]


def test_whatever_a_graph_asks_is_answered_as_it_is() -> None:
    (value,) = resumed(({"question": "which?"},), [Answered("respond", {"choice": [1, "two"]})])
    assert value == {"choice": [1, "two"]}


def test_several_interrupts_are_resumed_each_by_its_own_answer() -> None:
    answers = [Answered("respond", "first"), Answered("approve"), Answered("respond", "42")]
    assert resumed(("one", REQUEST), answers) == [
        "first",
        {"decisions": [{"type": "approve"}, {"type": "respond", "message": "42"}]},
    ]


def test_a_request_loses_nothing_on_the_way_to_people_and_back() -> None:
    approvals = approvals_of(REQUEST)
    assert request_of(approvals) == REQUEST
    shown = asking(approvals[0])
    assert shown["show"] == {
        "name": "delete",
        "args": {"path": "/a", "force": True},
        "description": "deletes a file",
        "more": {"args_schema": {"type": "object"}},
    }
    assert shown["allow"] == ("approve", "edit", "reject")


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_loses_nothing_either(decision: dict[str, Any]) -> None:
    approval = Approval(call_id="1", name="delete", args={}, allow=("approve", "edit", "reject", "respond"))
    assert response_of([approval], [answer_of(decision)]) == {"decisions": [decision]}


def test_an_answer_that_has_no_word_there_is_refused() -> None:
    delete, ask = approvals_of(REQUEST)
    with pytest.raises(ValueError, match="takes approve, edit, reject, not respond"):
        response_of([delete], [Answered("respond", "x")])
    with pytest.raises(ValueError, match="has to be"):
        response_of([delete], [Answered("edit", {"path": "/b"})])
    with pytest.raises(ValueError, match="zip"):
        response_of([delete, ask], [Answered("approve")])


def test_one_interrupt_for_each_call_says_what_is_allowed() -> None:
    value = {
        "type": "tool_approval",
        "tool_call_id": "c1",
        "name": "delete",
        "args": {"path": "/a"},
        "description": "d",
    }
    schema = {"anyOf": [{"properties": {"type": {"const": "approve"}}}, {"properties": {"type": {"enum": ["reject"]}}}]}
    (approval,) = interrupts_of([_interrupt(value, schema)])
    assert (approval.call_id, approval.name, approval.args) == ("i1/c1", "delete", {"path": "/a"})
    command = resume_of([_interrupt(value, schema)], {"i1/c1": Answered("reject", message="no")})
    assert command.resume == {"i1": {"type": "reject", "message": "no"}}
    if approval.more:
        assert approval.allow == ("approve", "reject")


def _interrupt(value: Any, schema: dict[str, Any]) -> Interrupt:
    """Younger versions of LangGraph carry a schema."""
    made = Interrupt(value, id="i1")
    if hasattr(made, "response_schema"):
        made.response_schema = schema
    return made
