"""May this store be used with this changelog, and from where? Pure decisions of P2 and P17.

The last copy is never destroyed: whatever could mean that the changelog is the poorer of the two stops with a named
error and leaves the store alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

from logkeel.errors import (
    ChangelogReplaced,
    ChangelogTruncated,
    InvariantViolation,
    PositionOutOfRange,
    StateLost,
    StoreAhead,
)
from logkeel.exactly_once.rows import LocalMarks, Vouch

_REMEDY = (
    "nothing was changed. Stop the engines and run `logkeel state check`, then `logkeel state rebuild-changelog` "
    "where the newest store is, or `logkeel state accept-loss`"
)


@dataclass(frozen=True, slots=True)
class ChangelogView:
    """One changelog partition as the broker shows it. `end` is read uncommitted (P16)."""

    topic: str
    partition: int
    topic_id: str
    start: int
    end: int


class Replay(NamedTuple):
    """Use the store and replay the changelog from this offset."""

    from_offset: int


class Wipe(NamedTuple):
    """Destroy the store and replay the whole, complete changelog."""

    reason: str


class SetAside(NamedTuple):
    """Move the store away, so that nothing of it is lost, and replay the whole changelog."""

    reason: str


def judge_store(
    marks: LocalMarks | None,
    view: ChangelogView,
    *,
    now_ms: int,
    delete_retention_ms: int,
    corrupt: bool = False,
    vouch: Vouch | None = None,
) -> Replay | Wipe | SetAside:
    """What to do with a store. Raises `ChangelogReplaced`, `StoreAhead`, `ChangelogTruncated` (P17).

    `vouch` is what a repair left in this changelog; it is asked for where `needs_vouch` says so.
    """
    place = {"topic": view.topic, "partition": view.partition}
    vouched = vouch is not None and vouch.topic_id == view.topic_id
    complete_from = vouch.complete_from if vouch is not None and vouched else 0
    if marks is not None and marks.topic_id != view.topic_id and not vouched:
        raise ChangelogReplaced(
            f"changelog {view.topic} was deleted and made again: {_REMEDY}",
            **place,
            stored_id=marks.topic_id,
            topic_id=view.topic_id,
        )
    if marks is not None and marks.topic_id == view.topic_id and marks.offset > view.end:
        raise StoreAhead(
            f"store at offset {marks.offset} is ahead of changelog {view.topic}-{view.partition} "
            f"ending at {view.end}: {_REMEDY}",
            **place,
            stored=marks.offset,
            end=view.end,
        )
    if view.start > complete_from:
        raise ChangelogTruncated(
            f"compacted changelog {view.topic}-{view.partition} starts at {view.start}, not {complete_from}: {_REMEDY}",
            **place,
            start=view.start,
        )
    if marks is not None and marks.topic_id != view.topic_id:
        return SetAside("the store belongs to a changelog that was deleted; its successor was repaired since")
    if corrupt and view.end == 0:
        return SetAside("the store is corrupt, and its changelog is empty: it may be all that is left")
    if corrupt:
        return Wipe("the store is corrupt")
    if marks is None:
        return Replay(view.start)
    if marks.offset < view.start:
        return SetAside("the changelog no longer holds what this store lacks; it was repaired since")
    if now_ms - marks.caught_up_ms > delete_retention_ms // 2:
        return Wipe("the store was last caught up too long ago: tombstones may be gone")
    return Replay(marks.offset)


def needs_vouch(marks: LocalMarks | None, view: ChangelogView) -> bool:
    """Whether only a repair could make this changelog acceptable, so that its vouch has to be looked for."""
    return view.start > 0 or (marks is not None and marks.topic_id != view.topic_id)


def judge_position(topic: str, partition: int, *, row: int | None, committed: int | None, start: int, end: int) -> int:
    """The position to seek to (P2): the row, or the log start of a fresh table.

    Raises `StateLost` (no row although the group is past the log start) and `PositionOutOfRange`.
    """
    place = {"topic": topic, "partition": partition}
    if row is None:
        if committed is not None and committed > start:
            raise StateLost(
                f"no position of {topic}-{partition} in the table although the group is at {committed}: store and "
                "changelog were lost. Bring them back, or go on without that state: `logkeel state accept-loss`",
                **place,
                committed=committed,
                start=start,
            )
        return start
    if row < start or row > end:
        raise PositionOutOfRange(
            f"position {row} of {topic}-{partition} lies outside of [{start}, {end}]: "
            "records were deleted unread or the topic was made again. To go on from what is there: "
            "`logkeel state accept-loss`",
            **place,
            position=row,
            start=start,
            end=end,
        )
    return row


def check_reached(view: ChangelogView, end: int) -> None:
    """A restore must have reached its target. Raises `InvariantViolation`."""
    if end < view.end:
        raise InvariantViolation("restore stopped below its target", topic=view.topic, end=end, target=view.end)
