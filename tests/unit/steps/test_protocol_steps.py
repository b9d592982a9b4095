"""Rules of the worker that show only when a whole one runs: stepped on the simulated cluster, steps inline.

Each test is the one that `tests/protocol.toml` names for its rule, so it fails under that rule's mutation.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.steps.commands import command

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.log import OutputRecord, TopicPartition
from logkeel.records import StepCommand, StepReleased, StepRevoked, StepSucceeded
from logkeel.simulation import EffectName, SimulatedCluster
from logkeel.steps import StepWorker, WorkerOptions, control
from logkeel.wire import decode, encode
from logkeel.workflow import ONCE, State, Workflow

SETTINGS = Settings(prefix="app", partitions=1)
NAMES = SETTINGS.names


class Empty(State):
    """No fields."""


class Desk:
    """A worker with one effectful step, and what it is told and says."""

    def __init__(self, directory: Path) -> None:
        self.cluster = SimulatedCluster()
        self.directory = directory
        client = self.cluster.client()
        apply_application(client.admin(), SETTINGS, ["default"])
        self.producer = client.producer()
        self.charged: list[str] = []
        self.workflow = Workflow("payments", state=Empty)

        @self.workflow.step(effect=ONCE)
        async def charge() -> None:
            self.charged.append("charged")

        self.workflow.flow(charge)
        self.worker: StepWorker | None = None
        self.client = self.cluster.client()

    def dispatch(self, number: int) -> StepCommand:
        """A command on the queue."""
        sent = replace(command(number, effect="ONCE"), definition_digest=self.workflow.definition().digest)
        self.producer.produce(OutputRecord(NAMES.step_commands(), b"k", encode(sent), 0))
        return sent

    def revoke(self, number: int) -> None:
        """Stop the execution of that command."""
        identity = command(number).identity
        revoked = StepRevoked(
            run_id=identity.run_id, incarnation="i", path=identity.path, dispatch=1, reason="cancelled"
        )
        self.producer.produce(OutputRecord(NAMES.step_control, b"k", encode(revoked), 0))

    def boot(self) -> None:
        """Start a worker, now."""
        options = WorkerOptions(slot=0, threaded=False)
        self.worker = StepWorker(
            self.client,
            [self.workflow],
            names=NAMES,
            clock=self.cluster.clock,
            state_dir=self.directory,
            options=options,
        )

    def turns(self, count: int = 20, every_ms: float = 50) -> None:
        """Let the worker work."""
        assert self.worker is not None
        for _ in range(count):
            self.worker.turn()
            self.cluster.advance(every_ms)

    def answers(self) -> list[object]:
        """What the worker said."""
        log = self.cluster.log(TopicPartition(NAMES.step_results, 0))
        records, _ = log.read(0, 10_000, committed_only=True)
        return [decode(record.value) for record in records if record.value is not None]


class StandsStill:
    """Stops a process where its next commit is answered, by default for longer than its session."""

    def __init__(self, desk: Desk, *, for_ms: float = 30_000, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._desk = desk
        self._for_ms, self._meanwhile = for_ms, meanwhile
        self.stopped = False

    def before(self, effect: EffectName) -> None:
        """Nothing."""

    def after(self, effect: EffectName) -> None:
        """Stop, and wake."""
        if effect == "commit_offsets" and not self.stopped:
            self.stopped = True
            self._desk.client.freeze()
            self._meanwhile()
            self._desk.cluster.advance(self._for_ms)
            self._desk.client.thaw()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    it = Desk(tmp_path)
    yield it
    if it.worker is not None:
        it.worker.close()


def test_nothing_starts_before_all_revocations_were_heard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P36: a ONCE step that was cancelled while there was no worker must not run later."""
    monkeypatch.setattr(control, "BATCH", 1)
    desk.dispatch(0)
    for number in range(1, 10):
        desk.revoke(number)
    desk.revoke(0)
    desk.boot()
    desk.turns()
    assert desk.charged == []
    (released,) = desk.answers()
    assert isinstance(released, StepReleased)
    assert not released.was_started


def test_a_command_that_nobody_revoked_runs_once(desk: Desk) -> None:
    desk.dispatch(0)
    desk.boot()
    desk.turns()
    assert desk.charged == ["charged"]
    assert [type(answer) for answer in desk.answers()] == [StepSucceeded]


def test_a_claim_is_as_old_as_its_own_commit(desk: Desk) -> None:
    """P39: a process stood still behind its claim; the marks that it then tries to commit make that no younger.

    Nor is it in doubt: the mark that it finds when it has its partition again is its own, and it has begun nothing.
    """
    desk.boot()
    desk.turns()
    desk.client.probe = StandsStill(desk)
    desk.dispatch(0)
    # Time to commit marks at each turn, hence right behind the claim.
    desk.turns(every_ms=250)
    assert desk.client.probe.stopped
    assert desk.charged == []
    (released,) = desk.answers()
    assert isinstance(released, StepReleased)
    assert not released.was_started


def test_a_claim_starts_when_what_was_revoked_meanwhile_is_heard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """P36: a process stood still behind its claim, which is good still or made again; its step was called off since."""
    monkeypatch.setattr(control, "BATCH", 1)
    desk.boot()
    desk.turns()

    def revoke() -> None:
        for number in (*range(1, 10), 0):
            desk.revoke(number)

    desk.client.probe = StandsStill(desk, for_ms=SETTINGS.session_timeout_ms * 0.8, meanwhile=revoke)
    desk.dispatch(0)
    desk.turns(40)
    assert desk.client.probe.stopped
    assert desk.charged == []
    (released,) = desk.answers()
    assert isinstance(released, StepReleased)
    assert not released.was_started


def test_workers_of_two_state_directories_are_two_members(desk: Desk, tmp_path: Path) -> None:
    """P32: a slot is locked in its directory only, so only there does its lock tell that a former holder is dead."""

    def boot(directory: Path) -> StepWorker:
        options = WorkerOptions(slot=0, threaded=False)
        parts = (desk.cluster.client(), [desk.workflow])
        return StepWorker(*parts, names=NAMES, clock=desk.cluster.clock, state_dir=directory, options=options)

    first, second = boot(tmp_path / "one"), boot(tmp_path / "two")
    try:
        for _ in range(20):
            first.turn()
            second.turn()
            desk.cluster.advance(50)
        members = desk.cluster.client().admin().group_members(NAMES.worker_group())
        assert {member.instance_id for member in members} == {first.holder.slot, second.holder.slot}
        assert len(members) == 2
    finally:
        first.close()
        second.close()
    again = boot(tmp_path / "one")
    again.close()
    assert again.holder.slot == first.holder.slot
    assert again.holder.incarnation != first.holder.incarnation
