"""A process that writes batches until it is killed: `python -m tests.unit.tables.writing FOLDER [hold]`.

Batch n holds row `last` with n, one row of its own, and a row that it overwrites or deletes. Prints n after each write;
with `hold` it writes one batch and keeps the store open.
"""

import sys
import threading
from pathlib import Path

from logkeel.tables import RocksStoreDirectory

ROWS = 20
FILLER = b"x" * 200


def batch(number: int) -> dict[bytes, bytes | None]:
    """Batch `number`, from 1."""
    rows: dict[bytes, bytes | None] = {b"row-%06d-%02d" % (number, each): FILLER for each in range(ROWS)}
    rows[b"last"] = b"%d" % number
    rows[b"odd"] = b"yes" if number % 2 else None
    return rows


def prefix(number: int) -> dict[bytes, bytes]:
    """The table after batches 1 to `number`."""
    table: dict[bytes, bytes] = {}
    for each in range(1, number + 1):
        for key, value in batch(each).items():
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
    return table


def main(folder: str, *, hold: bool) -> None:
    """Write for ever, or once."""
    store = RocksStoreDirectory(Path(folder)).open("table", 0)
    number = 0
    while True:
        number += 1
        store.write(batch(number))
        print(number, flush=True)  # noqa: T201 - the parent reads it
        if hold:
            threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], hold=sys.argv[2:] == ["hold"])
