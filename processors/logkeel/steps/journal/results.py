"""Results of calls as entries of the journal: JSON by the function's return annotation. Pure.

What a function returned comes back as it would be read again, so that code sees the same in each execution.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

from logkeel.errors import StepSignatureError
from logkeel.payloads import JSON_ENCODING
from logkeel.records import FieldWrite, Payload
from logkeel.workflow.annotations import function_hints, name_of, without_none
from logkeel.workflow.context import StepContext
from logkeel.workflow.payloads import reasons

RESULT_FIELD = "result"
KEY_PARAMETER = "idempotency_key"


class Callee(NamedTuple):
    """A function as a journaled call needs it. `context` names the parameter that takes the StepContext."""

    adapter: TypeAdapter[Any]
    is_async: bool
    context: str | None
    takes_key: bool


@lru_cache(maxsize=1_024)
def callee_of(function: Callable[..., Any]) -> Callee:
    """Looks at its signature. Raises `StepSignatureError` if what it returns is no data."""
    hints = _hints(function)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]  # a built-in that tells nothing of itself
    context = next((name for name in parameters if without_none(hints.get(name)) is StepContext), None)
    return Callee(
        adapter=adapter_of(hints.get("return", Any)),
        is_async=inspect.iscoroutinefunction(inspect.unwrap(function)),
        context=context,
        takes_key=KEY_PARAMETER in parameters,
    )


def adapter_of(hint: Any) -> TypeAdapter[Any]:
    """Raises `StepSignatureError` if values of this type are no data."""
    try:
        return TypeAdapter(hint)
    except PydanticUserError as error:
        message = f"{name_of(hint)} is no data, so that no journal can hold it: return a model, or plain values"
        raise StepSignatureError(message) from error


def written(adapter: TypeAdapter[Any], value: Any, what: str) -> FieldWrite:
    """`value` as the write of an entry. Raises `StepSignatureError`."""
    try:
        data = adapter.dump_json(adapter.validate_python(value), warnings="error")
    except PydanticSerializationError as error:
        raise StepSignatureError(f"{what} is no data: {error}", problems=[str(error)]) from error
    except ValueError as error:
        problems = reasons(error)
        raise StepSignatureError(
            f"{what} does not fit its annotation: {'; '.join(problems)}", problems=problems
        ) from error
    return FieldWrite(field=RESULT_FIELD, payload=Payload(encoding=JSON_ENCODING, data=data))


def read(adapter: TypeAdapter[Any], writes: tuple[FieldWrite, ...], what: str) -> Any:
    """The value that an entry brings, None if it has none. Raises `StepSignatureError` if it does not fit any more."""
    try:
        if not writes:
            return adapter.validate_python(None)
        if writes[0].is_control:
            return adapter.validate_python(writes[0].control)
        payload = writes[0].payload
        return adapter.validate_json(payload.data if payload is not None and payload.data is not None else b"null")
    except ValueError as error:
        problems = reasons(error)
        message = f"{what} in the journal does not fit the annotation: {'; '.join(problems)}"
        raise StepSignatureError(message, problems=problems) from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return function_hints(function)
    except (NameError, TypeError):
        return {}
