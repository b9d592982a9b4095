"""Pages that are labelled one by one, some of which cannot be read at first: steps note what they do, and which key."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from logkeel.workflow import KEYED, Append, Fail, Put, State, StepContext, StepErrorView, Workflow, each

PAGES = 12


class Book(State):
    """Its pages, and what was made of them."""

    title: str
    pages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    words: int | None = None
    label: str | None = None
    labels: Annotated[dict[str, str], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults


labelling = Workflow("labelling", state=Book, returns=("labels", "failed"))


def note(what: str, key: str) -> None:
    """One line, written as a whole."""
    with (Path(os.environ["LABELLING"]) / "notes").open("a") as notes:
        notes.write(f"{what} {key}\n")


@labelling.step(writes=lambda s: s.pages)
async def split(title: str) -> list[str]:
    """As many pages as there are."""
    return [f"{title}:{number}" for number in range(PAGES)]


@labelling.step(writes=lambda s: s.words, effect=KEYED, timeout="20s")
async def count(page: str, step: StepContext) -> int:
    """Done before anything fails."""
    note(f"count {page}", step.idempotency_key)
    return len(page)


@labelling.step(writes=lambda s: s.label, effect=KEYED, timeout="20s")
async def label(page: str, words: int, step: StepContext) -> str:
    """Takes a while; of odd pages it fails for good while the light is off."""
    note(f"label {page}", step.idempotency_key)
    await asyncio.sleep(0.2)
    if int(page.rpartition(":")[2]) % 2 and not (Path(os.environ["LABELLING"]) / "light").exists():
        raise Fail("dark", "nobody can read that")
    return f"{page} has {words}"


labelling.flow(
    split,
    each("pages", (count, label), item="page", value="label", collect="labels", failed="failed", concurrency=3),
)
