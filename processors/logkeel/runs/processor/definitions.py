"""Definitions in use: published ones are offered by a reader, compiled ones are cached by digest (P38).

The caches hold immutable values only; which definition a run has is decided when it starts, and kept in its rows.
"""

from collections.abc import Sequence
from functools import lru_cache

from logkeel.definitions import decode_document, digest_of
from logkeel.errors import InvariantViolation, LogkeelError, LogUnavailable
from logkeel.exactly_once import SideEvent
from logkeel.log import Admin, LogReader, places_of
from logkeel.records import WorkflowDefinition
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunInfo
from logkeel.runs.rows.ledger import Ledger, awaited_workflow
from logkeel.wire import decode_as

PUBLISHED = "definition"
"""A definition; the value is the `WorkflowDefinition`."""

READY = "workflow-ready"
"""Everything that was read with it was offered before; the value is what requests for it are parked under."""


@lru_cache(maxsize=256)
def compiled(document: bytes) -> Plan:
    """The plan of a document; equal bytes give the same plan. Raises on anything but a definition."""
    return Plan(decode_document(document), digest_of(document))


class Definitions:
    """What is published, by name and version."""

    def __init__(self) -> None:
        self._published: dict[tuple[str, str], WorkflowDefinition] = {}
        self._latest: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}

    def publish(self, definition: WorkflowDefinition) -> None:
        """Note a published definition. A version never changes its content: a second one is not taken."""
        label = (definition.name, definition.version)
        if label not in self._published:
            self._published[label] = definition
            self._documents[definition.digest] = definition.document
            self._latest[definition.name] = definition.version

    def find(self, workflow: str, version: str | None) -> Plan | None:
        """The plan a new run gets; without a version, of the one that was published last."""
        wanted = version or self._latest.get(workflow)
        definition = self._published.get((workflow, wanted)) if wanted is not None else None
        return None if definition is None else compiled(definition.document)

    def of_run(self, info: RunInfo, ledger: Ledger) -> Plan:
        """The plan a run is pinned to."""
        document = self._documents.get(info.digest) or ledger.definition(info.digest)
        if document is None:
            raise InvariantViolation(
                f"the definition of run {info.run_id} is neither published nor in the table", digest=info.digest
            )
        self._documents[info.digest] = document
        return compiled(document)

    def keep(self, plan: Plan, ledger: Ledger) -> None:
        """Copy a definition into the table on its first use."""
        ledger.keep_definition(plan.digest, self._documents[plan.digest])


class DefinitionReader:
    """A `SideSource` that reads `workflow-definitions` from its start. Call `poll` now and then, on one thread.

    Nothing is offered before the end that the topic had when the reader was made: a start without a version means the
    newest one there (P38), and what comes first is the oldest. Then all that was read at once is offered, and behind it
    which workflows it was about. Records that are no definitions are passed over: the topic is written by workers of
    any version.
    """

    def __init__(self, reader: LogReader, admin: Admin, topic: str) -> None:
        self._reader = reader
        self._fresh: list[SideEvent] = []
        self._known: list[SideEvent] = []
        partitions = places_of(admin, topic)
        self._positions = dict(admin.start_offsets(partitions))
        self._ends = dict(admin.end_offsets(partitions, committed_only=True))
        reader.assign(dict(self._positions))

    def poll(self, timeout_s: float = 0.0) -> None:
        """Read what has come. A log that cannot be reached now is tried again with the next call."""
        try:
            fetched = self._reader.fetch(1_000, timeout_s)
        except LogUnavailable:
            return
        for record in fetched.records:
            self._positions[record.source] = record.offset + 1
            definition = _definition(record.value)
            if definition is not None:
                event = SideEvent(PUBLISHED, definition)
                self._known.append(event)
                self._fresh.append(event)
        self._positions.update(fetched.ends)

    @property
    def caught_up(self) -> bool:
        """Whether the end that the topic had when this reader was made has been reached."""
        return all(self._positions[source] >= end for source, end in self._ends.items())

    def take(self) -> Sequence[SideEvent]:
        """See `SideSource.take`."""
        self.poll()
        if not self._fresh or not self.caught_up:
            return ()
        fresh, self._fresh = self._fresh, []
        return _with_names(fresh)

    def current(self) -> Sequence[SideEvent]:
        """See `SideSource.current`."""
        return _with_names(self._known) if self.caught_up else ()

    def close(self) -> None:
        """Release the reader; idempotent."""
        self._reader.close()


def _with_names(events: Sequence[SideEvent]) -> Sequence[SideEvent]:
    """The definitions, and behind all of them what is known by them."""
    found = [each.value for each in events if isinstance(each.value, WorkflowDefinition)]
    names = dict.fromkeys(awaited_workflow(each.name, None) for each in found)
    versions = dict.fromkeys(awaited_workflow(each.name, each.version) for each in found)
    return (*events, *(SideEvent(READY, awaited) for awaited in (*names, *versions)))


def _definition(value: bytes | None) -> WorkflowDefinition | None:
    if value is None:
        return None
    try:
        definition = decode_as(value, WorkflowDefinition)
        compiled(definition.document)
    except (LogkeelError, ValueError, KeyError):
        return None
    return definition if digest_of(definition.document) == definition.digest else None
