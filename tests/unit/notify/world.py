"""A notifier on the simulated cluster: histories are written, turns are driven, what channels were asked is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.ledger.crashing import CrashNow, CrashPlan, crashing

from logkeel.client.building import payload_of
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.notify import rows
from logkeel.notify.cases import Case, Delivered, Outcome, Target
from logkeel.notify.channels import Message
from logkeel.notify.outbox import Linking, Outbox
from logkeel.notify.processor import NotifyProcessor
from logkeel.notify.routing import Routes
from logkeel.notify.tracing import NotificationTracer
from logkeel.notify.values import ShownValues
from logkeel.records import EventKind, FieldReference, FieldWrite, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster
from logkeel.wire import encode

NAMES = TopicNames("sim")
SETTINGS = LoopSettings(application="sim.notifier", group_id=NAMES.notifier_group, background_threads=False)
EDITORS = (Target("mail", "ada@example.com"), Target("hook"))
ROUTES = Routes(
    channels={"mail", "hook"},
    table={"editors": EDITORS, "chief": (Target("mail", "chief@example.com"),)},
    fingerprints={"mail": "m1", "hook": "h1"},
)


@dataclass
class Postbox:
    """The outside world: takes messages, or answers as it is told. Survives the notifier."""

    answers: list[Outcome] = field(default_factory=list)
    got: list[tuple[str, str, str]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def deliver(self, message: Message) -> Outcome:
        """Note it."""
        delivery = message.delivery
        self.got.append((delivery.kind, str(delivery.target), delivery.key))
        self.messages.append(message)
        return self.answers.pop(0) if self.answers else Delivered(f"receipt {len(self.got)}")

    def told(self, since: int = 0) -> list[tuple[str, str]]:
        """What came, to whom, sorted: different recipients are told in no particular order."""
        return sorted((kind, target) for kind, target, _ in self.got[since:])

    def keys(self) -> set[str]:
        """Without repetitions."""
        return {key for _, _, key in self.got}


class StrikingPostbox:
    """A postbox, where the notifier may die right before and right after a message."""

    def __init__(self, postbox: Postbox, plan: CrashPlan) -> None:
        self._postbox, self._plan = postbox, plan

    def deliver(self, message: Message) -> Outcome:
        """As the postbox."""
        answer: Outcome = self._plan.call("deliver", self._postbox.deliver, (message,), {})
        return answer


class World:
    """One application's history and one notifier after the other."""

    def __init__(self, routes: Routes = ROUTES, links: Linking | None = None) -> None:
        self.cluster = SimulatedCluster()
        self.stores = MemoryStoreDirectory()
        self.client = self.cluster.client()
        self.routes = routes
        self.links = links
        self.tracer: NotificationTracer | None = None
        self.postbox = Postbox()
        topics = (NAMES.run_events, NAMES.notifier_state, NAMES.dead_letters, NAMES.run_requests, NAMES.run_completions)
        self.client.admin().create_topics([TopicPlan(topic, 1) for topic in topics])
        self._producer = self.client.producer()
        self._revisions: dict[str, int] = {}

    def happens(self, kind: EventKind, run_id: str = "r", **facts: Any) -> RunEvent:
        """The next event of a run."""
        revision = self._revisions[run_id] = self._revisions.get(run_id, 0) + 1
        event = RunEvent(
            run_id=run_id,
            incarnation="0@0",
            revision=revision,
            kind=kind,
            at_ms=self.cluster.clock.now_ms(),
            workflow="publish",
            version="1",
            definition_digest="d",
            **facts,
        )
        self._producer.produce(OutputRecord(NAMES.run_events, run_id.encode(), encode(event), 0))
        self._producer.flush(1)
        return event

    def asks(self, run_id: str = "r", path: str = "approve", **facts: Any) -> RunEvent:
        """A run writes a report and asks the editors about it."""
        report = FieldWrite(field="report", payload=payload_of("report", "a fine report"))
        written = self.happens("step_succeeded", run_id, path="write", step="write", writes=(report,))
        return self.happens(
            "question_asked",
            run_id,
            path=path,
            reason="May this go out?",
            actor=facts.pop("actor", "editors"),
            attributes={"allow": "approve,reject", "shows": "report", **facts.pop("attributes", {})},
            reads=(FieldReference(field="report", revision=written.revision),),
            **facts,
        )

    def run(self, plan: CrashPlan | None = None, *, turns: int = 60, step_ms: int = 100) -> bool:
        """One notifier for so many turns; whether it lived to their end. Dead, it leaves what a killed one leaves."""
        process = self.cluster.client()
        plan = plan or CrashPlan()
        client, stores = crashing(process, self.stores, plan)
        channel = StrikingPostbox(self.postbox, plan)
        values = ShownValues(process, NAMES.run_events)
        outbox = Outbox({"mail": channel, "hook": channel}, values, self.links, threads=0)
        outbox.tracer = self.tracer
        processor = NotifyProcessor(NAMES, self.routes, outbox.send)
        ports = LoopPorts(client, self.cluster.clock, stores)
        loop = TransactionalLoop(ports, processor, SETTINGS, side_source=outbox)
        try:
            loop.start()
            for _ in range(turns):
                if not loop.turn():
                    self.cluster.advance(step_ms)
            loop.close()
        except CrashNow:
            process.kill()
            stores.release()
            return False
        return True

    def cases(self) -> Mapping[str, Case]:
        """The notifier's rows, by run and path."""
        store = self.stores.open("notifier", 0)
        found = [rows.decode_case(data) for _, data in store.scan(*rows.below(rows.CASES))]
        store.close()
        return {f"{case.run_id} {case.question.path}": case for case in found}

    def dead_letters(self) -> int:
        """How many there are."""
        place = TopicPartition(NAMES.dead_letters, 0)
        return self.client.admin().end_offsets([place], committed_only=True)[place]
