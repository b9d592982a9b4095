"""Paths of blocks: as the definition has them, and as a run meets them. Pure.

A run's path is the definition's, with the round behind each loop: `refine/judge` is met as `refine[1]/judge`, then as
`refine[2]/judge`. A scope is the path of a fork, "#", and the index of a branch.
"""

import re

_INDEX = re.compile(r"\[[^\]/]*\]")
_ROUND = re.compile(r"\[(\d+)\]$")


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


def is_under(path: str, prefix: str) -> bool:
    """Whether a block lies inside of another one, however deep. A scope does too."""
    return path.startswith((f"{prefix}/", f"{prefix}#"))
