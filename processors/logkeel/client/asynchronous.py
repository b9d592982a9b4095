"""The client for coroutines: the same requests, sent from a few threads; waiting costs no thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeVar

from logkeel.client.answers import Answer
from logkeel.client.book import Wait
from logkeel.client.client import Client, RunHandle, accepted, result_of, timed_out
from logkeel.client.deciding import Decision
from logkeel.client.forking import NewConversation
from logkeel.client.schedules import Schedules
from logkeel.client.streams import Emitted, until_ended
from logkeel.log import LogClient
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.projection import OpenQuestion, ScheduleView
from logkeel.records import RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.workflow import Duration, Workflow
from logkeel.workflow.scheduling import Schedule

SENDING_THREADS = 16
"""Requests under way at once: each thread holds one until it is acknowledged."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AsyncRunHandle:
    """As `RunHandle`, for coroutines."""

    client: "AsyncClient"
    inner: RunHandle

    @property
    def run_id(self) -> str:
        """The run."""
        return self.inner.run_id

    @property
    def request_id(self) -> str:
        """The request that asked for it."""
        return self.inner.request_id

    async def wait(self, timeout_s: float | None = None) -> RunCompleted:
        """See `RunHandle.wait`."""
        return await self.client.wait_for(self.inner.awaited(), timeout_s)

    async def result(self, timeout_s: float | None = None) -> Any:
        """See `RunHandle.result`."""
        return result_of(self.inner.workflow, await self.client.opened(await self.wait(timeout_s)))


class AsyncSchedules:
    """As `Schedules`, for coroutines; get it from `AsyncClient.schedules`."""

    def __init__(self, inner: Schedules, do: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._inner = inner
        self._do = do

    async def put(self, schedule: Schedule) -> str:
        """See `Schedules.put`."""
        return str(await self._do(lambda: self._inner.put(schedule)))

    async def pause(self, name: str, *, reason: str | None = None) -> str:
        """See `Schedules.pause`."""
        return str(await self._do(lambda: self._inner.pause(name, reason=reason)))

    async def resume(self, name: str, *, reason: str | None = None) -> str:
        """See `Schedules.resume`."""
        return str(await self._do(lambda: self._inner.resume(name, reason=reason)))

    async def delete(self, name: str, *, reason: str | None = None) -> str:
        """See `Schedules.delete`."""
        return str(await self._do(lambda: self._inner.delete(name, reason=reason)))

    async def trigger(self, name: str, *, request_id: str | None = None) -> str:
        """See `Schedules.trigger`."""
        return str(await self._do(lambda: self._inner.trigger(name, request_id=request_id)))

    async def backfill(self, name: str, begin: datetime, end: datetime) -> str:
        """See `Schedules.backfill`."""
        return str(await self._do(lambda: self._inner.backfill(name, begin, end)))

    async def list(self) -> Sequence[ScheduleView]:
        """See `Schedules.list`."""
        found: Sequence[ScheduleView] = await self._do(self._inner.list)
        return found

    async def show(self, name: str) -> ScheduleView | None:
        """See `Schedules.show`."""
        found: ScheduleView | None = await self._do(lambda: self._inner.show(name))
        return found


class AsyncClient:
    """As `Client`, for coroutines of any event loop. Close it, or use it as an asynchronous context manager."""

    def __init__(
        self, log_client: LogClient, *, prefix: str = TopicNames().prefix, payloads: PayloadChain = PLAIN
    ) -> None:
        self._client = Client(log_client, prefix=prefix, payloads=payloads)
        self._payloads = payloads
        self._threads = ThreadPoolExecutor(SENDING_THREADS, thread_name_prefix="logkeel-client")

    @property
    def schedules(self) -> AsyncSchedules:
        """What starts runs by time."""
        return AsyncSchedules(self._client.schedules, self._do)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Release everything; idempotent."""
        await asyncio.to_thread(self._client.close)
        self._threads.shutdown(wait=False)

    async def start(
        self,
        workflow: "Workflow[Any] | str",
        *,
        run_id: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_timeout: Duration | None = None,
        **inputs: Any,
    ) -> AsyncRunHandle:
        """See `Client.start`."""
        handle = await self._do(
            lambda: self._client.start(
                workflow,
                run_id=run_id,
                request_id=request_id,
                routing_key=routing_key,
                attributes=attributes,
                run_timeout=run_timeout,
                **inputs,
            )
        )
        return AsyncRunHandle(self, handle)

    async def wait(
        self, run_id: str, timeout_s: float | None = None, *, routing_key: str | None = None
    ) -> RunCompleted:
        """See `Client.wait`."""
        wait = await self._do(lambda: self._client.from_start(run_id, routing_key))
        return await self.wait_for(wait, timeout_s)

    async def stream(
        self, run_id: str, *, after: str | None = None, routing_key: str | None = None
    ) -> AsyncIterator[Emitted]:
        """See `Client.stream`. Each stream that is read has a reader of its own, polled in threads."""
        wait = await self._do(lambda: self._client.from_start(run_id, routing_key))
        reader = await self._do(lambda: self._client.stream_reader(run_id, after=after))
        completed = self._client.follower.watch(wait)
        try:
            rounds = until_ended(reader, completed.done)
            while (emitted := await asyncio.to_thread(next, rounds, None)) is not None:
                for each in emitted:
                    yield each
        finally:
            completed.cancel()
            await asyncio.to_thread(reader.close)

    async def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        correlation: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
    ) -> str:
        """See `Client.signal`."""
        return await self._do(
            lambda: self._client.signal(
                run_id, name, payload, correlation=correlation, request_id=request_id, routing_key=routing_key
            )
        )

    async def answer(self, answer: Answer, *, request_id: str | None = None, routing_key: str | None = None) -> str:
        """See `Client.answer`."""
        return await self._do(lambda: self._client.answer(answer, request_id=request_id, routing_key=routing_key))

    async def questions(self, run_id: str | None = None, *, assignee: str | None = None) -> list[OpenQuestion]:
        """See `Client.questions`."""
        return await self._do(lambda: self._client.questions(run_id, assignee=assignee))

    async def cancel(
        self, run_id: str, *, reason: str | None = None, request_id: str | None = None, routing_key: str | None = None
    ) -> str:
        """See `Client.cancel`."""
        ids = {"request_id": request_id, "routing_key": routing_key}
        return await self._do(lambda: self._client.cancel(run_id, reason=reason, **ids))

    async def fork(
        self,
        history: Sequence[RunEvent],
        *,
        at: int | None = None,
        edits: Mapping[str, Any] | None = None,
        version: str | None = None,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> AsyncRunHandle:
        """See `Client.fork`."""
        handle = await self._do(
            lambda: self._client.fork(history, at=at, edits=edits, version=version, run_id=run_id, reason=reason)
        )
        return AsyncRunHandle(self, handle)

    async def fork_turn(
        self,
        history: Sequence[RunEvent],
        talk: NewConversation,
        *,
        at: int | None = None,
        edits: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> AsyncRunHandle:
        """See `Client.fork_turn`."""
        handle = await self._do(
            lambda: self._client.fork_turn(history, talk, at=at, edits=edits, run_id=run_id, reason=reason)
        )
        return AsyncRunHandle(self, handle)

    async def pause(
        self, run_id: str, *, reason: str | None = None, request_id: str | None = None, routing_key: str | None = None
    ) -> str:
        """See `Client.pause`."""
        ids = {"request_id": request_id, "routing_key": routing_key}
        return await self._do(lambda: self._client.pause(run_id, reason=reason, **ids))

    async def resume(
        self, run_id: str, *, reason: str | None = None, request_id: str | None = None, routing_key: str | None = None
    ) -> str:
        """See `Client.resume`."""
        ids = {"request_id": request_id, "routing_key": routing_key}
        return await self._do(lambda: self._client.resume(run_id, reason=reason, **ids))

    async def retry(
        self,
        run_id: str,
        *,
        reason: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
        workflow: "Workflow[Any] | str" = "",
    ) -> AsyncRunHandle:
        """See `Client.retry`."""
        handle = await self._do(
            lambda: self._client.retry(
                run_id, reason=reason, request_id=request_id, routing_key=routing_key, workflow=workflow
            )
        )
        return AsyncRunHandle(self, handle)

    async def resolve(
        self,
        run_id: str,
        path: str,
        decision: str,
        *,
        result: Mapping[str, Any] | None = None,
        comment: str | None = None,
        routing_key: str | None = None,
    ) -> str:
        """See `Client.resolve`."""
        return await self._do(
            lambda: self._client.resolve(
                run_id, path, decision, result=result, comment=comment, routing_key=routing_key
            )
        )

    async def decide(self, decided: Decision, *, request_id: str | None = None, routing_key: str | None = None) -> str:
        """See `Client.decide`."""
        return await self._do(lambda: self._client.decide(decided, request_id=request_id, routing_key=routing_key))

    async def opened(self, completed: RunCompleted) -> RunCompleted:
        """See `Client.opened`."""
        if self._payloads.is_quick(completed.result):
            return self._client.opened(completed)
        return await self._do(lambda: self._client.opened(completed))

    async def wait_for(self, wait: Wait, timeout_s: float | None) -> RunCompleted:
        """Wait without a thread. Raises `RequestWasRejected`, `WaitTimedOut`."""
        future = self._client.follower.watch(wait)
        try:
            async with asyncio.timeout(timeout_s):
                return accepted(await asyncio.wrap_future(future))
        except TimeoutError as error:
            raise timed_out(wait.run_id, timeout_s) from error

    async def _do(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
