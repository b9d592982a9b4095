"""Elements of each blocks that have failed, as they were: shown again if they are retried. Pure; part of the views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec.structs import replace

from logkeel.projection.waits import WaitView

Field = TypeVar("Field")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedView(Generic[Field]):
    """What stood in an element: its fields, its inner workflows, and its blocks whose time was limited."""

    at_ms: int
    fields: Mapping[str, Field]
    inner: tuple[str, ...]
    waits: Mapping[str, WaitView]


def is_inside(path: str, element: str) -> bool:
    """Whether this is something in the element."""
    return path.startswith((f"{element}/", f"{element}["))


def closed(
    at_ms: int, path: str, *, fields: Mapping[str, Field], inner: list[str], waits: Mapping[str, WaitView]
) -> ClosedView[Field]:
    """What is kept of the element at `path` when it fails."""
    return ClosedView(
        at_ms=at_ms,
        fields={name: each for name, each in fields.items() if is_inside(name, path)},
        inner=tuple(each for each in inner if each == path or is_inside(each, path)),
        waits={place: each for place, each in waits.items() if each.kind == "within" and is_inside(place, path)},
    )


def waits_again(kept: ClosedView[Field], at_ms: int) -> dict[str, WaitView]:
    """Limits of time go on; the time in between does not count."""
    gone_ms = at_ms - kept.at_ms
    return {
        path: replace(each, due_ms=None if each.due_ms is None else each.due_ms + gone_ms)
        for path, each in kept.waits.items()
    }
