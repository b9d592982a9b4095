"""What another workflow takes and gives, and how its fields are mapped to those of the workflow around it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from logkeel.definitions import FieldDefinition, Mapped
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Interface:
    """A workflow seen from outside. It has one before it has a flow, so that it can call itself."""

    name: str
    fields: tuple[FieldDefinition, ...]
    returns: tuple[str, ...]


def interface_of(workflow: "Workflow[Any]") -> Interface:
    """What that workflow takes and gives."""
    returns = (workflow.returns,) if isinstance(workflow.returns, str) else tuple(workflow.returns or ())
    return Interface(workflow.name, tuple(each.definition for each in workflow.shape.fields.values()), returns)


@dataclass(frozen=True, slots=True)
class Fitting:
    """Fits another workflow's fields to these ones; `problems` is filled on the way."""

    fields: Mapping[str, StateField]
    problems: list[Problem]
    place: str

    def check_one_of_a_name(self, workflow: "Workflow[Any]", known: "dict[str, Workflow[Any]]") -> None:
        """A name means one workflow; `known`, by name, is filled."""
        if known.setdefault(workflow.name, workflow) is not workflow:
            self._problem(f"two workflows are called {workflow.name!r}", "give one of them another name")

    def check_no_turn(self, workflow: "Workflow[Any]") -> None:
        """Turns of conversations are started by whoever speaks, and by nobody else."""
        if workflow.conversation is not None:
            runs = f"the runs of workflow {workflow.name!r}"
            what = f"{runs} are turns of a conversation, and cannot be a part of another run"
            self._problem(what, "put what both need into a workflow without conversation=")

    def check_no_limits(self, workflow: "Workflow[Any]") -> None:
        """A part of another run begins when that run comes to it."""
        if workflow.limits:
            what = f"workflow {workflow.name!r} limits its runs, and inside of another run it is none"
            self._problem(what, "limit its steps, or start it with child(…)")

    def check_no_budgets(self, workflow: "Workflow[Any]") -> None:
        """A part of another run uses up what that run has."""
        if workflow.budgets:
            what = f"workflow {workflow.name!r} has budgets, and inside of another run it uses up that run's"
            self._problem(what, "give the workflow around it the budgets, or start it with child(…)")

    def inputs(self, inner: Interface, inputs: Mapping[str, str] | None) -> tuple[Mapped, ...]:
        """What it begins with: as said, else its required fields with the same names."""
        given = inputs
        if given is None:
            given = {each.name: each.name for each in inner.fields if each.required}
        self._check_inputs(inner, given)
        return tuple(Mapped(inner=name, outer=outer) for name, outer in sorted(given.items()))

    def result(self, inner: Interface, writes: str | None) -> tuple[str | None, str | None]:
        """(the field that gets the result, the inner field that is the result); of the same name unless said."""
        returns = inner.returns[0] if len(inner.returns) == 1 else None
        if writes is None:
            return (returns, returns) if returns in self.fields else (None, None)
        if returns is None:
            what = f"workflow {inner.name!r} returns {len(inner.returns)} fields, and one is to be written"
            self._problem(what, 'let it return one: returns="field"')
        elif writes not in self.fields:
            self._problem(f"{writes!r} is no field of the state", f"use one of {', '.join(self.fields)}")
        else:
            known = next((each for each in inner.fields if each.name == returns), None)
            if known is not None:
                self._check_kind(known, self.fields[writes].definition)
        return writes, returns

    def _check_inputs(self, inner: Interface, inputs: Mapping[str, str]) -> None:
        known = {each.name: each for each in inner.fields}
        for name in sorted({each.name for each in inner.fields if each.required} - inputs.keys()):
            what = f"workflow {inner.name!r} needs {name!r}, which it is not given"
            self._problem(what, f'map it: inputs={{"{name}": "a field of yours"}}')
        for name, outer in sorted(inputs.items()):
            if name not in known:
                self._problem(f"workflow {inner.name!r} has no field {name!r}", f"map one of {', '.join(known)}")
            elif outer not in self.fields:
                self._problem(f"{outer!r} is no field of the state", f"use one of {', '.join(self.fields)}")
            else:
                self._check_kind(known[name], self.fields[outer].definition)

    def _check_kind(self, inner: FieldDefinition, outer: FieldDefinition) -> None:
        if inner.control_type != outer.control_type:
            kinds = [each.control_type or "a payload" for each in (inner, outer)]
            what = f"field {inner.name!r} inside is {kinds[0]}, and {outer.name!r} outside is {kinds[1]}"
            self._problem(what, "give both the same type")
        if inner.elements != outer.elements:
            kept = [_kept(each) for each in (inner, outer)]
            what = f"field {inner.name!r} inside is kept as {kept[0]}, and {outer.name!r} outside as {kept[1]}"
            self._problem(what, "declare both alike")

    def _problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, self.place, remedy))


def _kept(field: FieldDefinition) -> str:
    return "one value" if field.elements is UNSET else f"a {field.elements} of elements"
