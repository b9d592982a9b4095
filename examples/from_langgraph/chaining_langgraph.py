"""Prompt chaining with a gate, as LangGraph's tutorial on workflows and agents has it."""

from typing import Any, Literal

from examples.from_langgraph.model import ask
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    topic: str
    joke: str
    improved: str
    final: str


def generate(state: State) -> dict[str, Any]:
    return {"joke": ask(f"joke about {state['topic']}")}


def check(state: State) -> Literal["Pass", "Fail"]:
    return "Pass" if "!" in state["joke"] else "Fail"


def improve(state: State) -> dict[str, Any]:
    return {"improved": ask(f"improve {state['joke']}")}


def polish(state: State) -> dict[str, Any]:
    return {"final": ask(f"polish {state['improved']}")}


builder = StateGraph(State)
builder.add_node("generate", generate)
builder.add_node("improve", improve)
builder.add_node("polish", polish)
builder.add_edge(START, "generate")
builder.add_conditional_edges("generate", check, {"Fail": "improve", "Pass": END})
builder.add_edge("improve", "polish")
builder.add_edge("polish", END)
chain = builder.compile()
