"""An OpenAI-compatible chat model, used when OPENAI_API_KEY is set."""

import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
from examples.research.sources import Hit

from logkeel.errors import RetryAfter

PROMPT = """Answer the question from the numbered evidence only. Write up to six statements, one per line, each ending
with the number of its evidence in square brackets, like [3]. Write nothing else."""


class Answer(NamedTuple):
    """(statement, evidence number) for each line that cites evidence, and what it took."""

    statements: list[tuple[str, int]]
    input_tokens: int
    output_tokens: int


class Model:
    """One chat completion per question."""

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self._client = client
        self._name = name

    async def answer(self, question: str, evidence: Sequence[Hit]) -> Answer:
        """The lines of the model's answer that cite evidence which exists.

        Raises `RetryAfter` when the model's server says that it is busy.
        """
        numbered = "\n\n".join(f"[{number}] {hit.text}" for number, hit in enumerate(evidence, start=1))
        messages = [
            {"role": "system", "content": PROMPT},
            {"role": "user", "content": f"Question: {question}\n\nEvidence:\n{numbered}"},
        ]
        response = await self._client.post("chat/completions", json={"model": self._name, "messages": messages})
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise RetryAfter(float(response.headers.get("Retry-After", 5)))
        response.raise_for_status()
        said = response.json()
        usage = said.get("usage", {})
        return Answer(
            cited_statements(said["choices"][0]["message"]["content"], len(evidence)),
            input_tokens=usage.get("prompt_tokens", 0),
            output_tokens=usage.get("completion_tokens", 0),
        )


def cited_statements(text: str, evidence_count: int) -> list[tuple[str, int]]:
    """The lines of `text` that end with the number of existing evidence."""
    found = (re.match(r"^[-*\s]*(.+?)\s*\[(\d+)\]\.?\s*$", line) for line in text.splitlines())
    cited = [(match[1], int(match[2])) for match in found if match]
    return [(statement, number) for statement, number in cited if 1 <= number <= evidence_count]


@asynccontextmanager
async def open_model() -> AsyncIterator[Model | None]:
    """The model, or None when OPENAI_API_KEY is not set."""
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        yield None
        return
    base_url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/") + "/"
    async with httpx.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=80) as client:
        yield Model(client, os.environ.get("OPENAI_MODEL", "gpt-4o-mini"))
