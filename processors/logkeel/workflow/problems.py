"""What is wrong with a definition, as values, and the one error they end in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from logkeel.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: what is wrong, where (file and line, or a path of names), and what to do about it."""

    what: str
    place: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\n  at: {self.place}\n  do: {self.remedy}"


def raise_for(problems: Sequence[Problem]) -> None:
    """Raise one `DefinitionError` for all of them, if there are any. `place` and `remedy` are those of the first."""
    if not problems:
        return
    first = problems[0]
    raise DefinitionError(
        "\n".join(str(problem) for problem in problems),
        place=first.place,
        remedy=first.remedy,
        problems=[{"what": p.what, "place": p.place, "remedy": p.remedy} for p in problems],
    )


def place_of(function: Callable[..., Any]) -> str:
    """File and line of a function, as editors understand it."""
    code = getattr(function, "__code__", None)
    if code is None:
        return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
    return f"{code.co_filename}:{code.co_firstlineno}"
