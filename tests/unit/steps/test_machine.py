"""The step machine: messages in, exact actions out."""

from collections.abc import Sequence

from msgspec.structs import replace
from tests.unit.steps.commands import SOURCE, command

from logkeel.log import TopicPartition
from logkeel.records import StepCommand, StepRevoked
from logkeel.steps.machine import Action, Holder, Key, MachineSettings, StepMachine, key_of
from logkeel.steps.machine import messages as m

ME = Holder("worker-00", "b")


def machine(*, concurrency: int = 10, buffered: int = 100) -> StepMachine:
    return StepMachine(MachineSettings(ME, concurrency=concurrency, buffered=buffered, commit_every_ms=200))


def assigned(it: StepMachine, low: int = 0, mark: str = "started=-1", end: int = 0) -> Sequence[Action]:
    """Assigned, and the mark in this process's name is committed already."""
    actions = it.handle(m.Assigned(SOURCE, (low, mark), 0, end))
    it.handle(m.Committed(m.Commit(((SOURCE, low, mark),))))
    return actions


def arrive(it: StepMachine, offset: int, what: StepCommand) -> Sequence[Action]:
    return it.handle(m.CommandArrived(SOURCE, offset, what))


def at(it: StepMachine, now_ms: int) -> list[Action]:
    return list(it.handle(m.TimeAdvanced(now_ms)))


def key(number: int) -> Key:
    return key_of(command(number).identity)


def mark(started: int, since: int = -1) -> str:
    return f"started={started} holder=worker-00/b since={since}"


def finish(it: StepMachine, number: int) -> None:
    it.handle(m.Reported(key(number)))
    it.handle(m.Acknowledged(key(number), final=True))


def test_an_idempotent_command_starts_at_once_and_its_mark_follows() -> None:
    it = machine()
    assert assigned(it) == (m.Resume(((SOURCE, 0),)),)
    at(it, 0)
    arrive(it, 0, command(0))
    assert at(it, 10) == [m.StartStep(SOURCE, 0, command(0), claimed=False)]
    assert at(it, 200) == [m.Commit(((SOURCE, 0, mark(0)),))]


def test_what_a_slow_claim_lets_start_counts_its_time_from_then() -> None:
    """P25: the first heartbeat comes a second after the start, and what is too late by then is not begun."""
    it = machine()
    assigned(it)
    at(it, 0)
    arrive(it, 0, command(0, effect="ONCE"))
    arrive(it, 1, replace(command(1, effect="ONCE"), not_after_ms=2_000))
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    it.tell_time(2_600, 2_600)
    started, late = it.handle(m.Committed(claim))
    assert isinstance(started, m.StartStep)
    assert isinstance(late, m.SendReleased)
    assert not any(isinstance(each, m.SendHeartbeat) for each in at(it, 3_590))
    (beat,) = (each for each in at(it, 3_610) if isinstance(each, m.SendHeartbeat))
    assert beat.started_at_ms == 2_600


def test_a_step_with_a_journal_starts_after_its_claim_only() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    journaled = replace(command(0), journal_since_ms=0)
    arrive(it, 0, journaled)
    assert at(it, 10) == [m.Commit(((SOURCE, 0, mark(0)),), (key(0),))]
    started = it.handle(m.Committed(m.Commit(((SOURCE, 0, mark(0)),), (key(0),))))
    assert started == [m.StartStep(SOURCE, 0, journaled, claimed=True)]


def test_a_key_that_is_forgotten_some_day_is_used_after_a_claim_only() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    keyed = replace(command(0, effect="KEYED"), key_valid_for_ms=4_000)
    arrive(it, 0, keyed)
    assert at(it, 10) == [m.Commit(((SOURCE, 0, mark(0)),), (key(0),))]
    started = it.handle(m.Committed(m.Commit(((SOURCE, 0, mark(0)),), (key(0),))))
    assert started == [m.StartStep(SOURCE, 0, keyed, claimed=True)]


def test_a_once_command_starts_after_its_claim_only() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    once = command(0, effect="ONCE")
    arrive(it, 0, once)
    (claim,) = at(it, 10)
    assert claim == m.Commit(((SOURCE, 0, mark(0)),), (key(0),))
    assert isinstance(claim, m.Commit)
    assert it.handle(m.Committed(claim)) == [m.StartStep(SOURCE, 0, once, claimed=True)]


def test_a_failed_claim_starts_nothing_and_is_tried_again() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    arrive(it, 0, command(0, effect="ONCE"))
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    assert it.handle(m.CommitFailed(claim)) == ()
    assert at(it, 20) == [claim]


def test_a_claim_answered_after_the_partition_was_lost_starts_nothing() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    arrive(it, 0, command(0, effect="CHECKED"))
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    it.handle(m.Revoked((SOURCE,)))
    assert it.handle(m.Committed(claim)) == []
    assert it.busy == 0


def test_inherited_commands_are_asked_about_and_later_ones_are_fresh() -> None:
    it = machine()
    assigned(it, low=5, mark="started=6 holder=worker-01/a since=-1")
    assert arrive(it, 5, command(5, effect="ONCE")) == (m.SendReclaimed(command(5, effect="ONCE"), False),)
    assert arrive(it, 6, command(6)) == (m.SendReclaimed(command(6), False),)
    assert arrive(it, 7, command(7)) == ()
    assert m.StartStep(SOURCE, 7, command(7), claimed=False) in at(it, 10)


def test_what_a_holder_may_have_started_above_its_mark_is_given_back() -> None:
    it = machine()
    assigned(it, low=5, mark="started=5 holder=worker-01/a since=-1", end=8)
    assert arrive(it, 6, command(6)) == (m.SendReleased(command(6), was_started=False, started_at_ms=None),)
    assert arrive(it, 7, command(7, effect="ONCE")) == ()
    assert arrive(it, 8, command(8)) == ()
    started = [action.offset for action in at(it, 10) if isinstance(action, m.StartStep)]
    assert started == [8]


def test_who_leaves_before_it_has_read_what_another_may_have_started_does_not_say_that_nothing_was() -> None:
    """Its word would be about its predecessor, too, and what that has done would run again."""
    it = machine()
    assigned(it, low=5, mark="started=5 holder=worker-01/a since=-1", end=8)
    arrive(it, 6, command(6))
    (commit,) = it.final_marks()
    assert isinstance(commit, m.Commit)
    assert not commit.offsets[0][2].endswith(" left")
    it.handle(m.Passed(SOURCE, 8))
    (commit,) = it.final_marks()
    assert isinstance(commit, m.Commit)
    assert commit.offsets[0][2].endswith(" left")


def test_what_an_unanswered_claim_of_its_own_covers_was_surely_not_started() -> None:
    """The answer was lost, the mark was not: without this, a human would be asked about steps that never ran."""
    it = machine()
    assigned(it)
    at(it, 0)
    first, second = command(0, effect="ONCE"), command(1, effect="ONCE")
    arrive(it, 0, first)
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    it.handle(m.Committed(claim))
    arrive(it, 1, second)
    (claim,) = at(it, 20)
    assert isinstance(claim, m.Commit)
    it.handle(m.CommitFailed(claim))
    it.handle(m.Revoked((SOURCE,)))
    finish(it, 0)
    assigned(it, mark=claim.offsets[0][2], end=2)
    assert arrive(it, 0, first) == (m.SendReclaimed(first, False),)
    assert arrive(it, 1, second) == (m.SendReleased(second, was_started=False, started_at_ms=None),)


def with_three_running() -> StepMachine:
    """A machine that has started commands 0 to 2 at these offsets."""
    it = machine()
    assigned(it)
    at(it, 0)
    for offset in range(3):
        arrive(it, offset, command(offset))
    at(it, 10)
    return it


def with_a_claim() -> tuple[StepMachine, StepCommand, m.Commit]:
    """A machine that has claimed a `ONCE` command at offset 0, the command, and the commit that claimed it."""
    it = machine()
    assigned(it)
    at(it, 0)
    once = command(0, effect="ONCE")
    arrive(it, 0, once)
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    it.handle(m.Committed(claim))
    return it, once, claim


def test_a_claim_that_expires_when_its_partition_is_gone_is_given_back() -> None:
    """The lease owns it, so a revoke did not detach it; found by seed 324320617."""
    it, once, _ = with_a_claim()
    it.handle(m.Acknowledged(key(0), final=False))
    it.handle(m.Revoked((SOURCE,)))
    assert it.handle(m.ClaimExpired(key(0), 10)) == (m.SendReleased(once, was_started=False, started_at_ms=None),)


def test_a_holder_that_left_in_order_has_started_nothing_above_its_mark() -> None:
    it = machine()
    assigned(it, low=5, mark="started=5 holder=worker-01/a since=-1 left", end=8)
    assert arrive(it, 6, command(6)) == ()
    assert m.StartStep(SOURCE, 6, command(6), claimed=False) in at(it, 10)


def test_the_first_start_waits_until_a_successor_would_know_of_us() -> None:
    it = machine()
    it.handle(m.Assigned(SOURCE, (5, "started=5 holder=worker-01/a since=-1 left"), 0, 6))
    at(it, 0)
    arrive(it, 6, command(6))
    (claim,) = at(it, 10)
    assert claim == m.Commit(((SOURCE, 6, mark(6, since=5)),), (key(6),))
    assert isinstance(claim, m.Commit)
    assert it.handle(m.Committed(claim)) == [m.StartStep(SOURCE, 6, command(6), claimed=False)]
    arrive(it, 7, command(7))
    assert at(it, 20) == [m.StartStep(SOURCE, 7, command(7), claimed=False)]


def test_a_holder_that_leaves_says_so_once() -> None:
    it = machine()
    assigned(it, low=5, mark="started=5 holder=worker-00/b since=-1")
    assert it.final_marks() == (m.Commit(((SOURCE, 5, mark(5, since=5) + " left"),)),)
    it.handle(m.Committed(m.Commit(((SOURCE, 5, mark(5, since=5) + " left"),))))
    assert it.final_marks() == ()


def test_the_holder_is_dead_where_its_slot_is_ours_and_it_started_them_itself() -> None:
    it = machine()
    assigned(it, low=5, mark="started=6 holder=worker-00/a since=5")
    assert arrive(it, 5, command(5)) == (m.SendReclaimed(command(5), False),)
    assert arrive(it, 6, command(6)) == (m.SendReclaimed(command(6), True),)


def test_a_missing_mark_means_doubt_up_to_the_end() -> None:
    it = machine()
    it.handle(m.Assigned(SOURCE, None, 3, 5))
    assert arrive(it, 3, command(3)) == (m.SendReclaimed(command(3), False),)
    assert arrive(it, 4, command(4)) == (m.SendReclaimed(command(4), False),)
    assert arrive(it, 5, command(5)) == ()


def test_the_low_water_passes_acknowledged_answers_and_first_heartbeats_only() -> None:
    it = with_three_running()
    finish(it, 1)
    assert at(it, 210) == [m.Commit(((SOURCE, 0, mark(2)),))]
    it.handle(m.Acknowledged(key(0), final=False))
    assert m.Commit(((SOURCE, 2, mark(2)),)) in at(it, 410)


def test_heartbeats_come_after_one_second_and_then_every_two() -> None:
    it = machine()
    assigned(it)
    arrive(it, 0, command(0))
    at(it, 10)
    beat = m.SendHeartbeat(command(0), 10)
    assert [now for now in range(0, 6_000, 10) if beat in at(it, now + 10)] == [1_000, 3_000, 5_000]


def test_the_position_moves_to_a_reported_end() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    it.handle(m.Passed(SOURCE, 1))
    assert at(it, 200) == [m.Commit(((SOURCE, 1, mark(-1)),))]


def test_nothing_new_is_not_committed() -> None:
    it = machine()
    assigned(it, low=4, mark="started=3 holder=worker-01/a since=-1")
    assert at(it, 0) == []


def test_a_partition_that_comes_back_finds_its_running_steps() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    arrive(it, 0, command(0))
    at(it, 10)
    assert it.handle(m.Revoking((SOURCE,))) == [m.SendHeartbeat(command(0), 10)]
    it.handle(m.Revoked((SOURCE,)))
    assigned(it, low=0, mark=mark(0))
    assert arrive(it, 0, command(0)) == ()
    finish(it, 0)
    assert at(it, 300) == [m.Commit(((SOURCE, 1, mark(0, since=0)),))]


def test_a_full_worker_pauses_and_resumes_where_it_stopped() -> None:
    it = machine(concurrency=1, buffered=2)
    assigned(it)
    for offset in range(3):
        arrive(it, offset, command(offset))
    assert m.Pause((SOURCE,)) in at(it, 0)
    arrive(it, 3, command(3))
    finish(it, 0)
    at(it, 10)
    finish(it, 1)
    assert m.Resume(((SOURCE, 4),)) in at(it, 20)


def test_a_revoked_command_is_released_unstarted_and_a_running_one_is_cut_off() -> None:
    it = machine()
    assigned(it)
    arrive(it, 0, command(0))
    at(it, 0)
    words = {"run_id": "run-0", "incarnation": "i", "path": "flow/charge"}
    cut = it.handle(m.RevocationHeard(StepRevoked(**words, dispatch=1, reason="cancelled")))
    assert cut == [m.CancelStep(key(0), "cancelled")]
    it.handle(m.RevocationHeard(StepRevoked(**{**words, "run_id": "run-1"}, dispatch=1, reason="cancelled")))
    arrive(it, 1, command(1))
    arrive(it, 2, command(1, dispatch=2))
    released, started = at(it, 10)
    assert released == m.SendReleased(command(1), was_started=False, started_at_ms=None)
    assert isinstance(started, m.StartStep)
    assert started.command.identity.dispatch == 2


def test_a_once_command_that_was_called_off_is_given_back_after_a_claim_only() -> None:
    """Who was out without hearing of it would call unstarted what its successor has begun."""
    it = machine()
    assigned(it)
    at(it, 0)
    off = StepRevoked(run_id="run-1", incarnation="i", path="flow/charge", dispatch=1, reason="cancelled")
    it.handle(m.RevocationHeard(off))
    once, again = command(1, effect="ONCE"), command(1, effect="ONCE", dispatch=2)
    arrive(it, 1, once)
    arrive(it, 2, again)
    (claim,) = at(it, 10)
    assert isinstance(claim, m.Commit)
    assert it.handle(m.CommitFailed(claim)) == ()
    assert at(it, 20) == [claim]
    released, started = it.handle(m.Committed(claim))
    assert released == m.SendReleased(once, was_started=False, started_at_ms=None)
    assert started == m.StartStep(SOURCE, 2, again, claimed=True)
    assert it.busy == 1


def test_what_this_process_ran_while_it_was_out_is_given_back() -> None:
    """The owners between never heard of it, so their mark lies below it and they left in order."""
    it = with_three_running()
    for number in range(3):
        finish(it, number)
    it.handle(m.Revoked((SOURCE,)))
    assigned(it, low=1, mark="started=0 holder=worker-01/a since=-1 left", end=4)
    assert arrive(it, 1, command(1)) == (m.SendReleased(command(1), was_started=False, started_at_ms=None),)
    assert arrive(it, 2, command(2)) == (m.SendReleased(command(2), was_started=False, started_at_ms=None),)
    assert arrive(it, 3, command(3)) == ()


def test_a_command_past_its_last_start_is_released_unstarted() -> None:
    it = machine()
    assigned(it)
    late = command(0, not_after_ms=5)
    arrive(it, 0, late)
    assert at(it, 10)[0] == m.SendReleased(late, was_started=False, started_at_ms=None)


def test_an_expired_claim_is_made_again_or_released() -> None:
    it, once, claim = with_a_claim()
    assert it.handle(m.ClaimExpired(key(0), started_at_ms=12)) == (claim,)
    assert it.handle(m.Committed(claim)) == [m.StartStep(SOURCE, 0, once, claimed=True, since_ms=12)]
    it.handle(m.Revoked((SOURCE,)))
    released = it.handle(m.ClaimExpired(key(0)))
    assert released == (m.SendReleased(once, was_started=False, started_at_ms=None),)
    assert it.busy == 0


def test_a_drain_waits_then_releases_what_still_runs() -> None:
    it = machine(concurrency=2)
    assigned(it)
    for offset in range(3):
        arrive(it, offset, command(offset))
    at(it, 0)
    assert it.handle(m.DrainRequested(25_000)) == (m.Pause((SOURCE,)),)
    finish(it, 0)
    assert m.StartStep(SOURCE, 2, command(2), claimed=False) not in at(it, 100)
    released = at(it, 25_000)
    assert m.SendReleased(command(1), was_started=True, started_at_ms=0) in released
    assert m.CancelStep(key(1), "drained") in released
    it.handle(m.Acknowledged(key(1), final=True))
    assert m.DrainFinished() in at(it, 25_010)
    assert it.final_marks() == [] or isinstance(it.final_marks()[0], m.Commit)


def test_unknown_partitions_and_executions_have_no_effect() -> None:
    it = machine()
    other = TopicPartition("commands", 9)
    for message in (
        m.CommandArrived(other, 0, command(0)),
        m.Passed(other, 4),
        m.ClaimExpired(key(7)),
        m.Acknowledged(key(7), final=True),
        m.Revoked((other,)),
    ):
        assert list(it.handle(message)) == []


def test_a_wall_clock_that_is_set_back_silences_no_heartbeat() -> None:
    """P25: the engine would take a step that is alive for lost."""
    it = machine()
    assigned(it)
    arrive(it, 0, command(0))
    it.handle(m.TimeAdvanced(50_000, 10))
    assert m.SendHeartbeat(command(0), 50_000) in it.handle(m.TimeAdvanced(10_000, 1_010))
