"""Paths of blocks: as the definition has them, and as a run meets them. Pure.

A run's path is the definition's, with the round behind each loop: `refine/judge` is met as `refine[1]/judge`, then as
`refine[2]/judge`. Behind an each block stands the key of an element: `documents[a.pdf]/read`, of a list its index;
characters that mean something in paths are written as in URLs. A scope is the path of a fork, "#", and the index of a
branch, or the path of an element, "#", and a word. What the code of a step calls for has the step's path, "?", and the
position of the call in its journal.
"""

import re
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, Protocol, TypeVar, runtime_checkable

V = TypeVar("V")

_INDEX = re.compile(r"\[[^\]/]*\]")
_ROUND = re.compile(r"\[(\d+)\]$")
_LAST_INDEX = re.compile(r"\[[^\]/]*\]$")
_IN_CODE = re.compile(r"\?[0-9t.]+s?$")
_ESCAPED = re.compile(r"[%/\[\]#\x00-\x1f]")


def place_in_code(path: str, position: str) -> str:
    """The path of a question or a child that code of the step `path` has called for at this position."""
    return f"{path}?{position}"


def split_place(place: str) -> tuple[str, str]:
    """(step path, position) of a place in code."""
    path, _, position = place.rpartition("?")
    return path, position


def slot_of(position: str) -> str:
    """Where in a journal the call at this position waits for slots of limits and for budgets."""
    return f"{position}.s"


def is_slot(position: str) -> bool:
    """Whether it is such a position."""
    return position.endswith(".s")


def is_in_code(path: str) -> bool:
    """Whether this is a place in code; keys of elements may have question marks, too."""
    return _IN_CODE.search(path) is not None


def is_placed(path: str) -> bool:
    """Whether this is a run's path that differs from the definition's."""
    return "[" in path


def static(path: str) -> str:
    """The path in the definition."""
    return _INDEX.sub("", path) if "[" in path else path


def locate(target: str, inside: str) -> str:
    """Where a run meets the block `target` of its definition, seen from the run's path `inside`.

    The enclosing blocks that both share are the same ones; what lies deeper is entered anew.
    """
    if "[" not in inside:
        return target
    segments, around = target.split("/"), inside.split("/")
    for number, (segment, met) in enumerate(zip(segments, around, strict=False)):
        if static(met) != segment:
            break
        segments[number] = met
    return "/".join(segments)


def locate_scope(scope: str, inside: str) -> str:
    """The same for a scope."""
    fork, _, index = scope.rpartition("#")
    return f"{locate(fork, inside)}#{index}"


def in_round(path: str, number: int) -> str:
    """The path of a loop in its round of that number."""
    return f"{_ROUND.sub('', path)}[{number}]"


def round_of(path: str) -> int:
    """The round in which a loop's path is; 0 before the first one."""
    found = _ROUND.search(path)
    return int(found[1]) if found else 0


def of_element(path: str, key: str) -> str:
    """The path of an element of an each block."""
    return f"{path}[{_ESCAPED.sub(lambda found: f'%{ord(found[0]):02X}', key)}]"


def is_element(path: str) -> bool:
    """Whether this is the path of an element, or of a round, and not of the block."""
    return path.endswith("]")


def without_element(path: str) -> str:
    """The path of the each block that an element is of."""
    return _LAST_INDEX.sub("", path)


def is_under(path: str, prefix: str) -> bool:
    """Whether a block lies inside of another one, however deep. A scope does too, and an element of an each block."""
    return path.startswith((f"{prefix}/", f"{prefix}#", f"{prefix}["))


@runtime_checkable
class Sorted(Protocol):
    """A map that finds keys by how their path or scope begins, without looking at the others."""

    def starting(self, text: str) -> Iterator[Any]:
        """The keys that begin so."""
        ...


def below(places: Mapping[str, V], path: str) -> list[tuple[str, V]]:
    """What is inside of a block; "": all. In the order of the paths, wherever the map is kept: decisions follow it."""
    if not path:
        return sorted(places.items(), key=itemgetter(0))
    keys = places.starting(path) if isinstance(places, Sorted) else places
    return [(key, places[key]) for key in sorted(keys) if is_under(key, path)]


def fields_below(fields: Mapping[tuple[str, str], object], path: str) -> list[tuple[str, str]]:
    """Fields, as (scope, name), whose scopes are inside of a block."""
    keys = fields.starting(path) if isinstance(fields, Sorted) else fields
    return [key for key in list(keys) if is_under(key[0], path)]
