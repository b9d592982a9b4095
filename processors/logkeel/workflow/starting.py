"""Workflows that the code of a step starts as runs of their own: how it declares them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from logkeel.workflow.mapping import Fitting
from logkeel.workflow.problems import Problem, raise_for

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

Starts: TypeAlias = "Sequence[Workflow[Any]] | Callable[[], Sequence[Workflow[Any]]]"
"""Workflows, or a function that names them once all are defined: a workflow may start itself."""


@dataclass(frozen=True, slots=True)
class Started:
    """What the code of a step may start; `place` is where it is declared."""

    given: Starts
    place: str

    def __bool__(self) -> bool:
        return callable(self.given) or bool(self.given)

    def by_name(self) -> "Mapping[str, Workflow[Any]]":
        """The workflows by their names. Raises `DefinitionError`."""
        found: dict[str, Workflow[Any]] = {}
        problems: list[Problem] = []
        fitting = Fitting({}, problems, self.place)
        for each in self.given() if callable(self.given) else self.given:
            if found.setdefault(each.name, each) is not each:
                what = f"two workflows that it starts are called {each.name!r}"
                problems.append(Problem(what, self.place, "give one of them another name"))
            fitting.check_no_turn(each)
        raise_for(problems)
        return found


NOTHING = Started((), "")
"""Of a step whose code starts no runs."""


def is_leaf(workflow: "Workflow[Any]") -> bool:
    """Whether its runs surely start no child runs; one whose flow is being built may start itself."""
    return workflow.blocks is not None and not workflow.starts_runs
