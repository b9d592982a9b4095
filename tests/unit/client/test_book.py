"""Waits and what was read."""

from logkeel.client.book import PartitionBook, Wait
from logkeel.records import RequestRejected, RunCompleted


def completed(run_id: str) -> RunCompleted:
    return RunCompleted(
        run_id=run_id,
        incarnation="i",
        workflow="w",
        version="1",
        definition_digest="d",
        status="succeeded",
        revision=1,
        started_at_ms=0,
        finished_at_ms=1,
    )


def rejected(request_id: str, run_id: str) -> RequestRejected:
    return RequestRejected(
        request_id=request_id, run_id=run_id, code="c", reason="r", rejected_at_ms=0, request_type="StartRun"
    )


def test_a_completion_of_an_earlier_run_of_the_same_id_is_no_answer() -> None:
    wait = Wait(0, 10, "run", "request")
    assert not wait.is_met_by(9, completed("run"))
    assert wait.is_met_by(10, completed("run"))


def test_only_the_rejection_of_the_own_request_is_an_answer() -> None:
    wait = Wait(0, 0, "run", "request")
    assert wait.is_met_by(1, rejected("request", "run"))
    assert not wait.is_met_by(1, rejected("another", "run"))
    assert not Wait(0, 0, "run").is_met_by(1, rejected("another", "run"))


def test_a_late_wait_finds_what_was_read_in_the_order_of_the_log() -> None:
    book = PartitionBook(5)
    first, second = rejected("request", "run"), completed("run")
    book.add(5, first)
    book.add(6, None)
    book.add(7, second)
    assert list(book.answers(Wait(0, 5, "run", "request"))) == [first, second]
    assert list(book.answers(Wait(0, 6, "run", "request"))) == [second]
    assert book.position == 8


def test_what_fell_out_must_be_read_again() -> None:
    book = PartitionBook(0, kept=2)
    for offset, run_id in enumerate("abc"):
        book.add(offset, completed(run_id))
    assert not book.reaches(0)
    assert book.reaches(1)
    assert not list(book.answers(Wait(0, 0, "a")))
    assert list(book.answers(Wait(0, 1, "b")))


def test_the_end_of_a_partition_never_moves_a_book_back() -> None:
    book = PartitionBook(4)
    book.advance(9)
    book.advance(7)
    assert book.position == 9
