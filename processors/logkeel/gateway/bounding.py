"""What stands before the application: bodies of bounded size, ids with slashes in paths, names it is called by."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from logkeel.errors import CallerError, LogkeelError, PayloadTooLarge
from logkeel.gateway.problems import MEDIA_TYPE, headers_of, problem, status_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_ESCAPED: Final = {"%": "%25", "/": "%2F"}


class BodyLimit:
    """Answers 413 to a body of more than `max_bytes`, whether its length was told or not."""

    def __init__(self, application: Application, max_bytes: int) -> None:
        self._application = application
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > self._max_bytes:
            await refuse(send, self._too_large())
            return
        seen = 0
        has_answered = False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self._application(scope, counted, noted)
        except _TooLarge:
            if not has_answered:
                await refuse(send, self._too_large())

    def _too_large(self) -> LogkeelError:
        return PayloadTooLarge(f"the body has more than {self._max_bytes} bytes", max_bytes=self._max_bytes)


class _TooLarge(BaseException):
    """Not to be caught by the application on its way out."""


class Counted:
    """Tells of each call: its method, its route as it is described, and the status of the answer."""

    def __init__(self, application: Application, count: Callable[[str, str, int], None]) -> None:
        self._application = application
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._application(scope, receive, noted)
        finally:
            # A call of no route counts as one, so that nobody makes series at will; so do methods.
            route = getattr(scope.get("route"), "path", "none")
            self._count(scope["method"] if route != "none" else "any", route, status)


class SlashesInIds:
    """Routes by the path as it was sent: `%2F` is part of an id, and no separator.

    Parameters come with `%` and `/` still written as `%25` and `%2F`; `unescaped` gives the id.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw:
            segments = (unquote_to_bytes(each).decode(errors="replace") for each in raw.split(b"?")[0].split(b"/"))
            scope = {**scope, "path": "/".join(_escape(each) for each in segments)}
        await self._application(scope, receive, send)


class OwnNames:
    """Refuses calls to names that are not this gateway's: a web page that had its name point here (DNS rebinding) would
    reach it else. For gateways where nobody has to say who they are.
    """

    def __init__(self, application: Application, hosts: frozenset[str]) -> None:
        self._application = application
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
            name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
            if name.lower() not in self._hosts:
                said = f"this gateway is not called {name!r}; its names are set by gateway.hosts"
                await refuse(send, CallerError(said, host=name))
                return
        await self._application(scope, receive, send)


def unescaped(text: str) -> str:
    """An id as it is."""
    return text.replace("%2F", "/").replace("%25", "%")


async def refuse(send: Send, error: LogkeelError) -> None:
    """Answer with a problem."""
    headers = {"content-type": MEDIA_TYPE, **headers_of(error)}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status_of(error), "headers": pairs})
    await send({"type": "http.response.body", "body": json.dumps(problem(error)).encode()})


def _escape(text: str) -> str:
    return "".join(_ESCAPED.get(each, each) for each in text)
