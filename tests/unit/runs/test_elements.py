"""Fields that are kept element by element, and numbers with a reducer: rows against a model of lists and dicts."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.runs.scripts import plan_of, started, step_block

from logkeel.definitions import FieldDefinition
from logkeel.records import FieldWrite, Payload
from logkeel.runs.core.changing import clear_under, merge, write
from logkeel.runs.core.elements import SWEPT_ROWS, count_of, sweep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value, layers_of, with_rows
from logkeel.runs.core.state import RunState

BRANCHES = ("fork#0", "fork#1")
OUTER = ("around#0",)


def plan() -> Plan:
    """A list, a map and a sum."""
    known = plan_of(step_block("a"))
    fields = (
        FieldDefinition(name="list", reducer="append", elements="list"),
        FieldDefinition(name="map", reducer="put", elements="map"),
        FieldDefinition(name="sum", control_type="int", default=100, reducer="add"),
    )
    return Plan(replace(known.document, fields=(*known.document.fields, *fields)), "digest")


PLAN = plan()


def payload(value: str) -> Payload:
    return Payload(encoding="json", data=value.encode())


def append(*values: str) -> list[FieldWrite]:
    return [FieldWrite(field="list", operation="append", payload=payload(each)) for each in values]


def put(key: str, value: str) -> list[FieldWrite]:
    return [FieldWrite(field="map", operation="put", element_key=key, payload=payload(value))]


def remove(key: str) -> list[FieldWrite]:
    return [FieldWrite(field="map", operation="remove", element_key=key)]


def add(number: int) -> list[FieldWrite]:
    return [FieldWrite(field="sum", operation="add", is_control=True, control=number)]


def fresh() -> RunState:
    return RunState(started(PLAN).state.info)


def seen(state: RunState, name: str, *scopes: str) -> Any:
    """The field as it is read there, decoded."""
    value = field_value(state, PLAN, name, (*scopes, ""))
    if name == "sum":
        assert value is not None
        return value.control
    elements = () if value is None else value.elements
    layers = with_rows(layers_of(state, name, (*scopes, "")))
    assert count_of(state, name, layers) == len(elements)
    texts = [(each.payload.data or b"").decode() for each in elements]
    return texts if name == "list" else dict(zip([each.key for each in elements], texts, strict=True))


def no_row_is_left_over(state: RunState) -> None:
    """Each row belongs to a pointer; those of maps have their second row."""
    while state.head.stale:
        sweep(state)
    pointed = {(name, pointer.generation) for (_, name), pointer in state.fields.items() if pointer.generation}
    assert {(name, generation) for name, generation, _ in state.elements} <= pointed
    keyed = {(name, generation, row.key, at) for (name, generation, at), row in state.elements.items() if row.key}
    assert {(*key, at) for key, at in state.positions.items()} == keyed
    assert not state.stale


@st.composite
def changes(draw: st.DrawFn) -> list[FieldWrite]:
    kind = draw(st.sampled_from(("append", "put", "remove", "replace list", "replace map", "add", "set")))
    key, value = draw(st.sampled_from("xyz")), str(draw(st.integers(0, 99)))
    match kind:
        case "append":
            return append(*[value] * draw(st.integers(1, 3)))
        case "put":
            return put(key, value)
        case "remove":
            return remove(key)
        case "replace list":
            return [FieldWrite(field="list"), *append(*[value] * draw(st.integers(0, 2)))]
        case "replace map":
            return [FieldWrite(field="map"), *(put(key, value) if draw(st.booleans()) else [])]
        case "add":
            return add(int(value))
        case _:
            return [FieldWrite(field="sum", is_control=True, control=int(value))]


def happen(model: dict[str, Any], writes: Sequence[FieldWrite]) -> None:
    """The same to a list, a dict and a number."""
    for each in writes:
        text = "" if each.payload is None else (each.payload.data or b"").decode()
        match each.field, each.operation:
            case "list", "append":
                model["list"] = [*model["list"], text]
            case "map", "put":
                model["map"] = {**model["map"], each.element_key: text}
            case "map", "remove":
                model["map"] = {key: value for key, value in model["map"].items() if key != each.element_key}
            case "sum", "add":
                model["sum"] += each.control
            case "sum", _:
                model["sum"] = each.control
            case name, _:
                model[name] = [] if name == "list" else {}


WRITES = st.lists(st.tuples(st.sampled_from(("before", *BRANCHES, "after")), changes()), max_size=14)


@settings(max_examples=300, deadline=None)
@given(script=WRITES, outer=st.sampled_from(((), OUTER)))
def test_branches_see_the_fork_and_themselves_and_are_joined_in_their_order(
    script: list[tuple[str, list[FieldWrite]]], outer: tuple[str, ...]
) -> None:
    state, revision = fresh(), 0
    around = outer[0] if outer else ""
    base: dict[str, Any] = {"list": ["seed"], "map": {"x": "seed"}, "sum": 100}
    write(state, "", [*append("seed"), *put("x", "seed")], 1)
    revision = 1
    by_place = {place: [each for where, each in script if where == place] for place in ("before", *BRANCHES, "after")}
    for writes in by_place["before"]:
        revision += 1
        write(state, around, writes, revision)
        happen(base, writes)
    joined = dict(base)
    for branch in BRANCHES:
        model = dict(base)
        for writes in by_place[branch]:
            revision += 1
            write(state, branch, writes, revision)
            happen(model, writes)
            happen(joined, writes)
        assert {name: seen(state, name, branch, *outer) for name in base} == model
        assert {name: seen(state, name, *outer) for name in base} == base
    revision += 1
    for branch in BRANCHES:
        for name in base:
            pointer = state.fields.pop((branch, name), None)
            if pointer is not None:
                merge(state, around, name, pointer, revision)
    assert {name: seen(state, name, *outer) for name in base} == joined
    for writes in by_place["after"]:
        revision += 1
        write(state, around, writes, revision)
        happen(joined, writes)
    assert {name: seen(state, name, *outer) for name in base} == joined
    no_row_is_left_over(state)


def test_a_branch_that_is_cancelled_leaves_no_row() -> None:
    state = fresh()
    write(state, "fork#0", [*append("1", "2"), *put("x", "3")], 2)
    clear_under(state, "fork")
    no_row_is_left_over(state)
    assert not state.elements
    assert not state.fields


def test_a_replaced_list_is_new_at_once_and_goes_in_bites() -> None:
    state = fresh()
    write(state, "", append(*["old"] * (2 * SWEPT_ROWS + 5)), 2)
    write(state, "", [FieldWrite(field="list"), *append("new")], 3)
    assert seen(state, "list") == ["new"]
    assert len(state.elements) == SWEPT_ROWS + 6
    assert state.head.stale == 1
    sweep(state)
    sweep(state)
    assert len(state.elements) == 1
    assert state.head.stale == 0


@pytest.mark.parametrize(
    ("operation", "numbers", "result"), [("add", (3, -1), 102), ("max", (3, 200, 7), 200), ("min", (3, 200), 3)]
)
def test_numbers_are_combined_with_the_default(operation: Any, numbers: tuple[int, ...], result: int) -> None:
    state = fresh()
    for revision, number in enumerate(numbers, 2):
        write(state, "", [FieldWrite(field="sum", operation=operation, is_control=True, control=number)], revision)
    assert seen(state, "sum") == result


def test_a_sum_stays_a_number_of_64_bits() -> None:
    state = fresh()
    for revision in (2, 3):
        write(state, "", add(2**62 + 2**61), revision)
    assert seen(state, "sum") == 2**63 - 1
