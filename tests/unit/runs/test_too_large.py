"""What does not fit into one record ends its run, visibly and by name; nothing runs again for it, nothing loops."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.scripts import flow_of, heartbeat, plan_of, started, step_block, succeeded, text

from logkeel.definitions import ParallelBlock
from logkeel.errors import PayloadTooLarge
from logkeel.exactly_once import LoopSettings
from logkeel.payloads import PLAIN
from logkeel.records import CancelRun, FieldValue, FieldWrite, Payload, RunEvent, TraceContext
from logkeel.records.limits import (
    MAX_ATTRIBUTES_BYTES,
    MAX_FIELDS_BYTES,
    MAX_HEARTBEAT_DETAILS_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_RECORD_BYTES,
    field_bytes,
    fields_bytes,
)
from logkeel.records.values import StepIdentity
from logkeel.runs.core import requests
from logkeel.runs.core.actions import CompleteRun, DispatchStep, KeepDetails
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.wire import encode

NAMES = ("a", "b", "c", "d")
VALUE = "x" * 255_000


def wide(*, returns: tuple[str, ...] = NAMES, last_reads: tuple[str, ...] = ("topic",)) -> Plan:
    """Four steps that write 255 KB each, and a last one, `z`, that may read them all."""
    plan = plan_of(flow_of(*(step_block(name) for name in (*NAMES, "z"))))
    steps = tuple(replace(step, reads=last_reads) if step.name == "z" else step for step in plan.document.steps)
    return Plan(replace(plan.document, steps=steps, returns=returns), "digest")


def run_to_the_end(plan: Plan, engine: Engine) -> None:
    """Start the run and answer every command once."""
    engine.publish(plan)
    engine.ask(a_start())
    for number in range(5):
        commands = engine.commands()
        if len(commands) <= number:
            return
        engine.succeed(commands[number], value=VALUE if number < 4 else "done")


def test_a_result_that_no_completion_can_carry_fails_the_run_and_runs_nothing_again() -> None:
    engine = Engine()
    run_to_the_end(wide(), engine)
    (done,) = engine.completions()
    assert (done.status, done.result) == ("failed", ())
    assert done.error is not None
    assert done.error.code == "result_too_large"
    assert "a (255" in done.error.message
    assert [command.identity.step for command in engine.commands()] == [*NAMES, "z"]
    assert list(engine.records(engine.names.dead_letters)) == []
    engine.cluster.advance(4 * 24 * 3_600_000)
    engine.turns()
    assert len(engine.commands()) == 5
    engine.ask(a_start(request_id="q2"))
    assert [again.reannounced for again in engine.completions()] == [False, True]


def test_a_command_too_large_for_the_log_fails_the_run() -> None:
    engine = Engine()
    run_to_the_end(wide(returns=(), last_reads=NAMES), engine)
    (done,) = engine.completions()
    assert done.status == "failed"
    assert done.error is not None
    assert done.error.code == "command_too_large"
    assert "step z reads" in done.error.message
    assert [command.identity.step for command in engine.commands()] == list(NAMES)
    assert list(engine.records(engine.names.dead_letters)) == []


def test_no_sibling_is_dispatched_behind_a_branch_that_does_not_fit() -> None:
    fork = ParallelBlock(id="fork", branches=(step_block("y"), step_block("z")))
    plan = plan_of(flow_of(*(step_block(name) for name in NAMES), fork))
    steps = tuple(replace(step, reads=NAMES) if step.name == "y" else step for step in plan.document.steps)
    turn = started(Plan(replace(plan.document, steps=steps), "digest"))
    for name in NAMES:
        turn = Activation(turn.state, turn.plan, turn.now_ms)
        message = succeeded(turn.state, name)
        answer(turn, replace(message, writes=(text(name, VALUE),)))
    assert [event.kind for event in turn.events] == ["step_succeeded", "block_entered", "run_completed"]
    assert not [action for action in turn.actions if isinstance(action, DispatchStep)]


def test_a_run_that_holds_more_than_a_record_can_be_cancelled() -> None:
    engine = Engine()
    engine.publish(wide())
    engine.ask(a_start())
    for number in range(4):
        engine.succeed(engine.commands()[number], value=VALUE)
    engine.ask(CancelRun(run_id="r", request_id="q2"))
    assert [(done.status, done.result) for done in engine.completions()] == [("cancelled", ())]


def test_a_result_comes_only_from_a_run_that_succeeded() -> None:
    plan = plan_of(flow_of(step_block("a"), step_block("b")))
    turn = started(Plan(replace(plan.document, returns=("a",)), "digest"))
    answer(turn := Activation(turn.state, turn.plan, turn.now_ms), succeeded(turn.state, "a"))
    ended = Activation(turn.state, turn.plan, turn.now_ms)
    requests.cancel(ended, CancelRun(run_id="r"), "q")
    (completion,) = (action for action in ended.actions if isinstance(action, CompleteRun))
    assert completion.result == ()


def test_attributes_that_would_not_fit_into_the_completion_are_refused() -> None:
    engine = Engine()
    engine.publish(plan_of(flow_of(step_block("a"))))
    engine.ask(replace(a_start(), attributes={"note": "x" * MAX_ATTRIBUTES_BYTES}))
    trace = TraceContext(traceparent="x" * MAX_ATTRIBUTES_BYTES)
    engine.ask(replace(a_start(request_id="q2"), trace=trace))
    assert engine.rejections() == ["attributes_too_large"] * 2
    assert engine.commands() == []


def test_details_too_large_for_the_next_command_are_not_kept() -> None:
    turn = started(plan_of(flow_of(step_block("a"))))
    for size, kept in ((MAX_HEARTBEAT_DETAILS_BYTES, True), (MAX_HEARTBEAT_DETAILS_BYTES + 1, False)):
        turn = Activation(turn.state, turn.plan, turn.now_ms + 1_000)
        answer(turn, heartbeat(turn.state, "a", b"x" * size))
        assert any(isinstance(action, KeepDetails) for action in turn.actions) == kept


def test_fields_within_the_limit_fit_with_the_largest_envelope() -> None:
    assert LoopSettings(application="x", group_id="x").max_record_bytes == MAX_RECORD_BYTES
    assert 3 * MAX_PAYLOAD_BYTES < MAX_FIELDS_BYTES < 4 * MAX_PAYLOAD_BYTES
    long = "i" * 512
    write = FieldWrite(field="f", payload=Payload(encoding="json", data=b"x" * 100))
    within = (write,) * (MAX_FIELDS_BYTES // field_bytes(write))
    assert fields_bytes(within) <= MAX_FIELDS_BYTES
    event = RunEvent(
        run_id=long,
        incarnation=long,
        revision=1,
        kind="step_succeeded",
        at_ms=1,
        workflow=long,
        version=long,
        definition_digest=long,
        attributes={"note": "x" * MAX_ATTRIBUTES_BYTES},
        writes=within,
    )
    assert len(encode(event)) < MAX_RECORD_BYTES


def test_the_size_of_a_field_is_never_underestimated() -> None:
    identity = StepIdentity(run_id="r", incarnation="i", path="p", step="s", attempt=1, dispatch=1)
    for value in ("x", "é" * 300, "x" * 70_000):
        payload = Payload(encoding="json+zstd", data=value.encode())
        for field in (
            FieldWrite(field=value[:200], payload=payload, element_key=value[:200]),
            FieldWrite(field="f", is_control=True, control=value),
        ):
            event = RunEvent(
                run_id="r",
                incarnation="i",
                revision=1,
                kind="step_succeeded",
                at_ms=1,
                workflow="w",
                version="1",
                definition_digest="d",
                path=identity.path,
            )
            assert len(encode(replace(event, writes=(field,)))) - len(encode(event)) <= field_bytes(field)


def test_who_makes_a_record_refuses_what_does_not_fit_by_name() -> None:
    writes = [text(name, "x" * 250_000) for name in NAMES]
    with pytest.raises(PayloadTooLarge, match=r"together: [abcd] \(250"):
        PLAIN.wrap_writes(writes, "the result of step 'a'")
    PLAIN.wrap_writes(writes[:3], "the result of step 'a'")
    assert fields_bytes([FieldValue(field="f", revision=1)]) < 100
