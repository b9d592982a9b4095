"""What calls of durable code keep to: whether limits and units fit the workflow of their step. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logkeel.errors import StepSignatureError
from logkeel.records import CallLimit
from logkeel.workflow.budgets import uses_problems
from logkeel.workflow.limits import Limit, limit_definitions, limit_problems
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField


@dataclass(frozen=True, slots=True)
class Frame:
    """What the step of a call says of it. `units`: of its workflow's budgets, with the least there is of each; `own`:

    what the step itself uses.
    """

    step: str
    place: str
    fields: Mapping[str, StateField]
    units: Mapping[str, int] = field(default_factory=dict)
    own: Mapping[str, int] = field(default_factory=dict)

    def limits(self, limits: Sequence[Limit]) -> tuple[CallLimit, ...]:
        """These limits as data. Raises `StepSignatureError`."""
        whose = f"a call of step {self.step!r}"
        problems = list(limit_problems(limits, self.fields, whose, self.place))
        if not problems:
            remedy = 'name it, as in Concurrency(4, name="model"): what is called may have another name each time'
            problems = [
                Problem(f"a limit of {whose} has no name", self.place, remedy) for each in limits if not each.name
            ]
        self._raise_for(problems)
        return tuple(
            CallLimit(kind=each.kind, name=each.name, limit=each.limit, per_ms=each.per_ms, key=each.key)
            for each in limit_definitions(limits, "")
        )

    def uses(self, uses: Mapping[str, int]) -> dict[str, int]:
        """What a try of a call uses at most, by unit; without budgets here, of those of whoever starts the run.

        Raises `StepSignatureError`.
        """
        problems = list(uses_problems(uses, f"a call of step {self.step!r}", self.place))
        for unit in () if problems else sorted(uses):
            what = f"a call of step {self.step!r} says that it uses {unit!r}, "
            if unit in self.own:
                remedy = "leave it out of uses= of the step, which reserves it for all of its calls together, or here"
                problems.append(Problem(f"{what}as its step does", self.place, remedy))
            elif self.units and unit not in self.units:
                remedy = f"use one of {', '.join(sorted(self.units))}, or add Budget({unit!r}, …) to budgets="
                problems.append(Problem(f"{what}of which the workflow has no budget", self.place, remedy))
            elif uses[unit] > self.units.get(unit, uses[unit]):
                remedy = "let it say that it uses less, or raise the budget"
                problems.append(
                    Problem(f"{what}{uses[unit]} of {self.units[unit]}: it never begins", self.place, remedy)
                )
        self._raise_for(problems)
        return dict(uses)

    def _raise_for(self, problems: Sequence[Problem]) -> None:
        if problems:
            listed: list[Any] = [{"what": p.what, "place": p.place, "remedy": p.remedy} for p in problems]
            raise StepSignatureError("\n".join(map(str, problems)), step=self.step, problems=listed)
