"""Plain documents as YAML: mappings, lists, text, numbers and truth values, nothing else. Pure.

Text is quoted as JSON quotes it, which YAML reads alike, unless it is a bare word that means nothing else.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_MEANS_ELSE = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def yaml_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """Documents one after the other."""
    return "---\n".join("\n".join(_lines(document)) + "\n" for document in documents)


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(str(key))}:", item)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(head: str, item: Any) -> Iterator[str]:
    if isinstance(item, Mapping | list | tuple) and item:
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _MEANS_ELSE:
        return value
    return json.dumps(value, ensure_ascii=False)
