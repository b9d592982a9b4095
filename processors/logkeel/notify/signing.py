"""Signatures of webhooks (Standard Webhooks 1.0, symmetric `v1`) and of Slack's requests (`v0`). Pure.

| what | signed text | key | header |
|---|---|---|---|
| webhook | `id.timestamp.body` | base64 behind `whsec_` | `webhook-signature: v1,<base64>`, several with spaces |
| Slack | `v0:timestamp:body` | the signing secret | `x-slack-signature: v0=<hex>` |

Both are HMAC-SHA256 and compared in constant time; both carry the time of the attempt in seconds, which may be off by
`TOLERANCE_S`.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

TOLERANCE_S: Final = 300
PREFIX: Final = "whsec_"

_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}")
"""Printable, and no full stop, which would let one message pass for another: the stop ends the id in what is signed."""


class SignatureInvalid(ValueError):
    """Not signed by who has the secret, or not now."""


def webhook_key(secret: str) -> bytes:
    """The key in `whsec_…`. Raises ValueError for anything else, and for fewer than 24 bytes."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook's secret begins with {PREFIX}")
    text = secret.removeprefix(PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a webhook's secret is base64 behind {PREFIX}") from error
    if len(key) < 24:
        raise ValueError("a webhook's secret has at least 24 bytes")
    return key


def webhook_headers(keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers of an attempt; each key signs."""
    signatures = (_webhook_signature(key, message_id, str(timestamp_s), body) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{b64encode(each).decode()}" for each in signatures),
    }


def verify_webhook(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, *, now_s: float) -> str:
    """The id of a webhook that came in; `headers` by lower-case names. Raises `SignatureInvalid`."""
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(message_id):
        raise SignatureInvalid("webhook-id is missing, or no id")
    _check_time(stamp, now_s)
    given = [
        text.removeprefix("v1,") for text in headers.get("webhook-signature", "").split() if text.startswith("v1,")
    ]
    wanted = [b64encode(_webhook_signature(key, message_id, stamp, body)) for key in keys]
    if not any(hmac.compare_digest(text.encode(), each) for text in given for each in wanted):
        raise SignatureInvalid("webhook-signature does not fit")
    return message_id


def verify_slack(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> None:
    """Raises `SignatureInvalid` unless Slack has sent this, now."""
    stamp = headers.get("x-slack-request-timestamp", "")
    _check_time(stamp, now_s)
    signature = hmac.new(secret.encode(), b"v0:%s:%s" % (stamp.encode(), body), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={signature}".encode(), headers.get("x-slack-signature", "").encode()):
        raise SignatureInvalid("x-slack-signature does not fit")


def _webhook_signature(key: bytes, message_id: str, stamp: str, body: bytes) -> bytes:
    return hmac.new(key, b"%s.%s.%s" % (message_id.encode(), stamp.encode(), body), hashlib.sha256).digest()


def _check_time(stamp: str, now_s: float) -> None:
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise SignatureInvalid("the timestamp is missing, or no number of seconds")
    if abs(now_s - int(stamp)) > TOLERANCE_S:
        raise SignatureInvalid(f"the timestamp is more than {TOLERANCE_S} s away from now")
