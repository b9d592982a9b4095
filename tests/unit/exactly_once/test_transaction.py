"""The commit machine: every pair of state and event, and the paths through them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.errors import (
    CommitInDoubt,
    InvariantViolation,
    LogTimeout,
    ProducerFatal,
    ProducerFenced,
    StaleGeneration,
    StoreUnavailable,
    TransactionAbortable,
)
from logkeel.exactly_once.committing import failure_event
from logkeel.exactly_once.transaction import FINAL, TRANSITIONS, Action, Event, State, Transaction

FORWARD = (Event.BEGAN, Event.PRODUCED, Event.OFFSETS_SENT, Event.ACKNOWLEDGED, Event.COMMIT_CALLED)


def after(*events: Event) -> Transaction:
    """A machine that took these events."""
    machine = Transaction()
    for event in events:
        machine.on(event)
    return machine


def test_the_way_to_a_commit_writes_stores_last() -> None:
    machine = Transaction()
    assert [machine.on(event) for event in FORWARD] == [(), (), (), (), ()]
    assert machine.on(Event.COMMIT_ANSWERED) == (Action.WRITE_STORES,)
    assert machine.state is State.COMMITTED


def test_commit_is_called_only_after_acknowledgement() -> None:
    with pytest.raises(InvariantViolation):
        after(Event.BEGAN, Event.PRODUCED, Event.OFFSETS_SENT).on(Event.COMMIT_CALLED)


def test_nothing_counts_as_acknowledged_before_offsets_are_sent() -> None:
    with pytest.raises(InvariantViolation):
        after(Event.BEGAN, Event.PRODUCED).on(Event.ACKNOWLEDGED)


@pytest.mark.parametrize("event", [Event.DOUBT, Event.FATAL])
def test_doubt_about_a_commit_retires_and_resyncs(event: Event) -> None:
    machine = after(*FORWARD)
    assert machine.on(event) == (Action.RETIRE, Action.RESYNC)
    assert machine.state is State.IN_DOUBT


@pytest.mark.parametrize("length", range(1, 6))
def test_an_abortable_error_aborts_and_reloads(length: int) -> None:
    machine = after(*FORWARD[:length])
    assert machine.on(Event.ABORTABLE) == (Action.ABORT,)
    assert machine.on(Event.ABORT_ANSWERED) == (Action.RELOAD,)
    assert machine.state is State.ABORTED


@pytest.mark.parametrize("length", range(1, 6))
def test_a_stale_generation_aborts_and_waits_for_the_group(length: int) -> None:
    machine = after(*FORWARD[:length])
    assert machine.on(Event.STALE_GENERATION) == (Action.ABORT,)
    assert machine.on(Event.ABORT_ANSWERED) == (Action.AWAIT_ASSIGNMENT,)
    assert machine.state is State.FENCED


@pytest.mark.parametrize(
    ("event", "actions"),
    [
        (Event.ABORTABLE, (Action.RETIRE, Action.RESYNC)),
        (Event.STALE_GENERATION, (Action.RETIRE, Action.AWAIT_ASSIGNMENT)),
    ],
)
def test_a_failed_abort_retires_the_producer(event: Event, actions: tuple[Action, ...]) -> None:
    machine = after(*FORWARD)
    machine.on(event)
    assert machine.on(Event.ABORT_FAILED) == actions
    assert machine.state is State.DEAD


@pytest.mark.parametrize("length", range(5))
def test_a_fatal_error_before_the_commit_is_no_doubt(length: int) -> None:
    machine = after(*FORWARD[:length])
    assert machine.on(Event.FATAL) == (Action.RETIRE, Action.RESYNC)
    assert machine.state is State.DEAD


@pytest.mark.parametrize("state", sorted(FINAL, key=str))
@pytest.mark.parametrize("event", Event)
def test_final_states_accept_nothing(state: State, event: Event) -> None:
    assert (state, event) not in TRANSITIONS


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_stores_are_written_only_after_an_answered_commit(events: list[Event]) -> None:
    machine = Transaction()
    seen: list[Event] = []
    for event in events:
        before = machine.state
        try:
            actions = machine.on(event)
        except InvariantViolation:
            assert machine.state is before
            continue
        seen.append(event)
        if Action.WRITE_STORES in actions:
            assert seen == [*FORWARD, Event.COMMIT_ANSWERED]


@pytest.mark.parametrize(
    ("error", "state", "event"),
    [
        (StaleGeneration("x"), State.ACKNOWLEDGED, Event.STALE_GENERATION),
        (TransactionAbortable("x"), State.PRODUCED, Event.ABORTABLE),
        (ProducerFenced("x"), State.OPEN, Event.FATAL),
        (ProducerFatal("x"), State.COMMITTING, Event.FATAL),
        (CommitInDoubt("x"), State.COMMITTING, Event.DOUBT),
        (LogTimeout("x"), State.PRODUCED, Event.ABORTABLE),
        (LogTimeout("x"), State.COMMITTING, Event.DOUBT),
    ],
)
def test_errors_become_events(error: TransactionAbortable, state: State, event: Event) -> None:
    assert failure_event(error, state) is event


def test_an_error_that_is_no_transactions_is_raised_again() -> None:
    with pytest.raises(StoreUnavailable):
        failure_event(StoreUnavailable("x"), State.OPEN)
