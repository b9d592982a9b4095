"""Land the current schemas in the history: `python -m logkeel.wire.landing`.

Adds a version whose fingerprint is new and rewrites the docs and defaults of the current one. Never deletes: whatever
was landed may be on somebody's topics.
"""

import json
from pathlib import Path

from logkeel.wire.catalog import AVSC, HISTORY, Schema, compose, fingerprint_of
from logkeel.wire.shapes import RECORDS


def land(*, avsc: Path = AVSC, history: Path = HISTORY) -> list[str]:
    """Land every record's current schema; returns the order lines that were added, "Record fingerprint" each."""
    order = history / "order"
    lines = order.read_text(encoding="utf-8").splitlines() if order.exists() else []
    added = []
    for record in RECORDS:
        schema = compose(record.__name__, folder=avsc)
        line = f"{record.__name__} {fingerprint_of(schema)}"
        _write(history / record.__name__ / f"{fingerprint_of(schema)}.avsc", schema)
        if line not in lines:
            added.append(line)
    history.mkdir(parents=True, exist_ok=True)
    order.write_text("".join(f"{line}\n" for line in lines + added), encoding="utf-8")
    return added


def render(schema: Schema) -> str:
    """The text a composed schema is kept as."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, schema: Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(schema), encoding="utf-8")


if __name__ == "__main__":
    for landed_line in land():
        print(landed_line)  # noqa: T201 - the command's output
