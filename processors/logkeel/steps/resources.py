"""Resources of a worker: opened on first use, one of each kind, closed when the worker ends. Lives on its loop."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from logkeel.workflow.resources import Resource

Opener = Callable[[], AbstractAsyncContextManager[Any]]
Overrides = Mapping[Opener | str, Opener]
"""What tests put in place: by the opener itself or by its name."""

CLOSE_WAIT_S = 1.0


class ResourcePool:
    """One instance per opener."""

    def __init__(self, overrides: Overrides | None = None) -> None:
        self._overrides = dict(overrides or {})
        self._open: dict[Opener, Any] = {}
        self._locks: dict[Opener, asyncio.Lock] = {}
        self._opening: set[asyncio.Task[Any]] = set()
        self._stack = AsyncExitStack()

    async def resolve(self, wanted: Mapping[str, Resource]) -> dict[str, Any]:
        """Arguments for these parameters. Raises whatever an opener raises; it is tried again next time.

        A step that is cut while it waits here takes its opener with it: the next step opens anew (P25).
        """
        return {parameter: await self._get(resource) for parameter, resource in wanted.items()}

    async def _get(self, resource: Resource) -> Any:
        opener = self._overrides.get(resource.opener) or self._overrides.get(resource.name) or resource.opener
        async with self._locks.setdefault(opener, asyncio.Lock()):
            if opener not in self._open:
                self._open[opener] = await self._opened(opener())
        return self._open[opener]

    async def _opened(self, context: AbstractAsyncContextManager[Any]) -> Any:
        """On a task of its own, so that an opener that ignores its end cannot hold the lock."""
        opening = asyncio.ensure_future(context.__aenter__())
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            opening.cancel()
            opening.add_done_callback(lambda done: self._unwanted(done, context))
            raise
        resource = opening.result()
        self._stack.push_async_exit(context)
        return resource

    def _unwanted(self, opening: "asyncio.Future[Any]", context: AbstractAsyncContextManager[Any]) -> None:
        """Opened when nobody waited any more: closed with the others."""
        if not opening.cancelled() and opening.exception() is None:
            self._stack.push_async_exit(context)

    async def close(self) -> None:
        """Close all, last opened first."""
        opening = set(self._opening)
        for each in opening:
            each.cancel()
        if opening:
            await asyncio.wait(opening, timeout=CLOSE_WAIT_S)
        self._open.clear()
        await self._stack.aclose()
