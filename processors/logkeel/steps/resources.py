"""Resources of a worker: opened on first use, one of each kind, closed when the worker ends. Lives on its loop."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from logkeel.workflow.resources import Resource

Opener = Callable[[], AbstractAsyncContextManager[Any]]
Overrides = Mapping[Opener | str, Opener]
"""What tests put in place: by the opener itself or by its name."""


class ResourcePool:
    """One instance per opener."""

    def __init__(self, overrides: Overrides | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._open: dict[Opener, Any] = {}
        self._locks: dict[Opener, asyncio.Lock] = {}
        self._stack = AsyncExitStack()

    async def resolve(self, wanted: Mapping[str, Resource]) -> dict[str, Any]:
        """Arguments for these parameters. Raises whatever an opener raises; it is tried again next time."""
        return {parameter: await self._get(resource) for parameter, resource in wanted.items()}

    async def _get(self, resource: Resource) -> Any:
        opener = self._overrides.get(resource.opener) or self._overrides.get(resource.name) or resource.opener
        async with self._locks.setdefault(opener, asyncio.Lock()):
            if opener not in self._open:
                self._open[opener] = await self._stack.enter_async_context(opener())
        return self._open[opener]

    async def close(self) -> None:
        """Close all, last opened first."""
        self._open.clear()
        await self._stack.aclose()
