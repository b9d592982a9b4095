"""Elements that a generator yields, written in pieces while it goes on: entries of a journal, made once. On the loop.

Executed again, the generator begins anew; pieces that are on record are not written a second time. So it has to yield
the same elements in the same order as far as it came: an entry carries a digest of its piece, and another one is named
as divergence, never mixed in.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

from logkeel.records import FieldWrite
from logkeel.records.limits import fields_bytes
from logkeel.steps.journal.session import Journal
from logkeel.steps.journal.updating import updated

PIECE_ELEMENTS: Final = 100
PIECE_BYTES: Final = 64 * 1024
"""A piece ends with the element that reaches either: the same ones in every execution, whatever the time it takes."""


async def yielded(
    journal: Journal, elements: AsyncIterator[Any], encode: Callable[[list[Any]], Sequence[FieldWrite]]
) -> None:
    """Write all that comes. Raises what the generator raises; what came before is written or on its way."""
    count, size_bytes = 0, 0
    piece: list[FieldWrite] = []
    async for element in elements:
        writes = encode([element])
        piece += writes
        size_bytes += fields_bytes(writes)
        if len(piece) >= PIECE_ELEMENTS or size_bytes >= PIECE_BYTES:
            await _write(journal, count, piece)
            count, size_bytes, piece = count + len(piece), 0, []
    if piece:
        await _write(journal, count, piece)


async def _write(journal: Journal, first: int, piece: Sequence[FieldWrite]) -> None:
    digest = blake2b(digest_size=4)
    for write in piece:
        data = b"" if write.payload is None else write.payload.data or b""
        digest.update(len(data).to_bytes(8, "big") + data)
    await updated(journal, f"elements {first}-{first + len(piece) - 1} ({digest.hexdigest()})", piece)
