"""A form for people: its entries, made from the JSON Schema of an answer, and the value that a filled form means. Pure.

    schema                               entries as they are posted
    text, number, yes or no, a choice    `value`
    an object of such members            `value.<member>` each; a member of another kind as JSON
    anything else                        `value`, as JSON
    none known                           `value`, a text; JSON if `json` is posted with it

A value that these entries could not give back unchanged is shown as JSON as a whole, so that who changes one member
loses no other. An empty entry is null where null fits, left out where the member may be missing, else an empty text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import msgspec

from logkeel.approvals.forms import Schema
from logkeel.client.answers import NOTHING
from logkeel.errors import InvalidInput

WITH_VALUE: Final = ("edit", "respond")
"""The verbs that bring a value."""

VALUE: Final = "value"
AS_JSON: Final = "json"
LINE_CHARACTERS: Final = 120
"""A text that may be longer gets several lines."""

MAX_REFERENCES: Final = 16
"""A reference that leads to references is followed so far."""

Kind = Literal["line", "lines", "integer", "number", "choice", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One control. `name`: as it is posted; `text`: what it holds; `choices`: what may be posted, and how it is shown.

    `empty`: what it means when it holds nothing.
    """

    name: str
    label: str
    kind: Kind
    text: str = ""
    hint: str = ""
    empty: Literal["text", "null", "missing"] = "text"
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A schema with its references resolved, and whether null fits beside it."""

    schema: Schema
    takes_null: bool


def takes_text(schema: Schema | None) -> bool:
    """Whether an answer is a text, so that nobody has to write quotes around it."""
    return schema is not None and _kind(_part(schema, schema).schema) in ("line", "lines")


def entries_for(schema: Schema | None, label: str, current: Any = NOTHING) -> tuple[Entry, ...]:
    """The entries, filled with the value as it stands if there is one. `label`: of an entry for all of it."""
    if schema is None:
        text = "" if current is NOTHING else _shown(current, "lines")
        return (Entry(name=VALUE, label=label, kind="lines", text=text),)
    made = _empty_entries(schema, label)
    if current is NOTHING:
        return made
    filled = tuple(replace(each, text=_filled(each, current)) for each in made)
    if _is_given_back(filled, schema, current):
        return filled
    if takes_text(schema):  # what stands there is no text: it is written anew
        return made
    return (Entry(name=VALUE, label=label, kind="json", text=_pretty(current)),)


def refilled(schema: Schema | None, label: str, posted: Mapping[str, str]) -> tuple[Entry, ...]:
    """The entries as they were posted, to be mended."""
    made = entries_for(schema, label)
    if VALUE in posted and made[0].name != VALUE:
        made = (Entry(name=VALUE, label=label, kind="json"),)
    return tuple(replace(each, text=posted.get(each.name, "")) for each in made)


def value_of(posted: Mapping[str, str], schema: Schema | None) -> Any:
    """What a filled form means. It is not held against the schema here.

    Raises `InvalidInput` for an entry that cannot be read, and for one that stands for all and is empty.
    """
    kind: Kind = "json" if AS_JSON in posted else "lines"
    if schema is not None:
        made = _empty_entries(schema, VALUE)
        is_whole = made[0].name == VALUE
        if not is_whole and VALUE not in posted:
            return _object(made, posted)
        kind = made[0].kind if is_whole else "json"
    text = _plain(posted.get(VALUE, ""))
    if not text.strip():
        raise _unfit("write what it is to be")
    return _read(text, kind, VALUE)


def _empty_entries(schema: Schema, label: str) -> tuple[Entry, ...]:
    part = _part(schema, schema)
    members = part.schema.get("properties")
    if part.schema.get("type") == "object" and isinstance(members, Mapping) and members and _is_plain(part.schema):
        required = part.schema.get("required", ())
        return tuple(_member(name, each, schema, name in required) for name, each in members.items())
    return (_entry(VALUE, label, part),)


def _member(name: str, schema: object, root: Schema, is_required: bool) -> Entry:
    part = _part(schema if isinstance(schema, Mapping) else {}, root)
    entry = _entry(f"{VALUE}.{name}", str(part.schema.get("title") or name), part)
    if part.takes_null:
        return replace(entry, empty="null")
    return entry if is_required else replace(entry, empty="missing")


def _entry(name: str, label: str, part: _Part) -> Entry:
    hint = part.schema.get("description")
    return Entry(
        name=name,
        label=label,
        kind=_kind(part.schema),
        hint=hint if isinstance(hint, str) else "",
        choices=_choices(part.schema),
    )


def _part(schema: Schema, root: Schema) -> _Part:
    """Follows references into the same document, and looks behind an alternative of null."""
    takes_null = False
    for _ in range(MAX_REFERENCES):
        options = schema.get("anyOf") or schema.get("oneOf")
        reference = schema.get("$ref")
        if isinstance(reference, str):
            inner = _referred(reference, root)
        elif isinstance(options, list) and all(isinstance(each, Mapping) for each in options):
            others = [each for each in options if each.get("type") != "null"]
            if len(others) != 1:
                return _Part({}, takes_null)
            takes_null = takes_null or len(options) > len(others)
            inner = others[0]
        else:
            break
        named = {key: schema[key] for key in ("title", "description") if key in schema}
        schema = {**inner, **named}
    types = schema.get("type")
    if isinstance(types, list) and len(types) == 2 and "null" in types:
        return _Part({**schema, "type": next(each for each in types if each != "null")}, True)
    return _Part(schema, takes_null)


def _referred(reference: str, root: Schema) -> Schema:
    found: Any = root
    for word in reference.removeprefix("#").split("/")[1:]:
        found = found.get(word.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) and reference.startswith("#") else {}


def _is_plain(schema: Schema) -> bool:
    """Whether an object has no other members than those that are named, and none that depend on others."""
    closed = schema.get("additionalProperties", False) is False
    return closed and not schema.keys() & {"patternProperties", "allOf", "anyOf", "oneOf", "if", "minProperties"}


def _kind(schema: Schema) -> Kind:
    if _choices(schema):
        return "choice"
    match schema.get("type"):
        case "string":
            longest = schema.get("maxLength")
            is_short = "format" in schema or (isinstance(longest, int) and longest <= LINE_CHARACTERS)
            return "line" if is_short else "lines"
        case "integer":
            return "integer"
        case "number":
            return "number"
        case _:
            return "json"


def _choices(schema: Schema) -> tuple[tuple[str, str], ...]:
    if schema.get("type") == "boolean":
        return (("true", "yes"), ("false", "no"))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return ()
    return tuple((msgspec.json.encode(each).decode(), _shown(each, "lines")) for each in values if each is not None)


def _filled(entry: Entry, current: Any) -> str:
    """What an entry holds of this value; nothing of one that it cannot hold."""
    if entry.name == VALUE:
        return _shown(current, entry.kind)
    found = current.get(entry.name.removeprefix(f"{VALUE}.")) if isinstance(current, Mapping) else None
    return "" if found is None else _shown(found, entry.kind)


def _shown(value: Any, kind: Kind) -> str:
    if kind in ("line", "lines"):
        return value if isinstance(value, str) else _pretty(value)
    return _pretty(value) if kind == "json" else msgspec.json.encode(value).decode()


def _is_given_back(filled: tuple[Entry, ...], schema: Schema, current: Any) -> bool:
    posted = {each.name: each.text for each in filled}
    try:
        value = value_of(posted, schema)
    except InvalidInput:
        return False
    if isinstance(value, Mapping) and isinstance(current, Mapping):
        # A member that is missing and one that is null are the same where null fits.
        missing = [name for name, each in value.items() if each is None and name not in current]
        value = {name: each for name, each in value.items() if name not in missing}
    return _exact(value) == _exact(current) and all(_is_kept(each) for each in filled)


def _exact(value: Any) -> bytes:
    """Tells 1, 1.0 and True apart."""
    return msgspec.json.encode(value, order="sorted")


def _is_kept(entry: Entry) -> bool:
    """Whether a control gives back what it holds: one line has no line end, and a browser writes them its own way."""
    if entry.kind == "choice":
        return entry.text in {"", *(posted for posted, _ in entry.choices)}
    return "\r" not in entry.text and not (entry.kind == "line" and "\n" in entry.text)


def _object(members: tuple[Entry, ...], posted: Mapping[str, str]) -> dict[str, Any]:
    value, problems = dict[str, Any](), list[str]()
    for each in members:
        name, text = each.name.removeprefix(f"{VALUE}."), _plain(posted.get(each.name, ""))
        try:
            if text or each.empty == "text":
                value[name] = _read(text, each.kind, name)
            elif each.empty == "null":
                value[name] = None
        except InvalidInput as error:
            problems += error.details["problems"]
    if problems:
        raise _unfit(*problems)
    return value


def _read(text: str, kind: Kind, name: str) -> Any:
    if kind in ("line", "lines"):
        return text
    where = "" if name == VALUE else f"{name}: "
    try:
        return msgspec.json.decode(text.strip().encode())
    except msgspec.DecodeError as error:
        wanted = {"integer": "a whole number", "number": "a number", "choice": "one of the choices"}.get(kind)
        raise _unfit(f"{where}has to be {wanted}" if wanted else f"{where}has to be JSON: {error}") from error


def _plain(text: str) -> str:
    """Line ends as they were: browsers post them as two characters."""
    return text.replace("\r\n", "\n")


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def _unfit(*problems: str) -> InvalidInput:
    return InvalidInput(f"the answer does not fit: {'; '.join(problems)}", problems=list(problems))
