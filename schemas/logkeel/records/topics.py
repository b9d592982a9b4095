"""Names and policies of the topics of one application. The prefix is the application (default `logkeel`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_PREFIX = "logkeel"


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Topic and group names under one prefix, e.g. `logkeel.run-requests` (ARCHITECTURE section 3)."""

    prefix: str = DEFAULT_PREFIX

    @property
    def run_requests(self) -> str:
        return f"{self.prefix}.run-requests"

    def step_commands(self, queue: str = "default") -> str:
        """The command topic of one queue."""
        return f"{self.prefix}.step-commands.{queue}"

    @property
    def step_control(self) -> str:
        return f"{self.prefix}.step-control"

    @property
    def step_results(self) -> str:
        return f"{self.prefix}.step-results"

    @property
    def run_state(self) -> str:
        return f"{self.prefix}.run-state"

    @property
    def run_events(self) -> str:
        return f"{self.prefix}.run-events"

    @property
    def run_completions(self) -> str:
        return f"{self.prefix}.run-completions"

    @property
    def run_streams(self) -> str:
        return f"{self.prefix}.run-streams"

    @property
    def workflow_definitions(self) -> str:
        return f"{self.prefix}.workflow-definitions"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    @property
    def notifier_state(self) -> str:
        """Changelog of what people were told (decision 36)."""
        return f"{self.prefix}.notifier-state"

    @property
    def notifier_group(self) -> str:
        """Consumer group of the notifiers."""
        return f"{self.prefix}.notifier"

    @property
    def insight(self) -> str:
        """What runs amount to: the newest value of each key (docs/insight.md)."""
        return f"{self.prefix}.insight"

    @property
    def insight_state(self) -> str:
        """Changelog of insight's table (decision 41)."""
        return f"{self.prefix}.insight-state"

    @property
    def insight_group(self) -> str:
        """Consumer group of insight."""
        return f"{self.prefix}.insight"

    @property
    def engine_group(self) -> str:
        """Consumer group of the run processors."""
        return f"{self.prefix}.engine"

    def worker_group(self, queue: str = "default") -> str:
        """Consumer group of the workers of one queue."""
        return f"{self.prefix}.worker.{queue}"


HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

REVOCATIONS_KEPT_DAYS = 8
"""More than the 6 days of the commands and their segment together, so that none outlives its revocation (P36)."""

INPUT_MAX_BYTES = 1_048_588
"""Largest batch of a request, command or result: Kafka's own default, 1 MiB and the overhead of a batch."""

DEAD_LETTER_MAX_BYTES = 10 * 1_048_576
"""Above what our producers send at all, so that whatever an input took fits with its headers (P22)."""


@dataclass(frozen=True, slots=True)
class TopicPolicy:
    """What one topic is to be. `config` holds Kafka topic settings by their names, values as strings.

    `co_partitioned`: it has the application's partition count, now and for ever (P12, P27). `partitions` None: that
    count too, but it may differ. `changelog`: compacted, with the settings of the loop's changelogs (P19).
    """

    name: str
    config: Mapping[str, str] = field(default_factory=dict)
    co_partitioned: bool = False
    partitions: int | None = None
    changelog: bool = False


def topic_policies(names: TopicNames, queues: Iterable[str]) -> tuple[TopicPolicy, ...]:
    """All topics of one application that serves these queues (ARCHITECTURE section 3).

    Kafka deletes whole closed segments, so a record lives as long as retention and one segment together. Hence 6 + 1
    days of requests do not outlive the 7 days of deduplication (P26). Revocations outlive the commands they revoke
    (P36).
    """
    limit = {"max.message.bytes": str(INPUT_MAX_BYTES)}
    append_time = {"message.timestamp.type": "LogAppendTime"}
    return (
        TopicPolicy(names.run_requests, _kept(days=6) | append_time | limit, co_partitioned=True),
        TopicPolicy(names.step_results, _kept(days=7) | append_time | limit, co_partitioned=True),
        TopicPolicy(names.run_state, co_partitioned=True, changelog=True),
        TopicPolicy(names.run_events, _kept(days=90), co_partitioned=True),
        TopicPolicy(names.run_completions, _kept(days=30), co_partitioned=True),
        TopicPolicy(names.notifier_state, co_partitioned=True, changelog=True),
        TopicPolicy(names.insight_state, co_partitioned=True, changelog=True),
        # Compacted, and deleted by age as well: a window's row never changes once it is over.
        TopicPolicy(names.insight, _kept(days=30) | {"cleanup.policy": "compact,delete"}),
        *(TopicPolicy(names.step_commands(queue), _kept(days=6) | limit) for queue in dict.fromkeys(queues)),
        TopicPolicy(names.step_control, _kept(days=REVOCATIONS_KEPT_DAYS) | append_time | limit, partitions=1),
        TopicPolicy(names.run_streams, _kept(days=1)),
        # Never compacted: that keeps the last definition of a version, and a version means the first one (P38).
        TopicPolicy(names.workflow_definitions, _KEPT_FOR_EVER, partitions=1),
        TopicPolicy(
            names.dead_letters, _kept(days=30) | {"max.message.bytes": str(DEAD_LETTER_MAX_BYTES)}, partitions=1
        ),
    )


_KEPT_FOR_EVER: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


def _kept(*, days: int) -> dict[str, str]:
    """Deleted by age; never by size, which would depend on the load."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(days * DAY_MS),
        "retention.bytes": "-1",
        "segment.ms": str(DAY_MS),
    }
