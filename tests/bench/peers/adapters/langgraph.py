"""LangGraph: a graph of async functions, its state saved by a checkpointer. `DURABILITY` is `sync` or `exit`.

A run is a thread. LangGraph brings no process that resumes: the application does, as documented, by invoking the
thread again with no input. Documented settings: a pool of autocommit connections (PostgreSQL), WAL mode (SQLite).
"""

import operator
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from tests.bench.peers.adapters import contract
from tests.bench.peers.adapters.contract import setting, step

POOL = 20


class Run(TypedDict):
    """The state: what the run was asked for, and the value that goes through."""

    spec: dict[str, Any]
    value: str


def _step(index: int) -> Any:  # of its overloads, which differ by version, none takes a coroutine function by name
    async def call(state: Run) -> dict[str, str]:
        return {"value": await step(state["spec"], index, state["value"])}

    return call


def _chain(steps: int, saver: Any) -> Any:
    graph = StateGraph(Run)
    for index in range(steps):
        graph.add_node(f"s{index}", _step(index))
    for index in range(steps - 1):
        graph.add_edge(f"s{index}", f"s{index + 1}")
    graph.add_edge(START, "s0")
    graph.add_edge(f"s{steps - 1}", END)
    return graph.compile(checkpointer=saver)


def _waiting(saver: Any) -> Any:
    async def wait(state: Run) -> dict[str, str]:
        return {"value": interrupt("approve?")}

    graph = StateGraph(Run)
    graph.add_node("wait", wait)
    graph.add_edge(START, "wait")
    graph.add_edge("wait", END)
    return graph.compile(checkpointer=saver)


class Fan(TypedDict, total=False):
    """The items, and what each `Send` adds."""

    spec: dict[str, Any]
    value: str
    items: list[str]
    results: Annotated[list[str], operator.add]
    merged: int


def _fan_out(saver: Any) -> Any:
    async def spread(state: Fan) -> dict[str, Any]:
        return {"items": await contract.spread(state["value"], state["spec"]["width"])}

    def send(state: Fan) -> list[Send]:
        return [Send("work", {"spec": state["spec"], "value": item}) for item in state["items"]]

    async def work(state: Fan) -> dict[str, Any]:
        return {"results": [await step(state["spec"], 0, state["value"])]}

    async def merge(state: Fan) -> dict[str, Any]:
        return {"merged": await contract.merge(state["results"])}

    graph: Any = StateGraph(Fan)
    for node in (spread, work, merge):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "spread")
    graph.add_conditional_edges("spread", send, ["work"])
    graph.add_edge("work", "merge")
    graph.add_edge("merge", END)
    return graph.compile(checkpointer=saver)


class Talk(TypedDict, total=False):
    """The messages so far, with the documented reducer of a list."""

    spec: dict[str, Any]
    value: str
    messages: Annotated[list[str], operator.add]


def _agent_loop(saver: Any) -> Any:
    async def turn(state: Talk) -> dict[str, Any]:
        return {"messages": [await contract.reply([state["value"], *state["messages"]])]}

    def on(state: Talk) -> str:
        return "turn" if len(state["messages"]) < state["spec"]["turns"] else END

    graph: Any = StateGraph(Talk)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", on, ["turn", END])
    return graph.compile(checkpointer=saver)


def _agent_code(saver: Any) -> Any:
    reply: Any = task(contract.reply)

    @entrypoint(checkpointer=saver)
    async def agent(state: Run) -> int:
        messages = [state["value"]]
        for _ in range(state["spec"]["turns"]):
            messages.append(await reply(messages))
        return len(messages)

    return agent


def _approval(saver: Any) -> Any:
    async def ask(state: Run) -> None:
        interrupt("approve?")

    graph: Any = StateGraph(Run)
    graph.add_node("ask", ask)
    graph.add_node("go_on", _step(0))
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "go_on")
    graph.add_edge("go_on", END)
    return graph.compile(checkpointer=saver)


SHAPES = {"fan-out": _fan_out, "agent-loop": _agent_loop, "agent-code": _agent_code}
LONGEST = 10_000
"""More steps of one thread than any workload has; the default of 25 ends an agent."""


class LangGraph:
    """Driver and worker in one."""

    def __init__(self) -> None:
        self._durability = setting("DURABILITY")
        self._stack = AsyncExitStack()
        self._saver: Any = None
        self._graphs: dict[int | str, Any] = {}

    async def open(self) -> None:
        """Connect and create the tables."""
        if database := setting("DATABASE"):
            options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
            pool: Any = AsyncConnectionPool(database, max_size=POOL, kwargs=options, open=False)
            await self._stack.enter_async_context(pool)
            self._saver = AsyncPostgresSaver(pool)
        else:
            path = f"{setting('DIRECTORY')}/checkpoints.db"
            self._saver = await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(path))
        await self._saver.setup()

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Invoke; in the race a thread that is known goes on from its last checkpoint."""
        if spec["shape"] in SHAPES:
            begin_with = {"spec": {**spec, "value": ""}, "value": spec["value"]}
            await self._invoke(spec, SHAPES[spec["shape"]], begin_with)
            return
        steps = spec["steps"]
        graph = self._graphs.get(steps)
        if graph is None:
            graph = self._graphs[steps] = _chain(steps, self._saver)
        config = {"configurable": {"thread_id": spec["run_id"]}, "recursion_limit": steps + 10}
        begin: Run | None = {"spec": {**spec, "value": ""}, "value": spec["value"]}
        if spec["outside"]:
            # The input is checkpoint -1, which has no next node yet: a thread that got no further begins again.
            reached = ((await graph.aget_state(config)).metadata or {}).get("step", -1)
            if reached >= steps:
                return
            begin = None if reached >= 0 else begin
        await graph.ainvoke(begin, config=config, durability=self._durability)

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Invoke to the interrupt, which the answer tells of."""
        await self._invoke(spec, _approval, {"spec": {**spec, "value": ""}, "value": spec["value"]})

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Invoke the thread with what the human says."""
        await self._invoke(spec, _approval, Command(resume="approve"))

    async def _invoke(self, spec: Mapping[str, Any], make: Any, given: Any) -> None:
        graph = self._graphs.get(make.__name__)
        if graph is None:
            graph = self._graphs[make.__name__] = make(self._saver)
        config = {"configurable": {"thread_id": spec["run_id"]}, "recursion_limit": LONGEST}
        await graph.ainvoke(given, config=config, durability=self._durability)

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Invoke to the interrupt."""
        graph = self._graphs.get(0)
        if graph is None:
            graph = self._graphs[0] = _waiting(self._saver)
        config = {"configurable": {"thread_id": spec["run_id"]}}
        await graph.ainvoke({"spec": {}, "value": spec["value"]}, config=config, durability=self._durability)

    async def close(self) -> None:
        """Disconnect."""
        await self._stack.aclose()


def adapter() -> LangGraph:
    """For the driver."""
    return LangGraph()
