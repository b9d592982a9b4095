"""Answers that outlive the process that gave them: found again whole, in order, and not twice."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.steps.commands import command

from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.records import (
    ErrorInfo,
    JournalEntry,
    StepAnswer,
    StepFailed,
    StepJournaled,
    StepReclaimed,
    StepSucceeded,
)
from logkeel.simulation import SimulatedClock, SimulatedCluster
from logkeel.steps.machine.messages import Acknowledged, key_of
from logkeel.steps.outbox import FILE_NAME, Outbox, Ticket
from logkeel.steps.sender import AnswerSender
from logkeel.wire import decode_as, encode

TOPIC = "step-results"
SMALL = 256
"""Of a segment: a few frames."""


def answer(number: int, size: int = 20) -> OutputRecord:
    """An answer whose value tells its number."""
    return OutputRecord(TOPIC, b"run", f"{number} ".encode().ljust(size, b"."), number % 3)


@contextmanager
def opened(path: Path, segment_bytes: int = SMALL) -> Iterator[Outbox]:
    """As a process has it, however that ends."""
    with closing(Outbox(path, segment_bytes=segment_bytes)) as outbox:
        yield outbox


def found(path: Path) -> list[OutputRecord]:
    """What the next process finds."""
    with opened(path) as outbox:
        return [output for _, output in outbox.take_found()]


def test_what_was_put_is_found_until_the_log_has_it(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        tickets = [outbox.put(answer(number)) for number in range(3)]
        assert tickets[1] is not None
        outbox.kept(tickets[1])
        assert found(path) == [answer(0), answer(1), answer(2)], "nobody has noted it yet"
        outbox.tidy()
    assert found(path) == [answer(0), answer(2)]
    with opened(path) as outbox:
        for ticket, _ in outbox.take_found():
            outbox.kept(ticket)
        assert outbox.take_found() == []
    assert found(path) == []


def test_found_answers_stay_found_while_new_ones_come_behind_them(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        outbox.put(answer(1))
    with opened(path) as outbox:
        outbox.take_found()
        outbox.put(answer(2))
    assert found(path) == [answer(1), answer(2)]


def test_a_full_one_takes_nothing_more_and_goes_on_when_a_segment_is_free(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        tickets: list[Ticket] = []
        while (ticket := outbox.put(answer(len(tickets)))) is not None:
            tickets.append(ticket)
        assert len(tickets) > 4, "two segments of several frames"
        first = [ticket for ticket in tickets if ticket.segment is tickets[0].segment]
        for ticket in first:
            outbox.kept(ticket)
        assert outbox.put(answer(100)) is not None
    numbers = [int((output.value or b"").split()[0]) for output in found(path)]
    assert numbers == [*range(len(first), len(tickets)), 100], "in the order of putting, over segments begun anew"


def test_one_that_is_empty_again_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        for number in range(50):
            ticket = outbox.put(answer(number))
            assert ticket is not None
            outbox.kept(ticket)
            outbox.tidy()
            assert path.stat().st_size == 0, "results do not stay on the disk"


def test_what_does_not_fit_or_is_no_plain_record_is_not_taken(tmp_path: Path) -> None:
    with opened(tmp_path / FILE_NAME) as outbox:
        assert outbox.put(answer(1, size=SMALL)) is None
        assert outbox.put(answer(1)._replace(value=None)) is None
        assert outbox.put(answer(1)._replace(headers=(("a", b"b"),))) is None
        assert outbox.put(answer(1)) is not None


def test_a_write_that_was_cut_off_anywhere_loses_itself_alone(tmp_path: Path) -> None:
    """Each length that a killed process may leave of its last write, over what an older epoch left there."""
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        old = [outbox.put(answer(number)) for number in range(4)]
        for ticket in old:
            assert ticket is not None
            outbox.kept(ticket)
        outbox.put(answer(5))
        before = path.read_bytes()
        ticket = outbox.put(answer(6, size=40))
        assert ticket is not None
    whole = path.read_bytes()
    end = ticket.segment.end
    assert end > ticket.offset + 40
    for cut in range(ticket.offset, end):
        path.write_bytes(whole[:cut] + before[cut:])
        assert found(path) == [answer(5)]
        with opened(path) as outbox:
            outbox.put(answer(7))
        assert found(path) == [answer(5), answer(7)]
    path.write_bytes(whole)
    assert found(path) == [answer(5), answer(6, size=40)]


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(st.tuples(st.sampled_from(["put", "kept", "again"]), st.integers(0, 60)), max_size=60))
def test_it_holds_what_a_list_would(tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]]) -> None:
    path = tmp_path_factory.mktemp("outbox") / FILE_NAME
    outbox = Outbox(path, segment_bytes=SMALL)
    model: list[tuple[Ticket, OutputRecord]] = []
    for act, number in acts:
        if act == "put":
            if (put := outbox.put(answer(number, size=number))) is not None:
                model.append((put, answer(number, size=number)))
        elif act == "kept" and model:
            ticket, _ = model.pop(number % len(model))
            outbox.kept(ticket)
        elif act == "again":
            outbox.close()
            outbox = Outbox(path, segment_bytes=SMALL)
            again = outbox.take_found()
            assert [output for _, output in again] == [output for _, output in model]
            model = list(again)
    outbox.close()


def test_a_disk_that_refuses_for_a_while_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, pwrite = tmp_path / FILE_NAME, os.pwrite
    with opened(path) as outbox:
        outbox.put(answer(1))
        monkeypatch.setattr("logkeel.steps.outbox.os.pwrite", lambda *_: 0)
        assert outbox.put(answer(2)) is None
        monkeypatch.setattr("logkeel.steps.outbox.os.pwrite", pwrite)
        assert outbox.put(answer(3)) is not None
    assert found(path) == [answer(1), answer(3)]


def test_a_frame_of_another_version_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE_NAME
    with opened(path) as outbox:
        outbox.put(answer(1))
        monkeypatch.setattr("logkeel.steps.outbox._encode", lambda _: b"\x93abc")
        outbox.put(answer(2))
        monkeypatch.undo()
    assert found(path) == [answer(1)]


def test_where_it_cannot_be_written_work_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path / "missing" / FILE_NAME) as outbox:
        assert outbox.take_found() == []
        assert outbox.put(answer(1)) is None


# Behind it, the sender -------------------------------------------------------------------------------------------


class Slot:
    """A log, and the place of one worker after another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cluster = SimulatedCluster(SimulatedClock(1_700_000_000_000))
        self.client = self.cluster.client()
        with closing(self.client.admin()) as admin:
            admin.create_topics([TopicPlan(TOPIC, 1, 1, {})])

    def sender(self) -> AnswerSender:
        """Of the next process."""
        return AnswerSender(self.client.producer(), TOPIC, holder="next", outbox=Outbox(self.path))

    def said(self) -> list[str]:
        """What is on the log, by kind and entry."""
        with closing(self.client.reader("read_committed")) as reader:
            reader.assign({TopicPartition(TOPIC, 0): 0})
            records = reader.fetch(100, 0.0).records
        return [_word(decode_as(each.value or b"", *get_args(StepAnswer))) for each in records]


def _word(said: StepAnswer) -> str:
    return f"{said.entry.name} {said.entry.state}" if isinstance(said, StepJournaled) else type(said).__name__


def _never(_: object) -> None:
    """A loop that was killed before its round was over."""


IDENTITY = command(1).identity
SUCCEEDED = StepSucceeded(identity=IDENTITY, holder="w", started_at_ms=1, finished_at_ms=2)


def _entry(state: str) -> StepJournaled:
    entry = JournalEntry(name="model", ordinal=0, state=state)  # type: ignore[arg-type]  # one of its states
    return StepJournaled(identity=IDENTITY, holder="w", entry=entry)


def test_what_a_killed_worker_knew_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    slot = Slot(tmp_path / FILE_NAME)
    killed = slot.sender()
    killed.gather(_never)
    killed.send(command(1), SUCCEEDED)
    assert slot.said() == []
    killed.let_go()
    with closing(slot.sender()) as after:
        assert after.found == 1
        after.send(command(1), StepReclaimed(identity=IDENTITY, holder="w2", holder_dead=True))
        assert slot.said() == ["StepSucceeded", "StepReclaimed"]
        assert after.poll() == [Acknowledged(key_of(IDENTITY), final=True)], "of its own alone"
    with closing(slot.sender()) as third:
        assert third.found == 0


def test_entries_of_calls_that_have_happened_are_kept_and_intents_are_not(tmp_path: Path) -> None:
    """An intent without its call would have somebody asked about what never began. Behind an entry comes the word that
    its execution is over; behind an outcome none is needed.
    """
    slot = Slot(tmp_path / FILE_NAME)
    killed = slot.sender()
    killed.gather(_never)
    killed.send(command(1), _entry("intent"))
    killed.send(command(1), _entry("done"))
    killed.let_go()
    with closing(slot.sender()) as after:
        after.poll()
        assert slot.said() == ["model done", "StepReclaimed"]


def test_behind_an_outcome_nothing_is_said_of_its_execution(tmp_path: Path) -> None:
    slot = Slot(tmp_path / FILE_NAME)
    killed = slot.sender()
    killed.gather(_never)
    killed.send(command(1), _entry("done"))
    killed.send(command(1), SUCCEEDED)
    killed.let_go()
    with closing(slot.sender()) as after:
        assert after.found == 2
        after.poll()
        assert slot.said() == ["model done", "StepSucceeded"]


def test_what_is_durable_is_not_said_again(tmp_path: Path) -> None:
    slot = Slot(tmp_path / FILE_NAME)
    with closing(slot.sender()) as first:
        first.send(command(1), SUCCEEDED)
        first.flush(1.0)
    with closing(slot.sender()) as second:
        assert second.found == 0
        second.poll()
    assert slot.said() == ["StepSucceeded"]


def test_what_another_application_left_in_a_shared_directory_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with closing(Outbox(path)) as other:
        other.put(OutputRecord("other.step-results", b"run", b"value", 0))
    slot = Slot(path)
    with closing(slot.sender()) as sender:
        assert sender.found == 0
        sender.poll()
    assert slot.said() == []
    assert found(path) == []


def test_an_answer_for_a_partition_that_is_gone_is_dropped_and_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with closing(Outbox(path)) as other:
        other.put(OutputRecord(TOPIC, b"run", encode(SUCCEEDED), 7))
    slot = Slot(path)
    with closing(slot.sender()) as sender:
        sender.send(command(1), SUCCEEDED)
        assert [each.final for each in sender.flush(1.0)] == [True]
    assert slot.said() == ["StepSucceeded"]
    assert found(path) == []


def test_the_polling_thread_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stalls would keep heartbeats from going out, and steps that live would be taken for lost."""
    slot, writers = Slot(tmp_path / FILE_NAME), list[int]()
    pwrite, ftruncate = os.pwrite, os.ftruncate

    def noting(call: Callable[..., int | None]) -> Callable[..., int | None]:
        def noted(*arguments: object) -> int | None:
            writers.append(threading.get_ident())
            return call(*arguments)

        return noted

    monkeypatch.setattr("logkeel.steps.outbox.os.pwrite", noting(pwrite))
    monkeypatch.setattr("logkeel.steps.outbox.os.ftruncate", noting(ftruncate))
    with closing(slot.sender()) as sender:
        asked: list[Callable[[], None]] = []
        sender.gather(asked.append)
        sender.poll()
        loop = threading.Thread(target=sender.send, args=(command(1), SUCCEEDED))
        loop.start()
        loop.join()
        assert writers, "on the loop's thread"
        before = list(writers)
        while asked:
            asked.pop()()
            sender.poll()
            if sender._asked_to_tidy:
                break
        sender.send(command(2), SUCCEEDED)
        sender.poll()
        assert writers == before
        assert len(slot.said()) == 2
        assert sender._tidy in asked, "the loop is asked for it"


def test_a_failure_is_kept_like_a_success(tmp_path: Path) -> None:
    slot = Slot(tmp_path / FILE_NAME)
    killed = slot.sender()
    killed.gather(_never)
    error = ErrorInfo(code="no", message="no", kind="retryable")
    killed.send(command(1), StepFailed(identity=IDENTITY, holder="w", started_at_ms=1, finished_at_ms=2, error=error))
    killed.let_go()
    with closing(slot.sender()) as after:
        after.poll()
        assert slot.said() == ["StepFailed"]
