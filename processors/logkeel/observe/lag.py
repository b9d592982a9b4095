"""How far a group is behind the ends of what it reads. A thread beside the loops asks the cluster, never they."""

import threading
from collections.abc import Mapping, Sequence

from logkeel.errors import LogkeelError
from logkeel.log import Admin, TopicPartition
from logkeel.observe import catalogue as c
from logkeel.observe.registry import Metrics

EVERY_S = 10.0
"""Two calls of the admin client each; a scrape every 15 s sees a value that is no older."""


def lag_of(admin: Admin, group: str, topics: Sequence[str]) -> Mapping[TopicPartition, int]:
    """Records between committed offset and last stable offset; partitions without an offset are absent.

    Raises `LogUnavailable`, `LogTimeout`, `AuthorizationFailed`.
    """
    found = admin.describe_topics(topics)
    places = [TopicPartition(name, number) for name, topic in found.items() for number in range(topic.partitions)]
    if not places:
        return {}
    offsets = admin.group_offsets(group, places)
    ends = admin.end_offsets(places, committed_only=True)
    return {place: max(0, ends[place] - offset) for place, (offset, _) in offsets.items() if place in ends}


class LagWatch:
    """Asks again and again. What cannot be asked keeps its last value."""

    def __init__(self, metrics: Metrics, admin: Admin, group: str, topics: Sequence[str]) -> None:
        self._metrics = metrics
        self._admin, self._group, self._topics = admin, group, topics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logkeel-lag", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def ask(self) -> None:
        """Once; an answer that does not come changes nothing."""
        try:
            lags = lag_of(self._admin, self._group, self._topics)
        except LogkeelError:
            return
        for place, lag in lags.items():
            self._metrics.set(c.LAG, lag, (place.topic, str(place.partition)))

    def close(self) -> None:
        """Stop asking; idempotent."""
        self._stop.set()
        self._thread.join(5.0)
        self._admin.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.ask()
            self._stop.wait(EVERY_S)
