"""Dependencies of steps: opened once per worker, handed in as arguments, replaced in tests."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """Marks a step parameter: `http: Annotated[AsyncClient, Resource(open_http)]`.

    `opener` takes no argument and gives an async context manager. Parameters with the same opener share one instance
    per worker process. In tests it is overridden by the opener's function or its name.
    """

    opener: Callable[[], AbstractAsyncContextManager[Any]]

    @property
    def name(self) -> str:
        """The opener's name, for messages and overrides."""
        return getattr(self.opener, "__name__", repr(self.opener))
