"""Reads a `client.properties`, as Java clients and Kafka's own tools write it; nothing of Kafka is loaded for that.

Format: java.util.Properties: `name=value` or `name: value`, comments with # or !, a backslash joins lines or escapes.
"""

import re
from pathlib import Path

from logkeel.errors import ConfigInvalid

BOOTSTRAP = "bootstrap.servers"

_PAIR = re.compile(r"((?:[^\\=:\s]|\\.)+)\s*[=:\s]\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def read_properties(path: Path) -> dict[str, str]:
    """Names and values of a file, or of a directory as Kubernetes mounts Secrets: a file each, named by its option.

    Files of a directory that end on `.properties` are read as such; hidden ones are passed over. Raises
    `ConfigInvalid` if one cannot be read; what it holds is told to nobody.
    """
    if not path.is_dir():
        return parse_properties(_text(path), source=str(path))
    found: dict[str, str] = {}
    for each in sorted(path.iterdir()):
        if each.name.startswith(".") or not each.is_file():
            continue
        of_file = {each.name: _text(each).strip()}
        if each.suffix == ".properties":
            of_file = parse_properties(_text(each), source=str(each))
        if twice := found.keys() & of_file.keys():
            raise ConfigInvalid(f"{path} says {', '.join(sorted(twice))} twice", file=str(each))
        found |= of_file
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}", file=str(path)) from error


def parse_properties(text: str, *, source: str) -> dict[str, str]:
    """Names and values. Raises `ConfigInvalid` for a line that is neither."""
    found: dict[str, str] = {}
    for number, line in _logical_lines(text):
        pair = _PAIR.fullmatch(line)
        if pair is None:
            raise ConfigInvalid(f"{source}:{number} is no line of the form name=value", file=source)
        found[_plain(pair[1])] = _plain(pair[2])
    return found


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    carried, began = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.lstrip()
        if not carried and (not line or line[0] in "#!"):
            continue
        began = began if carried else number
        carried += line
        if (len(line) - len(line.rstrip("\\"))) % 2:
            carried = carried[:-1] or " "
            continue
        lines.append((began, carried.strip()))
        carried = ""
    return [*lines, (began, carried.strip())] if carried.strip() else lines


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 5 else _SHORT.get(m[1], m[1]), text)
