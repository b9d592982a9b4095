"""LangGraph: a graph of async functions, its state saved by a checkpointer. `DURABILITY` is `sync` or `exit`.

A run is a thread. LangGraph brings no process that resumes: the application does, as documented, by invoking the
thread again with no input. Documented settings: a pool of autocommit connections (PostgreSQL), WAL mode (SQLite).
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from tests.bench.peers.adapters.contract import setting, step

POOL = 20


class Run(TypedDict):
    """The state: what the run was asked for, and the value that goes through."""

    spec: dict[str, Any]
    value: str


def _step(index: int) -> Callable[[Run], Coroutine[Any, Any, dict[str, str]]]:
    async def call(state: Run) -> dict[str, str]:
        return {"value": await step(state["spec"], index, state["value"])}

    return call


def _chain(steps: int, saver: Any) -> Any:
    graph = StateGraph(Run)
    for index in range(steps):
        graph.add_node(f"s{index}", _step(index))  # type: ignore[call-overload]  # none of its overloads names a coroutine function
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


class LangGraph:
    """Driver and worker in one."""

    def __init__(self) -> None:
        self._durability = setting("DURABILITY")
        self._stack = AsyncExitStack()
        self._saver: Any = None
        self._graphs: dict[int, Any] = {}

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
