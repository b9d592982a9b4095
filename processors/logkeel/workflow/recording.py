"""Records which fields `writes=` names, by calling its lambda once with a stand-in for the state.

The lambda is typed over the state class, so that a type checker finds wrong fields and types; here only names are seen.
"""

from collections.abc import Callable, Collection
from typing import Any

from logkeel.definitions import VIEW_FIELDS
from logkeel.workflow.problems import Problem, raise_for
from logkeel.workflow.reducers import Named


class _StateStandIn:
    """Answers `s.field` and `s["field"]` with the name of the field."""

    def __init__(self, named: Callable[[str], Named]) -> None:
        self._named = named

    def __getattr__(self, name: str) -> Named:
        return self._named(name)

    def __getitem__(self, name: str) -> Named:
        return self.__getattr__(name)


def recorded_fields(
    writes: Callable[[Any], Any], fields: Collection[str], *, place: str, option: str = "writes="
) -> tuple[Named, ...]:
    """The fields that `writes` names, in order, and how they are changed. Raises `DefinitionError`."""
    answer = writes(_StateStandIn(lambda name: _field_called(name, fields, place, option)))
    named = answer if isinstance(answer, tuple) else (answer,)
    if not named or not all(isinstance(item, Named) for item in named):
        remedy = f"write `{option}lambda s: s.field` or `{option}lambda s: (s.one, s.other)`"
        raise_for([Problem(f"{option} does not name fields only", place, remedy)])
    if len({item.name for item in named}) != len(named):
        raise_for([Problem(f"{option} names a field twice", place, "name each field once")])
    return named


def _field_called(name: str, fields: Collection[str], place: str, option: str) -> Named:
    if name in VIEW_FIELDS:
        remedy = "let the step write a field of your own; logkeel fills this one by itself"
        raise_for([Problem(f"{option} names {name!r}, which logkeel fills", place, remedy)])
    if name not in fields:
        remedy = f"use one of {', '.join(fields)}, or add {name!r} to the state class"
        raise_for([Problem(f"{option} names {name!r}, which is no field of the state", place, remedy)])
    return Named(name)
