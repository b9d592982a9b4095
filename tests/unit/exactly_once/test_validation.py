"""P2 and P17 as decisions: when a store may be used, and where a partition goes on."""

import pytest

from logkeel.errors import ChangelogReplaced, ChangelogTruncated, PositionOutOfRange, StateLost, StoreAhead
from logkeel.exactly_once.rows import LocalMarks, Vouch
from logkeel.exactly_once.validation import (
    ChangelogView,
    Replay,
    SetAside,
    Wipe,
    judge_position,
    judge_store,
    needs_vouch,
)

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS
RETENTION_MS = 24 * HOUR_MS


def view(*, start: int = 0, end: int = 100, topic_id: str = "id") -> ChangelogView:
    """A changelog partition."""
    return ChangelogView("accounts", 0, topic_id, start, end)


def marks(*, offset: int = 50, age_ms: int = 0, topic_id: str = "id") -> LocalMarks:
    """A store's marks."""
    return LocalMarks(offset, NOW_MS - age_ms, topic_id)


def judge(
    stored: LocalMarks | None, seen: ChangelogView, *, corrupt: bool = False, vouch: Vouch | None = None
) -> Replay | Wipe | SetAside:
    """With this test's clock."""
    return judge_store(stored, seen, now_ms=NOW_MS, delete_retention_ms=RETENTION_MS, corrupt=corrupt, vouch=vouch)


def test_a_known_store_replays_its_tail() -> None:
    assert judge(marks(offset=50), view()) == Replay(50)


def test_a_new_store_replays_everything() -> None:
    assert judge(None, view()) == Replay(0)


def test_a_store_at_the_end_is_not_ahead() -> None:
    assert judge(marks(offset=100), view(end=100)) == Replay(100)


def test_a_replaced_changelog_stops() -> None:
    with pytest.raises(ChangelogReplaced):
        judge(marks(topic_id="old"), view(topic_id="new"))


def test_a_replaced_changelog_stops_even_if_the_store_is_old() -> None:
    with pytest.raises(ChangelogReplaced):
        judge(marks(topic_id="old", age_ms=RETENTION_MS), view(topic_id="new"))


def test_a_store_ahead_of_its_changelog_stops() -> None:
    with pytest.raises(StoreAhead):
        judge(marks(offset=101), view(end=100))


@pytest.mark.parametrize("stored", [None, marks()])
@pytest.mark.parametrize("corrupt", [False, True])
def test_an_incomplete_changelog_stops_and_nothing_is_wiped(stored: LocalMarks | None, corrupt: bool) -> None:
    with pytest.raises(ChangelogTruncated):
        judge(stored, view(start=1), corrupt=corrupt)


def test_a_corrupt_store_is_wiped_if_the_changelog_is_complete() -> None:
    assert isinstance(judge(None, view(), corrupt=True), Wipe)


def test_a_corrupt_store_beside_an_empty_changelog_is_kept() -> None:
    """P17: the changelog may have been made anew, which a store that cannot be read cannot tell."""
    assert isinstance(judge(None, view(end=0), corrupt=True), SetAside)


def test_a_store_older_than_half_the_tombstones_life_is_wiped() -> None:
    assert judge(marks(age_ms=RETENTION_MS // 2), view()) == Replay(50)
    assert isinstance(judge(marks(age_ms=RETENTION_MS // 2 + 1), view()), Wipe)


def test_a_changelog_that_was_repaired_is_whole_from_there_on() -> None:
    vouch = Vouch(20, "id")
    assert judge(None, view(start=20), vouch=vouch) == Replay(20)
    assert judge(marks(offset=50), view(start=20), vouch=vouch) == Replay(50)
    with pytest.raises(ChangelogTruncated):
        judge(None, view(start=21), vouch=vouch)


def test_a_store_that_missed_a_repair_is_kept_but_not_used() -> None:
    vouch = Vouch(20, "new")
    assert isinstance(judge(marks(topic_id="old"), view(topic_id="new"), vouch=vouch), SetAside)
    assert isinstance(judge(marks(offset=5, topic_id="new"), view(start=20, topic_id="new"), vouch=vouch), SetAside)


def test_a_vouch_for_a_changelog_that_was_replaced_again_is_void() -> None:
    with pytest.raises(ChangelogReplaced):
        judge(marks(topic_id="old"), view(topic_id="newer"), vouch=Vouch(0, "new"))
    with pytest.raises(ChangelogTruncated):
        judge(None, view(start=1, topic_id="newer"), vouch=Vouch(5, "new"))


def test_only_a_changelog_at_odds_is_searched_for_a_vouch() -> None:
    assert not needs_vouch(marks(), view())
    assert not needs_vouch(None, view())
    assert needs_vouch(None, view(start=1))
    assert needs_vouch(marks(topic_id="old"), view())


def position(row: int | None, committed: int | None, *, start: int = 10, end: int = 90) -> int:
    """Where an input goes on."""
    return judge_position("transfers", 0, row=row, committed=committed, start=start, end=end)


def test_the_row_wins_over_the_groups_offset() -> None:
    assert position(40, 10) == 40
    assert position(40, None) == 40
    assert position(40, 80) == 40


def test_a_fresh_table_starts_at_the_log_start() -> None:
    assert position(None, None) == 10
    assert position(None, 10) == 10


def test_a_group_with_offsets_but_a_table_without_positions_has_lost_its_state() -> None:
    with pytest.raises(StateLost):
        position(None, 11)


@pytest.mark.parametrize("row", [9, 91])
def test_a_position_outside_of_the_log_stops(row: int) -> None:
    with pytest.raises(PositionOutOfRange):
        position(row, None)


def test_marks_survive_their_row() -> None:
    assert LocalMarks.decode(marks().encode()) == marks()
