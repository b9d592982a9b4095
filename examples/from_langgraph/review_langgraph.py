"""A human reviews before something is sent: `interrupt` and `Command(resume=…)`, as LangGraph's tutorial has it."""

from typing import Any, Literal

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    topic: str
    letter: str
    sent: bool


def write(state: State) -> dict[str, Any]:
    return {"letter": f"Dear reader, {state['topic']}."}


def review(state: State) -> Command[Literal["send", "__end__"]]:
    answer = interrupt({"letter": state["letter"]})
    if answer["verb"] == "reject":
        return Command(goto="__end__")
    update = {"letter": answer["value"]} if answer["verb"] == "edit" else {}
    return Command(goto="send", update=update)


def send(state: State) -> dict[str, Any]:
    return {"sent": True}


builder = StateGraph(State)
builder.add_node("write", write)
builder.add_node("review", review)
builder.add_node("send", send)
builder.add_edge(START, "write")
builder.add_edge("write", "review")
builder.add_edge("send", END)
letters = builder.compile(checkpointer=InMemorySaver())
