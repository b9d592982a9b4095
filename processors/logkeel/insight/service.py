"""Runs the Faust application in this process until it is told to stop. A shell file: it holds an event loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping

import structlog

from logkeel.errors import LogUnavailable
from logkeel.insight.application import Insight
from logkeel.insight.engines import Look
from logkeel.insight.standing import Stuck
from logkeel.log import Admin, TopicPartition, all_described
from logkeel.records.topics import TopicNames

log = structlog.get_logger("logkeel.insight", role="insight")

LOOK_S = 0.2


class Cluster:
    """Asks the cluster about engines. Implements `Outside`, with `tell` for alerts."""

    def __init__(self, admin: Admin, names: TopicNames, tell: Callable[[Stuck], bool] | None = None) -> None:
        """Raises `TopicMissing` with the command that makes the topics."""
        self._admin, self._names, self._tell = admin, names, tell
        inputs = (names.run_requests, names.step_results)
        needed = (*inputs, names.run_events, names.run_completions, names.insight, names.insight_state)
        found = all_described(admin, (*needed, names.dead_letters), prefix=names.prefix)
        self._places = [TopicPartition(topic, each) for topic in inputs for each in range(found[topic].partitions)]
        self._partitions = found[names.run_events].partitions

    def look(self) -> Look:
        """The engines' positions, their ends, and which partitions they hold."""
        group = self._names.engine_group
        # Positions before ends: what comes between the two calls looks unread, and the next look says otherwise.
        positions = self._admin.group_offsets(group, self._places)
        ends = self._admin.end_offsets(self._places, committed_only=True)
        members = self._admin.group_members(group)
        return Look(
            ends=ends,
            positions={place: offset for place, (offset, _) in positions.items()},
            held=frozenset(place for member in members for place in member.assignment),
        )

    def ends(self, topic: str) -> Mapping[int, int]:
        """Last stable offsets."""
        places = [TopicPartition(topic, number) for number in range(self._partitions)]
        return {place.partition: end for place, end in self._admin.end_offsets(places, committed_only=True).items()}

    def alert(self, stuck: Stuck) -> bool:
        """Whether it was delivered, or there is nobody to tell."""
        return True if self._tell is None else self._tell(stuck)


def run(insight: Insight, stop: threading.Event) -> None:
    """Until `stop` is set. Raises `LogUnavailable` when Faust ends by itself: start the process again."""
    try:
        insight.loop.run_until_complete(_run(insight, stop))
    except Exception as error:
        log.exception("insight_ended")
        raise LogUnavailable(f"insight has ended: {type(error).__name__}: {error}; start it again") from error


async def _run(insight: Insight, stop: threading.Event) -> None:
    app = insight.app
    starting = asyncio.ensure_future(app.start())
    try:
        # Asking the event is a sign of life of this loop.
        while not stop.is_set() and not app.crashed and not (starting.done() and starting.exception()):
            await (app.sleep(LOOK_S) if starting.done() else asyncio.wait({starting}, timeout=LOOK_S))
    finally:
        if not starting.done():
            starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        reason = app.crash_reason
        await app.stop()
    if not starting.cancelled() and starting.exception() is not None:
        raise starting.exception()  # type: ignore[misc]
    if reason is not None:
        raise reason
