"""What is wrong with a partition's state, and which repair helps: pure decisions over evidence (P2, P17).

The same judgements as those of a resync, but nothing is raised: an operator wants to see all partitions at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from logkeel.errors import (
    ChangelogReplaced,
    ChangelogTruncated,
    OperatorError,
    PositionOutOfRange,
    StateLost,
    StoreAhead,
)
from logkeel.exactly_once.rows import LocalMarks, Needed, Vouch
from logkeel.exactly_once.validation import ChangelogView, Replay, judge_position, judge_store

Remedy = Literal["rebuild-changelog", "accept-loss"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One partition as it was found. Positions by input topic; `committed` are the group's, `bounds` (start, end)."""

    view: ChangelogView
    marks: LocalMarks | None
    corrupt: bool
    vouch: Vouch | None
    stored: Mapping[str, int]
    logged: Mapping[str, int]
    committed: Mapping[str, int | None]
    needed: Mapping[str, Needed | None]
    """By input: what the group's offset says of the newest store."""
    bounds: Mapping[str, tuple[int, int]]


class Verdict(NamedTuple):
    """What is to be done about one partition. `error` None: nothing."""

    partition: int
    error: OperatorError | None = None
    remedies: tuple[Remedy, ...] = ()
    stale: str | None = None
    """Why this store must not become the changelog; None if it may."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What accepting a loss does: the positions from which the partition goes on, and whether its store moves away."""

    positions: Mapping[str, int] = field(default_factory=dict)
    set_store_aside: bool = False


def diagnose(evidence: Evidence, *, now_ms: int, delete_retention_ms: int) -> Verdict:
    """The verdict on one partition."""
    partition = evidence.view.partition
    try:
        used = judge_store(
            evidence.marks,
            evidence.view,
            now_ms=now_ms,
            delete_retention_ms=delete_retention_ms,
            corrupt=evidence.corrupt,
            vouch=evidence.vouch,
        )
    except (ChangelogReplaced, StoreAhead, ChangelogTruncated) as error:
        reason = why_stale(evidence)
        remedies: tuple[Remedy, ...] = ("rebuild-changelog", "accept-loss") if reason is None else ("accept-loss",)
        return Verdict(partition, error, remedies, reason)
    rows = {**evidence.stored, **evidence.logged} if isinstance(used, Replay) else dict(evidence.logged)
    try:
        for topic, (start, end) in evidence.bounds.items():
            judge_position(
                topic, partition, row=rows.get(topic), committed=evidence.committed.get(topic), start=start, end=end
            )
    except (StateLost, PositionOutOfRange) as error:
        return Verdict(partition, error, ("accept-loss",), "the changelog knows no more than this store")
    return Verdict(partition)


def why_stale(evidence: Evidence) -> str | None:
    """Why the store at hand is not the newest state of its partition; None if it is, as far as anybody can tell.

    Position rows and group offsets are written in one transaction (P2), so the newest store is not behind the group. It
    is not behind the changelog offset either that stands beside them: a batch of timers moves no position. One that is
    behind is as good as the newest if the changelog still has everything behind it: a repair catches up first.
    """
    marks, view = evidence.marks, evidence.view
    if marks is None or evidence.corrupt:
        return "there is no readable store of this partition here"
    if marks.topic_id == view.topic_id and marks.offset < view.start:
        return "the changelog lost records that this store never saw"
    catches_up = marks.topic_id == view.topic_id and marks.offset <= view.end
    reached = view.end if catches_up else marks.offset
    logged = evidence.logged if catches_up else {}
    positions = {topic: max(position, logged.get(topic, position)) for topic, position in evidence.stored.items()}
    for topic in evidence.bounds:
        position, committed = positions.get(topic), evidence.committed.get(topic)
        if position is None:
            return f"the store holds no position of {topic}"
        if committed is None:
            return f"the group has no offset of {topic}, so nobody can tell whether this store is the newest"
        if position < committed:
            return f"the group is at {committed} of {topic} and the store at {position}: a newer store is elsewhere"
        needed = evidence.needed.get(topic)
        if needed is not None and needed.topic_id == marks.topic_id and reached < needed.offset:
            return f"the store ends at {reached} of its changelog, and {needed.offset} was reached elsewhere"
    return None


def loss_of(evidence: Evidence, verdict: Verdict) -> Loss:
    """How a partition goes on without what is lost: from its rows where they fit the log, else from the group's offset.

    A group that stands outside of an input goes on at the input's start: what is there was never read.
    """
    at_odds = isinstance(verdict.error, ChangelogReplaced | StoreAhead | ChangelogTruncated)
    known = evidence.logged if at_odds else {**evidence.stored, **evidence.logged}
    positions = {}
    for topic, (start, end) in evidence.bounds.items():
        position = known.get(topic)
        if position is None:
            position = evidence.committed.get(topic)
        positions[topic] = position if position is not None and start <= position <= end else start
    return Loss(positions, at_odds and (evidence.marks is not None or evidence.corrupt))
