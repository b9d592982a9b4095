"""What logkeel tells a step about its run, and the fields of a state class that are filled with it. Pure.

| declared field | types it may have |
|---|---|
| `schema_version` | `int` |
| `completed_steps` | `list[str]`, or what else takes a list of step paths |
| `error_log` | a list of `StepErrorView`, `dict[str, Any]` or a type of yours with those fields; `list[str]`: lines |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from logkeel.definitions import VIEW_FIELDS
from logkeel.records import RunSummary
from logkeel.workflow.annotations import why_not_data
from logkeel.workflow.context import RunView, StepErrorView

_SAMPLE: Final = RunView(completed_steps=("gather/search",), errors=(StepErrorView("search", 1, "TimeoutError", "no"),))
_WANTED: Final = {
    "schema_version": "int",
    "completed_steps": "list[str]",
    "error_log": "list[StepErrorView], list[dict[str, Any]] or list[str]",
}


@dataclass(frozen=True, slots=True)
class ViewField:
    """A declared field that is filled with what is known of the run. `as_text`: the error log has a line per error."""

    name: str
    adapter: TypeAdapter[Any]
    as_text: bool = False

    def value(self, view: RunView) -> Any:
        """The field's value, of its declared type. Raises pydantic's `ValidationError`."""
        match self.name:
            case "schema_version":
                plain: Any = view.schema_version
            case "completed_steps":
                plain = list(view.completed_steps)
            case _:
                plain = [_line(error) if self.as_text else asdict(error) for error in view.errors]
        return self.adapter.validate_python(plain)


def view_field(name: str, hint: Any) -> ViewField | None:
    """How a field or parameter of `VIEW_FIELDS` with this type is filled; None if its type takes no such value."""
    if why_not_data(hint) is not None:
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    for as_text in (False, True) if name == "error_log" else (False,):
        field = ViewField(name, adapter, as_text)
        try:
            field.value(_SAMPLE)
        except ValidationError:
            continue
        return field
    return None


def wanted_type(name: str) -> str:
    """The type a view field should have, for a remedy."""
    return _WANTED[name]


def view_of(summary: RunSummary) -> RunView:
    """A command's summary as steps see it."""
    return RunView(
        completed_steps=summary.completed_steps,
        errors=tuple(StepErrorView(each.path, each.attempt, each.code, each.message) for each in summary.errors),
        attempts=summary.attempts,
        schema_version=summary.schema_version,
        omitted_steps=summary.omitted_steps,
        omitted_errors=summary.omitted_errors,
    )


def view_from_result(values: Mapping[str, Any]) -> RunView:
    """The view in the JSON values of a completion; what it does not carry is as of a run that has done nothing."""
    errors: Sequence[Mapping[str, Any]] = values.get("error_log", ())
    return RunView(
        completed_steps=tuple(values.get("completed_steps", ())),
        errors=tuple(StepErrorView(**error) for error in errors),
        schema_version=values.get("schema_version", 1),
    )


def _line(error: StepErrorView) -> str:
    return f"{error.path} (attempt {error.attempt}): {error.message} ({error.code})"


ViewReader = Callable[[RunView], Any]
"""Gives the argument of a parameter that looks at the run."""

__all__ = ["VIEW_FIELDS", "ViewField", "ViewReader", "view_field", "view_from_result", "view_of", "wanted_type"]
