"""A block once for every element of a field: what an author writes, and the block of a definition it becomes. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Required, TypedDict, Unpack

from msgspec import UnsetType
from pydantic import TypeAdapter

from logkeel.definitions import Block, EachBlock, FieldDefinition
from logkeel.workflow.problems import Problem
from logkeel.workflow.reducers import element_type
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.blocks import FlowBlock

MAX_CONCURRENCY: Final = 1_000
"""Elements that begin together are dispatched in one transaction; a thousand commands are within a second."""

_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


class Gathering(TypedDict, total=False):
    """How elements are worked on, see `each`."""

    item: Required[str]
    collect: str
    value: str
    failed: str
    concurrency: int
    max_failures: int | str
    name: str


@dataclass(frozen=True, slots=True)
class Each:
    """See `each`."""

    items: str
    body: "FlowBlock"
    how: Gathering


def each(items: str, body: "FlowBlock", **how: Unpack[Gathering]) -> Each:
    """The body for every element of the field `items`, `concurrency` of them at a time (100 unless said).

    Steps of the body read the element by a parameter called as `item` says; what the body writes stays with the
    element. `collect`: the list or map that gets what the body wrote, in the order of the elements; `value` says which
    of its fields that is, if it writes several. `failed`: the map of errors of the elements that failed, by key, or by
    index in a list. `max_failures`: how many may fail, or "5%"; one more is the failure `too_many_failures`. Unless
    said any number may fail if `failed` keeps their errors, and none otherwise.
    """
    return Each(items, body, how)


def with_item(
    fields: Mapping[str, StateField], items: str, item: str | None, *, grouped: bool = False
) -> dict[str, StateField]:
    """The fields as the body sees them: the element is one of them, or with `grouped` a list of elements."""
    item = item or "item"
    if item in fields:
        return dict(fields)
    return {**fields, item: _pseudo_field(item, _annotation(fields.get(items), grouped=grouped))}


def field_of_item(block: EachBlock, fields: Mapping[str, StateField]) -> StateField:
    """The element, or group of elements, as a field of its own: always there."""
    grouped = not isinstance(block.fan_in, UnsetType)
    return _pseudo_field(block.item, _annotation(fields.get(block.items), grouped=grouped))


def _annotation(items: StateField | None, *, grouped: bool) -> Any:
    element = Any if items is None else element_type(items.annotation)
    grouping: Any = list
    return grouping[element] if grouped else element


def each_block(
    block: Each, identity: str, body: Block, *, written: Collection[str], problems: list[Problem], place: str
) -> EachBlock:
    """The block of the definition; `written` are fields of the body that can be collected."""
    how = block.how
    given: Mapping[str, object] = dict(how)  # what is said without a type checker
    unknown = sorted(given.keys() - Gathering.__annotations__.keys())
    if unknown:
        remedy = f"use {', '.join(Gathering.__annotations__)}"
        problems.append(Problem(f"each({block.items!r}) knows no {', '.join(unknown)}", place, remedy))
    if "item" not in given:
        remedy = 'say item="doc", and name a parameter of the step so'
        problems.append(Problem(f"each({block.items!r}) does not say how the element is called", place, remedy))
    count, percent = _limit(block, problems, place)
    return EachBlock(
        id=identity,
        items=block.items,
        body=body,
        item=how.get("item", "item"),
        value=_value(block, written, problems, place),
        collect=how.get("collect"),
        failed=how.get("failed"),
        concurrency=_concurrency(block, problems, place),
        max_failures=count,
        max_failures_percent=percent,
    )


def _value(block: Each, written: Collection[str], problems: list[Problem], place: str) -> str | None:
    value, collect = block.how.get("value"), block.how.get("collect")
    if collect is None:
        if value is not None:
            problems.append(Problem(f"each({block.items!r}) collects {value!r} nowhere", place, 'say collect="field"'))
        return None
    if value is not None:
        return value
    if len(written) == 1:
        return next(iter(written))
    what = f"each({block.items!r}) collects one field, and its body writes {', '.join(sorted(written)) or 'none'}"
    remedy = 'say which one: value="field"' if written else "let a step of the body write a field"
    problems.append(Problem(what, place, remedy))
    return None


def _concurrency(block: Each, problems: list[Problem], place: str) -> int:
    given: Any = block.how.get("concurrency", 100)
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MAX_CONCURRENCY:
        return given
    what = f"each({block.items!r}) works on {given!r} elements at a time"
    problems.append(Problem(what, place, f"give concurrency a whole number from 1 to {MAX_CONCURRENCY}"))
    return 1


def _limit(block: Each, problems: list[Problem], place: str) -> tuple[int | None, float | None]:
    """(count, percent)"""
    given: Any = block.how.get("max_failures")
    if given is None:
        return (0 if block.how.get("failed") is None else None), None
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given, None
    found = _PERCENT.fullmatch(given) if isinstance(given, str) else None
    if found is not None and float(found[1]) <= 100:
        return None, float(found[1])
    what = f"max_failures={given!r} of each({block.items!r}) is no number of elements"
    problems.append(Problem(what, place, 'write a whole number, or a part of all elements such as "5%"'))
    return 0, None


def _pseudo_field(name: str, annotation: Any) -> StateField:
    return StateField(name, annotation, FieldDefinition(name=name, required=True), None, TypeAdapter(annotation))
