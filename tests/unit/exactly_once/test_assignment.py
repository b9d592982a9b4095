"""Membership, co-partitioning, slots, orphans and crash marks as decisions."""

from pathlib import Path
from shutil import copytree

import pytest

from logkeel.errors import ConfigInvalid, CoPartitioningBroken, InvariantViolation, SlotTaken
from logkeel.exactly_once import LoopSettings, take_slot
from logkeel.exactly_once.assignment import Assignment, GroupEvent, checked_group, co_partitions
from logkeel.exactly_once.changelog import changelog_config, slot_headers, slot_in
from logkeel.exactly_once.orphans import orphan_slots
from logkeel.exactly_once.poison import CrashMark, dead_letter, next_mark
from logkeel.exactly_once.port import Timer
from logkeel.exactly_once.settings import slot_of_instance
from logkeel.exactly_once.slots import directory_identity
from logkeel.log import GroupMetadata, Record, TopicPartition

GROUP = GroupMetadata("group", 3, "member")


@pytest.mark.parametrize("group", [GroupMetadata("group", -1, "member"), GroupMetadata("group", 3, "")])
def test_metadata_that_would_not_fence_is_refused(group: GroupMetadata) -> None:
    with pytest.raises(InvariantViolation):
        checked_group(group)


def test_an_assignment_lasts_until_it_is_given_up() -> None:
    events: list[GroupEvent] = []
    assignment = Assignment(("a", "b"), events.append)
    owned = [TopicPartition(topic, number) for topic in ("a", "b") for number in (2, 0)]
    assignment.on_assigned(owned, GROUP)
    assert (assignment.epoch, assignment.partitions, assignment.group) == (1, (0, 2), GROUP)
    assignment.on_revoked(owned)
    assert (assignment.epoch, assignment.partitions, assignment.group) == (2, (), None)
    assignment.on_assigned([], GROUP)
    assignment.on_lost([])
    assert (assignment.epoch, assignment.group) == (4, None)
    assert events == ["assigned", "revoked", "assigned", "lost"]


def test_inputs_must_be_assigned_alike() -> None:
    with pytest.raises(CoPartitioningBroken):
        co_partitions(("a", "b"), [TopicPartition("a", 0), TopicPartition("b", 1)])
    assignment = Assignment(("a", "b"), lambda event: None)
    assignment.on_assigned([TopicPartition("a", 0)], GROUP)
    assert assignment.partitions == ()
    assert assignment.problem is not None


def test_ids_are_zero_padded_and_derive_from_the_slot() -> None:
    settings = LoopSettings(application="app", group_id="group", slot=7)
    assert settings.instance_id == "app-0007"
    assert settings.transactional_ids == ("app-0007-a", "app-0007-b")
    assert slot_of_instance("app", "app-0007") == 7
    assert slot_of_instance("app", "application-0007") is None
    assert slot_of_instance("app", None) is None
    ids = [LoopSettings(application="app", group_id="g", slot=slot).instance_id for slot in (2, 10)]
    assert sorted(ids) == ids


def test_a_commit_may_not_outlive_its_transaction() -> None:
    with pytest.raises(ConfigInvalid):
        LoopSettings(application="app", group_id="g", commit_timeout_ms=10_000, transaction_timeout_ms=10_000)


def test_a_slot_is_held_once(tmp_path: Path) -> None:
    first = take_slot(tmp_path)
    second = take_slot(tmp_path)
    assert (first.slot, second.slot) == (0, 1)
    with pytest.raises(SlotTaken):
        take_slot(tmp_path, 0)
    first.release()
    first.release()
    again = take_slot(tmp_path, 0)
    assert again.directory == tmp_path / "slot-0000"
    again.release()
    second.release()


def test_a_directory_keeps_its_identity_and_a_copy_gets_another(tmp_path: Path) -> None:
    one, other, copied = tmp_path / "one", tmp_path / "other", tmp_path / "copied"
    identity = directory_identity(one)
    assert directory_identity(one) == identity
    assert directory_identity(other) != identity
    copytree(one, copied)
    assert directory_identity(copied) != identity
    (one / "identity").write_bytes(b"half")
    assert len(directory_identity(one)) == 12


def written_by(slot: int) -> Record:
    """A changelog record of a slot."""
    return Record("log", 0, 0, 0, b"k", b"v", slot_headers(slot))


def test_orphans_are_writers_that_are_gone() -> None:
    tail = [written_by(1), written_by(2), written_by(3), Record("log", 0, 0, 0, b"k", b"v")]
    assert [slot_in(record) for record in tail] == [1, 2, 3, None]
    assert orphan_slots(tail, live=[1], own=3) == (2,)


def test_changelogs_are_compacted() -> None:
    config = changelog_config(delete_retention_ms=5)
    assert config["cleanup.policy"] == "compact"
    assert config["delete.retention.ms"] == "5"
    assert {"segment.bytes", "min.cleanable.dirty.ratio", "max.compaction.lag.ms"} <= set(config)


def test_crashes_at_one_position_add_up_to_single_steps() -> None:
    here = {"in": 5, "also": 0}
    row: bytes | None = None
    seen = []
    for _ in range(4):
        mark = next_mark(row, here)
        seen.append(mark.stuck(after=2))
        row = mark.encode()
    assert seen == [(), (), ("also", "in"), ("also", "in")]


def test_an_input_that_moved_starts_anew_and_the_others_count_on() -> None:
    row = next_mark(next_mark(None, {"in": 5, "also": 0}).encode(), {"in": 5, "also": 0}).encode()
    mark = next_mark(row, {"in": 5, "also": 3})
    assert mark == CrashMark((("also", 3, 1), ("in", 5, 3)))
    assert not mark.is_over({"in": 5, "also": 4})
    assert mark.is_over({"in": 6, "also": 4})


def test_a_suspect_is_counted_while_it_is_tried_and_forgotten_when_the_process_lives_on() -> None:
    mark = next_mark(None, {"in": 5}).trying(b"r").trying(b"r")
    assert CrashMark.decode(mark.encode()) == mark == CrashMark((("in", 5, 1),), b"r", 2)
    assert next_mark(mark.encode(), {"in": 5}).trying(b"r").tries == 3
    assert mark.trying(b"other").tries == 1
    assert mark.survived().trying(b"r").tries == 1


def test_a_dead_letter_keeps_the_bytes_and_says_where_they_were() -> None:
    record = Record("in", 2, 7, 0, b"key", b"\xff\x00", (("h", b"1"),))
    letter = dead_letter("dead", record, ValueError("bad"), table="t")
    assert (letter.topic, letter.key, letter.value) == ("dead", b"key", b"\xff\x00")
    headers = dict(letter.headers)
    assert headers["h"] == b"1"
    assert (headers["dead.topic"], headers["dead.partition"], headers["dead.offset"]) == (b"in", b"2", b"7")
    assert (headers["dead.error"], headers["dead.message"]) == (b"ValueError", b"bad")
    timer = dead_letter("dead", Timer(2, 9, b"id", b"p"), ValueError("bad"), table="t")
    assert (timer.key, timer.value, dict(timer.headers)["dead.due_ms"]) == (b"id", b"p", b"9")
