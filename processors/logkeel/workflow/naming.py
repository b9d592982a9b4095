"""Names, and ids of blocks: unique in one path segment, so that every occurrence of a step has its own path (P30)."""

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""Names become parts of step paths, topic names and keys."""


class Names:
    """Hands out ids: a step used twice is `write`, then `write-2`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def fresh(self, name: str) -> str:
        """The name, or the name with the first free ordinal."""
        ordinal, candidate = 1, name
        while candidate in self._taken:
            ordinal += 1
            candidate = f"{name}-{ordinal}"
        self._taken.add(candidate)
        return candidate
