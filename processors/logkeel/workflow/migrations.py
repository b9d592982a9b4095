"""State migrations: functions that turn the fields of one schema version into those of the next one.

They see a whole state, as plain JSON values by field, and give a whole one. They run where a run is moved to a newer
version (`logkeel run fork RUN --to app:workflow`), once, and what they give is validated as the state class says.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from logkeel.errors import InvalidInput
from logkeel.workflow.payloads import reasons
from logkeel.workflow.problems import Problem, raise_for
from logkeel.workflow.state import StateShape

Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class Migrations:
    """The migrations of one workflow, by the version that they start from."""

    def __init__(self, workflow: str, shape: StateShape) -> None:
        self._workflow = workflow
        self._shape = shape
        self._steps: dict[int, Migration] = {}

    def add(self, from_version: int, function: Migration) -> None:
        """Add the step from `from_version` to the next one. Raises `DefinitionError`."""
        place = f"{self._workflow}.migration(from_version={from_version})"
        if from_version in self._steps:
            raise_for([Problem("there is one already", place, "keep one function for each version")])
        if not 1 <= from_version < self._shape.schema_version:
            what = f"the state class has schema_version {self._shape.schema_version}, so nothing leads there"
            raise_for([Problem(what, place, "raise schema_version of the state class, or correct from_version")])
        self._steps[from_version] = function

    @property
    def versions(self) -> frozenset[int]:
        """The versions that something leads on from."""
        return frozenset(self._steps)

    def missing(self, from_version: int) -> list[int]:
        """The versions between `from_version` and the present one that nothing leads on from."""
        return [version for version in range(from_version, self._shape.schema_version) if version not in self._steps]

    def apply(self, values: Mapping[str, Any], from_version: int) -> dict[str, Any]:
        """The fields of the present version. Raises `DefinitionError`, `InvalidInput`, and what migrations raise."""
        missing = self.missing(from_version)
        if missing:
            place = f"Workflow({self._workflow!r})"
            what = f"no migration leads from schema version {missing[0]} to {missing[0] + 1}"
            raise_for([Problem(what, place, f"add @workflow.migration(from_version={missing[0]})")])
        state = dict(values)
        for version in range(from_version, self._shape.schema_version):
            state = self._steps[version](dict(state))
        self._check(state)
        return state

    def _check(self, state: Mapping[str, Any]) -> None:
        fields = self._shape.fields
        problems = [f"{name}: is no field of the state" for name in state if name not in fields]
        for name, value in state.items():
            if name in fields:
                try:
                    fields[name].adapter.validate_python(value)
                except ValueError as error:
                    problems += [f"{name}: {reason}" for reason in reasons(error)]
        if problems:
            message = f"the migrated state does not fit workflow {self._workflow!r}: {'; '.join(problems)}"
            raise InvalidInput(message, workflow=self._workflow, problems=problems)
