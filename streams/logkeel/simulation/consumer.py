"""A group member of the simulated cluster. Rejoining, and so every callback, happens inside `fetch` and `close`.

Invariant: callbacks run outside of the cluster's lock, and before the coordinator hears that the member gave up.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from logkeel.errors import InvariantViolation, LogTimeout, StaleGeneration, TopicMissing
from logkeel.log import AssignmentListener, Fetched, GroupMetadata, TopicPartition
from logkeel.simulation.effects import effect
from logkeel.simulation.groups import Member
from logkeel.simulation.reader import Cursors

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient


class SimulatedGroupConsumer:
    """Implements `logkeel.log.GroupConsumer`. A fetch with nothing to read returns at once; no time passes."""

    def __init__(
        self, client: "SimulatedClient", group_id: str, *, instance_id: str | None, session_timeout_ms: int
    ) -> None:
        self.client = client
        self._cluster = client.cluster
        self._group_id = group_id
        self._instance_id = instance_id
        self._session_timeout_ms = session_timeout_ms
        self._topics: tuple[str, ...] = ()
        self._listener: AssignmentListener | None = None
        self._member: Member | None = None
        self._metadata: GroupMetadata | None = None
        self._owned: tuple[TopicPartition, ...] | None = None
        self._active: set[TopicPartition] = set()
        self.cursors = Cursors(client.cluster, committed_only=True)
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        self._topics = tuple(topics)
        self._listener = listener

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        self.client.check_running()
        listener = self._listener
        if self._closed or listener is None:
            raise InvariantViolation("a consumer fetches before it subscribed or after it was closed")
        if self.client.cut_off_ms is not None:
            self._miss_heartbeats(listener, self.client.cut_off_ms)
            return Fetched([], {})
        if self._cluster.is_down or self._serve_group(listener):
            return Fetched([], {})
        return self.cursors.fetch(max_records, self._active)

    def idle_places(self) -> int | None:
        """See `Cursors.idle_places`; None as well if the group wants something. The cluster must be in reach."""
        member, groups = self._member, self._cluster.groups
        if self._closed or self._listener is None or member is None:
            return None
        for topic in self._topics:
            if topic not in self._cluster.counts:
                return None
        waits = self._owned is None
        if not groups.is_content(self._group_id, member, waits=waits):
            return None
        return 0 if waits else self.cursors.idle_places(self._active)

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        self._check_owned(positions)
        self.cursors.seek(positions)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._active.difference_update(partitions)
        self.cursors.look_again()

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._check_owned(partitions)
        self._active.update(partitions)
        self.cursors.look_again()

    def committed(self, partitions: Sequence[TopicPartition], timeout_s: float) -> Mapping[TopicPartition, int | None]:
        found = self.committed_metadata(partitions, timeout_s)
        return {place: None if entry is None else entry[0] for place, entry in found.items()}

    @effect("committed")
    def committed_metadata(
        self, partitions: Sequence[TopicPartition], timeout_s: float
    ) -> Mapping[TopicPartition, tuple[int, str] | None]:
        self.client.unanswered.update(partitions)
        self._await_broker(timeout_s)
        with self._cluster.lock:
            group = self._cluster.groups.group(self._group_id)
            if not any(place in pending for pending in group.pending for place in partitions):
                self.client.unanswered.difference_update(partitions)
                return {place: group.offsets.get(place) for place in partitions}
        self.client.on_wait(timeout_s * 1_000)
        self.client.check_running()
        raise LogTimeout(f"offsets of {self._group_id} are pending in a transaction")

    @effect("commit_offsets")
    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]], timeout_s: float) -> None:
        self._await_broker(timeout_s)
        who = self._instance_id or self._group_id
        if self._cluster.faults.strikes("offset_commit_lost", who):
            raise LogTimeout("planned: an offset commit was lost")
        with self._cluster.lock:
            if self._metadata is None:
                raise StaleGeneration(f"no member of {self._group_id}: nothing was assigned")
            group = self._cluster.groups.group(self._group_id)
            group.check(self._metadata)
            group.store(offsets, group.next_order())
        if self._cluster.faults.strikes("offset_commit_unanswered", who):
            raise LogTimeout("planned: the answer to an offset commit was lost")

    def hand_over(self, idle_topic: str, timeout_s: float) -> bool:
        member, listener = self._member, self._listener
        if self._instance_id is None or member is None or listener is None or self._owned is None:
            return True
        self.client.check_running()
        self._give_up(listener, lost=self._knows_it_is_out())
        self._listener = _Silent()
        self._topics = (idle_topic,)
        if not self.client.is_reachable:
            return False
        with self._cluster.lock:
            self._cluster.groups.resubscribe(self._group_id, member, self._topics)
            return not self._cluster.groups.group(self._group_id).joining

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self.client.state != "running":
            return
        if self._listener is not None:
            self._give_up(self._listener, lost=self._knows_it_is_out())
        if self._member is None:
            return
        with self._cluster.lock:
            if self.client.cut_off_ms is None:
                self._cluster.groups.leave(self._group_id, self._member)

    def fall_silent(self, since_ms: int | None) -> None:
        """Stop the heartbeats, or (None) take them up again. For the client only."""
        if self._member is not None and not self._closed:
            self._cluster.groups.silence(self._group_id, self._member, since_ms)

    def reconnected(self) -> None:
        """Heartbeats are answered again, the next one with whatever has changed. For the client only."""
        if self._member is not None and not self._closed:
            self._cluster.groups.answer_again(self._group_id, self._member)

    def be_expelled(self) -> None:
        """The coordinator counts this member out; it hears of it with a heartbeat. For the client only."""
        with self._cluster.lock:
            group, member = self._cluster.groups.group(self._group_id), self._member
            if member is not None and group.members.get(member.member_id) is member:
                self._cluster.groups.remove(group, member)

    def _await_broker(self, timeout_s: float) -> None:
        if not self.client.await_broker(timeout_s):
            raise LogTimeout(f"the coordinator of {self._group_id} does not answer")

    def _knows_it_is_out(self) -> bool:
        """One whose network is gone is told nothing."""
        return self.client.cut_off_ms is None and not self._is_member()

    def _miss_heartbeats(self, listener: AssignmentListener, since_ms: float) -> None:
        """As librdkafka does: no answer for as long as a session lasts, and the client itself takes it for lost."""
        if self._cluster.time_ms - since_ms > self._session_timeout_ms:
            self._give_up(listener, lost=True)

    def _is_member(self) -> bool:
        with self._cluster.lock:
            group, member = self._cluster.groups.group(self._group_id), self._member
            return member is not None and group.members.get(member.member_id) is member

    def _check_owned(self, partitions: Sequence[TopicPartition] | Mapping[TopicPartition, int]) -> None:
        strange = [place for place in partitions if place not in (self._owned or ())]
        if strange:
            raise InvariantViolation(f"not assigned to this member: {strange}")

    def _serve_group(self, listener: AssignmentListener) -> bool:
        """Join, give up, rejoin, take over, as the coordinator wants it; whether the assignment is in motion."""
        groups = self._cluster.groups
        with self._cluster.lock:
            for topic in self._topics:
                if topic not in self._cluster.counts:
                    raise TopicMissing(f"topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
            member = self._member
            if member is not None and not groups.hears(member):
                return self._owned is None
            alive = member is not None and groups.check_alive(self._group_id, member)
        if member is None or not alive:
            self._give_up(listener, lost=True)
            member = self._join()
        elif not member.joined:
            self._give_up(listener, lost=False)
            with self._cluster.lock:
                groups.rejoin(self._group_id, member)
        return self._take_over(listener, member)

    def _join(self) -> Member:
        with self._cluster.lock:
            self._member = self._cluster.groups.join(
                self._group_id,
                self._topics,
                instance_id=self._instance_id,
                session_timeout_ms=self._session_timeout_ms,
            )
            return self._member

    def _give_up(self, listener: AssignmentListener, *, lost: bool) -> None:
        owned = self._owned
        if owned is None:
            return
        self._active.clear()
        (listener.on_lost if lost else listener.on_revoked)(owned)
        self._owned = None
        self.cursors.clear()

    def _take_over(self, listener: AssignmentListener, member: Member) -> bool:
        groups = self._cluster.groups
        with self._cluster.lock:
            group = groups.group(self._group_id)
            if group.joining:
                return True
            if self._owned is not None:
                return False
            if strange := sorted({place.topic for place in member.assignment} - set(member.topics)):
                # What a predecessor of the same name kept when it handed over: have it shared out anew.
                groups.resubscribe(self._group_id, member, [*member.topics, *strange])
                return True
            generation = group.generation
            self._owned = tuple(place for place in member.assignment if place.topic in self._topics)
        self._metadata = GroupMetadata(self._group_id, generation, member.member_id, self._instance_id)
        if self._cluster.faults.strikes("membership_reset", self._instance_id or self._group_id):
            with self._cluster.lock:
                self._cluster.groups.remove(group, member)
            self._metadata = GroupMetadata(self._group_id, -1, "", self._instance_id)
        listener.on_assigned(self._owned, self._metadata)
        return True


class _Silent:
    """Hears for a member that handed its partitions over."""

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        """Nobody cares."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nobody cares."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Nobody cares."""
