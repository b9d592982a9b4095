"""What may not start for ever: schedule-to-start limits, and keys that the outside system forgets (P25, P35)."""

from msgspec.structs import replace
from tests.unit.runs.scripts import (
    T0,
    failed,
    flow_of,
    heartbeat,
    identity,
    plan_of,
    reclaimed,
    released,
    started,
    step_block,
)

from logkeel.definitions import RetryPolicy
from logkeel.records import Effect, ResolveStep, RunEvent, StepAnswer, StepCommand, StepRefused
from logkeel.runs.core import requests, waking
from logkeel.runs.core.actions import DispatchStep, RevokeStep, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.replay import replay
from logkeel.runs.processor.commands import command_of

HOUR_MS = 3_600_000


class OneStep:
    """A run of one step `a`, its history, and its commands as they went out."""

    def __init__(self, effect: Effect, **limits: int | None) -> None:
        retry = RetryPolicy(max_attempts=10, initial_ms=0)
        self.turn = started(plan_of(flow_of(step_block("a")), effects={"a": effect}, limits=limits, retry=retry))
        self.state, self.plan = self.turn.state, self.turn.plan
        self.history: list[RunEvent] = []
        self.commands: list[StepCommand] = []
        self._keep()

    @property
    def phase(self) -> str:
        return self.state.steps["a"].phase

    def after(self, delay_ms: int, message: StepAnswer | None = None) -> list[str]:
        """What the next turn records: an answer, or the timer of the step."""
        self.turn = Activation(self.state, self.plan, self.turn.now_ms + delay_ms)
        if message is not None:
            answer(self.turn, message)
        else:
            waking.step_due(self.turn, "a", self.state.steps["a"].dispatch)
        return self._keep()

    def decide(self, decision: str) -> list[str]:
        """A human decides now."""
        self.turn = Activation(self.state, self.plan, self.turn.now_ms)
        requests.resolve(self.turn, ResolveStep(run_id="r", path="a", decision=decision), "q", ())
        return self._keep()

    def _keep(self) -> list[str]:
        self.history += self.turn.events
        for action in self.turn.actions:
            if isinstance(action, DispatchStep):
                self.commands.append(command_of(self.state, self.plan, action, partition=0, details=None))
        assert replay(self.history, self.plan) == self.state
        return [event.kind for event in self.turn.events]


def test_a_command_says_until_when_it_may_start() -> None:
    run = OneStep("NONE", schedule_to_start_ms=5_000)
    assert [command.not_after_ms for command in run.commands] == [T0 + 5_000]
    assert [command.not_after_ms for command in OneStep("NONE").commands] == [None]


def test_the_limit_counts_from_the_first_offer_of_an_attempt_and_anew_for_the_next_attempt() -> None:
    run = OneStep("IDEMPOTENT", schedule_to_start_ms=5_000)
    run.after(1_000, StepRefused(identity=identity(run.state, "a"), holder="w", reason="unknown"))
    run.after(1_000)
    assert [command.not_after_ms for command in run.commands] == [T0 + 5_000] * 2
    run.after(1_000, failed(run.state, "a"))
    run.after(1_000)
    assert run.commands[-1].not_after_ms == T0 + 4_000 + 5_000


def test_a_command_that_came_back_too_late_is_offered_no_more() -> None:
    run = OneStep("ONCE", schedule_to_start_ms=5_000)
    assert run.after(5_001, released(run.state, "a", was_started=False)) == ["step_released"]
    assert run.phase == "waiting"
    assert run.after(1_000) == ["step_revoked", "run_completed"]
    assert run.state.head.error is not None
    assert run.state.head.error.code == "not_started_in_time"
    assert len(run.commands) == 1


def test_a_fast_clock_of_a_worker_only_costs_a_second() -> None:
    run = OneStep("ONCE", schedule_to_start_ms=60_000)
    run.after(1_000, released(run.state, "a", was_started=False))
    assert run.after(1_000) == ["step_dispatched"]
    assert [command.not_after_ms for command in run.commands] == [T0 + 60_000] * 2


def test_an_effectful_step_that_may_run_all_the_same_is_told_as_unknown_until_it_reports() -> None:
    run = OneStep("ONCE", schedule_to_start_ms=5_000)
    turn = Activation(run.state, run.plan, T0 + 8_000)
    waking.start_deadline_over(turn, "a", 1)
    assert [event.kind for event in turn.events] == ["step_revoked", "run_completed"]
    assert [action for action in turn.actions if isinstance(action, RevokeStep)]
    assert run.state.steps["a"].effect_unknown
    answer(turn := Activation(run.state, run.plan, T0 + 9_000), released(run.state, "a", was_started=False))
    assert [event.kind for event in turn.events] == ["answer_ignored"]
    assert not run.state.steps["a"].effect_unknown


def test_the_key_of_a_first_attempt_does_not_age_in_the_queue() -> None:
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    run.after(3 * HOUR_MS, released(run.state, "a", was_started=False))
    assert [command.not_after_ms for command in run.commands] == [None, None]


def test_a_key_is_looked_at_again_when_the_timer_of_a_retry_is_late() -> None:
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    assert run.after(1_000, failed(run.state, "a")) == ["step_failed", "step_retry_scheduled"]
    assert run.after(2 * HOUR_MS) == ["step_in_doubt"]
    assert len(run.commands) == 1
    run.decide("did_not")
    assert run.commands[-1].not_after_ms is None


def test_a_second_attempt_may_not_start_behind_the_expiry_of_its_key() -> None:
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    run.after(1_000, heartbeat(run.state, "a"))
    run.after(1_000, reclaimed(run.state, "a", holder_dead=True))
    assert run.commands[-1].not_after_ms == T0 + HOUR_MS
    run.after(HOUR_MS, released(run.state, "a", was_started=False))
    assert run.after(1_000) == ["step_in_doubt"]
    assert len(run.commands) == 2


def test_a_key_counts_from_the_start_that_a_worker_told_not_from_the_queue() -> None:
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    late = failed(run.state, "a")
    started_ms = T0 + 10 * HOUR_MS
    run.after(10 * HOUR_MS + 1_000, replace(late, started_at_ms=started_ms))
    run.after(1_000)
    assert run.commands[-1].not_after_ms == started_ms + HOUR_MS


def test_an_attempt_that_surely_did_nothing_does_not_use_the_key() -> None:
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    run.after(1_000, failed(run.state, "a", "not_done"))
    run.after(2 * HOUR_MS)
    assert [command.not_after_ms for command in run.commands] == [None, None]


def test_a_key_for_ever_never_expires() -> None:
    run = OneStep("KEYED")
    run.after(1_000, failed(run.state, "a"))
    assert run.after(1_000 * HOUR_MS) == ["step_dispatched"]
    assert run.commands[-1].not_after_ms is None


def test_a_retry_has_its_own_timer() -> None:
    run = OneStep("NONE", schedule_to_start_ms=5_000)
    run.after(1_000, failed(run.state, "a"))
    run.after(1_000)
    timers = [action for action in run.turn.actions if isinstance(action, SetTimer)]
    assert timers == [SetTimer("start_deadline", T0 + 2_000 + 8_000, "a", 2)]


def test_who_is_asked_about_an_expired_key_is_told_of_which_execution() -> None:
    """The answer names it, so that it cannot meet a later one."""
    run = OneStep("KEYED", key_valid_for_ms=HOUR_MS)
    run.after(2 * HOUR_MS, replace(failed(run.state, "a"), started_at_ms=T0))
    doubt = run.history[-1]
    assert (doubt.kind, doubt.dispatch) == ("step_in_doubt", 1)
    turn = Activation(run.state, run.plan, T0 + 3 * HOUR_MS)
    requests.resolve(turn, ResolveStep(run_id="r", path="a", decision="did", dispatch=doubt.dispatch), "q", ())
    assert [event.kind for event in turn.events][:2] == ["step_resolved", "step_succeeded"]
