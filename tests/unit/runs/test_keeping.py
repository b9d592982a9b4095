"""Commands that build on lists which a worker keeps: what is carried, and when everything is."""

import msgspec
from msgspec.structs import replace
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import T0, flow_of, plan_of, step_block

from logkeel.definitions import FieldDefinition, WriteDefinition
from logkeel.log import TopicPlan
from logkeel.records import (
    FieldReference,
    FieldValue,
    FieldWrite,
    Payload,
    RunEvent,
    StartRun,
    StepCommand,
    StepNeedsState,
    StepSucceeded,
)
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes
from logkeel.runs.core.plan import Plan


def plan(*, other_queue: str = "default") -> Plan:
    known = plan_of(flow_of(step_block("a"), step_block("b"), step_block("c")))
    fields = (FieldDefinition(name="items", required=True, reducer="append", elements="list"),)
    writes = (WriteDefinition(field="items", operation="append"),)
    steps = [replace(known.definitions[name], reads=("items",), writes=writes) for name in "abc"]
    steps[2] = replace(steps[2], queue=other_queue)
    document = replace(known.document, fields=fields, steps=tuple(steps), returns=("items",))
    return Plan(document, "digest")


def items(*values: str) -> tuple[FieldWrite, ...]:
    payloads = (Payload(encoding="json", data=msgspec.json.encode(value)) for value in values)
    return tuple(FieldWrite(field="items", operation="append", payload=payload) for payload in payloads)


def begun(known: Plan, *values: str) -> Engine:
    engine = Engine()
    engine.publish(known)
    engine.ask(
        StartRun(workflow="work", run_id="r", request_id="q", inputs=(FieldWrite(field="items"), *items(*values)))
    )
    return engine


def succeed(engine: Engine, command: StepCommand, writes: tuple[FieldWrite, ...], *, kept: int | None) -> None:
    """A worker's answer; it keeps so many elements of what the command says may be kept."""
    (value,) = command.inputs
    read = FieldReference(field=value.field, revision=value.revision)
    if kept is not None:
        read = replace(read, generation=value.generation, kept_count=kept)
    outcome = StepSucceeded(
        identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, writes=writes, reads=(read,)
    )
    engine.answer(command, outcome)


def texts(value: FieldValue) -> list[str]:
    return [msgspec.json.decode(each.payload.data or b"") for each in value.elements]


def test_a_command_carries_what_the_worker_of_the_one_before_does_not_keep() -> None:
    engine = begun(plan(), "x", "y")
    (first,) = engine.commands()
    (whole,) = first.inputs
    assert (texts(whole), whole.base_count) == (["x", "y"], 0)
    succeed(engine, first, items("z"), kept=2)
    (value,) = engine.commands()[-1].inputs
    assert (texts(value), value.base_count, value.generation) == (["z"], 2, whole.generation)
    assert fields_bytes((value,)) >= fields_bytes((replace(whole, elements=(*whole.elements, *value.elements)),))
    succeed(engine, engine.commands()[-1], items("!"), kept=3)
    (value,) = engine.commands()[-1].inputs
    assert (texts(value), value.base_count) == (["!"], 3)
    succeed(engine, engine.commands()[-1], (), kept=None)
    (completion,) = engine.completions()
    assert texts(completion.result[0]) == ["x", "y", "z", "!"]


def test_who_keeps_nothing_is_sent_everything_and_no_attempt_is_used() -> None:
    engine = begun(plan(), "x", "y")
    succeed(engine, engine.commands()[-1], items("z"), kept=2)
    asked = engine.commands()[-1]
    engine.answer(asked, StepNeedsState(identity=asked.identity, holder="other", fields=("items",)))
    engine.answer(asked, StepNeedsState(identity=asked.identity, holder="other", fields=("items",)))
    again = engine.commands()[2:]
    (whole,) = again[0].inputs
    assert len(again) == 1, "the second word is late"
    assert (texts(whole), whole.base_count, whole.base_bytes) == (["x", "y", "z"], 0, 0)
    assert (again[0].identity.attempt, again[0].identity.dispatch) == (1, 2)
    released = [event for event in engine.told(engine.names.run_events, RunEvent) if event.kind == "step_released"]
    assert [(event.reason, event.name, event.holder) for event in released] == [("state needed", "items", "other")]


def test_what_goes_another_way_is_whole() -> None:
    engine = begun(plan(other_queue="slow"), "x", "y")
    engine.client.admin().create_topics([TopicPlan(engine.names.step_commands("slow"), 1)])
    succeed(engine, engine.commands()[-1], items("z"), kept=2)
    known = engine.commands()
    succeed(engine, known[-1], (), kept=3)
    assert engine.commands() == known, "the third step has a queue of its own"
    (command,) = engine.told(engine.names.step_commands("slow"), StepCommand)
    assert (texts(command.inputs[0]), command.inputs[0].base_count) == (["x", "y", "z"], 0)


def test_a_list_that_was_replaced_is_carried_whole() -> None:
    engine = begun(plan(), "x", "y")
    succeed(engine, engine.commands()[-1], (FieldWrite(field="items"), *items("new")), kept=2)
    (value,) = engine.commands()[-1].inputs
    assert (texts(value), value.base_count) == (["new"], 0)


def test_what_a_worker_cannot_keep_is_not_believed() -> None:
    engine = begun(plan(), "x", "y")
    succeed(engine, engine.commands()[-1], items("z"), kept=7)
    (value,) = engine.commands()[-1].inputs
    assert (texts(value), value.base_count) == (["x", "y", "z"], 0)


def test_what_is_kept_counts_against_the_limit_of_a_command() -> None:
    half = "x" * (MAX_FIELDS_BYTES // 2)
    engine = begun(plan(), half)
    succeed(engine, engine.commands()[-1], items(half), kept=1)
    (completion,) = engine.completions()
    assert completion.error is not None
    assert completion.error.code == "command_too_large"


def test_an_engine_that_comes_back_knows_what_is_kept() -> None:
    engine = begun(plan(), "x", "y")
    succeed(engine, engine.commands()[-1], items("z"), kept=2)
    asked = engine.commands()[-1]
    engine.loop.close()
    engine.cluster.advance(11_000)
    engine.loop = engine.boot()
    engine.turns()
    succeed(engine, asked, items("!"), kept=3)
    (value,) = engine.commands()[-1].inputs
    assert (texts(value), value.base_count) == (["!"], 3)
