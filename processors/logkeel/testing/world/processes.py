"""Processes of a world: an engine or a worker with its machine, started, stepped, killed, and started again.

A process is the production part on a client of its own, with a clock of its own. It ends as processes end: killed,
by an error that its loop does not react to, or by leaving. A supervisor starts it again.
"""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from logkeel.errors import LogkeelError, OperatorError
from logkeel.exactly_once import BatchCounts, LoopPorts, LoopSettings, Produced, TransactionalLoop, Unobserved
from logkeel.log import StoreDirectory, TopicPartition
from logkeel.runs import DefinitionReader, RunProcessor
from logkeel.simulation import (
    EffectName,
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
        if self.client is None:
            due_ms = self.restart_at_ms
            if due_ms is None or world.elapsed_ms < due_ms or world.cluster.is_down:
                return False
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

    def at_effect(self, effect: EffectName) -> None:
        """An effect of this process is about to happen."""

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
        self.struck.clear()
        self._released()

    def _start(self, client: SimulatedClient) -> None:
        raise NotImplementedError

    def _turn(self) -> bool:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _released(self) -> None:
        """What an operating system does for a dead process."""
        raise NotImplementedError


class _Watched(Unobserved):
    """Puts what a loop reports into the trace."""

    def __init__(self, process: "EngineProcess") -> None:
        self._process = process

    def _note(self, event: str, detail: str) -> None:
        world = self._process.world
        world.trace.note(world.elapsed_ms, self._process.name, event, detail)

    def batch_committed(self, counts: BatchCounts) -> None:
        """Counted for spin and progress."""
        self._note("COMMITTED", f"{counts.records} records, {counts.timers} timers, {counts.outputs} outputs")

    def resync_started(self, partitions: Sequence[int]) -> None:
        """Noted."""
        self._process.watch.resync_started(partitions)
        self._note("RESYNC", " ".join(map(str, partitions)))

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Noted."""
        self._process.watch.ready(partitions)
        self._note("READY", f"{' '.join(map(str, partitions))} after {replayed} records")

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """Noted."""
        self._process.watch.regrouped(given_up=event != "assigned")
        self._note(event.upper(), " ".join(map(str, partitions)))

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """Noted."""
        self._note("POISON", f"{topic}-{partition}@{offset}: {error!r}")

    def error(self, where: str, error: Exception) -> None:
        """Noted."""
        if where.startswith("transaction "):
            self._process.watch.transaction_failed(where.removeprefix("transaction "))
        self._note("ERROR", f"{where}: {error!r}"[:300])


class _HeadStart:
    """Tells the worker beside an engine of commands, as `logkeel serve` does. Implements `CommitListener`.

    A hint: a worker that is dead, stands still or is inside of a call does not get it.
    """

    def __init__(self, engine: "EngineProcess") -> None:
        self._engine = engine

    @property
    def topics(self) -> Sequence[str]:
        """Of commands."""
        return (self._engine.world.names.step_commands(),)

    def committed(self, records: Sequence[Produced]) -> None:
        """Handed on at once."""
        worker = self._engine.world.housemate(self._engine)
        if worker is not None and not worker.is_busy:
            worker.hear([(place, offset, output.value) for place, offset, output in records if output.value])


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

    def at_effect(self, effect: EffectName) -> None:
        if effect == "committed":
            self.watch.asks_committed()

    def active_partitions(self) -> tuple[int, ...]:
        """Partitions it processes at present."""
        return self._loop.active_partitions if self._loop is not None and self.is_alive else ()

    def _start(self, client: SimulatedClient) -> None:
        world, settings = self.world, self.world.settings
        self.watch = EngineWatch(self, world.monitor)
        self.stores.client = client
        stores: StoreDirectory = self.stores
        self._loop = TransactionalLoop(
            LoopPorts(client, self.clock, stores, listener=_HeadStart(self) if settings.head_starts else None),
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
            observer=_Watched(self),
        )
        self._loop.start()

    def _turn(self) -> bool:
        return self._loop is not None and self._loop.turn()

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
        outer, self.world.acting = self.world.acting, self
        self.is_busy = True
        try:
            self._worker.request_drain()
        except ProcessDied:
            self._bury()
        finally:
            self.world.acting = outer
            self.is_busy = False

    def hear(self, commands: Sequence[tuple[TopicPartition, int, bytes]]) -> None:
        """The engine of this process has committed these commands."""
        if self._worker is not None and self.is_alive and not self.is_frozen:
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

    def _close(self) -> None:
        if self._worker is not None:
            self._worker.close()

    def _released(self) -> None:
        worker, loop = self._worker, self._loop
        self._worker = self._loop = None
        if worker is not None:
            worker.slot.release()
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
