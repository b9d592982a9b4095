"""A field's elements down to one value, level by level: what an author writes, and the block it becomes. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Required, TypedDict, Unpack

from logkeel.definitions import Block, EachBlock
from logkeel.workflow.annotations import name_of, without_none
from logkeel.workflow.each import MAX_CONCURRENCY
from logkeel.workflow.problems import Problem
from logkeel.workflow.reducers import element_type
from logkeel.workflow.signature import are_other_types
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.blocks import FlowBlock

DEFAULT_FAN_IN: Final = 10
MAX_FAN_IN: Final = 1_000
"""A group is dispatched in one command, and read by one turn of the engine."""


class Reducing(TypedDict, total=False):
    """How elements are reduced, see `reduce`."""

    item: Required[str]
    into: Required[str]
    value: str
    fan_in: int
    concurrency: int
    name: str


@dataclass(frozen=True, slots=True)
class Reduce:
    """See `reduce`."""

    items: str
    body: "FlowBlock"
    how: Reducing


def reduce(items: str, body: "FlowBlock", **how: Unpack[Reducing]) -> Reduce:
    """The elements of the field `items` become one value, which is written to `into`.

    The body makes one value of a group of `fan_in` elements at most (10 unless said), which a step reads as a list by a
    parameter called as `item` says; `value` says which of its fields that is, if it writes several. What it makes of
    the groups is gone through in the same way, level by level, in the order of the elements, until one value is left.
    Sizes of the groups of a level differ by one at most. One element alone is the value; without any, nothing is
    written. A group that fails fails the block.
    """
    return Reduce(items, body, how)


def reduce_block(
    block: Reduce, identity: str, body: Block, *, written: Collection[str], problems: list[Problem], place: str
) -> EachBlock:
    """The block of the definition; `written` are fields of the body that can be its value."""
    given: Mapping[str, Any] = dict(block.how)  # what is said without a type checker
    what = f"reduce({block.items!r})"
    unknown = sorted(given.keys() - Reducing.__annotations__.keys())
    if unknown:
        remedy = f"use {', '.join(Reducing.__annotations__)}"
        problems.append(Problem(f"{what} knows no {', '.join(unknown)}", place, remedy))
    if "item" not in given:
        remedy = 'say item="group", and name a parameter of the step so'
        problems.append(Problem(f"{what} does not say how a group is called", place, remedy))
    if "into" not in given:
        remedy = 'say into="field"'
        problems.append(Problem(f"{what} does not say where the value goes", place, remedy))
    return EachBlock(
        id=identity,
        items=block.items,
        body=body,
        item=given.get("item", "item"),
        value=_value(what, given.get("value"), written, problems, place),
        max_failures=0,
        concurrency=_number(what, given, "concurrency", (100, 1, MAX_CONCURRENCY), problems, place),
        fan_in=_number(what, given, "fan_in", (DEFAULT_FAN_IN, 2, MAX_FAN_IN), problems, place),
        into=given.get("into", ""),
    )


def into_problems(block: EachBlock, fields: Mapping[str, StateField], place: str) -> list[Problem]:
    """Whether the last value fits where it goes, and values where elements go."""
    into = fields.get(str(block.into))
    if into is None:
        known = ", ".join(fields)
        return [Problem(f"reduce writes {block.into!r}, which is no field of the state", place, f"use one of {known}")]
    remedy = "write it to a field of the elements' type, without reducer and without Literal, Enum, bool or Control"
    if into.elements is not None or into.definition.control_type is not None or into.definition.reducer != "replace":
        return [Problem(f"reduce writes {into.name!r}, which takes no value as it is", place, remedy)]
    items, value = fields.get(block.items), fields.get(block.value or "")
    element = Any if items is None else element_type(items.annotation)
    return [
        Problem(
            f"elements of {block.items!r} are {name_of(without_none(element))}, and {each.name!r} is"
            f" {name_of(without_none(each.annotation))}: values are gone through as the elements were",
            place,
            "give all three the same type",
        )
        for each in (into, value)
        if each is not None and are_other_types(element, each.annotation)
    ]


def _value(what: str, given: str | None, written: Collection[str], problems: list[Problem], place: str) -> str | None:
    if given is not None:
        return given
    if len(written) == 1:
        return next(iter(written))
    remedy = 'say which one: value="field"' if written else "let a step of the body write a field"
    names = ", ".join(sorted(written)) or "none"
    problems.append(Problem(f"{what} makes one value of a group, and its body writes {names}", place, remedy))
    return None


def _number(
    what: str,
    given: Mapping[str, Any],
    name: str,
    bounds: tuple[int, int, int],
    problems: list[Problem],
    place: str,
) -> int:
    default, least, most = bounds
    number = given.get(name, default)
    if isinstance(number, int) and not isinstance(number, bool) and least <= number <= most:
        return number
    problems.append(Problem(f"{name}={number!r} of {what}", place, f"give a whole number from {least} to {most}"))
    return default
