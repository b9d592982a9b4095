"""Commands that the engine of the same process committed start before they are read, once, or are left to the log."""

from collections.abc import Callable, Sequence

import pytest
from tests.unit.steps.commands import SOURCE, command

from logkeel.log import TopicPartition
from logkeel.records import StepCommand, StepRevoked
from logkeel.steps.machine import Action, Holder, MachineSettings, StepMachine, key_of
from logkeel.steps.machine import messages as m

ME = Holder("worker-00", "b")


def machine(*, end: int = 0, mark: str = "started=-1") -> StepMachine:
    """It owns the partition, and has committed a mark in its own name."""
    it = StepMachine(MachineSettings(ME, concurrency=2, buffered=2, commit_every_ms=200))
    it.handle(m.Assigned(SOURCE, (0, mark), 0, end))
    it.handle(m.Committed(m.Commit(((SOURCE, 0, marked(-1)),))))
    it.handle(m.TimeAdvanced(0))
    return it


def hear(it: StepMachine, offset: int, what: StepCommand) -> Sequence[Action]:
    return it.handle(m.CommandCommitted(SOURCE, offset, what))


def arrive(it: StepMachine, offset: int, what: StepCommand) -> Sequence[Action]:
    return it.handle(m.CommandArrived(SOURCE, offset, what))


def at(it: StepMachine, now_ms: int) -> list[Action]:
    return list(it.handle(m.TimeAdvanced(now_ms)))


def marked(started: int, *, left: bool = False) -> str:
    return f"started={started} holder=worker-00/b since=-1{' left' if left else ''}"


def test_it_starts_at_once_and_not_again_when_it_is_read() -> None:
    it = machine()
    assert hear(it, 0, command(0)) == (m.StartStep(SOURCE, 0, command(0), claimed=False),)
    assert (arrive(it, 0, command(0)), at(it, 10)) == ((), [])
    assert (it.busy, it.held) == (1, 1)


def test_one_that_has_ended_before_it_is_read_is_not_started_again() -> None:
    it = machine()
    hear(it, 0, command(0))
    it.handle(m.Reported(key_of(command(0).identity)))
    it.handle(m.Acknowledged(key_of(command(0).identity), final=True))
    assert (arrive(it, 0, command(0)), at(it, 10)) == ((), [])
    assert (it.busy, it.held) == (0, 0)
    assert at(it, 200) == [m.Commit(((SOURCE, 1, marked(0)),))]


def test_offset_and_mark_wait_until_it_is_read() -> None:
    """Others may lie before it, unread: they must stay fresh for a successor."""
    it = machine()
    hear(it, 3, command(3))
    arrive(it, 0, command(0))
    assert at(it, 200) == [m.StartStep(SOURCE, 0, command(0), claimed=False), m.Commit(((SOURCE, 0, marked(0)),))]
    arrive(it, 3, command(3))
    assert at(it, 400) == [m.Commit(((SOURCE, 0, marked(3)),))]


def test_a_holder_does_not_say_that_it_left_in_order_while_one_is_unread() -> None:
    it = machine()
    hear(it, 0, command(0))
    it.handle(m.Revoking((SOURCE,)))
    assert it.final_marks() == ()
    arrive(it, 0, command(0))
    assert it.final_marks() == (m.Commit(((SOURCE, 0, marked(0, left=True)),)),)


def test_a_partition_that_comes_back_finds_what_was_started_unread() -> None:
    it = machine()
    hear(it, 0, command(0))
    it.handle(m.Revoking((SOURCE,)))
    it.handle(m.Revoked((SOURCE,)))
    it.handle(m.Assigned(SOURCE, (0, marked(-1)), 0, 1))
    assert (arrive(it, 0, command(0)), at(it, 10)) == ((), [])
    assert it.busy == 1


def test_after_a_crash_the_engine_is_asked_to_decide() -> None:
    successor = machine(end=1, mark="started=-1 holder=worker-00/a since=-1")
    assert arrive(successor, 0, command(0)) == (m.SendReleased(command(0), was_started=False, started_at_ms=None),)


def full(it: StepMachine) -> None:
    for offset in (0, 1):
        arrive(it, offset, command(offset))
    at(it, 1)


def one_waits(it: StepMachine) -> None:
    arrive(it, 0, command(0))


def revoked(it: StepMachine) -> None:
    identity = command(5).identity
    gone = StepRevoked(run_id=identity.run_id, incarnation="i", path=identity.path, dispatch=1, reason="cancelled")
    it.handle(m.RevocationHeard(gone, 0))


LEFT_TO_THE_LOG: dict[str, Callable[[StepMachine], object]] = {
    "no slot is free": full,
    "one waits before it": one_waits,
    "it is revoked": revoked,
    "the partition is being given up": lambda it: it.handle(m.Revoking((SOURCE,))),
    "the partition is gone": lambda it: it.handle(m.Revoked((SOURCE,))),
    "the worker drains": lambda it: it.handle(m.DrainRequested(1_000)),
    "it was read already": lambda it: it.handle(m.Passed(SOURCE, 6)),
    "it is held already": lambda it: hear(it, 7, command(5)),
}


@pytest.mark.parametrize("why", LEFT_TO_THE_LOG)
def test_it_is_left_to_the_log(why: str) -> None:
    it = machine()
    LEFT_TO_THE_LOG[why](it)
    busy = it.busy
    assert hear(it, 5, command(5)) == ()
    assert it.busy == busy


@pytest.mark.parametrize(
    "what", [command(5, effect="ONCE"), command(5, effect="CHECKED"), command(5, not_after_ms=10_000)]
)
def test_what_needs_a_claim_or_has_a_last_start_is_left_to_the_log(what: StepCommand) -> None:
    assert hear(machine(), 5, what) == ()


def test_what_a_former_holder_may_have_started_is_left_to_the_log() -> None:
    assert hear(machine(end=6, mark="started=2 holder=worker-00/a since=-1"), 5, command(5)) == ()
    assert hear(machine(end=6, mark="started=5"), 5, command(5)) == ()


def test_nothing_starts_before_a_successor_would_know_of_us_or_too_far_ahead() -> None:
    it = StepMachine(MachineSettings(ME))
    it.handle(m.Assigned(SOURCE, (0, "started=-1"), 0, 0))
    assert hear(it, 0, command(0)) == ()
    assert hear(machine(), 2_000, command(0)) == ()
    assert it.handle(m.CommandCommitted(TopicPartition("other", 0), 0, command(0))) == ()
