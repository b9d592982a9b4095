"""How a world is made. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from logkeel.definitions import WorkflowDocument
from logkeel.records import WorkflowDefinition
from logkeel.runs import RunSettings
from logkeel.steps.bound import BoundStep, RunnableWorkflow


class PlayedWorkflow(RunnableWorkflow, Protocol):
    """What a world can play: a `Workflow`, or what stands in for one."""

    def document(self) -> WorkflowDocument:
        """The definition that judges replay histories by."""
        ...


class Defined:
    """A workflow whose definition is made once, for worlds that play it again and again. It must not change."""

    def __init__(self, workflow: PlayedWorkflow) -> None:
        self._workflow = workflow
        self._definition = workflow.definition()

    def definition(self, *, published_at_ms: int = 0) -> WorkflowDefinition:
        """As `RunnableWorkflow.definition`."""
        same = published_at_ms == self._definition.published_at_ms
        return self._definition if same else self._workflow.definition(published_at_ms=published_at_ms)

    def document(self) -> WorkflowDocument:
        """See `PlayedWorkflow.document`."""
        return self._workflow.document()

    def bind(self, step_name: str) -> BoundStep:
        """As `RunnableWorkflow.bind`."""
        return self._workflow.bind(step_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSettings:
    """`engine_slots` and `worker_slots` start at once; further slots may join by a strike.

    Record limits are scaled down from Kafka's 1 MiB, so that records that are too large are cheap: the order of the
    limits is production's (P22).
    """

    seed: int = 0
    partitions: int = 2
    engine_slots: tuple[int, ...] = (0, 1)
    worker_slots: tuple[int, ...] = (0, 1)
    max_records: int = 1_000
    max_bytes: int = 4 * 1024 * 1024
    max_record_bytes: int = 20_000
    topic_max_bytes: int = 24_000
    dead_letter_max_bytes: int = 200_000
    transaction_timeout_ms: int = 60_000
    commit_timeout_ms: int = 8_000
    session_timeout_ms: int = 10_000
    delete_retention_ms: int = 7 * 24 * 3_600_000
    concurrency: int = 16
    begins_ms: int = 1_700_000_000_000
    """What all clocks show at first."""
    pace: float = 1.0
    """Stretches the times of the network; 1 is a quick local broker."""
    rocks: bool = False
    """Engines keep their tables in RocksDB, held against the memory store at each read."""
    run_settings: RunSettings | None = None
    skews: Mapping[int, float] = field(default_factory=dict)
    """By slot of a worker: by how much its clock is off in its first life, in ms; then it is set right."""
    lacks: Mapping[int, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By slot of a worker: names and versions of workflows that it does not know, as in a rolling update."""
    keeps_outcomes: bool = False
    """A worker finds what its slot's last process knew; else each has a new disk, which is the worse case."""
    every_turn: bool = False
    """Turns in which nothing is to do are run as well: the same happens, it takes longer."""
    head_starts: bool = False
    """Each engine tells the worker of the same place in line of commands, as if they shared a process."""
    resources: Mapping[Any, Any] | None = None
    """What workers open in place of resources, by opener or its name."""
