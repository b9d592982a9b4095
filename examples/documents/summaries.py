"""Summaries of many documents, some of which cannot be read: a bad one fails nobody but itself.

python -m examples.documents.summaries README.md docs
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from logkeel.workflow import Add, Append, Control, Put, Retry, State, StepErrorView, Workflow, each, reduce


class Summaries(State):
    """A folder of documents, and what became of each of them."""

    folder: str
    documents: Annotated[list[str], Append] = []
    summary: str | None = None
    words: Annotated[int, Control, Add] = 0
    summaries: Annotated[list[str], Append] = []
    failed: Annotated[dict[str, StepErrorView], Put] = {}
    together: str | None = None
    overview: str | None = None


summaries = Workflow("summaries", state=Summaries, returns=("overview", "failed"))


@summaries.step(writes=lambda s: s.documents)
async def find(folder: str) -> AsyncIterator[str]:
    """Every file of the folder, written in pieces while it goes on."""
    for path in await asyncio.to_thread(_files, folder):
        yield path


def _files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())


@summaries.step(writes=lambda s: (s.summary, s.words), retry=Retry(max_attempts=2, initial="10ms"))
def summarise(document: str) -> tuple[str, int]:
    """One document; one that is no text cannot be read, today or tomorrow."""
    text = Path(document).read_text(encoding="utf-8")
    first = next((line for line in text.splitlines() if line.strip()), "(empty)")
    return f"{document}: {first.strip('# ')}", len(text.split())


@summaries.step(writes=lambda s: s.together)
def combine(some: list[str]) -> str:
    """What some documents say; here a model would shorten it."""
    return "\n".join(some)


@summaries.step(writes=lambda s: s.overview)
def tell(together: str | None, words: int, failed: dict[str, StepErrorView]) -> str:
    """All in one, in the order of the documents."""
    return f"{together or '(nothing)'}\n{words} words; {len(failed)} documents could not be read"


summaries.flow(
    find,
    each(
        "documents", summarise, item="document", collect="summaries", value="summary", failed="failed", concurrency=50
    ),
    reduce("summaries", combine, item="some", into="together", fan_in=20),
    tell,
)


if __name__ == "__main__":
    for result in (asyncio.run(summaries.try_out(folder=folder)) for folder in sys.argv[1:]):
        print(result["overview"])
