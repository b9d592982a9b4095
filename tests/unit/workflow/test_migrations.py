"""State migrations: declared, checked, and applied where a run is moved to a newer version."""

from typing import Any

import pytest

from logkeel.errors import DefinitionError, InvalidInput
from logkeel.workflow import State, Workflow


class Third(State):
    """The state class of today."""

    schema_version: int = 3
    first: str
    last: str = ""
    age: int = 0


def workflow() -> Workflow[Third]:
    """With both migrations."""
    people = Workflow("people", state=Third)

    @people.migration(from_version=1)
    def split(state: dict[str, Any]) -> dict[str, Any]:
        first, _, last = state.pop("name").partition(" ")
        return {**state, "first": first, "last": last}

    @people.migration(from_version=2)
    def count(state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "age": int(state.get("age", "0"))}

    return people


def test_they_lead_from_any_version_to_the_present_one() -> None:
    migrations = workflow().migrations
    given = {"name": "Ada Lovelace", "age": "36"}
    assert migrations.apply(given, 1) == {"first": "Ada", "last": "Lovelace", "age": 36}
    assert given == {"name": "Ada Lovelace", "age": "36"}, "what was given stays as it is"
    assert migrations.apply({"first": "Ada", "age": "36"}, 2) == {"first": "Ada", "age": 36}
    assert migrations.apply({"first": "Ada"}, 3) == {"first": "Ada"}


def test_what_they_give_fits_the_state_class() -> None:
    people = Workflow("people", state=Third)
    people.migration(from_version=2)(lambda state: {"first": "Ada", "age": "old", "shoe": 38})
    with pytest.raises(InvalidInput, match=r"shoe: is no field.*age: "):
        people.migrations.apply({}, 2)


def test_a_gap_and_a_wrong_place_are_definition_errors() -> None:
    people = Workflow("people", state=Third)
    people.migration(from_version=2)(lambda state: state)
    with pytest.raises(DefinitionError, match=r"no migration leads from schema version 1 to 2"):
        people.migrations.apply({}, 1)
    assert people.migrations.missing(1) == [1]
    with pytest.raises(DefinitionError, match="there is one already"):
        people.migration(from_version=2)(lambda state: state)
    for version in (0, 3):
        with pytest.raises(DefinitionError, match="schema_version 3"):
            people.migration(from_version=version)(lambda state: state)
