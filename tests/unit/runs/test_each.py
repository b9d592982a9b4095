"""Each blocks by themselves: what begins when, what an element leaves behind, and what ten thousand of them cost."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import (
    Block,
    EachBlock,
    FieldDefinition,
    Handler,
    ParallelBlock,
    RescueBlock,
    SleepBlock,
    WithinBlock,
    WriteDefinition,
)
from logkeel.records import FieldWrite
from logkeel.records.limits import MAX_FIELDS_BYTES
from logkeel.runs.core.paths import of_element
from logkeel.runs.core.reading import field_value, inputs_of

a, b, c = (step_block(name) for name in "abc")


def each(body: Block = a, **details: Any) -> EachBlock:
    """The body for every document."""
    known: dict[str, Any] = {"id": "docs", "items": "docs", "value": "a", "collect": "results", "failed": "failed"}
    return EachBlock(body=body, item="doc", **{**known, "concurrency": 2, **details})


def run(*blocks: Block, docs: tuple[str, ...] = ("x", "y", "z")) -> Flow:
    return Flow(plan_with(flow_of(*blocks)), docs)


def test_so_many_begin_as_may_be_open_and_the_next_one_when_one_has_ended() -> None:
    flow = run(each(), c)
    assert flow.open_steps == ["docs[0]/a", "docs[1]/a"]
    flow.check()
    flow.succeed("docs[1]/a")
    assert flow.open_steps == ["docs[0]/a", "docs[2]/a"]
    flow.check()
    flow.succeed("docs[2]/a")
    flow.check()
    flow.succeed("docs[0]/a")
    assert flow.open_steps == ["c"]
    texts = [(str(n), f'"by docs[{n}]/a"') for n in range(3)]
    assert flow.elements("results") == texts, "in the order of the elements, whenever they came"
    flow.succeed("c")
    assert flow.status == "succeeded"
    assert flow.value("a") is None, "what an element writes stays with it"
    flow.check()


def test_an_element_costs_four_events() -> None:
    flow = run(each(concurrency=1), docs=("x",))
    flow.succeed("docs[0]/a")
    assert flow.kinds == [
        "run_started",
        "block_entered docs",
        "block_entered docs[0]",
        "step_dispatched docs[0]/a",
        "step_succeeded docs[0]/a",
        "block_left docs[0]",
        "block_left docs",
        "run_completed",
    ]


def test_a_step_in_the_body_reads_the_element() -> None:
    plan = plan_with(flow_of(each()))
    definition = msgspec.structs.replace(plan.definitions["a"], reads=("doc", "topic"))
    plan = type(plan)(msgspec.structs.replace(plan.document, steps=(definition,)), "digest")
    flow = Flow(plan, ("x", "y"))
    for number, text in enumerate("xy"):
        doc, topic = inputs_of(flow.state, plan, plan.steps[f"docs[{number}]/a"])
        assert doc.payload is not None
        assert doc.payload.data == f'"{text}"'.encode()
        assert topic.field == "topic"


def test_results_go_into_a_list_in_the_order_of_the_elements() -> None:
    again = each(b, id="notes", items="notes", collect=None, concurrency=9)
    flow = run(each(collect="notes", concurrency=3), again, c)
    for number in (2, 0, 1):
        flow.succeed(f"docs[{number}]/a")
    assert [value for _, value in flow.elements("notes")] == [f'"by docs[{n}]/a"' for n in range(3)]
    assert flow.open_steps == [f"notes[{n}]/b" for n in range(3)]
    flow.check()


def test_no_element_is_no_work() -> None:
    flow = run(each(), c, docs=())
    assert flow.open_steps == ["c"]
    assert flow.elements("results") == []
    flow.check()


def test_an_element_that_fails_is_noted_and_the_others_go_on() -> None:
    flow = run(each(), c)
    flow.fail("docs[0]/a")
    assert flow.open_steps == ["docs[1]/a", "docs[2]/a"]
    flow.check()
    flow.succeed("docs[2]/a")
    flow.succeed("docs[1]/a")
    assert flow.open_steps == ["c"]
    ((key, text),) = flow.elements("failed")
    assert key == "0"
    assert msgspec.json.decode(text) == {"path": "docs[0]", "attempt": 1, "code": "boom", "message": "it broke"}
    assert [key for key, _ in flow.elements("results")] == ["1", "2"]
    flow.check()


@pytest.mark.parametrize("limit", [{"max_failures": 1}, {"max_failures_percent": 50.0}, {"max_failures_percent": 34.0}])
def test_too_many_failures_fail_the_block_which_can_be_caught(limit: dict[str, Any]) -> None:
    body = RescueBlock(id="rescue", body=each(**limit), handlers=(Handler(on="too_many_failures", block=c),))
    for flow in (run(each(**limit)), run(body)):
        where = "rescue/" if flow.plan.rescues else ""
        flow.fail(f"{where}docs[0]/a")
        assert flow.open_steps == [f"{where}docs[1]/a", f"{where}docs[2]/a"]
        flow.fail(f"{where}docs[2]/a")
        if where:
            assert flow.open_steps == ["rescue/c"]
            assert [key for key, _ in flow.elements("failed")] == ["0", "2"]
        else:
            assert flow.status == "failed"
            assert flow.state.head.error is not None
            assert flow.state.head.error.code == "too_many_failures"
        assert flow.revoked == [f"{where}docs[1]/a"]
        flow.check()


def test_a_failure_that_is_caught_inside_is_none_of_the_element() -> None:
    body = RescueBlock(id="rescue", body=a, handlers=(Handler(on="*", block=b),))
    flow = run(each(body, value="b"), docs=("x",))
    flow.fail("docs[0]/rescue/a")
    flow.succeed("docs[0]/rescue/b")
    assert flow.status == "succeeded"
    assert [key for key, _ in flow.elements("results")] == ["0"]
    assert flow.elements("failed") == []
    flow.check()


def test_what_still_runs_of_an_element_that_fails_is_cancelled_and_nothing_else() -> None:
    body = ParallelBlock(id="fork", branches=(a, b, SleepBlock(id="nap", duration_ms=9)))
    flow = run(each(body), docs=("x", "y"))
    flow.succeed("docs[0]/fork/a")
    flow.fail("docs[0]/fork/b")
    assert flow.revoked == []
    assert flow.open_steps == ["docs[1]/fork/a", "docs[1]/fork/b"]
    assert flow.waits == ["docs[1]/fork/nap"]
    flow.check()


def test_its_time_may_be_over() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=5, body=each(), on_timeout=c), b)
    flow.succeed("hour/docs[0]/a")
    flow.fire_next()
    assert flow.open_steps == ["hour/c"]
    assert not flow.state.eaches
    assert not flow.state.items
    assert [key for key, _ in flow.elements("results")] == ["0"]
    flow.check()


def test_an_each_in_an_each_has_both_keys_in_its_paths() -> None:
    inner = EachBlock(id="again", items="docs", body=a, item="page", concurrency=1, max_failures=0)
    flow = run(each(inner, value=None, collect=None), docs=("x", "y"))
    assert flow.open_steps == ["docs[0]/again[0]/a", "docs[1]/again[0]/a"]
    flow.succeed("docs[0]/again[0]/a")
    flow.fail("docs[1]/again[0]/a")
    ((key, text),) = flow.elements("failed")
    assert (key, msgspec.json.decode(text)["code"]) == ("1", "too_many_failures")
    flow.succeed("docs[0]/again[1]/a")
    assert flow.status == "succeeded"
    flow.check()


def test_in_a_branch_the_results_appear_at_the_join() -> None:
    flow = run(ParallelBlock(id="fork", branches=(each(), b)), c)
    for number in (1, 0, 2):
        flow.succeed(f"fork/docs[{number}]/a")
    assert flow.elements("results") == []
    flow.succeed("fork/b")
    assert [key for key, _ in flow.elements("results")] == ["0", "1", "2"]
    flow.check()


def test_an_element_that_fits_into_no_command_is_one_that_fails() -> None:
    plan = plan_with(flow_of(each()))
    definition = msgspec.structs.replace(plan.definitions["a"], reads=("doc",))
    plan = type(plan)(msgspec.structs.replace(plan.document, steps=(definition,)), "digest")
    flow = Flow(plan, ("x" * MAX_FIELDS_BYTES, "y"))
    assert flow.open_steps == ["docs[1]/a"]
    ((key, text),) = flow.elements("failed")
    assert (key, msgspec.json.decode(text)["code"]) == ("0", "command_too_large")
    flow.check()


def test_numbers_with_a_reducer_get_out_of_an_element() -> None:
    plan = plan_with(flow_of(each()))
    total = FieldDefinition(name="total", control_type="int", default=100, reducer="add")
    plan = type(plan)(msgspec.structs.replace(plan.document, fields=(*plan.document.fields, total)), "digest")
    step = msgspec.structs.replace(
        plan.definitions["a"], writes=(*plan.definitions["a"].writes, WriteDefinition(field="total", operation="add"))
    )
    plan = type(plan)(msgspec.structs.replace(plan.document, steps=(step,)), "digest")
    flow = Flow(plan, ("x", "y"))
    for number in (1, 0):
        one = FieldWrite(field="total", operation="add", is_control=True, control=number + 1)
        flow.succeed(f"docs[{number}]/a", writes=(one,))
    value = field_value(flow.state, plan, "total")
    assert value is not None
    assert value.control == 103
    flow.check()


def test_keys_are_written_into_paths_as_in_addresses() -> None:
    assert of_element("docs", "a/b[1]#x%") == "docs[a%2Fb%5B1%5D%23x%25]"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), concurrency=st.integers(1, 4), collect=st.sampled_from(("results", "notes")))
def test_whatever_the_order_of_answers_the_results_are_in_that_of_the_elements(
    data: st.DataObject, concurrency: int, collect: str
) -> None:
    docs = tuple(f"d{n}" for n in range(data.draw(st.integers(0, 7))))
    bad = {n for n in range(len(docs)) if data.draw(st.booleans())}
    flow = run(each(concurrency=concurrency, collect=collect), docs=docs)
    while flow.open_steps:
        path = data.draw(st.sampled_from(flow.open_steps))
        if int(path[len("docs[") : path.index("]")]) in bad:
            flow.fail(path)
        else:
            flow.succeed(path)
        flow.check()
    assert flow.status == "succeeded"
    good = [n for n in range(len(docs)) if n not in bad]
    assert [value for _, value in flow.elements(collect)] == [f'"by docs[{n}]/a"' for n in good]
    assert [key for key, _ in flow.elements("failed")] == [str(n) for n in sorted(bad)]


def test_ten_thousand_elements_cost_ten_thousand_times_one(record_property: Any) -> None:
    import time

    def taken(count: int) -> tuple[int, int, float]:
        began = time.perf_counter()
        flow = run(each(concurrency=100), docs=tuple(str(n) for n in range(count)))
        waiting = [f"docs[{n}]/a" for n in range(count)]
        for number, path in enumerate(waiting):
            if number % 20 == 19:
                flow.fail(path)
            else:
                flow.succeed(path)
        assert flow.status == "succeeded"
        state = flow.state
        rows = len(state.steps) + len(state.elements) + len(state.positions) + len(state.fields) + len(state.items)
        assert len(flow.elements("results")) == count - count // 20
        assert not state.eaches
        return len(flow.history), rows, time.perf_counter() - began

    events, rows, _ = taken(1_000)
    many_events, many_rows, seconds = taken(10_000)
    assert many_events - 4 == 10 * (events - 4)
    assert many_rows <= 10 * rows
    record_property("seconds for 10 000 elements", f"{seconds:.2f}")
    print(f"10 000 elements: {many_events} events, {many_rows} rows, {seconds:.2f} s")  # noqa: T201  # to be told
