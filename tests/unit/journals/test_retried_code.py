"""Durable code of a run that failed and is retried: what its journal keeps, and what the code comes by anew."""

from tests.unit.journals.scripts import Life, call, entry_sent, question, suspended, wait
from tests.unit.runs.scripts import T0, failed

from logkeel.records import JournalEntry, RetryRun
from logkeel.runs.core import retrying, waking
from logkeel.runs.core.actions import DispatchStep, SetTimer
from logkeel.runs.core.answers import answer

HOUR_MS = 3_600_000


def has_failed(life: Life) -> None:
    """The step fails for good, and the run with it."""
    answer(life.next(), failed(life.state, "a", "fatal"))
    assert life.kept() == ["step_failed", "run_completed"]


def retried(life: Life) -> list[str]:
    """Positions of the journal that the code has behind it in its next try."""
    retrying.retry(life.next(after_ms=HOUR_MS), RetryRun(run_id="r"), "q")
    assert life.kept() == ["run_retried", "step_dispatched"]
    (sent,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    return [entry.position for entry in sent.journal]


def with_entries(*entries: JournalEntry) -> Life:
    """A run whose code has come so far."""
    life = Life()
    for entry in entries:
        answer(life.next(), entry_sent(life.state, entry))
        life.kept()
    return life


def test_calls_that_are_done_stay_done_and_the_one_it_failed_at_is_made_again() -> None:
    life = with_entries(call("0"), call("1"), call("2", "failed"))
    has_failed(life)
    assert retried(life) == ["0", "1"]
    assert life.state.steps["a"].attempt == 2


def test_a_failure_that_the_code_has_caught_stays_caught() -> None:
    """It has called for something behind it: without the failure it would take another way than its journal."""
    life = with_entries(call("0", "failed"), call("1"), call("2", "failed"))
    has_failed(life)
    assert retried(life) == ["0", "1"]


def test_of_calls_at_the_same_time_those_that_failed_are_made_again() -> None:
    life = with_entries(call("0.0.0"), call("0.1.0", "failed"), call("0.2.0", "failed"), call("0.2.1"))
    has_failed(life)
    assert retried(life) == ["0.0.0", "0.2.0", "0.2.1"], "the second lane had failed, the third has gone on"
    life = with_entries(call("0.0.0", "failed"), call("0.1.0"), call("1", "failed"))
    has_failed(life)
    assert retried(life) == ["0.0.0", "0.1.0"], "the gather was caught"


def test_questions_and_signals_are_called_for_anew_and_a_sleep_keeps_its_time() -> None:
    until_ms = T0 + 5 * HOUR_MS
    life = with_entries(
        wait("sleep", "0.0.0", due_ms=until_ms), question("0.1.0", due_ms=T0 + HOUR_MS), wait("signal", "0.2.0")
    )
    has_failed(life)
    assert retried(life) == ["0.0.0"]
    assert {position for position, _ in life.state.journal_waits.of("a")} == {"0.0.0"}
    timers = [action for action in life.turn.actions if isinstance(action, SetTimer)]
    assert [(timer.kind, timer.due_ms) for timer in timers] == [("journal", until_ms)]
    answer(life.next(), entry_sent(life.state, question("0.1.0", due_ms=life.now_ms + HOUR_MS)))
    assert life.kept() == ["step_journaled", "question_asked"]


def test_code_that_was_suspended_when_its_run_timed_out_goes_on() -> None:
    life = with_entries(wait("sleep", "0", due_ms=T0 + HOUR_MS))
    answer(life.next(), suspended(life.state, "0"))
    life.kept()
    waking.run_deadline_over(life.next())
    assert life.kept() == ["step_revoked", "run_completed"]
    assert retried(life) == ["0"]
