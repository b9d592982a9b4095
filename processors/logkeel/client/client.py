"""The blocking client: sends requests to a run's home partition and waits on `run-completions` there.

Sends nothing twice by itself: a request id makes a repetition by the caller harmless (P26). Knows no workflow code but
the one it is given; ids that nobody gives are made here.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from msgspec.structs import replace

from logkeel.client.answers import Answer
from logkeel.client.book import Wait
from logkeel.client.building import input_digest, inputs_of, payload_of, plain_result, plain_writes
from logkeel.client.following import CompletionFollower
from logkeel.client.forking import NewConversation, carried, cut, fork_request, in_conversation
from logkeel.client.schedules import Schedules
from logkeel.client.sending import AcknowledgedSender
from logkeel.client.streams import Emitted, StreamReader, until_ended
from logkeel.errors import LogkeelError, LogTimeout, RequestWasRejected, RunFailed, WaitTimedOut
from logkeel.log import Admin, LogClient, OutputRecord, TopicPartition, described
from logkeel.log.partitioner import partition_for
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.projection import HistoryReader, OpenQuestion
from logkeel.records import (
    CancelRun,
    FieldValue,
    ForkRun,
    PauseRun,
    Payload,
    Request,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RetryRun,
    RunCompleted,
    RunEvent,
    ScheduleRequest,
    SignalRun,
    StartRun,
)
from logkeel.records.topics import TopicNames
from logkeel.wire import encode
from logkeel.workflow import Duration, Workflow, to_milliseconds

SEND_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RunHandle:
    """A run that was asked for. `since`: where on its home partition the completion can be at the earliest."""

    client: "Client"
    run_id: str
    request_id: str
    routing_key: str
    since: int
    workflow: "Workflow[Any] | str"

    def wait(self, timeout_s: float | None = None) -> RunCompleted:
        """How the run ended, success or not. Raises `RequestWasRejected`, `WaitTimedOut` (the run goes on)."""
        return self.client.wait_for(self.awaited(), timeout_s)

    def result(self, timeout_s: float | None = None) -> Any:
        """What the workflow returns: typed if the run was started by its object, else a dictionary by field.

        Raises `RunFailed` with `status` and `reason`, as `wait` does, and as `Client.opened`.
        """
        return result_of(self.workflow, self.client.opened(self.wait(timeout_s)))

    def awaited(self) -> Wait:
        """What to wait for."""
        return Wait(self.client.home_of(self.routing_key), self.since, self.run_id, self.request_id)


class Client:
    """A client of one application; safe to use from several threads. Close it, or use it as a context manager.

    `payloads`: what happens to values on their way; workers need the same keys and blob store.
    """

    def __init__(
        self, log_client: LogClient, *, prefix: str = TopicNames().prefix, payloads: PayloadChain = PLAIN
    ) -> None:
        self._log = log_client
        self._payloads = payloads
        self._names = TopicNames(prefix)
        self._sender = AcknowledgedSender(log_client.producer())
        self._admin: Admin = log_client.admin()
        self._partitions: int | None = None
        self.follower = CompletionFollower(lambda: log_client.reader("read_committed"), self._names.run_completions)

    @property
    def schedules(self) -> Schedules:
        """What starts runs by time."""
        return Schedules(self._log, self._names, self._payloads, self._send)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release everything; idempotent. Open waits raise `WaitTimedOut`."""
        self.follower.close()
        self._sender.close()
        self._admin.close()

    def start(
        self,
        workflow: "Workflow[Any] | str",
        *,
        run_id: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
        attributes: Mapping[str, str] | None = None,
        run_timeout: Duration | None = None,
        **inputs: Any,
    ) -> RunHandle:
        """Ask for a run; returns once the request is on the log. The input is validated if a workflow object is given.

        Repeat with the same `request_id` (or `run_id`) when in doubt: it is one run. A turn of a conversation that is
        asked for by the workflow's name needs the conversation's id as `routing_key`. Raises `InvalidInput`,
        `PayloadTooLarge`, `BlobStoreUnavailable` before anything is sent; `LogTimeout` (outcome unknown),
        `LogUnavailable`, `TopicMissing`.
        """
        request, key = self._start_request(
            workflow,
            inputs,
            {"run_id": run_id, "request_id": request_id, "routing_key": routing_key},
            attributes=attributes,
            run_timeout=run_timeout,
        )
        return self._begin(request, request.run_id or "", key, workflow)

    def submit(
        self,
        workflow: str,
        inputs: Mapping[str, Any],
        ids: Mapping[str, str | None],
        *,
        attributes: Mapping[str, str] | None = None,
        run_timeout: Duration | None = None,
    ) -> tuple[str, str]:
        """As `start`, by name and without a handle: for those who learn of the run elsewhere.

        Returns the ids of request and run. `ids`: `run_id`, `request_id`, `routing_key`, as `start` has them.
        """
        request, key = self._start_request(workflow, inputs, ids, attributes=attributes, run_timeout=run_timeout)
        return self._send(request, key), request.run_id or ""

    def _start_request(
        self,
        workflow: "Workflow[Any] | str",
        inputs: Mapping[str, Any],
        ids: Mapping[str, str | None],
        *,
        attributes: Mapping[str, str] | None,
        run_timeout: Duration | None,
    ) -> tuple[StartRun, str]:
        """The request and its routing key."""
        plain = inputs_of(workflow, inputs)
        run_id, request_id = ids.get("run_id") or uuid4().hex, ids.get("request_id") or uuid4().hex
        routing_key = ids.get("routing_key")
        name, version = (workflow.name, workflow.version) if isinstance(workflow, Workflow) else (workflow, None)
        conversation = workflow.conversation_id(inputs) if isinstance(workflow, Workflow) else None
        request = StartRun(
            workflow=name,
            version=version,
            run_id=run_id,
            request_id=request_id,
            routing_key=routing_key,
            conversation_id=conversation,
            inputs=self._payloads.wrap_writes(plain, f"the input of workflow {name!r}"),
            input_digest=self._payloads.digest(input_digest(plain)),
            run_timeout_ms=None if run_timeout is None else to_milliseconds(run_timeout),
            attributes=dict(attributes or {}),
        )
        return request, routing_key or conversation or run_id

    def wait(self, run_id: str, timeout_s: float | None = None, *, routing_key: str | None = None) -> RunCompleted:
        """How a run ended that somebody started. Reads its partition of `run-completions` from the start.

        With `RunHandle.wait` only what came since the start is read. Of a run that was retried it is the first end: the
        handle of `retry` has the next one. Raises `WaitTimedOut`.
        """
        return self.wait_for(self.from_start(run_id, routing_key), timeout_s)

    def stream(self, run_id: str, *, after: str | None = None, routing_key: str | None = None) -> Iterator[Emitted]:
        """What the run's steps emit, from what is kept of it or behind the place `after`, until the run has ended.

        For those who look on: values may be missing (`Emitted.dropped`), and those of an attempt that was superseded
        are followed by the next one's. Raises as `StreamReader`, when it is read.
        """
        with closing(self.stream_reader(run_id, after=after)) as reader:
            completed = self.follower.watch(self.from_start(run_id, routing_key))
            try:
                for emitted in until_ended(reader, completed.done):
                    yield from emitted
            finally:
                completed.cancel()

    def stream_reader(self, run_id: str, *, after: str | None = None) -> StreamReader:
        """A reader of what the run emits; close it. Raises as `StreamReader`."""
        return StreamReader(self._log, self._names, run_id, after=after, payloads=self._payloads)

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        correlation: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
    ) -> str:
        """Send a signal; returns its request id. Raises as `start` does.

        Sent again with the same `request_id` it is the same signal. `correlation`: for a wait that asks for one.
        """
        request = SignalRun(
            run_id=run_id,
            name=name,
            request_id=request_id or uuid4().hex,
            routing_key=routing_key,
            correlation=correlation,
            payload=self._signalled(name, payload),
        )
        return self._send(request, routing_key or run_id)

    def answer(self, answer: Answer, *, request_id: str | None = None, routing_key: str | None = None) -> str:
        """Answer a question that a run has asked, or hand it on; returns the request id. Raises as `start` does.

        The first valid answer counts: any later one is rejected as `question_not_open`.
        """
        request = answer.request(request_id or uuid4().hex, routing_key)
        if request.payload is not None:
            request = replace(request, payload=self._payloads.wrap(request.payload, f"the answer at {answer.path}"))
        return self._send(request, routing_key or answer.run_id)

    def questions(self, run_id: str | None = None, *, assignee: str | None = None) -> list[OpenQuestion]:
        """What humans are being asked now, by one run or by all, the oldest question first.

        Reads the history that is kept from its start: for people and small services. Values that cannot be opened here
        stay as they travel. Raises `RunNotFound`, `LogTimeout`, `LogUnavailable`, `TopicMissing`.
        """
        reader = HistoryReader(self._log, self._names, run_id=run_id)
        try:
            found = reader.catch_up().questions(run_id=run_id, assignee=assignee)
        finally:
            reader.close()
        return [dataclasses.replace(each, shown=tuple(map(self._opened_value, each.shown))) for each in found]

    def cancel(self, run_id: str, *, reason: str | None = None, routing_key: str | None = None) -> str:
        """Ask to cancel a run; returns the request id. Raises as `start` does."""
        request = CancelRun(run_id=run_id, request_id=uuid4().hex, routing_key=routing_key, reason=reason)
        return self._send(request, routing_key or run_id)

    def pause(self, run_id: str, *, reason: str | None = None, routing_key: str | None = None) -> str:
        """Ask a run to send no more commands until it is resumed; returns the request id. Raises as `start` does."""
        request = PauseRun(run_id=run_id, request_id=uuid4().hex, routing_key=routing_key, reason=reason)
        return self._send(request, routing_key or run_id)

    def resume(self, run_id: str, *, reason: str | None = None, routing_key: str | None = None) -> str:
        """Let a paused run go on; returns the request id. Raises as `start` does."""
        request = ResumeRun(run_id=run_id, request_id=uuid4().hex, routing_key=routing_key, reason=reason)
        return self._send(request, routing_key or run_id)

    def retry(
        self,
        run_id: str,
        *,
        reason: str | None = None,
        request_id: str | None = None,
        routing_key: str | None = None,
        workflow: "Workflow[Any] | str" = "",
    ) -> RunHandle:
        """Let a run that failed, or took too long, try again what failed; what is done stays done. Raises as `start`.

        Also one that succeeded without some elements of an `each`, if that was the last of its flow.

        The handle waits for the end that follows; it raises `RequestWasRejected` if the run cannot be retried, and its
        result is typed if the `workflow` is given. Sent again with the same `request_id` it is the same retry.
        """
        request = RetryRun(run_id=run_id, request_id=request_id or uuid4().hex, routing_key=routing_key, reason=reason)
        return self._begin(request, run_id, routing_key or run_id, workflow)

    def fork(
        self,
        history: Sequence[RunEvent],
        *,
        at: int | None = None,
        edits: Mapping[str, Any] | None = None,
        version: str | None = None,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> RunHandle:
        """Start a new run from the history of another one, as it stood behind revision `at` (None: the last one).

        `edits`: fields with other values. `version`: another one of the workflow, which has to know what is under way.
        Nothing of the other run changes. Effects behind that revision happen again, for the new run. The handle waits
        for its end; a second one of the same `run_id` is refused as `run_id_taken`. Turns: `fork_turn`. Raises
        `InvalidInput`, `PayloadTooLarge`, `BlobStoreUnavailable`, `RecordTooLarge` before anything is sent, and as
        `start`.
        """
        request = fork_request(
            cut(history, at),
            run_id=run_id or uuid4().hex,
            request_id=uuid4().hex,
            edits=self._payloads.wrap_writes(plain_writes(edits or {}), "the edits of a fork"),
            version=version,
            reason=reason,
        )
        return self._begin(carried(request), request.run_id, request.run_id, request.workflow)

    def fork_turn(
        self,
        history: Sequence[RunEvent],
        talk: NewConversation,
        *,
        at: int | None = None,
        edits: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> RunHandle:
        """As `fork`, of a turn: the new run is the first turn of the conversation `talk`, refused if that has begun."""
        request = fork_request(
            cut(history, at),
            run_id=run_id or uuid4().hex,
            request_id=uuid4().hex,
            edits=self._payloads.wrap_writes(plain_writes(edits or {}), "the edits of a fork"),
            reason=reason,
        )
        request = carried(in_conversation(request, talk))
        return self._begin(request, request.run_id, talk.conversation_id, request.workflow)

    def resolve(
        self,
        run_id: str,
        path: str,
        decision: str,
        *,
        result: Mapping[str, Any] | None = None,
        comment: str | None = None,
        routing_key: str | None = None,
    ) -> str:
        """Decide about a step in doubt: `did` (with its `result` by field), `did_not` or `retry` (P35).

        Returns the request id. Raises as `start` does.
        """
        request = ResolveStep(
            run_id=run_id,
            path=path,
            decision=decision,
            request_id=uuid4().hex,
            routing_key=routing_key,
            writes=self._payloads.wrap_writes(plain_writes(result or {}), f"the result of {path}"),
            comment=comment,
        )
        return self._send(request, routing_key or run_id)

    def opened(self, completed: RunCompleted) -> RunCompleted:
        """A completion with its result as serialized: decrypted, decompressed, and fetched from the blob store.

        Raises `UnknownPayloadKey`, `PayloadTampered`, `BlobMissing`, `BlobStoreUnavailable`, `ConfigInvalid`.
        """
        return replace(completed, result=self._payloads.unwrap_fields(completed.result))

    def _opened_value(self, value: FieldValue) -> FieldValue:
        """The value in plain JSON, or as it travels if this client has no key for it."""
        if value.payload is None:
            return value
        try:
            return replace(value, payload=self._payloads.unwrap(value.payload))
        except LogkeelError:
            return value

    def home_of(self, routing_key: str) -> int:
        """The partition a routing key lives on (P27). Raises `TopicMissing`."""
        if self._partitions is None:
            self._partitions = described(self._admin, self._names.run_requests).partitions
        return partition_for(routing_key.encode(), self._partitions)

    def from_start(self, run_id: str, routing_key: str | None = None) -> Wait:
        """A wait on everything that `run-completions` still holds of the run's partition."""
        partition = self.home_of(routing_key or run_id)
        place = TopicPartition(self._names.run_completions, partition)
        return Wait(partition, self._admin.start_offsets([place])[place], run_id)

    def wait_for(self, wait: Wait, timeout_s: float | None) -> RunCompleted:
        """Block until the wait is met. Raises `RequestWasRejected`, `WaitTimedOut`."""
        future = self.follower.watch(wait)
        try:
            outcome = future.result(timeout_s)
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise timed_out(wait.run_id, timeout_s) from error
        return accepted(outcome)

    def _begin(
        self, request: StartRun | ForkRun | RetryRun, run_id: str, routing_key: str, workflow: "Workflow[Any] | str"
    ) -> RunHandle:
        """Send what begins a run, or lets it go on; its completion comes behind the present end of its home."""
        since = self._end_of(self.home_of(routing_key))
        return RunHandle(self, run_id, self._send(request, routing_key), routing_key, since, workflow)

    def _end_of(self, partition: int) -> int:
        followed = self.follower.position(partition)
        if followed is not None:
            return followed
        place = TopicPartition(self._names.run_completions, partition)
        return self._admin.end_offsets([place], committed_only=True)[place]

    def _signalled(self, name: str, payload: Any) -> Payload | None:
        if payload is None:
            return None
        return self._payloads.wrap(payload_of(name, payload), f"signal {name!r}")

    def _send(self, request: Request | ScheduleRequest, routing_key: str) -> str:
        """Produce, and wait until it is acknowledged."""
        output = OutputRecord(
            self._names.run_requests, routing_key.encode(), encode(request), self.home_of(routing_key)
        )
        request_id = request.request_id or ""
        if not self._sender.send(output, SEND_TIMEOUT_S):
            message = f"request {request_id} was not acknowledged in {SEND_TIMEOUT_S:.0f} s; it may still arrive:"
            raise LogTimeout(f"{message} send it again with the same request id", request_id=request_id)
        return request_id


def accepted(outcome: RunCompleted | RequestRejected) -> RunCompleted:
    """The completion. Raises `RequestWasRejected` for the other kind."""
    if isinstance(outcome, RunCompleted):
        return outcome
    raise RequestWasRejected(
        f"request {outcome.request_id} was rejected: {outcome.reason} ({outcome.code})",
        request_id=outcome.request_id,
        run_id=outcome.run_id,
        reason=outcome.reason,
        rejection=outcome.code,
    )


def result_of(workflow: "Workflow[Any] | str", completed: RunCompleted) -> Any:
    """What the run returned. Raises `RunFailed` unless it succeeded."""
    if completed.status != "succeeded":
        error = completed.error
        said = "" if error is None else f": {error.message} ({error.code})"
        raise RunFailed(
            f"run {completed.run_id} ended as {completed.status}{said}",
            run_id=completed.run_id,
            status=completed.status,
            reason=None if error is None else error.code,
        )
    return workflow.result(completed.result) if isinstance(workflow, Workflow) else plain_result(completed.result)


def timed_out(run_id: str, timeout_s: float | None) -> WaitTimedOut:
    """The error of a wait that was given up."""
    after = "before the client was closed" if timeout_s is None else f"within {timeout_s} s"
    message = f"run {run_id} did not end {after}; it goes on: logkeel run watch {run_id}"
    return WaitTimedOut(message, run_id=run_id)
