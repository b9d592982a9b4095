"""An evaluator that sends a draft back until it is good: a cycle of edges, as LangGraph's tutorial has it."""

from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    topic: str
    draft: str
    feedback: str
    grade: Literal["good", "poor"]


def generate(state: State) -> dict[str, Any]:
    feedback = state.get("feedback")
    return {"draft": f"{state['draft']}, {feedback}" if feedback else f"on {state['topic']}"}


def evaluate(state: State) -> dict[str, Any]:
    good = state["draft"].count(",") >= 2
    return {"grade": "good" if good else "poor", "feedback": "more"}


def route(state: State) -> Literal["again", "done"]:
    return "done" if state["grade"] == "good" else "again"


builder = StateGraph(State)
builder.add_node("generate", generate)
builder.add_node("evaluate", evaluate)
builder.add_edge(START, "generate")
builder.add_edge("generate", "evaluate")
builder.add_conditional_edges("evaluate", route, {"again": "generate", "done": END})
optimizer = builder.compile()
