"""Clicks on buttons in Slack: verified, and sent on as answers. Slack waits 3 s for the acknowledgement.

What a click says is signed twice: by Slack (it is a click, now, of this user), and by us (the button's value: of this
question). All clicks of one user on one question are one request. The message changes when the answer was taken, by the
notification of it; who was too late is told so at once, and nobody else sees that.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from logkeel.approvals.texts import one_line
from logkeel.errors import LogkeelError
from logkeel.notify.book import CaseBook
from logkeel.notify.config import Slack, is_loopback
from logkeel.notify.links import LinkExpired, LinkInvalid, answer_request_id, verified
from logkeel.notify.pages import Links, Send, bounded_body
from logkeel.notify.replies import NoForms, Said, Unfit, reply
from logkeel.notify.signing import SignatureInvalid, verify_slack
from logkeel.notify.slack import ACTION, OPEN, post
from logkeel.notify.texts import ending

RESPONSE_HOST: Final = "hooks.slack.com"

log = structlog.get_logger("logkeel.notifier", role="notifier")


class SlackClicks:
    """The interactivity endpoints, `/slack/<channel of the configuration>`."""

    def __init__(
        self,
        channels: Mapping[str, Slack],
        environment: Mapping[str, str],
        links: Links,
        book: CaseBook,
        send: Send,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._channels = channels
        self._secrets = {name: environment[each.signing_secret_env].strip() for name, each in channels.items()}
        self._links = links
        self._book = book
        self._send = send
        self._now_s = now_s

    def routes(self) -> list[BaseRoute]:
        """For an application."""
        return [Route("/slack/{name}", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        """One interaction."""
        name = request.path_params["name"]
        secret = self._secrets.get(name)
        body = await bounded_body(request)
        if secret is None or body is None:
            return JSONResponse({"detail": "there is no such channel here"}, 404 if secret is None else 413)
        try:
            verify_slack(secret, request.headers, body, now_s=self._now_s())
            click = msgspec.json.decode(parse_qs(body.decode())["payload"][0], type=dict[str, Any])
        except SignatureInvalid as error:
            return JSONResponse({"detail": str(error)}, 401)
        except (KeyError, UnicodeDecodeError, msgspec.DecodeError):
            return JSONResponse({"detail": "there is no payload"}, 400)
        if click.get("type") != "block_actions":
            return Response()
        problem = await run_in_threadpool(self._answered, click)
        if problem is None:
            return Response()
        return Response(background=BackgroundTask(self._tell, name, click, problem))

    def _answered(self, click: dict[str, Any]) -> str | None:
        """Send what the first of our buttons says; why not, if it cannot be."""
        actions = [each for each in click.get("actions", ()) if str(each.get("action_id", "")).startswith(ACTION)]
        user = click.get("user", {})
        if not actions or actions[0]["action_id"] == f"{ACTION}{OPEN}" or not user.get("id"):
            return None
        try:
            grant = verified(str(actions[0].get("value", "")), self._links.keys, now_ms=self._links.now_ms())
        except (LinkInvalid, LinkExpired) as error:
            return f"Nothing was sent: {error}."
        kept = self._book.get(grant.case_id)
        if kept is None or not kept.case.is_open:
            return "Nobody asks this any more" if kept is None else ending(kept.case)
        name = one_line(str(user.get("username") or user.get("name") or ""))
        said = Said(verb=str(actions[0]["action_id"]).removeprefix(ACTION), who=f"slack:{user['id']} {name}".strip())
        answer = reply(kept.case, said, NoForms())
        if isinstance(answer, Unfit):
            return answer.problem
        request_id = answer_request_id(grant.case_id, f"slack:{user['id']}")
        try:
            self._send(answer, request_id, kept.case.routing_key)
        except LogkeelError as error:
            log.warning("click_not_sent", error=error.message)
            return "Your answer could not be sent now. Press the button again: it counts once."
        return None

    def _tell(self, name: str, click: dict[str, Any], text: str) -> None:
        """To the one who clicked only."""
        url = str(click.get("response_url", ""))
        parts, api = urlsplit(url), urlsplit(self._channels[name].api_url)
        ours = parts.scheme == "https" and parts.hostname == RESPONSE_HOST
        if not ours and not (is_loopback(api.hostname or "") and parts.netloc == api.netloc):
            return
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            post(url, {"Content-Type": "application/json"}, msgspec.json.encode(body))
        except Exception as error:  # noqa: BLE001 - a courtesy: the answer to the click is out already
            log.warning("click_not_told", error=str(error))
