"""Sends a request to a run that exists and waits for what the engine makes of it: an event of the run, or a rejection.

A request to a run that does not exist is no error on the log: the engine keeps it for a while, since it may have
overtaken its start (P26). A person who mistypes a run id wants to be told, so the history is asked first.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from logkeel.cli.output import Format, print_value, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.client import Client
from logkeel.client.client import accepted
from logkeel.errors import LogkeelError, RunNotFound, WaitTimedOut
from logkeel.log import LogClient, LogReader, TopicPartition
from logkeel.projection import HistoryReader, Projection, RunView
from logkeel.records import RequestRejected
from logkeel.wire import decode_as

ANSWER_S = 15.0
"""An engine answers within milliseconds; one that is being started or taken over needs seconds."""

POLL_S = 0.1
BATCH = 1_000

Send = Callable[[Client, RunView, str | None], str]
"""Sends a request to the run with this routing key; returns the request's id."""


def known(projection: Projection, run_id: str) -> RunView:
    """The run. Raises `RunNotFound` with what to do next."""
    try:
        return projection.get(run_id)
    except RunNotFound as error:
        remedy = "see: logkeel run list (one that was just asked for appears once an engine has taken it)"
        raise RunNotFound(f"{error.message}; {remedy}", run_id=run_id) from error


def tell(settings: Settings, run_id: str, send: Send, *, routing_key: str | None = None) -> str:
    """The id of a request that was accepted. Raises `RunNotFound`, `RequestWasRejected`, and `WaitTimedOut`.

    After `WaitTimedOut` the request is on the log and takes effect once an engine runs.
    """
    with _talking(settings, run_id) as talk:
        projection = talk.history.projection
        view = known(projection, run_id)
        key = routing_key or view.routing_key
        request_id = talk.send(key or run_id, lambda client: send(client, view, key))
        if not any(event.request_id == request_id for event in projection.history(run_id)):
            # One that was sent before has its event already.
            talk.hear(request_id)
        return request_id


def ask_for_new(
    settings: Settings, run_id: str, send: Callable[[Client], str], *, routing_key: str | None = None
) -> str:
    """The id of a request for a run that does not exist yet, accepted. Raises as `tell`, but for `RunNotFound`."""
    with _talking(settings, run_id) as talk:
        request_id = talk.send(routing_key or run_id, send)
        talk.hear(request_id)
        return request_id


def print_taken(request_id: str, run_id: str, output: Format) -> None:
    """What a command ends with whose request was accepted."""
    say(f"accepted; what became of it: logkeel run show {run_id}")
    print_value({"run_id": run_id, "request_id": request_id}, request_id, output)


@dataclass(frozen=True, slots=True)
class _Talk:
    """With the engine about one run: `history` is read to its end, `answers` has what became of requests."""

    settings: Settings
    log: LogClient
    history: HistoryReader
    answers: LogReader

    def send(self, key: str, send: Callable[[Client], str]) -> str:
        """Send a request to the home of this routing key, and listen there from just before it."""
        with Client(self.log, prefix=self.settings.prefix, payloads=payload_chain(self.settings)) as client:
            place = TopicPartition(self.settings.names.run_completions, client.home_of(key))
            self.answers.assign({place: _end(self.log, place)})
            return send(client)

    def hear(self, request_id: str) -> None:
        """Wait for the event or the rejection."""
        deadline_s = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline_s:
            if any(event.request_id == request_id for event in self.history.poll(POLL_S)):
                return
            for record in self.answers.fetch(BATCH, POLL_S).records:
                rejected = _rejection(record.value)
                if rejected is not None and rejected.request_id == request_id:
                    accepted(rejected)
        message = f"request {request_id} is on the log, but no engine has answered in {ANSWER_S:.0f} s"
        remedy = "it takes effect once one runs: do not send it again, see `logkeel doctor`"
        raise WaitTimedOut(f"{message}; {remedy}", request_id=request_id)


@contextmanager
def _talking(settings: Settings, run_id: str) -> Iterator[_Talk]:
    log = connect(settings)
    history = HistoryReader(log, settings.names, run_id=run_id)
    answers = log.reader("read_committed")
    try:
        history.catch_up()
        yield _Talk(settings, log, history, answers)
    finally:
        answers.close()
        history.close()


def _rejection(value: bytes | None) -> RequestRejected | None:
    """None for a completion, and for a record of a kind that is not for this version."""
    try:
        return None if value is None else decode_as(value, RequestRejected)
    except LogkeelError:
        return None


def _end(log: LogClient, place: TopicPartition) -> int:
    admin = log.admin()
    try:
        return admin.end_offsets([place], committed_only=True)[place]
    finally:
        admin.close()
