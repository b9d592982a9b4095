"""Workflows with limits, and an engine whose limits live on another partition than its runs."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import plan_of, text

from logkeel.definitions import Block, FieldDefinition, LimitDefinition
from logkeel.log import TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import CancelRun, FieldWrite, LimitKind, RunEvent, StartRun, StepCommand
from logkeel.runs import RunSettings
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.limit_records import home_of
from logkeel.runs.rows import keys
from logkeel.runs.rows.limit_rows import LimitName

TENANT = FieldDefinition(name="tenant", control_type="string", default="acme")


def at_once(limit: int, name: str = "gpt", *, key: str | None = None) -> LimitDefinition:
    """A limit of concurrency."""
    return LimitDefinition(kind="concurrency", name=name, limit=limit, key=key)


def per(limit: int, per_ms: int, name: str = "gpt", *, key: str | None = None) -> LimitDefinition:
    """A rate."""
    return LimitDefinition(kind="rate", name=name, limit=limit, key=key, per_ms=per_ms)


def limited(
    flow: Block, steps: dict[str, Sequence[LimitDefinition]], *, runs: Sequence[LimitDefinition] = (), **how: object
) -> Plan:
    """A plan whose steps and runs keep to these limits; `tenant` may be their key."""
    document = plan_of(flow, **how).document  # type: ignore[arg-type]  # by keyword
    found = tuple(
        replace(each, limits=tuple(steps[each.name])) if each.name in steps else each for each in document.steps
    )
    document = replace(document, fields=(*document.fields, TENANT), steps=found)
    return Plan(replace(document, limits=tuple(runs)) if runs else document, "digest")


class Site(Engine):
    """Runs are at home apart from the limit that they keep to (P29)."""

    def __init__(
        self, plan: Plan, *, kind: LimitKind = "concurrency", name: str = "gpt", settings: RunSettings | None = None
    ) -> None:
        super().__init__(partitions=2, settings=settings)
        self.limit = LimitName(kind, name, "")
        away = home_of(self.limit, 2)
        self.run_ids = [run for run in map(str, range(100)) if partition_for(run.encode(), 2) != away]
        self.publish(plan)

    def begin(self, number: int, tenant: str | None = None) -> str:
        """Start the run of that number; its id."""
        run_id = self.run_ids[number]
        known = () if tenant is None else (FieldWrite(field="tenant", is_control=True, control=tenant),)
        inputs = (text("topic", "kafka"), *known)
        self.ask(StartRun(workflow="work", run_id=run_id, request_id=f"q{run_id}", inputs=inputs))
        return run_id

    def cancel(self, run_id: str) -> None:
        """End it."""
        self.ask(CancelRun(run_id=run_id, request_id=f"c{run_id}"))

    def kinds(self, run_id: str) -> list[str]:
        """The history of one run."""
        return [event.kind for event in self.events(run_id)]

    def events(self, run_id: str) -> list[RunEvent]:
        """The same, whole."""
        return [event for event in self.told(self.names.run_events, RunEvent) if event.run_id == run_id]

    def sent(self) -> list[str]:
        """The runs whose commands were sent, in the order of sending."""
        return [each.identity.run_id for each in self.in_order()]

    def in_order(self) -> list[StepCommand]:
        """Commands by the time at which they were dispatched."""
        return sorted(self.commands(), key=lambda each: each.dispatched_at_ms)

    def last(self, run_id: str) -> StepCommand:
        """The newest command of a run."""
        return max((c for c in self.commands() if c.identity.run_id == run_id), key=lambda c: c.revision)

    def reboot(self) -> None:
        """The engine stops, another one starts on what it left."""
        self.loop.close()
        self.cluster.advance(11_000)
        self.loop = self.boot()
        self.turns()

    def limit_rows(self) -> list[bytes]:
        """Keys of what is left of limits."""
        return [key for key in self._rows() if key[:1] in (keys.LIMIT, keys.LIMIT_ASKER)]

    def _rows(self) -> Iterator[bytes]:
        for number in range(2):
            rows: dict[bytes, bytes] = {}
            log = self.cluster.log(TopicPartition(self.names.run_state, number))
            for record in log.read(0, 100_000, committed_only=True)[0]:
                if record.value is None:
                    rows.pop(record.key or b"", None)
                else:
                    rows[record.key or b""] = record.value
            yield from rows
