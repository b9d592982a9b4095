"""Standard Webhooks 1.0, incoming: verified, and sent on as a signal or an answer under the webhook's id (P26).

So a webhook that is repeated, by its sender or by somebody else within the tolerance, is one request. It is answered
with 2xx once the request is on the log, with 4xx for what will never be taken, with 503 for what may be sent again.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from logkeel.client import Answer, Client
from logkeel.client.answers import NOTHING
from logkeel.errors import DataError, LogkeelError
from logkeel.notify.config import Inbound
from logkeel.notify.pages import bounded_body
from logkeel.notify.signing import SignatureInvalid, verify_webhook
from logkeel.notify.webhooks import webhook_keys

WHOLE = "."
"""Names the whole body where a place in it is expected."""


class InboundHooks:
    """The endpoints of a configuration."""

    def __init__(
        self,
        hooks: Mapping[str, Inbound],
        environment: Mapping[str, Any],
        client: Client,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Raises `ConfigInvalid` for a secret that is none."""
        self._hooks = hooks
        self._keys = {name: webhook_keys(environment, hook.secret_env) for name, hook in hooks.items()}
        self._client = client
        self._now_s = now_s

    def routes(self) -> list[BaseRoute]:
        """For an application."""
        return [Route("/webhooks/{name}", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        """One webhook."""
        name = request.path_params["name"]
        if name not in self._hooks:
            return _said(404, "there is no such webhook here")
        body = await bounded_body(request)
        if body is None:
            return _said(413, "the body is too large")
        return await run_in_threadpool(self._take, name, request.headers, body)

    def _take(self, name: str, headers: Mapping[str, str], body: bytes) -> Response:
        hook = self._hooks[name]
        try:
            message_id = verify_webhook(self._keys[name], headers, body, now_s=self._now_s())
        except SignatureInvalid as error:
            return _said(401, str(error))
        try:
            content = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return _said(400, "the body is not JSON")
        if hook.types and (not isinstance(content, dict) or content.get("type") not in hook.types):
            return _said(200, "not of a type that is waited for")
        request_id = f"webhook-{name}-{message_id}"
        try:
            self._send(name, hook, content, request_id)
        except (KeyError, DataError) as error:
            return _said(400, error.message if isinstance(error, DataError) else str(error.args[0]))
        except LogkeelError:
            return _said(503, "the log does not answer now: send it again")
        return JSONResponse({"request_id": request_id}, 202)

    def _send(self, name: str, hook: Inbound, content: Any, request_id: str) -> None:
        """Raises KeyError for a place that is not there, `DataError`, `LogUnavailable`."""
        run_id = text_at(content, hook.run_id)
        routing_key = None if hook.routing_key is None else text_at(content, hook.routing_key)
        value = NOTHING if hook.payload is None else value_at(content, hook.payload)
        if hook.signal is not None:
            self._client.signal(
                run_id,
                hook.signal,
                None if value is NOTHING else value,
                correlation=None if hook.correlation is None else text_at(content, hook.correlation),
                request_id=request_id,
                routing_key=routing_key,
            )
            return
        answer = Answer(
            run_id=run_id,
            path=text_at(content, hook.path or ""),
            verb=text_at(content, hook.verb or ""),
            value=value,
            answered_by=f"webhook:{name}" if hook.by is None else text_at(content, hook.by),
        )
        self._client.answer(answer, request_id=request_id, routing_key=routing_key)


def value_at(content: Any, place: str) -> Any:
    """What stands at `data.items.0.id`, or the whole for `.`. Raises KeyError."""
    if place == WHOLE:
        return content
    for part in place.split("."):
        if isinstance(content, dict) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            raise KeyError(f"the body has no {place}")
    return content


def text_at(content: Any, place: str) -> str:
    """A text, or a number as one. Raises KeyError."""
    value = value_at(content, place)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise KeyError(f"{place} is no text")
    return str(value)


def _said(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
