"""Administration on confluent-kafka: topics, offsets, groups."""

import contextlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import _AdminClientImpl

from logkeel.errors import LogTimeout
from logkeel.kafka.answers import (
    COORDINATOR_ANSWER_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    answer,
    call,
    past_a_standstill,
)
from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.membership import instance_of, read_assignment
from logkeel.kafka.refusals import first_contact, is_secured
from logkeel.kafka.rights import Right
from logkeel.log import GroupMember, TopicDescription, TopicPartition, TopicPlan

LISTING_TIMEOUT_S = 2.0
"""So long for the answer of every broker; one that is away gives none."""

COORDINATOR_TIMEOUT_S = 3600.0
"""Of requests to a group's coordinator, as the client sees it; we wait for `COORDINATOR_ANSWER_TIMEOUT_S`. When
such a request times out inside of the client and the coordinator comes up later, the client ends the process by an
assertion (librdkafka issues 3663 and 4605, `rd_kafka_admin_coord_request`)."""

VISIBLE_TIMEOUT_S = 15.0
"""A new topic is known to every broker after its metadata propagated; normally some milliseconds."""

_LEADERLESS = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError._NOENT,  # the client's own "no leaders found"
    }
)
_NEW = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION})
"""What brokers that have not heard of a new topic yet say of it."""

_COORDINATOR_MOVES = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)

_OFFSETS_ONLY = {"enable.auto.commit": False, "isolation.level": "read_uncommitted"}

T = TypeVar("T")


class KafkaAdmin:
    """Implements `logkeel.log.Admin`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._log = ClientLog()
        self._settings = {**settings, "logger": self._log}
        self._handle = AdminClient(dict(self._settings))
        self._met = not is_secured(settings)

    @property
    def _admin(self) -> AdminClient:
        """The client. Before it is used first, whoever is refused hears why: `AuthenticationFailed` and the like."""
        if not self._met:
            first_contact(self._handle, self._log, self._settings)
            self._met = True
        return self._handle

    def describe_topics(self, names: Sequence[str], *, with_config: bool = False) -> Mapping[str, TopicDescription]:
        if not names:
            return {}
        found = past_a_standstill(lambda: self._described(names))
        configs = past_a_standstill(lambda: self._configs(list(found))) if with_config else {}
        return {name: _description(topic, configs.get(name, {})) for name, topic in found.items()}

    def _described(self, names: Sequence[str]) -> dict[str, Any]:
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=REQUEST_TIMEOUT_S)
        found: dict[str, Any] = {}
        for name, future in futures.items():
            try:
                found[name] = answer(future, f"describing {name}")
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    rights = (Right("DESCRIBE", "topic", name),)
                    raise call_error(error_of(exception), doing=f"describing {name}", rights=rights) from exception
        return found

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
        result: dict[str, dict[str, str]] = {}
        for resource, future in futures.items():
            entries = call(future, f"describing {resource.name}", Right("DESCRIBE_CONFIGS", "topic", resource.name))
            result[resource.name] = {name: entry.value for name, entry in entries.items() if entry.value is not None}
        return result

    def create_topics(self, plans: Sequence[TopicPlan]) -> None:
        if not plans:
            return
        past_a_standstill(lambda: self._create(plans))
        self._wait_visible([plan.name for plan in plans])
        places = [TopicPartition(plan.name, number) for plan in plans for number in range(plan.partitions)]
        self._offsets(places, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED, passing=_LEADERLESS | _NEW)

    def _create(self, plans: Sequence[TopicPlan]) -> None:
        topics = [
            NewTopic(plan.name, plan.partitions, plan.replication_factor, config=dict(plan.config)) for plan in plans
        ]
        futures = self._admin.create_topics(topics, request_timeout=REQUEST_TIMEOUT_S)
        for name, future in futures.items():
            try:
                answer(future, f"creating {name}")
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    rights = (Right("CREATE", "topic", name), Right("CREATE", "cluster", ""))
                    raise call_error(error_of(exception), doing=f"creating {name}", rights=rights) from exception

    def _wait_visible(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + VISIBLE_TIMEOUT_S
        while True:
            known = self._admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
            missing = [name for name in names if name not in known or not _has_leaders(known[name])]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise LogTimeout(f"topics were made but are not known yet: {', '.join(missing)}", topics=missing)
            time.sleep(0.05)

    def alter_topic_config(self, name: str, config: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        futures = self._admin.incremental_alter_configs([resource], request_timeout=REQUEST_TIMEOUT_S)
        for future in futures.values():
            call(future, f"altering {name}", Right("ALTER_CONFIGS", "topic", name))

    def delete_topics(self, names: Sequence[str]) -> None:
        if not names:
            return
        futures = self._admin.delete_topics(list(names), request_timeout=REQUEST_TIMEOUT_S)
        for name, future in futures.items():
            try:
                answer(future, f"deleting {name}")
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    rights = (Right("DELETE", "topic", name),)
                    raise call_error(error_of(exception), doing=f"deleting {name}", rights=rights) from exception

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool
    ) -> Mapping[TopicPartition, int]:
        isolation = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(partitions, OffsetSpec.latest(), isolation)

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._offsets(partitions, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)

    def _offsets(
        self,
        partitions: Sequence[TopicPartition],
        spec: OffsetSpec,
        isolation: IsolationLevel,
        *,
        passing: frozenset[int] = _LEADERLESS,
    ) -> Mapping[TopicPartition, int]:
        rights = tuple(Right("DESCRIBE", "topic", topic) for topic in dict.fromkeys(each.topic for each in partitions))
        return _settled(
            lambda: self._listed(partitions, spec, isolation),
            passing,
            "listing offsets",
            meanwhile=self._refresh,
            rights=rights if len(rights) == 1 else (),
        )

    def _refresh(self) -> None:
        """The client keeps asking with the leader epoch it knows; after a leader's change only new metadata helps."""
        with contextlib.suppress(KafkaException):
            self._admin.list_topics(timeout=REQUEST_TIMEOUT_S)

    def _listed(
        self, partitions: Sequence[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel
    ) -> Mapping[TopicPartition, int]:
        if not partitions:
            return {}
        request = {ClientPartition(each.topic, each.partition): spec for each in partitions}
        futures = self._admin.list_offsets(request, isolation_level=isolation, request_timeout=REQUEST_TIMEOUT_S)
        found = {
            TopicPartition(place.topic, place.partition): answer(
                future, f"listing offsets of {place.topic}-{place.partition}"
            ).offset
            for place, future in futures.items()
        }
        require_offsets(found)
        return found

    def group_members(self, group_id: str) -> Sequence[GroupMember]:
        # Of every broker, which needs all of them; asking the coordinator ends the process when its connection breaks
        # at the wrong moment (librdkafka 5397). A group without members may also be one that we may not see.
        with contextlib.suppress(KafkaException):
            listed = [each for each in self._groups_of_all_brokers(group_id) if each.id == group_id]
            members = [member for group in listed for member in group.members]
            if members and all(group.error is None and group.state == "Stable" for group in listed):
                return [
                    GroupMember(each.id, instance_of(each.id, each.client_id), read_assignment(each.assignment))
                    for each in members
                ]
        return self._described_members(group_id)

    def _groups_of_all_brokers(self, group_id: str) -> Sequence[Any]:
        """`GroupMetadata`, whose stubs type what it has as None."""
        with warnings.catch_warnings():
            # Deprecated for what ends processes.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _AdminClientImpl.list_groups(self._admin, group_id, timeout=LISTING_TIMEOUT_S)

    def _described_members(self, group_id: str) -> Sequence[GroupMember]:
        futures = self._admin.describe_consumer_groups([group_id], request_timeout=COORDINATOR_TIMEOUT_S)
        try:
            group = answer(futures[group_id], f"describing group {group_id}", limit_s=COORDINATOR_ANSWER_TIMEOUT_S)
        except KafkaException as exception:
            if error_of(exception).code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            rights = (Right("DESCRIBE", "group", group_id),)
            raise call_error(error_of(exception), doing=f"describing group {group_id}", rights=rights) from exception
        return [
            GroupMember(
                member.member_id,
                member.group_instance_id or None,
                tuple(TopicPartition(each.topic, each.partition) for each in member.assignment.topic_partitions),
            )
            for member in group.members
        ]

    def group_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, tuple[int, str]]:
        # The client's ListConsumerGroupOffsets ends the process while the coordinator loads or moves (librdkafka
        # issue 5040): it hands the error to the consumer group that an admin client does not have. A consumer has one.
        consumer = Consumer({**self._settings, **_OFFSETS_ONLY, "group.id": group_id})
        places = [ClientPartition(each.topic, each.partition) for each in partitions]
        doing, rights = f"reading offsets of group {group_id}", (Right("DESCRIBE", "group", group_id),)
        try:
            found = _settled(
                lambda: consumer.committed(places, REQUEST_TIMEOUT_S), _COORDINATOR_MOVES, doing, rights=rights
            )
        finally:
            consumer.close()
        for each in found:
            if each.error is not None:
                raise call_error(each.error, doing=doing, rights=rights)
        return {
            TopicPartition(each.topic, each.partition): (each.offset, each.metadata or "")
            for each in found
            if each.offset >= 0
        }

    def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        entries = [ClientPartition(p.topic, p.partition, offset, text) for p, (offset, text) in offsets.items()]
        doing, rights = f"setting offsets of group {group_id}", (Right("READ", "group", group_id),)
        _settled(lambda: self._set(group_id, entries), _COORDINATOR_MOVES, doing, rights=rights)

    def _set(self, group_id: str, entries: list[ClientPartition]) -> None:
        request = ConsumerGroupTopicPartitions(group_id, entries)
        futures = self._admin.alter_consumer_group_offsets([request], request_timeout=COORDINATOR_TIMEOUT_S)
        doing = f"setting offsets of group {group_id}"
        result = answer(futures[group_id], doing, limit_s=COORDINATOR_ANSWER_TIMEOUT_S)
        for each in result.topic_partitions:
            if each.error is not None:
                raise KafkaException(each.error)

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        request = [ClientPartition(p.topic, p.partition, offset) for p, offset in before.items()]
        futures = self._admin.delete_records(request, request_timeout=REQUEST_TIMEOUT_S)
        for place, future in futures.items():
            doing = f"deleting records of {place.topic}-{place.partition}"
            call(future, doing, Right("DELETE", "topic", place.topic))

    def close(self) -> None:
        """Nothing to release but memory: the client ends with its last reference."""


def require_offsets(found: Mapping[TopicPartition, int]) -> None:
    """Raises `KafkaException` (leader not available) if a partition was passed over.

    When a request to one of several leaders fails, the client (librdkafka 2.16, `rd_kafka_ListOffsets_response_merge`)
    reports success for its partitions, with the offset it began with: -1001. Taken for an end, that would make a lost
    table start anew.
    """
    unanswered = sorted(place for place, offset in found.items() if offset < 0)
    if unanswered:
        first = unanswered[0]
        text = f"the leader of {first.topic}-{first.partition} did not answer"
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, text))


def _settled(
    attempt: Callable[[], T],
    passing: frozenset[int],
    doing: str,
    *,
    meanwhile: Callable[[], object] = lambda: None,
    rights: tuple[Right, ...] = (),
) -> T:
    """Try again while leaders or coordinators move: the metadata of a new topic may name one that is not it yet."""
    deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
    while True:
        try:
            return attempt()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() not in passing or time.monotonic() > deadline_s:
                raise call_error(error, doing=doing, rights=rights) from exception
        time.sleep(0.05)
        meanwhile()


def _has_leaders(topic: Any) -> bool:
    return bool(topic.partitions) and all(each.leader >= 0 for each in topic.partitions.values())


def _description(topic: Any, config: Mapping[str, str]) -> TopicDescription:
    replicas = len(topic.partitions[0].replicas) if topic.partitions else 0
    return TopicDescription(topic.name, str(topic.topic_id), len(topic.partitions), replicas, config)
