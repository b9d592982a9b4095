"""What a person types as data: JSON, a file of JSON, `name=value`. Pure but for reading the file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from logkeel.client.building import Readable
from logkeel.errors import InvalidInput


def input_of(text: str | None, fields: Sequence[str], *, option: str = "--input") -> dict[str, Any]:
    """An object from `option` (JSON, or `@file`), with the fields given one by one on top. Raises `InvalidInput`."""
    values = {} if text is None else json_of(text, option)
    if not isinstance(values, dict):
        raise InvalidInput(f'{option} wants a JSON object such as {{"name": "Ada"}}, not a {type(values).__name__}')
    return {**values, **dict(_field(each) for each in fields)}


def with_readable(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The input with the fields that the engine has to read marked as such. Raises `InvalidInput`."""
    unknown = [name for name in names if name not in values]
    if unknown:
        raise InvalidInput(f"--readable {unknown[0]!r} is no field of the input: {', '.join(values) or 'it is empty'}")
    return {name: Readable(value) if name in names else value for name, value in values.items()}


def json_of(text: str, option: str) -> Any:
    """The JSON in `text`, or in the file behind `@`. Raises `InvalidInput`."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except OSError as error:
            raise InvalidInput(f"{option}: {text[1:]} cannot be read: {error.strerror}") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{option} is not JSON: {error}; quote it for your shell, or give @file.json") from error


def pairs_of(items: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` as texts. Raises `InvalidInput`."""
    return dict(_split(item, option) for item in items)


def _field(item: str) -> tuple[str, Any]:
    """A value is JSON if it reads as such, else a text: `-f number=7`, `-f name=Ada`."""
    name, value = _split(item, "--field")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _split(item: str, option: str) -> tuple[str, str]:
    name, sign, value = item.partition("=")
    if not sign or not name:
        raise InvalidInput(f"{option} {item!r} wants name=value")
    return name, value
