"""The world: one cluster, several processes, one seeded scheduler.

A round lets every process that can act have one turn, in a drawn order. When a whole round moved nothing, the clock
jumps, at most to the next thing that is known to happen. A turn in which nothing is to do is passed over. A process
that is frozen or waits inside of a call stands on the stack while the others go on: stops nest, and end in reverse
order.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from logkeel.errors import OperatorError
from logkeel.exactly_once import changelog_config
from logkeel.log import GroupMetadata, Record, TopicPartition, TopicPlan
from logkeel.records.topics import TopicNames, topic_policies
from logkeel.simulation import EffectName, RandomConditions, SimulatedClient, SimulatedClock, SimulatedCluster
from logkeel.steps import publish_definitions
from logkeel.testing.world.archive import Archive
from logkeel.testing.world.judging import faults_of_store
from logkeel.testing.world.monitoring import Monitor
from logkeel.testing.world.processes import EngineProcess, Outsider, Process, WorkerProcess
from logkeel.testing.world.settings import PlayedWorkflow, WorldSettings
from logkeel.testing.world.striking import EffectStrike, Strike, TimedStrike, strike_now
from logkeel.testing.world.trace import Trace

FIRST_JUMP_MS = 5.0
LONGEST_JUMP_MS = 400.0
WEEK_MS = 8 * 24 * 3_600_000.0
"""Longer than any retention of requests and results."""

UNSTARTED = "started=-1"


class World:
    """Everything of one seed. `directory` is for the slots of workers, and for RocksDB where it is wanted."""

    def __init__(self, workflows: Sequence[PlayedWorkflow], settings: WorldSettings, directory: Path) -> None:
        self.settings = settings
        self.workflows = workflows
        self.names = TopicNames("world")
        self.random = Random(f"{settings.seed}/schedule")
        self.cluster = SimulatedCluster(
            SimulatedClock(settings.begins_ms),
            conditions=RandomConditions(Random(f"{settings.seed}/network"), pace=settings.pace),
        )
        self.trace = Trace()
        self.archive = Archive(self.cluster)
        self.monitor = Monitor(self)
        self.effects = 0
        self.effects_until_healed = 0
        self.effects_of: dict[EffectName, int] = {}
        self.effect_strikes: dict[tuple[EffectName | None, int, str], list[EffectStrike]] = {}
        self.struck: dict[str, int] = {}
        self.ends: list[tuple[str, Exception]] = []
        self.operator_errors: list[tuple[str, OperatorError]] = []
        self.disk_faults: list[str] = []
        self.clock_jumps = 0
        self.weeks = 0
        self.acting: Process | None = None
        self.strangers = 0
        self._directory = directory
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._agreed = 0
        self._skipped_ms = 0.0
        self._outsiders: list[Outsider] = []
        self._calm: SimulatedClient = self.cluster.client()
        self.cluster.faults.heard = lambda kind, who: self.trace.note(
            self.elapsed_ms, "world", "FAULT", f"{kind} {who}"
        )
        self._make_topics()
        publish_definitions(self._calm, self.names, workflows)
        self.engines = [EngineProcess(self, slot, directory) for slot in settings.engine_slots]
        self.workers = [WorkerProcess(self, slot, directory) for slot in settings.worker_slots]

    # What is in it

    @property
    def elapsed_ms(self) -> float:
        """Simulated time since the world began."""
        return self.cluster.clock.elapsed_ms

    @property
    def client(self) -> SimulatedClient:
        """A client that no fault concerns, for outsiders and judges."""
        return self._calm

    @property
    def processes(self) -> list[Process]:
        """Engines and workers, those that left aside."""
        return [*self.engines, *self.workers]

    def records(self, topic: str) -> list[Record]:
        """Every committed record of a topic, also what was cleaned since, by partition and offset."""
        return self.archive.records(topic, self.settings.partitions)

    def records_of_one(self, topic: str) -> list[Record]:
        """As `records`, of a topic with one partition."""
        return self.archive.records(topic, 1)

    @property
    def struck_count(self) -> int:
        """How many strikes happened."""
        return sum(self.struck.values())

    def is_calm(self) -> bool:
        """Whether every process that is to run does, and every partition is processed by one engine."""
        if self.cluster.is_down or any(not each.is_gone and not each.is_alive for each in self.processes):
            return False
        groups = self.cluster.groups
        joining = [groups.group(name).joining for name in (self.names.engine_group, self.names.worker_group())]
        if any(joining) or groups.has_silent:
            return False
        owned = sorted(number for engine in self.engines for number in engine.active_partitions())
        return owned == list(range(self.settings.partitions)) and not self._agenda

    def stuck(self) -> list[str]:
        """Who does what, for a verdict about something that does not end."""
        told = [f"{each.name}: {'alive' if each.is_alive else 'dead'}" for each in self.processes]
        told += [f"{engine.name} processes {engine.active_partitions()}" for engine in self.engines]
        return [*self.monitor.faults, *told, *(f"{name} ended: {error!r}" for name, error in self.ends[-3:])]

    def end(self) -> None:
        """Release what every process holds."""
        for process in self.processes:
            process.is_busy = False
            process.kill()

    def join(self, outsider: Outsider) -> None:
        """Let somebody act beside the processes."""
        self._outsiders.append(outsider)

    def plan(self, strikes: Iterable[Strike]) -> None:
        """Let these happen."""
        for strike in strikes:
            if isinstance(strike, TimedStrike):
                self._at(strike.at_ms, lambda each=strike: strike_now(self, each))  # type: ignore[misc]  # bound now
            else:
                self.effect_strikes.setdefault((strike.of, strike.at, strike.when), []).append(strike)

    def heal(self) -> None:
        """No more faults: what was planned is dropped, what has begun ends as it was to end."""
        self.effects_until_healed = self.effects
        self.effect_strikes.clear()
        self.cluster.faults.clear()

    # Time

    def run(self, until: Callable[[], bool], *, limit_ms: float) -> bool:
        """Go on until it is so; False if it was not so within the simulated time."""
        clock = self.cluster.clock
        deadline_ms = clock.elapsed_ms - self._skipped_ms + limit_ms
        self._go_on(lambda: until() or clock.elapsed_ms - self._skipped_ms >= deadline_ms)
        return until()

    def skip(self, milliseconds: float) -> None:
        """Let time pass in which nothing happens; it does not count against any limit of `run`."""
        self._skipped_ms += milliseconds
        self.cluster.advance(milliseconds)

    def wait(self, process: Process, milliseconds: float) -> None:
        """Let the others go on while a process is inside of a call."""
        until_ms = self.elapsed_ms + milliseconds
        was_busy, process.is_busy = process.is_busy, True
        outer = self.acting
        try:
            self._go_on(lambda: self.elapsed_ms >= until_ms)
        finally:
            process.is_busy = was_busy
            self.acting = outer

    def freeze(self, process: Process, milliseconds: float) -> None:
        """Stop a process, silently, while the others go on; then wake it, unless it was killed meanwhile."""
        client = process.client
        if client is None:
            return
        client.freeze()
        self.trace.note(self.elapsed_ms, process.name, "FROZEN", f"{milliseconds:.0f} ms")
        process.stalls += 1
        self.wait(process, milliseconds)
        client.thaw()
        self.trace.note(self.elapsed_ms, process.name, "WOKEN")

    def later(self, milliseconds: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self._at(self.elapsed_ms + milliseconds, action)

    def _at(self, at_ms: float, action: Callable[[], None]) -> None:
        self._agreed += 1
        self._agenda.append((at_ms, self._agreed, action))
        self._agenda.sort(key=lambda each: each[:2], reverse=True)

    def _go_on(self, done: Callable[[], bool]) -> None:
        jump_ms, clock, agenda = FIRST_JUMP_MS, self.cluster.clock, self._agenda
        passes_over = not self.settings.every_turn
        while not done():
            moved = changed = False
            for actor in self._shuffled():
                while agenda and agenda[-1][0] <= clock.elapsed_ms:
                    agenda.pop()[2]()
                    changed = True
                process = actor if isinstance(actor, Process) else None
                if process is not None and process.is_busy:
                    continue
                if process is None or not passes_over or not process.is_passed_over():
                    moved = actor.turn() or moved
                elif not changed:
                    continue  # nothing is otherwise than when `done` was asked last
                if done():
                    return
                changed = False
            if moved:
                jump_ms = FIRST_JUMP_MS
                self.cluster.advance(self.random.random())
            else:
                self.monitor.look()
                self.cluster.advance(self._bounded(jump_ms))
                jump_ms = min(2 * jump_ms, LONGEST_JUMP_MS)

    def _shuffled(self) -> "list[Process | Outsider]":
        actors: list[Process | Outsider] = [*self.engines, *self.workers, *self._outsiders]
        # As `random.shuffle`, which takes a call for each of them.
        draw = self.random.getrandbits
        for last in range(len(actors) - 1, 0, -1):
            bits = (last + 1).bit_length()
            other = draw(bits)
            while other > last:
                other = draw(bits)
            actors[last], actors[other] = actors[other], actors[last]
        return actors

    def _bounded(self, jump_ms: float) -> float:
        """At most to the next thing that is known to happen."""
        now_ms = self.elapsed_ms
        dues = [self._agenda[-1][0]] if self._agenda else []
        if self.cluster.next_arrival_ms is not None:
            dues.append(self.cluster.next_arrival_ms)
        for worker in self.workers:
            if not worker.is_busy and (due_s := worker.next_due_s()) is not None:
                dues.append(due_s * 1_000)
        return max(0.05, min([jump_ms, *(due_ms - now_ms for due_ms in dues if due_ms > now_ms)]))

    # Strikes

    def note_strike(self, kind: str, who: str, detail: str) -> None:
        """Count and trace a strike that happens."""
        self.struck[kind] = self.struck.get(kind, 0) + 1
        self.trace.note(self.elapsed_ms, who, "STRIKE", f"{kind} {detail}")

    def pick_engine(self, target: int) -> EngineProcess | None:
        """One of the engines that run."""
        living = [engine for engine in self.engines if engine.is_alive]
        return living[target % len(living)] if living else None

    def pick_worker(self, target: int) -> WorkerProcess | None:
        """One of the workers that run."""
        living = [worker for worker in self.workers if worker.is_alive]
        return living[target % len(living)] if living else None

    def housemate(self, engine: EngineProcess) -> WorkerProcess | None:
        """The worker that shares a process with this engine, if any does."""
        place = self.engines.index(engine)
        return self.workers[place] if self.settings.head_starts and place < len(self.workers) else None

    def add_engine(self) -> EngineProcess:
        """One more engine, on a slot that nobody has."""
        slot = self.random.choice([s for s in range(15) if s not in self._slots(self.engines)])
        engine = EngineProcess(self, slot, self._directory)
        self.engines.append(engine)
        return engine

    def add_worker(self) -> WorkerProcess:
        """One more worker, on a slot that nobody has."""
        slot = 1 + max(self._slots(self.workers))
        worker = WorkerProcess(self, slot, self._directory)
        self.workers.append(worker)
        return worker

    def add_stranger(self, stay_ms: float, *, first: bool) -> None:
        """A member of the engines' group that subscribes to one input only, as an older version might (P12)."""
        self.strangers += 1
        client = self.cluster.client()
        consumer = client.group_consumer(self.names.engine_group, session_timeout_ms=10_000)
        consumer.subscribe([self.names.run_requests if first else self.names.step_results], _Deaf())
        self.join(_Stranger(consumer, self))
        self.later(stay_ms, consumer.close)

    def clean(self) -> None:
        """Cleaner and retention come by."""
        self.archive.keep()
        self.cluster.clean()

    def let_weeks_pass(self) -> None:
        """So long that everything with a retention is over."""
        self.weeks += 1
        for _ in range(4):
            self.cluster.advance(WEEK_MS / 4)
        self.clean()

    def forget_offsets(self, group_id: str) -> None:
        """The offsets of a group expire, if nobody is in it."""
        if self.cluster.groups.forget_offsets(group_id):
            self.trace.note(self.elapsed_ms, "world", "OFFSETS EXPIRED", group_id)

    def judge_disk(self, engine: EngineProcess) -> None:
        """Whenever an engine has ended: what it left is a committed prefix of the changelog (P20)."""
        self.disk_faults += faults_of_store(self, engine)

    @staticmethod
    def _slots(processes: Sequence[Process]) -> set[int]:
        return {process.slot for process in processes}

    def _make_topics(self) -> None:
        settings, admin = self.settings, self._calm.admin()
        plans = []
        for policy in topic_policies(self.names, ["default"]):
            config = dict(policy.config)
            if policy.changelog:
                config |= changelog_config(delete_retention_ms=settings.delete_retention_ms)
            limit = (
                settings.dead_letter_max_bytes if policy.name == self.names.dead_letters else settings.topic_max_bytes
            )
            config["max.message.bytes"] = str(limit)
            plans.append(TopicPlan(policy.name, policy.partitions or settings.partitions, 1, config))
        admin.create_topics(plans)
        marks = {
            TopicPartition(self.names.step_commands(), number): (0, UNSTARTED) for number in range(settings.partitions)
        }
        admin.set_group_offsets(self.names.worker_group(), marks)


class _Deaf:
    """A listener that does nothing with what it owns."""

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        """Nothing."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing."""


class _Stranger:
    """Polls now and then, as a member must, until it is closed."""

    def __init__(self, consumer: Any, world: World) -> None:
        self._consumer = consumer
        self._world = world

    def turn(self) -> bool:
        if not self._consumer.is_closed:
            self._consumer.fetch(1, 0.0)
        return False
