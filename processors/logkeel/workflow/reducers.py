"""How writes change a field, as annotations of the state class; and the ways around them, for `writes=`. Pure.

| annotation | the field is | a step returns |
|---|---|---|
| `Append` | a list, kept element by element | the elements to append |
| `Put` | a dict with text keys, kept element by element | the elements to put, by key |
| `Elements` | either, kept element by element | the whole new value |
| `Add`, `Max`, `Min` | a control field of numbers | the number to combine with what is there |
"""

import inspect
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args, get_origin

from logkeel.definitions import Elements as ElementsKind
from logkeel.records import Operation
from logkeel.workflow.annotations import Reducer, bare, extras

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Append:
    """`findings: Annotated[list[str], Append] = []`: a step returns what is to be appended."""


class Put:
    """`summaries: Annotated[dict[str, str], Put] = {}`: a step returns what is to be put, by key."""


class Elements:
    """`documents: Annotated[list[str], Elements]`: kept element by element, and replaced as a whole."""


class Add:
    """`cost: Annotated[float, Control, Add] = 0.0`: a step returns what is to be added."""


class Max:
    """`depth: Annotated[int, Control, Max] = 0`: the largest of all that steps returned."""


class Min:
    """`price: Annotated[float | None, Control, Min] = None`: the smallest of all that steps returned."""


_OPERATIONS: Final[dict[type, Operation]] = {
    Append: "append",
    Put: "put",
    Elements: "replace",
    Add: "add",
    Max: "max",
    Min: "min",
}
COMBINING: Final = ("add", "max", "min")


@dataclass(frozen=True, slots=True)
class Named:
    """A field that `writes=` names; `operation` None: what its reducer says."""

    name: str
    operation: Operation | None = None


def replaced(field: T) -> T:
    """`writes=lambda s: replaced(s.findings)`: the step returns the whole new value, whatever the reducer."""
    changed: T = _changed(field, "replace")
    return changed


def removed(field: dict[K, V]) -> list[K]:
    """`writes=lambda s: removed(s.summaries)`: the step returns the keys of the elements that go."""
    keys: list[K] = _changed(field, "remove")
    return keys


def operation_of(hint: Any) -> Operation:
    """The reducer that a field declares, "replace" if none. Raises ValueError for one that is unknown, or for two."""
    own = [extra for extra in extras(hint) if inspect.isroutine(extra)]
    if own:
        raise ValueError(f"{getattr(own[0], '__name__', own[0])!r} is a function, and this version takes its own only")
    operations = [operation for extra in extras(hint) if (operation := _declared(extra)) is not None]
    if len(operations) > 1:
        raise ValueError("there are two")
    if operations and operations[0] not in ("replace", "append", "put", *COMBINING):
        raise ValueError(f"{operations[0]!r} is none of this version")
    return operations[0] if operations else "replace"


def elements_of(hint: Any, operation: Operation) -> ElementsKind | None:
    """How a field is kept element by element, or None. Raises ValueError when its type cannot be."""
    if operation not in ("append", "put") and Elements not in extras(hint):
        return None
    plain = bare(hint)
    kind, arguments = get_origin(plain) or plain, get_args(plain)
    if kind is list and operation != "put":
        return "list"
    if kind is dict and operation != "append" and (not arguments or arguments[0] is str):
        return "map"
    either = "a list, or a dict with text keys"
    wanted = {"append": "a list", "put": "a dict with text keys"}.get(operation, either)
    raise ValueError(f"it must be {wanted}")


def element_type(hint: Any) -> Any:
    """The type of the elements of a list or dict."""
    arguments = get_args(bare(hint))
    return arguments[-1] if arguments else Any


def _declared(extra: Any) -> Operation | None:
    if isinstance(extra, Reducer):
        return extra.operation
    return _OPERATIONS.get(extra) if inspect.isclass(extra) else None


def _changed(field: Any, operation: Operation) -> Any:
    if not isinstance(field, Named):
        raise TypeError("replaced(...) and removed(...) go around a field inside of writes=")
    return Named(field.name, operation)
