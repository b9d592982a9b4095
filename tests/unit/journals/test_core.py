"""Journals in the run core: entries, commands, suspension, waits, and calls in doubt."""

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, approval, call, entry_sent, journaled_plan, question, suspended, wait
from tests.unit.runs.scripts import T0, failed, heartbeat, identity, reclaimed, released, succeeded, text

from logkeel.projection.projection import fold
from logkeel.projection.waits import shown
from logkeel.records import CancelRun, JournalEntry, Payload, ResolveStep, SignalRun, StepFailed
from logkeel.records.limits import MAX_FIELDS_BYTES
from logkeel.runs.core import questions, requests, waking
from logkeel.runs.core.actions import ClearTimer, DispatchStep, HoldLease, Ignored, Reject, RevokeStep, SetTimer
from logkeel.runs.core.answers import answer
from logkeel.runs.core.journal_timers import place_of_timer, timer_path

HOUR_MS = 3_600_000


def dispatched(life: Life) -> list[str]:
    """Positions and states of the journal in the command that this turn sent."""
    (action,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    return [f"{entry.position} {entry.state}" for entry in action.journal]


def say(life: Life, *entries: JournalEntry) -> None:
    for entry in entries:
        answer(life.next(), entry_sent(life.state, entry))
        life.kept()


def test_entries_are_kept_and_travel_in_the_order_of_the_code() -> None:
    life = Life()
    for position in ("0", "1.10.0", "1.2.0", "2", "10"):
        answer(life.next(), entry_sent(life.state, call(position)))
        assert life.kept() == ["step_journaled"]
        assert not life.turn.actions
    answer(life.next(), released(life.state, "a", was_started=True))
    assert life.kept() == ["step_released", "step_dispatched"]
    assert dispatched(life) == ["0 done", "1.2.0 done", "1.10.0 done", "2 done", "10 done"]
    answer(life.next(), succeeded(life.state, "a"))
    life.kept()
    assert not life.state.journal
    assert life.state.head.status == "succeeded"


def test_code_is_left_to_the_log_until_the_log_has_forgotten_its_command() -> None:
    """Its calls may be ONCE: another command would run beside the one that a worker may be reading now (P25)."""
    life = Life()
    waking.command_aged(life.next(), "a", forgotten=False)
    assert life.kept() == []
    waking.command_aged(life.next(), "a", forgotten=True)
    assert life.kept() == ["step_released", "step_dispatched"]


def test_an_entry_that_comes_twice_changes_nothing() -> None:
    life = Life()
    say(life, call("0", "intent", effect="ONCE"), call("0"))
    for entry in (call("0", "intent", effect="ONCE"), call("0"), call("0", "failed")):
        answer(life.next(), entry_sent(life.state, entry))
        assert life.kept() == []
        assert isinstance(life.turn.actions[-1], Ignored)
    assert life.state.journal["a", "0"] == call("0")


def test_an_entry_behind_the_reclaim_that_superseded_it_is_an_orphan() -> None:
    life = Life()
    say(life, call("0"))
    answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
    life.kept()
    answer(life.next(), entry_sent(life.state, call("1"), dispatch=1))
    assert life.kept() == ["answer_ignored"]
    assert life.turn.events[-1].journal == call("1")
    assert ("a", "1") not in life.state.journal
    # One that was known before is a late duplicate, and no news.
    answer(life.next(), entry_sent(life.state, call("0"), dispatch=1))
    assert life.kept() == []


def test_an_entry_is_a_sign_of_life_of_a_step_with_a_holder() -> None:
    life = Life()
    answer(life.next(), heartbeat(life.state, "a"))
    life.kept()
    answer(life.next(), entry_sent(life.state, call()))
    assert life.turn.actions == [HoldLease("a", life.now_ms + 10_000)]


def test_losses_with_calls_done_between_them_do_not_add_up() -> None:
    life = Life()
    for number in range(8):
        say(life, call(f"{number}"))
        answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
        assert life.kept() == ["step_reclaimed", "step_dispatched"]
    for _ in range(4):
        # A call that kills its process is announced again and again, and never done.
        say(
            life,
            call("8", "intent", effect="CHECKED"),
            replace(call("8", "intent", effect="CHECKED"), at_ms=life.now_ms),
        )
        answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
        life.kept()
    error = life.state.head.error
    assert error is not None
    assert error.code == "worker_lost"


def test_a_retried_step_has_its_journal() -> None:
    life = Life()
    say(life, call("0"))
    answer(life.next(), failed(life.state, "a"))
    assert life.kept() == ["step_failed", "step_retry_scheduled"]
    waking.step_due(life.next(), "a", 1)
    assert life.kept() == ["step_dispatched"]
    assert dispatched(life) == ["0 done"]
    assert life.state.steps["a"].attempt == 2


def test_a_journal_that_no_command_can_carry_fails_the_run_by_name() -> None:
    life = Life()
    large = text("result", "x" * (MAX_FIELDS_BYTES // 4))
    for number in range(4):
        entry = JournalEntry(name="model", ordinal=number, state="done", position=str(number), writes=(large,))
        say(life, entry)
    answer(life.next(), released(life.state, "a", was_started=True))
    assert life.kept()[-1] == "run_completed"
    error = life.state.head.error
    assert error is not None
    assert error.code == "journal_too_large"
    assert "4 entries" in error.message


def test_a_sleep_suspends_the_step_and_its_end_sends_it_again_as_the_same_attempt() -> None:
    life = Life()
    due_ms = life.now_ms + 48 * HOUR_MS
    answer(life.next(), entry_sent(life.state, wait("sleep", due_ms=due_ms)))
    life.kept()
    assert life.turn.actions == [SetTimer("journal", due_ms, timer_path("a", "0"))]
    answer(life.next(), suspended(life.state, "0"))
    assert life.kept() == ["step_suspended"]
    assert (life.state.steps["a"].phase, life.turn.events[-1].reason) == ("suspended", "go")
    assert life.state.head.open_steps == 1
    waking.journal_wait_due(life.next(after_ms=48 * HOUR_MS), *place_of_timer(timer_path("a", "0")))
    assert life.kept() == ["step_resumed", "step_dispatched"]
    step = life.state.steps["a"]
    assert (step.phase, step.attempt, step.dispatch) == ("dispatched", 1, 2)
    assert step.suspended_ms == 48 * HOUR_MS
    assert dispatched(life) == ["0 done"]
    assert not life.state.journal_waits
    waking.journal_wait_due(life.next(), "a", "0")
    assert life.kept() == []


def test_a_wait_that_ended_before_its_step_was_suspended_is_not_missed() -> None:
    life = Life()
    say(life, wait("sleep", due_ms=life.now_ms + 1_500), wait("signal", "1"))
    waking.journal_wait_due(life.next(), "a", "0")
    assert life.kept() == ["step_resumed"]
    answer(life.next(), suspended(life.state, "0", "1"))
    assert life.kept() == ["step_suspended", "step_dispatched"]
    assert dispatched(life) == ["0 done", "1 intent"]
    # The next execution knows of the first, and waits for the second alone.
    answer(life.next(), suspended(life.state, "1"))
    assert life.kept() == ["step_suspended"]


@pytest.mark.parametrize("early", [True, False])
def test_a_signal_ends_one_wait_whether_it_came_before_or_after(early: bool) -> None:
    life = Life()

    def signal(name: str) -> None:
        payload = Payload(encoding="json", data=b'"yes"')
        requests.signal(life.next(), SignalRun(run_id="r", name=name, payload=payload), "q")
        life.kept()

    signal("other")
    if early:
        signal("go")
    say(life, wait("signal", "0"), wait("signal", "1"))
    answer(life.next(), suspended(life.state, *(["1"] if early else ["0", "1"])))
    life.kept()
    if not early:
        signal("go")
    assert life.state.journal["a", "0"].writes[0].payload == Payload(encoding="json", data=b'"yes"')
    assert life.state.journal["a", "1"].state == "intent"
    assert [stored.name for stored in life.state.signals.values()] == ["other"]
    assert life.state.steps["a"].phase == ("suspended" if early else "dispatched")


def test_a_signal_that_does_not_come_is_a_failed_wait() -> None:
    life = Life()
    say(life, wait("signal", due_ms=life.now_ms + HOUR_MS))
    answer(life.next(), suspended(life.state, "0"))
    life.kept()
    waking.journal_wait_due(life.next(after_ms=HOUR_MS), "a", "0")
    assert life.kept() == ["step_resumed", "step_dispatched"]
    error = life.state.journal["a", "0"].error
    assert error is not None
    assert (error.code, error.kind) == ("wait_timed_out", "timeout")


def test_cancelling_a_suspended_run_leaves_no_timer_and_asks_no_worker() -> None:
    life = Life()
    due_ms = life.now_ms + HOUR_MS
    say(life, wait("sleep", due_ms=due_ms))
    answer(life.next(), suspended(life.state, "0"))
    life.kept()
    requests.cancel(life.next(), CancelRun(run_id="r"), "q")
    assert life.kept() == ["cancel_requested", "step_revoked", "run_completed"]
    assert ClearTimer("journal", due_ms, timer_path("a", "0")) in life.turn.actions
    assert not any(isinstance(action, RevokeStep) for action in life.turn.actions)
    assert not life.state.steps["a"].effect_unknown


def test_a_wait_outlives_an_attempt_that_failed_beside_it() -> None:
    life = Life()
    due_ms = life.now_ms + HOUR_MS
    say(life, wait("sleep", "0.0.0", due_ms=due_ms))
    answer(life.next(), failed(life.state, "a"))
    assert ClearTimer("journal", due_ms, timer_path("a", "0.0.0")) in life.turn.actions
    life.kept()
    waking.step_due(life.next(), "a", 1)
    life.kept()
    assert SetTimer("journal", due_ms, timer_path("a", "0.0.0")) in life.turn.actions


def doubt(life: Life, position: str | None = "0") -> list[str]:
    message = failed(life.state, "a", "in_doubt", in_doubt=True)
    doubtful = StepFailed(
        identity=identity(life.state, "a"),
        holder="w",
        started_at_ms=T0,
        finished_at_ms=T0,
        error=message.error,
        in_doubt=True,
        position=position,
    )
    answer(life.next(), doubtful)
    return life.kept()


def test_a_human_tells_that_a_call_in_doubt_happened_and_the_code_goes_on_with_that() -> None:
    life = Life()
    say(life, call("0", "intent", name="pay", effect="ONCE"))
    assert doubt(life) == ["step_in_doubt"]
    event = life.turn.events[-1]
    assert (event.name, event.reason) == ("pay", "call 'pay': it broke")
    decision = ResolveStep(run_id="r", path="a", decision="did", writes=(text("a", "x"),))
    requests.resolve(life.next(), decision, "q", decision.writes)
    assert life.kept() == []  # the call writes a result, not the step's field
    result = (text("result", "receipt 7"),)
    requests.resolve(life.next(), ResolveStep(run_id="r", path="a", decision="did", writes=result), "q", result)
    assert life.kept() == ["step_resolved", "step_dispatched"]
    assert life.state.journal["a", "0"].writes == result
    assert dispatched(life) == ["0 done"]
    assert life.state.steps["a"].doubt is None


@pytest.mark.parametrize("decision", ["did_not", "retry"])
def test_a_human_tells_that_it_did_not_and_the_code_may_try_it(decision: str) -> None:
    life = Life()
    say(life, call("0"), call("1", "intent", name="pay", effect="ONCE"))
    doubt(life, "1")
    requests.resolve(life.next(), ResolveStep(run_id="r", path="a", decision=decision), "q", ())
    assert life.kept() == ["step_resolved", "step_dispatched"]
    assert dispatched(life) == ["0 done"]


def test_a_doubt_about_a_call_that_the_journal_lacks_is_one_about_the_step() -> None:
    life = Life()
    assert doubt(life, "7") == ["step_in_doubt"]
    assert life.state.steps["a"].doubt is None


def test_a_step_without_a_journal_by_its_definition_gets_none() -> None:
    life = Life(journaled_plan("a", "b"))
    say(life, call("0"))
    answer(life.next(), succeeded(life.state, "a"))
    life.kept()
    assert dispatched(life) == []
    answer(life.next(), entry_sent(life.state, call("0"), "b"))
    life.kept()
    assert ("b", "0") in life.state.journal


def test_a_question_of_code_is_asked_and_answered_like_that_of_a_block() -> None:
    life = Life()
    due_ms = life.now_ms + HOUR_MS
    answer(life.next(), entry_sent(life.state, question("3.0.1", due_ms=due_ms)))
    assert life.kept() == ["step_journaled", "question_asked"]
    view = fold(life.history)
    (asked,) = view.questions
    assert (asked.path, asked.question, asked.allow) == ("a?3.0.1", "May I?", ("approve", "edit"))
    assert shown(asked, life.history)[0].payload == text("show", "this").payload
    answer(life.next(), suspended(life.state, "3.0.1"))
    life.kept()
    for refused in (
        approval("a?3.0.1", "reject"),
        approval("a?3.0.1", "edit"),
        approval("a?9"),
        approval("a?3.0.1", question=asked.number - 1),
    ):
        questions.answer(life.next(), refused, "q")
        assert life.kept() == []
        assert isinstance(life.turn.actions[-1], Reject)
    questions.answer(life.next(), approval("a?3.0.1", "delegate"), "q")
    assert life.kept() == ["question_reassigned"]
    assert fold(life.history).questions[0].assignee == "bob"
    payload = Payload(encoding="json", data=b"7")
    edited = approval("a?3.0.1", "edit", payload=payload, question=asked.number, comment="rather")
    questions.answer(life.next(), edited, "q")
    assert life.kept() == ["question_answered", "step_dispatched"]
    outcome = {write.field: write.control or write.payload for write in life.state.journal["a", "3.0.1"].writes}
    assert outcome == {"verb": "edit", "message": "rather", "by": "ada", "result": payload}
    assert ClearTimer("journal", due_ms, timer_path("a", "3.0.1")) in life.turn.actions
    assert fold(life.history).questions == []
    questions.answer(life.next(), edited, "q2")
    assert isinstance(life.turn.actions[-1], Reject)


def test_a_question_that_nobody_answers_in_time_is_a_failed_wait() -> None:
    life = Life()
    say(life, question(due_ms=life.now_ms + HOUR_MS))
    answer(life.next(), suspended(life.state, "0"))
    life.kept()
    waking.journal_wait_due(life.next(after_ms=HOUR_MS), "a", "0")
    assert life.kept() == ["question_answered", "step_dispatched"]
    error = life.state.journal["a", "0"].error
    assert error is not None
    assert error.code == "human_timed_out"
    assert fold(life.history).answers[0].in_time is False
