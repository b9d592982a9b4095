"""Request ids that are derived, so that what is sent again is the same request (P26), on every replica. Pure."""

import hashlib


def request_id_of(*words: str) -> str:
    """64 hex digits for these words, in this order."""
    digest = hashlib.sha256()
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def keyed(operation: str, run_id: str, key: str | None) -> str | None:
    """The request id of an Idempotency-Key, which counts for one operation on one run; None without a key.

    So a key that was used for another request, or for the start of the run, is another request here.
    """
    return None if key is None else request_id_of("Idempotency-Key", operation, run_id, key)
