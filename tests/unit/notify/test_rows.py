"""Rows: what is written is read, by other versions too, and no run's rows are another one's."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.notify.messages import CASE, OVER

from logkeel.notify import rows
from logkeel.notify.cases import Case, Delivery, Place, Target, announced, case_id

TOLD = announced(OVER, "asked", [Target("mail", "ada@example.com"), Target("hook")], revision=7, now_ms=5)
PLACED = replace(TOLD, places=(Place(field="report", revision=3, offset=17), Place(field="x", revision=0)))


def test_a_case_comes_back() -> None:
    for case in (CASE, OVER, TOLD, PLACED):
        assert rows.decode_case(rows.encode_case(case)) == case


def test_fields_of_a_later_version_are_passed_over() -> None:
    plain = msgspec.msgpack.decode(rows.encode_case(PLACED))
    plain["mood"] = "good"
    plain["question"]["mood"] = "good"
    plain["deliveries"][0]["mood"] = "good"
    assert rows.decode_case(msgspec.msgpack.encode(plain)) == PLACED


def test_what_this_version_needs_is_in_the_rows_of_the_first() -> None:
    """Written by the first version of the notifier; every later one has to read it."""
    first = {
        "run_id": "r1",
        "incarnation": "0@0",
        "workflow": "publish",
        "version": "1",
        "definition_digest": "d",
        "question": {"path": "approve", "kind": "human", "number": 7, "since_ms": 1},
        "deliveries": [{"key": "k", "kind": "asked", "channel": "c", "recipient": "", "revision": 7, "next_ms": 1}],
    }
    case = rows.decode_case(msgspec.msgpack.encode(first))
    assert case.deliveries == (Delivery(key="k", kind="asked", channel="c", recipient="", revision=7, next_ms=1),)
    assert case.is_open


names = st.text(max_size=8)


@given(names, names, names, names)
def test_the_rows_of_a_run_are_its_own(run: str, incarnation: str, other: str, path: str) -> None:
    case: Case = replace(CASE, run_id=run, incarnation=incarnation)
    begin, end = rows.below(rows.cases_of(run, incarnation))
    assert begin <= rows.case_key(case) < end
    if other != run:
        assert not begin <= rows.case_key(replace(case, run_id=other)) < end
    assert (case_id(run, incarnation, path, 1) == case_id(other, incarnation, path, 1)) is (run == other)
    assert case_id(run, incarnation, path, 1) != case_id(run, incarnation, path, 11)
