"""Checks each blocks: the kinds of their fields, and that the body brings what is collected. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import UnsetType

from logkeel.definitions import VIEW_FIELDS, EachBlock
from logkeel.workflow.annotations import name_of, without_none
from logkeel.workflow.flow_contents import Contents
from logkeel.workflow.problems import Problem
from logkeel.workflow.reducers import element_type
from logkeel.workflow.reducing import into_problems
from logkeel.workflow.signature import are_other_types
from logkeel.workflow.state import StateField

_BY_ELEMENT = "mark it as Annotated[list[...], Append], Annotated[dict[str, ...], Put], or with Elements"
_ERROR = {"path": "documents[0]", "attempt": 1, "code": "timeout", "message": "it took too long"}
"""What is kept of an element that failed."""


@dataclass(frozen=True, slots=True)
class EachCheck:
    """Checks of one each block; `problems` is filled."""

    block: EachBlock
    fields: Mapping[str, StateField]
    contents: Contents
    place: str
    problems: list[Problem]

    def run(self) -> None:
        """Check everything but the flow of the body."""
        self._item()
        self._by_element(self.block.items, "goes through")
        if not isinstance(self.block.into, UnsetType):
            self.problems.extend(into_problems(self.block, self.fields, self.place))
            if self.block.value is not None and self.block.value not in self.contents.writes(self.block.body):
                what = f"the body does not write {self.block.value!r}, which is the value of a group"
                self._problem(what, "name a field it writes")
        if self.block.collect is not None:
            self._collect(self.block.collect)
        if self.block.failed is not None:
            self._failed(self.block.failed)
        self._lost()

    def _item(self) -> None:
        item = self.block.item
        if item in self.fields or item in VIEW_FIELDS:
            self._problem(f"the element is called {item!r}, as a field is", "choose another name for it")
        elif not item.isidentifier():
            self._problem(f"the element is called {item!r}, which no parameter can be", "choose a Python name for it")

    def _collect(self, name: str) -> None:
        known = self._by_element(name, "collects into")
        if name == self.block.items:
            self._problem(f"each goes through {name!r} and collects into it", "collect into another field")
        if name in self.contents.reads(self.block.body):
            what = f"the body reads {name!r}, which the elements are collected into as they end"
            self._problem(what, "read it behind the block")
        value = None if self.block.value is None else self.fields.get(self.block.value)
        if self.block.value is None:
            return
        if self.block.value not in self.contents.writes(self.block.body):
            self._problem(f"the body does not write {self.block.value!r}, which is collected", "name a field it writes")
        elif value is not None and value.elements is not None:
            what = f"{self.block.value!r} is kept element by element, and one value is collected"
            self._problem(what, "let the body write a field without reducer")
        elif value is not None and known is not None:
            wanted = element_type(known.annotation)
            if are_other_types(wanted, value.annotation):
                given = name_of(without_none(value.annotation))
                what = f"elements of {name!r} are {name_of(without_none(wanted))}, and {value.name!r} is {given}"
                self._problem(what, "give both the same type")

    def _failed(self, name: str) -> None:
        known = self._by_element(name, "keeps errors in", only="map")
        if name in (self.block.items, self.block.collect):
            self._problem(f"each keeps errors in {name!r}, which it needs for something else", "use a field of its own")
        if known is None or known.element is None or known.elements != "map":
            return
        try:
            known.element.validate_python(_ERROR)
        except ValueError:
            what = f"elements of {name!r} do not take an error"
            self._problem(what, "declare it as Annotated[dict[str, StepErrorView], Put], or with dict[str, Any] inside")

    def _lost(self) -> None:
        """An element is a scope of its own: what a reducer would add outside has to be collected."""
        kept = {self.block.value}
        for name in sorted(self.contents.writes(self.block.body) - kept):
            known = self.fields.get(name)
            if known is not None and known.elements is not None:
                what = f"the body writes {name!r}, and what it writes stays with the element"
                self._problem(what, f"let it write a field without reducer, and collect that into {name!r}")

    def _by_element(self, name: str, does: str, *, only: str | None = None) -> StateField | None:
        known = self.fields.get(name)
        if known is None:
            self._problem(f"{name!r} is no field of the state", f"use one of {', '.join(self.fields)}")
        elif known.elements is None:
            self._problem(f"each {does} {name!r}, which is not kept element by element", _BY_ELEMENT)
        elif only is not None and known.elements != only:
            remedy = "declare it as Annotated[dict[str, StepErrorView], Put]"
            self._problem(f"each {does} {name!r}, which is a list", remedy)
        return known

    def _problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, self.place, remedy))
