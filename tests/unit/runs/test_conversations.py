"""Conversations on the log: an engine on the simulated cluster, turn after turn."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import T0, flow_of, plan_of, step_block, text

from logkeel.definitions import (
    Block,
    Conversation,
    FieldDefinition,
    OnBusy,
    SignalBlock,
    StepDefinition,
    WriteDefinition,
)
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    CancelRun,
    ErrorInfo,
    FieldWrite,
    Payload,
    RequestRejected,
    RunCompleted,
    RunEvent,
    StartRun,
    StepCommand,
    StepFailed,
    StepSucceeded,
)
from logkeel.runs import RunSettings
from logkeel.runs.core.plan import Plan
from logkeel.wire import encode

ANN = "customer ann"


def talk(*blocks: Block, on_busy: OnBusy = "queue", joins: str | None = None) -> Plan:
    """A workflow of turns: the step `say` reads all messages and adds some."""
    document = plan_of(flow_of(*(blocks or (step_block("say"),)))).document
    say = StepDefinition(
        name="say",
        effect="IDEMPOTENT",
        reads=("messages", "mood", "topic"),
        writes=tuple(WriteDefinition(field=name) for name in ("messages", "mood", "reply")),
    )
    fields = (
        FieldDefinition(name="topic", required=True),
        FieldDefinition(name="who", required=True),
        FieldDefinition(name="messages", elements="list", reducer="append"),
        FieldDefinition(name="facts", elements="map", reducer="put"),
        FieldDefinition(name="mood", control_type="string", nullable=True),
        FieldDefinition(name="reply"),
        FieldDefinition(name="say"),
    )
    conversation = Conversation(field="who", keep=("messages", "facts", "mood"), on_busy=on_busy, joins=joins)
    document = replace(document, fields=fields, steps=(say,), returns=("reply",), conversation=conversation)
    return Plan(document, "digest")


def message(said: str) -> FieldWrite:
    """One more."""
    return replace(text("messages", said), operation="append")


class Talk(Engine):
    """An application with such a workflow."""

    def __init__(self, plan: Plan | None = None, *, partitions: int = 1, settings: RunSettings | None = None) -> None:
        super().__init__(partitions=partitions, settings=settings)
        self.publish(plan or talk())

    def tell(self, run_id: str, topic: str = "hello", who: str | None = ANN, **details: object) -> None:
        """A turn is asked for."""
        start = StartRun(
            workflow="work",
            run_id=run_id,
            request_id=f"start {run_id}",
            conversation_id=who,
            inputs=(text("topic", topic), text("who", who or "")),
            **details,  # type: ignore[arg-type]  # by keyword
        )
        home = partition_for((who or run_id).encode(), self.partitions)
        self.ask(start, partition=home)

    def command(self, run_id: str) -> StepCommand:
        """The last one of a run."""
        return [each for each in self.commands() if each.identity.run_id == run_id][-1]

    def heard(self, run_id: str) -> list[str]:
        """What the step of this run reads of messages."""
        found = [each for each in self.command(run_id).inputs if each.field == "messages"]
        return [(each.payload.data or b"").decode().strip('"') for value in found for each in value.elements]

    def say(self, run_id: str, *said: str, mood: str | None = None, writes: tuple[FieldWrite, ...] = ()) -> None:
        """The step of this run ends, and adds messages."""
        command = self.command(run_id)
        moods = () if mood is None else (FieldWrite(field="mood", is_control=True, control=mood),)
        outcome = StepSucceeded(
            identity=command.identity,
            holder="w",
            started_at_ms=T0,
            finished_at_ms=T0,
            writes=(*map(message, said), *moods, *writes, text("reply", f"of {run_id}")),
        )
        self.answer(command, outcome)

    def ends(self) -> list[tuple[str, str]]:
        """(run id, status) in the order of the ends."""
        return [(each.run_id, each.status) for each in self.told(self.names.run_completions, RunCompleted)]

    def reboot(self) -> None:
        """The engine dies, and another one goes on."""
        self.loop.close()
        self.cluster.advance(11_000)
        self.loop = self.boot()
        self.turns()

    def rows(self) -> list[bytes]:
        """Keys of the rows that are there, as the changelog has them."""
        live: dict[bytes, bool] = {}
        for record in self.records(self.names.run_state):
            live[record.key or b""] = record.value is not None
        return [key for key, there in live.items() if there]


def test_the_next_turn_begins_with_what_the_former_ones_left() -> None:
    engine = Talk()
    engine.tell("t1")
    assert engine.heard("t1") == []
    engine.say("t1", "hello", "hi ann", mood="calm")
    engine.tell("t2")
    assert engine.heard("t2") == ["hello", "hi ann"]
    engine.say("t2", "bye")
    engine.tell("t3")
    assert engine.heard("t3") == ["hello", "hi ann", "bye"]
    (mood,) = [each for each in engine.command("t3").inputs if each.field == "mood"]
    assert (mood.control, mood.revision <= 0) == ("calm", True)
    engine.say("t3")
    assert engine.ends() == [("t1", "succeeded"), ("t2", "succeeded"), ("t3", "succeeded")]


def test_other_conversations_and_workflows_share_nothing() -> None:
    engine = Talk()
    engine.tell("t1")
    engine.say("t1", "secret")
    engine.tell("b1", who="bob")
    assert engine.heard("b1") == []
    other = talk()
    engine.publish(Plan(replace(other.document, name="other"), "digest"))
    engine.tell("o1")
    assert engine.heard("o1") == ["secret"]
    start = StartRun(workflow="other", run_id="x", conversation_id=ANN, inputs=(text("topic", "t"), text("who", ANN)))
    engine.ask(start)
    assert engine.heard("x") == []


@pytest.mark.parametrize("die", [False, True])
def test_turns_that_come_while_one_is_running_wait_in_line(die: bool) -> None:
    engine = Talk()
    for number in range(1, 5):
        engine.tell(f"t{number}", f"topic {number}")
    engine.tell("t2", "topic 2")
    for number in range(1, 5):
        assert {each.identity.run_id for each in engine.commands()} == {f"t{n}" for n in range(1, number + 1)}
        if die:
            engine.reboot()
        engine.say(f"t{number}", f"m{number}")
    assert [run_id for run_id, _ in engine.ends()] == ["t1", "t2", "t3", "t4"]
    engine.tell("t5")
    assert engine.heard("t5") == ["m1", "m2", "m3", "m4"]


def test_the_engine_dies_between_the_end_of_a_turn_and_the_next_one() -> None:
    engine = Talk()
    engine.tell("t1")
    engine.tell("t2")
    command = engine.command("t1")
    outcome = StepSucceeded(identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0)
    engine.producer.produce(OutputRecord(engine.names.step_results, b"r", encode(outcome), 0))
    while not engine.ends():
        engine.turns(1)
    engine.reboot()
    engine.turns()
    assert engine.heard("t2") == []
    assert [each.identity.run_id for each in engine.commands()] == ["t1", "t2"]


def test_a_turn_that_fails_keeps_what_was_written_and_lets_the_next_one_begin() -> None:
    engine = Talk(talk(step_block("say"), replace(step_block("say"), id="again")))
    engine.tell("t1")
    engine.tell("t2")
    engine.say("t1", "written")
    command = engine.command("t1")
    error = ErrorInfo(code="boom", kind="fatal", message="it broke")
    failure = StepFailed(identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, error=error)
    engine.answer(command, failure)
    assert engine.ends() == [("t1", "failed")]
    assert engine.heard("t2") == ["written"]


def test_a_busy_conversation_may_refuse() -> None:
    engine = Talk(talk(on_busy="reject"))
    engine.tell("t1")
    engine.tell("t2")
    assert engine.rejections() == ["conversation_busy"]
    engine.say("t1")
    engine.tell("t3")
    assert engine.heard("t3") == []


def test_a_turn_may_interrupt_the_running_one() -> None:
    engine = Talk(talk(step_block("say"), replace(step_block("say"), id="again"), on_busy="interrupt"))
    engine.tell("t1")
    engine.say("t1", "begun")
    engine.tell("t2")
    assert engine.ends() == [("t1", "cancelled")]
    assert engine.heard("t2") == ["begun"]
    cancelled = next(each for each in engine.told(engine.names.run_events, RunEvent) if each.kind == "cancel_requested")
    assert "interrupted by the next turn, run t2" in (cancelled.reason or "")


JOINING = talk(step_block("say"), SignalBlock(id="more", name="topic", writes="reply"), on_busy="join", joins="topic")


def test_a_message_may_join_the_running_turn() -> None:
    engine = Talk(JOINING)
    engine.tell("t1", "first")
    engine.tell("t2", "second")
    engine.say("t1", "m1")
    assert engine.ends() == [("t1", "succeeded")]
    assert engine.rejections() == ["conversation_joined"]
    (done,) = engine.completions()
    assert done.result[0].payload == Payload(encoding="json", data=b'"second"')
    engine.tell("t3")
    assert engine.heard("t3") == ["m1"]


def test_a_message_that_the_running_turn_did_not_look_at_is_a_turn_of_its_own() -> None:
    engine = Talk(JOINING)
    engine.tell("t1", "first")
    for name in ("t2", "t3", "t4"):
        engine.tell(name, name)
    engine.ask(CancelRun(run_id="t1", routing_key=ANN), partition=0)
    assert engine.ends() == [("t1", "cancelled")]
    assert engine.rejections() == []
    engine.say("t2", "m2")
    assert engine.ends()[1:] == [("t2", "succeeded")], "t3 was given to t2, which has taken it"
    assert engine.rejections() == ["conversation_joined"]
    engine.say("t4", "m4")
    assert engine.heard("t4") == ["m2"]


def test_a_start_that_says_no_conversation_is_refused() -> None:
    engine = Talk(partitions=2)
    engine.tell("t1", who=None)
    assert engine.rejections() == ["conversation_missing"]
    engine.tell("t2", who=None, routing_key="t2")
    assert engine.heard("t2") == [], "the routing key says it, too"


def test_a_start_that_waits_can_be_cancelled() -> None:
    engine = Talk()
    for name in ("t1", "t2", "t3"):
        engine.tell(name)
    engine.ask(CancelRun(run_id="t2", routing_key=ANN, request_id="c"), partition=0)
    rejected = engine.told(engine.names.run_completions, RequestRejected)
    assert [(each.request_id, each.code) for each in rejected] == [("start t2", "cancelled")]
    engine.say("t1", "m1")
    assert engine.heard("t3") == ["m1"]
    assert "t2" not in {each.identity.run_id for each in engine.commands()}


def test_a_cancel_that_overtakes_a_start_that_has_to_wait_ends_it() -> None:
    engine = Talk()
    engine.tell("t1")
    engine.ask(CancelRun(run_id="t2", routing_key=ANN, request_id="c"), partition=0)
    engine.tell("t2")
    assert engine.rejections() == ["cancelled"]
    engine.say("t1")
    assert engine.ends() == [("t1", "succeeded")]


def test_all_turns_of_a_conversation_are_on_its_partition() -> None:
    engine = Talk(partitions=2)
    for number in range(4):
        engine.tell(f"t{number}")
        engine.say(f"t{number}", f"m{number}")
    places = {record.partition for record in engine.records(engine.names.run_events)}
    assert places == {partition_for(ANN.encode(), 2)}


def test_replaced_values_leave_no_rows_behind() -> None:
    engine = Talk()
    engine.tell("t1")
    engine.say("t1", *(f"m{number}" for number in range(300)))
    before = len(engine.rows())
    engine.tell("t2")
    engine.say("t2", writes=(FieldWrite(field="messages"), message("all of it, in short")))
    engine.tell("t3")
    assert engine.heard("t3") == ["all of it, in short"]
    assert before - len(engine.rows()) > 250


def test_maps_and_large_values_go_on() -> None:
    engine = Talk()
    engine.tell("t1")
    fact = FieldWrite(field="facts", operation="put", element_key="name", payload=Payload(encoding="json", data=b'"A"'))
    engine.say("t1", writes=(fact,))
    engine.tell("t2")
    again = replace(fact, payload=Payload(encoding="json", data=b'"Ann"'))
    engine.say("t2", writes=(again, replace(fact, element_key="age")))
    engine.tell("t3")
    engine.say("t3", writes=(replace(fact, operation="remove", element_key="age", payload=None),))
    rows = [key for key in engine.rows() if key[:1] == b"\x11"]
    assert sum(b"\x20facts" in key for key in rows) == 1
    assert sum(b"\x21facts" in key for key in rows) == 1


def test_a_conversation_is_forgotten_when_nobody_has_spoken_for_long() -> None:
    settings = RunSettings(keep_conversations_ms=3_600_000, keep_finished_ms=60_000)
    engine = Talk(settings=settings)
    engine.tell("t1")
    engine.say("t1", "m1")
    engine.cluster.advance(1_800_000)
    engine.turns()
    engine.tell("t2")
    assert engine.heard("t2") == ["m1"]
    engine.say("t2")
    engine.cluster.advance(3_000_000)
    engine.turns(40)
    engine.tell("t3")
    assert engine.heard("t3") == ["m1"]
    engine.say("t3")
    engine.cluster.advance(3_700_000)
    engine.turns(40)
    assert not [key for key in engine.rows() if key[:1] in (b"\x11", b"\x2a", b"\x2b")]
    engine.tell("t4")
    assert engine.heard("t4") == []


def test_a_duplicate_of_a_turn_that_has_ended_hears_its_end_again() -> None:
    engine = Talk()
    engine.tell("t1")
    engine.say("t1", "m1")
    engine.tell("t2")
    engine.tell("t1", version="1")
    assert [each.reannounced for each in engine.completions()] == [False, True]
    assert engine.heard("t2") == ["m1"]
