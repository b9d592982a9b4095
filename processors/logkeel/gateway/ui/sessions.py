"""Who looks at pages, and whether a form is ours. Pure.

The session is the bearer token itself, in a cookie that no script reads and no other site sends: it is verified at each
call, so it ends with the token, and any gateway takes it. The API takes no cookie, so no other site can use it.

A form carries a token that is made of two cookies: a number of this browser, and the session. Who cannot read them
cannot make it, so no other site can have a form sent for somebody.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from logkeel.errors import Forbidden
from logkeel.gateway.access import Principal, Role

SESSION: Final = "logkeel_session"
BROWSER: Final = "logkeel_browser"
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a field
MAX_COOKIE: Final = 3_800
"""Browsers drop cookies of more than 4 096 bytes, name and attributes included."""

_BROWSER = re.compile(r"[\w-]{20,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page."""

    principal: Principal
    form_token: str
    is_signed_in: bool

    @property
    def may_answer(self) -> bool:
        """Whether they may answer questions."""
        return Role.APPROVER in self.principal.may


def form_token(browser: str, session: str) -> str:
    """The token of all forms in this browser and session."""
    return hmac.new(browser.encode(), f"form of {session}".encode(), hashlib.sha256).hexdigest()


def refuse_foreign(given: str, wanted: str, site: str | None) -> None:
    """Raise `Forbidden` for a form that is not of these pages. `site`: the browser's word for where it comes from."""
    is_ours = hmac.compare_digest(given.encode(), wanted.encode())
    if not is_ours or site not in (None, "same-origin", "none"):
        raise Forbidden("this form is from another page or session: open the page again, and send it from there")


def is_browser(text: str) -> bool:
    """Whether it is a number as we give it to browsers."""
    return _BROWSER.fullmatch(text) is not None


def fits_cookie(token: str) -> bool:
    """Whether a session can be made of this token."""
    return len(token) <= MAX_COOKIE and _TOKEN.fullmatch(token) is not None


def own_path(text: str) -> str:
    """Where to go behind the sign-in: a page of ours."""
    is_ours = text.startswith("/ui/") and text.isascii() and text.isprintable() and "\\" not in text
    return text if is_ours else "/ui/"


def request_id_of(*words: str) -> str:
    """The id of the request that a form asks for: sent again unchanged, it is the same request."""
    digest = hashlib.sha256()
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
