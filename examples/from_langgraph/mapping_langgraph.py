"""Map and reduce: `Send` starts a worker for each subject, as LangGraph's tutorial on orchestrators has it."""

import operator
from typing import Annotated, Any

from examples.from_langgraph.model import ask
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    topic: str
    subjects: list[str]
    jokes: Annotated[list[str], operator.add]
    best: str


class One(TypedDict):
    subject: str


def plan(state: State) -> dict[str, Any]:
    return {"subjects": [f"{state['topic']} {number}" for number in (1, 2, 3)]}


def fan_out(state: State) -> list[Send]:
    return [Send("joke", {"subject": subject}) for subject in state["subjects"]]


def joke(state: One) -> dict[str, Any]:
    return {"jokes": [ask(f"joke about {state['subject']}")]}


def choose(state: State) -> dict[str, Any]:
    return {"best": max(state["jokes"])}


builder = StateGraph(State)
builder.add_node("plan", plan)
builder.add_node("joke", joke)
builder.add_node("choose", choose)
builder.add_edge(START, "plan")
builder.add_conditional_edges("plan", fan_out, ["joke"])
builder.add_edge("joke", "choose")
builder.add_edge("choose", END)
jokes = builder.compile()
