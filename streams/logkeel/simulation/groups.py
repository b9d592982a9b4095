"""The group coordinator, classic protocol, eager `range`: generations, static members, offsets with pending ones.

A member lives as long as its process does (heartbeats come from a background thread); one that fell silent is expelled
when its session time-out has passed since. During a rebalance a member keeps its generation until it rejoins, which it
does inside its next fetch, once it has heard of it (`hears_ms`: with a heartbeat).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from logkeel.errors import ConsumerFenced, StaleGeneration
from logkeel.log import Clock, GroupMetadata, TopicPartition
from logkeel.simulation.conditions import Conditions


@dataclass(eq=False, slots=True)
class Member:
    """A member as the coordinator knows it."""

    member_id: str
    instance_id: str | None
    topics: tuple[str, ...]
    session_timeout_ms: int
    joined: bool = True
    silent_since_ms: int | None = None
    hears_ms: float = 0.0
    assignment: tuple[TopicPartition, ...] = ()


@dataclass(eq=False)
class Group:
    """One group. `generation` grows with each completed rebalance; `unfenced` counts commits nobody could check."""

    group_id: str
    generation: int = 0
    unfenced: int = 0
    joining: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    fenced: set[str] = field(default_factory=set)
    rebalanced_ms: list[int] = field(default_factory=list)
    """When rebalances began."""
    _appended: int = 0
    _orders: dict[TopicPartition, int] = field(default_factory=dict)
    on_commit: "Callable[[Member], None] | None" = None
    """Told of the member whose offsets passed the check; for judges."""
    on_offsets: "Callable[[Mapping[TopicPartition, tuple[int, str]]], None] | None" = None
    """Told of offsets that are stored; for judges."""
    offsets: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    pending: list[Mapping[TopicPartition, tuple[int, str]]] = field(default_factory=list)

    def next_order(self) -> int:
        """The place of the next offsets on the group's own log."""
        self._appended += 1
        return self._appended

    def store(self, offsets: Mapping[TopicPartition, tuple[int, str]], order: int) -> None:
        """Make offsets the committed ones, unless newer ones are: what counts is when they were sent, not ended."""
        if self.on_offsets is not None:
            self.on_offsets(offsets)
        for place, entry in offsets.items():
            if self._orders.get(place, 0) <= order:
                self.offsets[place] = entry
                self._orders[place] = order

    def check(self, metadata: GroupMetadata, *, in_transaction: bool = False) -> None:
        """The check of OffsetCommit and TxnOffsetCommit (KIP-447). Raises `StaleGeneration`.

        As on the real broker, a transaction's offsets that name neither generation nor member pass unchecked.
        """
        if in_transaction and metadata.generation < 0 and not metadata.member_id:
            self.unfenced += 1
            return
        member = self.members.get(metadata.member_id)
        if member is None or metadata.generation != self.generation or metadata.member_id in self.fenced:
            raise StaleGeneration(
                f"group {self.group_id} is at generation {self.generation}, the caller's is {metadata.generation}"
            )
        if self.on_commit is not None:
            self.on_commit(member)


class GroupCoordinator:
    """All groups of a cluster. `partition_counts` is asked at each rebalance; `on_silence` hears of silent members."""

    def __init__(
        self,
        clock: Clock,
        partition_counts: Mapping[str, int],
        conditions: Conditions,
        on_silence: Callable[[], None],
    ) -> None:
        self._on_silence = on_silence
        self._clock = clock
        self._counts = partition_counts
        self._conditions = conditions
        self._silent: dict[Member, Group] = {}
        self._members_made = 0
        self.groups: dict[str, Group] = {}

    def group(self, group_id: str) -> Group:
        """The group, made if it is unknown."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = Group(group_id)
        return group

    def join(self, group_id: str, topics: Sequence[str], *, instance_id: str | None, session_timeout_ms: int) -> Member:
        """Join; a static member takes over its predecessor's assignment without a rebalance (KIP-345)."""
        group = self.group(group_id)
        self._members_made += 1
        name = instance_id or "member"
        member = Member(f"{name}-{self._members_made:06d}", instance_id, tuple(topics), session_timeout_ms)
        former = next((m for m in group.members.values() if instance_id and m.instance_id == instance_id), None)
        if former is not None:
            del group.members[former.member_id]
            group.fenced.add(former.member_id)
            self._look_again()
            self._tell(former)
        group.members[member.member_id] = member
        if former is not None and not group.joining:
            # Whatever the two subscribe to: the coordinator compares the names of the assignors only.
            member.assignment = former.assignment
        else:
            self._start_rebalance(group)
            member.joined = True
        self._finish_if_all_joined(group)
        return member

    def rejoin(self, group_id: str, member: Member) -> None:
        """The member has given up its partitions and waits for the new generation."""
        group = self.group(group_id)
        if group.members.get(member.member_id) is member:
            member.joined = True
            self._finish_if_all_joined(group)

    def resubscribe(self, group_id: str, member: Member, topics: Sequence[str]) -> None:
        """The member rejoins with other topics: the partitions are shared out anew."""
        group = self.group(group_id)
        if group.members.get(member.member_id) is member:
            member.topics = tuple(topics)
            self._start_rebalance(group)
            member.joined = True
            self._finish_if_all_joined(group)

    def leave(self, group_id: str, member: Member) -> None:
        """A dynamic member leaves at once; a static one stays until its session time-out."""
        group = self.group(group_id)
        if group.members.get(member.member_id) is not member:
            return
        if member.instance_id is not None:
            self.silence(group_id, member, self._clock.now_ms())
        else:
            self.remove(group, member)

    def silence(self, group_id: str, member: Member, since_ms: int | None) -> None:
        """The member sends no heartbeats any more, or (None) does again."""
        member.silent_since_ms = since_ms
        if since_ms is None:
            self._look_again()
            self._silent.pop(member, None)
        else:
            self._silent[member] = self.group(group_id)
            self._on_silence()

    def answer_again(self, group_id: str, member: Member) -> None:
        """The heartbeats of a member that was cut off reach the coordinator again; the member hears a little later."""
        member.hears_ms = max(member.hears_ms, self._clock.now_ms() + self._conditions.hearing_ms())
        self.silence(group_id, member, None)

    @property
    def has_silent(self) -> bool:
        """Whether somebody might have to be expelled."""
        return bool(self._silent)

    def restarted(self) -> None:
        """A coordinator that was loaded anew waits a whole session for everybody."""
        for member in self._silent:
            member.silent_since_ms = self._clock.now_ms()

    def forget_offsets(self, group_id: str) -> bool:
        """What `offsets.retention.minutes` does to a group without members. Whether it was one."""
        group = self.group(group_id)
        if not group.members:
            group.offsets.clear()
        return not group.members

    def hears(self, member: Member) -> bool:
        """Whether the member has heard by now of what the coordinator wants."""
        return self._clock.now_ms() >= member.hears_ms

    def check_alive(self, group_id: str, member: Member) -> bool:
        """Whether the member still belongs. Raises `ConsumerFenced` if another process took its instance id over."""
        group = self.group(group_id)
        if member.member_id in group.fenced:
            raise ConsumerFenced(f"{member.instance_id} was taken over by another process", instance=member.instance_id)
        return group.members.get(member.member_id) is member

    def is_content(self, group_id: str, member: Member, *, waits: bool) -> bool:
        """Whether nothing changes for a member: it has its part of the newest generation, or has joined and `waits`, or

        has not heard of what the coordinator wants.
        """
        if self._clock.now_ms() < member.hears_ms:
            return True
        group = self.groups[group_id]
        belongs = group.members.get(member.member_id) is member and member.member_id not in group.fenced
        return belongs and member.joined and group.joining is waits

    @property
    def expels_in_ms(self) -> float:
        """Before that time is over nobody is expelled who is silent now, and no sooner forgotten."""
        now_ms = self._clock.now_ms()
        dues_ms = [(each.silent_since_ms or 0) + each.session_timeout_ms for each in self._silent]
        # Clocks show whole milliseconds: one is taken off.
        return min(dues_ms, default=now_ms) - now_ms - 1.0

    def expire(self) -> None:
        """Expel members that have been silent for longer than their session time-out."""
        if not self._silent:
            return
        now_ms = self._clock.now_ms()
        for member, group in list(self._silent.items()):
            since = member.silent_since_ms
            if since is None or group.members.get(member.member_id) is not member:
                del self._silent[member]
            elif now_ms - since > member.session_timeout_ms:
                del self._silent[member]
                self.remove(group, member)

    def remove(self, group: Group, member: Member) -> None:
        """Expel a member; the others share its partitions."""
        del group.members[member.member_id]
        self._look_again()
        self._tell(member)
        self._start_rebalance(group)
        self._finish_if_all_joined(group)

    def _look_again(self) -> None:
        """Who is silent may be so no longer, or belong no longer: that shows with the next call."""
        if self._silent:
            self._on_silence()

    def _tell(self, member: Member) -> None:
        member.hears_ms = self._clock.now_ms() + self._conditions.hearing_ms()

    def _start_rebalance(self, group: Group) -> None:
        if not group.joining:
            group.joining = True
            group.rebalanced_ms.append(self._clock.now_ms())
            for member in group.members.values():
                member.joined = False
                self._tell(member)

    def _finish_if_all_joined(self, group: Group) -> None:
        if group.joining and all(member.joined for member in group.members.values()):
            group.joining = False
            group.generation += 1
            assign_range(list(group.members.values()), self._counts)


def assign_range(members: Sequence[Member], counts: Mapping[str, int]) -> None:
    """Kafka's range assignor: topic by topic, members sorted by instance id or member id; the first get one more."""
    assigned: dict[str, list[TopicPartition]] = {member.member_id: [] for member in members}
    for topic in sorted({topic for member in members for topic in member.topics}):
        takers = sorted(
            (member for member in members if topic in member.topics),
            key=lambda each: each.instance_id or each.member_id,
        )
        share, extra = divmod(counts.get(topic, 0), len(takers))
        first = 0
        for index, member in enumerate(takers):
            count = share + (index < extra)
            assigned[member.member_id] += [TopicPartition(topic, number) for number in range(first, first + count)]
            first += count
    for member in members:
        member.assignment = tuple(assigned[member.member_id])
