"""Maps whose keys begin with a step path, of which the items of one path can be had alone. Pure."""

from collections.abc import ItemsView
from typing import Protocol, TypeVar

V = TypeVar("V")

PathKey = tuple[str, str]
"""(step path, what below it)"""


class ByPath(Protocol[V]):
    """What the core asks of such a map; rows of a table in the engine, a dictionary elsewhere."""

    def get(self, key: PathKey, default: None = None, /) -> V | None:
        """The item, or None."""
        ...

    def of(self, path: str) -> list[tuple[str, V]]:
        """Items of one path."""
        ...

    def items(self) -> ItemsView[PathKey, V]:
        """All of them: for showing and comparing, and for signals, which name no path."""
        ...

    def __len__(self) -> int: ...

    def __contains__(self, key: object, /) -> bool: ...

    def __getitem__(self, key: PathKey, /) -> V: ...

    def __setitem__(self, key: PathKey, value: V, /) -> None: ...

    def __delitem__(self, key: PathKey, /) -> None: ...


class PathDict(dict[PathKey, V]):
    """In memory."""

    def of(self, path: str) -> list[tuple[str, V]]:
        """Items of one path."""
        return [(below, value) for (of_path, below), value in self.items() if of_path == path]
