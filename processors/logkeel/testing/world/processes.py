"""Processes of a world: an engine or a worker with its machine, started, stepped, killed, and started again.

A process is the production part on a client of its own, with a clock of its own. It ends as processes end: killed,
by an error that its loop does not react to, or by leaving. A supervisor starts it again.
"""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from logkeel.errors import LogkeelError, OperatorError
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import StoreDirectory, TopicPartition
from logkeel.runs import DefinitionReader, RunProcessor
from logkeel.simulation import (
    MemoryStoreDirectory,
    ProcessClock,
    ProcessDied,
    SimulatedClient,
    SimulatedEventLoop,
)
from logkeel.steps import StepWorker, WorkerOptions
from logkeel.steps.kept import Keeping
from logkeel.testing.world.monitoring import EngineWatch
from logkeel.testing.world.rocks import RocksDisk
from logkeel.testing.world.settings import PlayedWorkflow
from logkeel.testing.world.striking import EffectStrike, EffectStriker
from logkeel.testing.world.telling import HeadStart, Watched

if TYPE_CHECKING:
    from logkeel.testing.world.world import World

RESTART_MS = 1_000.0
FEW = Keeping(limit_bytes=200, from_bytes=1)
"""A worker keeps the smallest lists, and forgets them soon: commands build on what is there, and on what is not."""

APPLICATION = "world"


class Outsider(Protocol):
    """Somebody beside the processes under test, e.g. a client or a human. Never struck by a fault."""

    def turn(self) -> bool:
        """Act once; whether anything happened."""
        ...


class Process:
    """What engines and workers share. `stalls` counts how often it was stopped and woken, `cuts` how often its network

    was gone, `expulsions` how often its group counted it out, `life` its starts; `connected_at_ms` is when its
    network came back last.
    """

    def __init__(self, world: "World", name: str, slot: int) -> None:
        self.world = world
        self.name = name
        self.slot = slot
        self.clock = ProcessClock(world.cluster.clock)
        self.client: SimulatedClient | None = None
        self.life = 0
        self.stalls = 0
        self.cuts = 0
        self.expulsions = 0
        self.connected_at_ms = 0.0
        self.struck: list[EffectStrike] = []
        self.is_busy = False
        self.is_gone = False
        """It left for good."""
        self.restart_at_ms: float | None = 0.0
        self.started_at_ms = 0.0
        self._rests_until_ms = 0.0
        self._clock_was_off_ms = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it is started, frozen or not."""
        return self.client is not None

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still, silently."""
        return self.client is not None and self.client.state == "frozen"

    def turn(self) -> bool:
        """Start if that is due, else one turn. Whether anything happened."""
        world = self.world
        if self.client is None and not self._is_to_start():
            return False
        self._rests_until_ms = 0.0
        self.is_busy = True
        outer, world.acting = world.acting, self
        try:
            return self._act()
        except ProcessDied:
            self._bury()
            return True
        except Exception as error:  # noqa: BLE001 - the boundary of a process: what leaves it ends it
            self._ended(error)
            return True
        finally:
            world.acting = outer
            self.is_busy = False
            if self.client is not None and self.client.state == "killed":
                self._bury()

    def kill(self, *, back_in_ms: float = RESTART_MS) -> None:
        """End it as by kill -9; a call it is in never returns."""
        if self.client is None or self.client.state == "killed":
            return
        self.world.trace.note(self.world.elapsed_ms, self.name, "KILLED")
        self.client.kill()
        self.restart_at_ms = None if self.is_gone else self.world.elapsed_ms + back_in_ms
        if not self.is_busy:
            self._bury()

    def leave(self, *, back_in_ms: float | None = None) -> None:
        """End cleanly: for good, or until it is started again."""
        raise NotImplementedError

    def cut_off(self, for_ms: float) -> None:
        """Without its network for a while, or until it is started anew."""
        client, world = self.client, self.world
        if client is None or client.state != "running" or client.cut_off_ms is not None:
            return

        def reconnect() -> None:
            client.reconnect()
            if client is self.client:
                self.connected_at_ms = world.elapsed_ms
                world.trace.note(world.elapsed_ms, self.name, "CONNECTED")

        world.trace.note(world.elapsed_ms, self.name, "CUT OFF", f"{for_ms:.0f} ms")
        self.cuts += 1
        client.cut_off()
        world.later(for_ms, reconnect)

    def asks_committed(self) -> None:
        """It is about to read committed offsets."""

    def is_passed_over(self) -> bool:
        """Leave behind what a turn would in which nothing is to do; False, and nothing is done, if something may be.

        Such a turn changes nothing that anybody else can see. See `docs/simulation.md`.
        """
        if self.client is None:
            return not self._is_to_start()
        return self.client.may_be_passed_over and self._rests() and self._pass_over()

    def _is_to_start(self) -> bool:
        world, due_ms = self.world, self.restart_at_ms
        return due_ms is not None and world.elapsed_ms >= due_ms and not world.cluster.is_down

    def _rests(self) -> bool:
        """Whether nothing of its own is due. Asked anew after each turn, and when its clock was set."""
        now_ms = self.world.cluster.clock.elapsed_ms
        if now_ms < self._rests_until_ms and self.clock.offset_ms == self._clock_was_off_ms:
            return True
        left_ms = self._rests_ms()
        if left_ms is None:
            return False
        # Clocks show whole milliseconds, and their sums are rounded.
        self._rests_until_ms = now_ms + left_ms - 2.0
        self._clock_was_off_ms = self.clock.offset_ms
        return True

    def _act(self) -> bool:
        if self.client is None:
            self.life += 1
            self.started_at_ms = self.world.elapsed_ms
            self.world.trace.note(self.world.elapsed_ms, self.name, "STARTS", f"life {self.life}")
            self.client = self.world.cluster.client()
            self.client.probe = EffectStriker(self.world, self)
            self.client.on_wait = lambda ms: self.world.wait(self, ms)
            self._start(self.client)
            return True
        return self._turn()

    def _ended(self, error: Exception) -> None:
        """By an error of its own: the shell closes what it has, the supervisor starts it again."""
        world = self.world
        world.trace.note(world.elapsed_ms, self.name, "ENDS", repr(error)[:300])
        world.ends.append((self.name, error))
        if isinstance(error, OperatorError):
            world.operator_errors.append((self.name, error))
        with suppress(ProcessDied, LogkeelError):
            self._close()
        if self.client is not None:
            self.client.kill()
        if self.restart_at_ms is None or self.restart_at_ms <= world.elapsed_ms:
            self.restart_at_ms = world.elapsed_ms + RESTART_MS
        self._bury()

    def _bury(self) -> None:
        self.client = None
        self._rests_until_ms = 0.0
        self.struck.clear()
        self._released()

    def _start(self, client: SimulatedClient) -> None:
        raise NotImplementedError

    def _turn(self) -> bool:
        raise NotImplementedError

    def _pass_over(self) -> bool:
        """At rest, and in reach of a quiet cluster: whether no fetch brings anything; what they draw is drawn."""
        raise NotImplementedError

    def _rests_ms(self) -> float | None:
        """For how long nothing of its own is due; None if something is."""
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _released(self) -> None:
        """What an operating system does for a dead process."""
        raise NotImplementedError


class EngineProcess(Process):
    """A run processor on the production loop. `stores` is its disk."""

    def __init__(self, world: "World", slot: int, directory: Path) -> None:
        super().__init__(world, f"engine-{slot:04d}", slot)
        self.stores = RocksDisk(directory) if world.settings.rocks else MemoryStoreDirectory()
        self.watch = EngineWatch(self, world.monitor)
        self._loop: TransactionalLoop | None = None

    def leave(self, *, back_in_ms: float | None = None) -> None:
        self.is_gone = back_in_ms is None
        self.restart_at_ms = None if back_in_ms is None else self.world.elapsed_ms + back_in_ms
        loop = self._loop
        if loop is not None and not self.is_busy and not self.is_frozen:
            self.world.trace.note(self.world.elapsed_ms, self.name, "LEAVES")
            self.is_busy = True
            with suppress(ProcessDied, LogkeelError):
                loop.close()
            self.is_busy = False
            if self.client is not None and self.client.state == "killed":
                self._bury()
        self.kill(back_in_ms=back_in_ms or 0.0)

    def asks_committed(self) -> None:
        self.watch.asks_committed()

    def _pass_over(self) -> bool:
        loop, client = self._loop, self.client
        if loop is None or client is None:
            return False
        # The reader of definitions is the first one; the others come and go inside of a turn, or of a resync.
        consumer, reader = client.consumers[-1], client.readers[0]
        asked, looked_at = consumer.idle_places(), reader.idle_places()
        if asked is None or looked_at is None:
            return False
        consumer.cursors.pass_over(asked)
        reader.cursors.pass_over(looked_at)
        loop.pass_over()
        return True

    def active_partitions(self) -> tuple[int, ...]:
        """Partitions it processes at present."""
        return self._loop.active_partitions if self._loop is not None and self.is_alive else ()

    def _start(self, client: SimulatedClient) -> None:
        world, settings = self.world, self.world.settings
        self.watch = EngineWatch(self, world.monitor)
        self.stores.client = client
        stores: StoreDirectory = self.stores
        self._loop = TransactionalLoop(
            LoopPorts(client, self.clock, stores, listener=HeadStart(self) if settings.head_starts else None),
            RunProcessor(world.names, partitions=settings.partitions, settings=settings.run_settings),
            LoopSettings(
                application=APPLICATION,
                group_id=world.names.engine_group,
                slot=self.slot,
                max_records=settings.max_records,
                max_bytes=settings.max_bytes,
                max_record_bytes=settings.max_record_bytes,
                transaction_timeout_ms=settings.transaction_timeout_ms,
                commit_timeout_ms=settings.commit_timeout_ms,
                session_timeout_ms=settings.session_timeout_ms,
                delete_retention_ms=settings.delete_retention_ms,
                background_threads=False,
            ),
            side_source=DefinitionReader(
                client.reader("read_committed"), client.admin(), world.names.workflow_definitions
            ),
            observer=Watched(self),
        )
        self._loop.start()

    def _turn(self) -> bool:
        return self._loop is not None and self._loop.turn()

    def _rests_ms(self) -> float | None:
        return None if self._loop is None else self._loop.rests_ms()

    def _close(self) -> None:
        if self._loop is not None:
            self._loop.close()

    def _released(self) -> None:
        self._loop = None
        self.stores.release_all()
        self.world.judge_disk(self)


class WorkerProcess(Process):
    """A step worker; its steps run on an event loop of simulated time."""

    def __init__(self, world: "World", slot: int, directory: Path) -> None:
        super().__init__(world, f"worker-{slot:04d}", slot)
        self._directory = directory
        self._worker: StepWorker | None = None
        self._loop: SimulatedEventLoop | None = None

    @property
    def holder(self) -> str:
        """How this life signs its answers; empty while it is dead."""
        return str(self._worker.holder) if self._worker is not None else ""

    def next_due_s(self) -> float | None:
        """When a step of it goes on, by the monotonic clock."""
        return None if self._loop is None or self._loop.is_closed() else self._loop.next_due_s()

    def leave(self, *, back_in_ms: float | None = None) -> None:
        """Drains first."""
        self.is_gone = back_in_ms is None
        self.restart_at_ms = None if back_in_ms is None else self.world.elapsed_ms + back_in_ms
        if self._worker is None or self.is_busy or self.is_frozen:
            self.kill(back_in_ms=back_in_ms or 0.0)
            return
        self.world.trace.note(self.world.elapsed_ms, self.name, "DRAINS")
        self._rests_until_ms = 0.0
        outer, self.world.acting = self.world.acting, self
        self.is_busy = True
        try:
            self._worker.request_drain()
        except ProcessDied:
            self._bury()
        finally:
            self.world.acting = outer
            self.is_busy = False

    def _pass_over(self) -> bool:
        worker, client = self._worker, self.client
        if worker is None or client is None or self._loop is None or self._loop.has_callbacks:
            return False
        for sender in client.senders:
            if not sender.is_idle:
                return False
        consumer, control = client.consumers[-1], client.readers[0]
        heard = control.idle_places() if worker.hears_revocations else 0
        asked = consumer.idle_places()
        if asked is None or heard is None:
            return False
        control.cursors.pass_over(heard)
        consumer.cursors.pass_over(asked)
        worker.pass_over()
        return True

    def hear(self, commands: Sequence[tuple[TopicPartition, int, bytes]]) -> None:
        """The engine of this process has committed these commands."""
        if self._worker is not None and self.is_alive and not self.is_frozen:
            self._rests_until_ms = 0.0
            outer, self.world.acting = self.world.acting, self
            try:
                self._worker.hear_committed(commands)
            finally:
                self.world.acting = outer

    def _start(self, client: SimulatedClient) -> None:
        world = self.world
        if self.life <= 2 and (skew_ms := world.settings.skews.get(self.slot)):
            self.clock.jump(skew_ms if self.life == 1 else -skew_ms)
            world.clock_jumps += 1
        lacks = world.settings.lacks.get(self.slot, frozenset())
        self._worker = StepWorker(
            client,
            [each for each in world.workflows if not lacks or _label(each) not in lacks],
            names=world.names,
            clock=self.clock,
            state_dir=self._directory,
            options=WorkerOptions(
                slot=self.slot,
                concurrency=world.settings.concurrency,
                drain_s=3.0,
                threaded=False,
                overrides=world.settings.resources,
                new_loop=self._new_loop,
                incarnation=f"{self.slot}-{self.life}",
                keeping=FEW,
                keeps_outcomes=world.settings.keeps_outcomes,
            ),
        )

    def _turn(self) -> bool:
        worker = self._worker
        if worker is None:
            return False
        moved = worker.turn()
        if worker.drained:
            worker.close()
            self.kill(back_in_ms=max(0.0, (self.restart_at_ms or 0.0) - self.world.elapsed_ms))
            moved = True
        return moved

    def _rests_ms(self) -> float | None:
        return None if self._worker is None else self._worker.rests_ms()

    def _close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def _released(self) -> None:
        worker, loop = self._worker, self._loop
        self._worker = self._loop = None
        if worker is not None:
            worker.let_go()
        if loop is not None and not loop.is_closed() and not loop.is_running():
            _forget_tasks(loop)
            loop.close()

    def _new_loop(self) -> SimulatedEventLoop:
        self._loop = SimulatedEventLoop(self.clock)
        return self._loop


def _label(workflow: PlayedWorkflow) -> tuple[str, str]:
    definition = workflow.definition()
    return definition.name, definition.version


def _forget_tasks(loop: SimulatedEventLoop) -> None:
    """Coroutines that were never begun complain when they are dropped; the others end where they stand."""
    for task in asyncio.all_tasks(loop):
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()
