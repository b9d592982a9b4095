"""Signed links: who may answer which question until when. Pure: keys and time come in.

A token is `body.signature`, both base64url without padding: the body is msgpack of a `Grant`, the signature HMAC-SHA256
under the label `logkeel.answer.1` (RFC 2104). It holds no secret, and whoever has it may answer: it goes into nothing
but a message to that person. It is good for one answer: all uses of it send the same request id (P26).
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from logkeel.notify.cases import Case, digest

LABEL: Final = b"logkeel.answer.1."
MIN_KEY_BYTES: Final = 16


class Grant(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """`who` answers the question `case_id`, until `expires_ms`. Empty: whoever holds it, and says their name."""

    case_id: str
    who: str
    expires_ms: int


class LinkInvalid(ValueError):
    """A token that was not made here, or was changed."""


class LinkExpired(ValueError):
    """A token whose time is over."""


def grant_for(case: Case, who: str, *, now_ms: int, valid_ms: int) -> Grant:
    """For as long as links are valid."""
    return Grant(case_id=case.case_id, who=who, expires_ms=now_ms + valid_ms)


def signed(grant: Grant, keys: Sequence[str]) -> str:
    """The token of a grant, under the first key."""
    body = msgspec.msgpack.encode(grant)
    return f"{_text(body)}.{_text(_signature(body, keys[0]))}"


def verified(token: str, keys: Sequence[str], *, now_ms: int) -> Grant:
    """What a token grants. Raises `LinkInvalid`, `LinkExpired`."""
    try:
        head, _, tail = token.partition(".")
        body, signature = _bytes(head), _bytes(tail)
    except ValueError as error:
        raise LinkInvalid("this is no link of ours") from error
    # Each key is tried, in the same time whichever fits.
    fits = [hmac.compare_digest(_signature(body, key), signature) for key in keys]
    if not any(fits):
        raise LinkInvalid("this is no link of ours")
    try:
        grant = msgspec.msgpack.decode(body, type=Grant)
    except msgspec.DecodeError as error:
        raise LinkInvalid("this is a link of another version") from error
    if now_ms >= grant.expires_ms:
        raise LinkExpired("the time of this link is over")
    return grant


def answer_request_id(case_id: str, who: str) -> str:
    """One for all that this person says to this question: the first word counts, a second one is the same request."""
    return f"answer-{digest(case_id, who)}"


def _signature(body: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), LABEL + body, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Raises ValueError, also for letters that do not belong there."""
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _text(data) != text:
        raise ValueError(text)
    return data
