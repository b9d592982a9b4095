"""A research agent: three sources at once, ranked, merged, analysed, written up, stored, registered and mailed.

Run it with `make demo`, or by hand: logkeel worker examples.research.agent:research
"""

import sqlite3
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import httpx
from examples.research import outside
from examples.research.model import Model, open_model
from examples.research.outside import open_catalogue, open_shelf
from examples.research.sources import Hit, best_sentences, folder, installed_distributions, rank, standard_library
from pydantic import BaseModel

from logkeel.workflow import CHECKED, IDEMPOTENT, KEYED, Resource, Retry, State, StepContext, Workflow, parallel


class Finding(BaseModel):
    """One statement and the number of the evidence that supports it."""

    text: str
    evidence: int


class Research(State):
    """What a run knows. Fields without default are its input."""

    schema_version: int = 1
    question: str
    corpus: str = "."
    mail_to: str = "editor@example.org"
    library: list[Hit] = []
    packages: list[Hit] = []
    documents: list[Hit] = []
    evidence: list[Hit] = []
    findings: list[Finding] = []
    report: str | None = None


research = Workflow("research", state=Research, returns=("report",))


@research.step(writes=lambda s: s.library, timeout="30s")
def search_library(question: str) -> list[Hit]:
    """Docstrings of the standard library."""
    return rank(question, list(standard_library()), limit=8)


@research.step(writes=lambda s: s.packages, timeout="30s")
def search_packages(question: str) -> list[Hit]:
    """Metadata and READMEs of installed distributions."""
    return rank(question, list(installed_distributions()), limit=8)


@research.step(writes=lambda s: s.documents, timeout="30s")
def search_documents(question: str, corpus: str) -> list[Hit]:
    """A folder of documents."""
    return rank(question, list(folder(Path(corpus))), limit=8)


@research.step(writes=lambda s: s.evidence, timeout="30s")
def merge(question: str, library: list[Hit], packages: list[Hit], documents: list[Hit]) -> list[Hit]:
    """Rank what the three sources found against each other."""
    return rank(question, [*library, *packages, *documents], limit=10)


@research.step(writes=lambda s: s.findings, timeout="90s", retry=Retry(max_attempts=4, initial="1s"))
async def analyse(
    question: str, evidence: list[Hit], step: StepContext, model: Annotated[Model | None, Resource(open_model)]
) -> list[Finding]:
    """Ask the model if there is one, else extract the sentences that answer best."""
    if model is None:
        answers = best_sentences(question, evidence, limit=6)
    else:
        answers, input_tokens, output_tokens = await model.answer(question, evidence)
        step.used(input_tokens=input_tokens, output_tokens=output_tokens)
    return [Finding(text=text, evidence=number) for text, number in answers]


@research.step(writes=lambda s: s.report, timeout="10s")
def write(question: str, evidence: list[Hit], findings: list[Finding]) -> str:
    """A Markdown report; every statement cites its evidence."""
    lines = [f"# {question}", "", "## Findings", ""]
    lines += [f"- {finding.text} [{finding.evidence}]" for finding in findings] or ["Nothing was found."]
    lines += ["", "## Evidence", ""]
    lines += [f"{n}. *{hit.source}*, {hit.location} (score {hit.score})" for n, hit in enumerate(evidence, start=1)]
    return "\n".join(lines) + "\n"


@research.step(effect=IDEMPOTENT, timeout="10s")
def store(question: str, report: str, step: StepContext, shelf: Annotated[Path, Resource(open_shelf)]) -> None:
    """Upsert into SQLite and write the file: the same row and the same file, however often it runs."""
    with sqlite3.connect(shelf / "reports.sqlite", timeout=5) as database:
        database.execute(outside.CREATE_REPORTS)
        database.execute(outside.UPSERT_REPORT, (step.run_id, question, report))
    database.close()
    (shelf / f"{step.run_id}.md").write_text(report)


@research.step(effect=KEYED, timeout="2s", retry=Retry(max_attempts=5, initial="200ms"))
async def register(
    question: str, step: StepContext, http: Annotated[httpx.AsyncClient, Resource(open_catalogue)]
) -> None:
    """Enter the report into the catalogue, which de-duplicates by idempotency key."""
    headers = {"Idempotency-Key": step.idempotency_key}
    response = await http.post("/reports", json={"title": question}, headers=headers)
    response.raise_for_status()


@research.step(effect=CHECKED(settle="1s"), timeout="5s")
def notify(question: str, report: str, mail_to: str, step: StepContext) -> None:
    """Mail the report. SMTP cannot de-duplicate, so the Message-ID is made from the idempotency key and looked up."""
    message = EmailMessage()
    message["Message-ID"] = outside.message_id(step.idempotency_key)
    message["From"], message["To"], message["Subject"] = "research@example.org", mail_to, f"Report: {question}"
    message.set_content(report)
    outside.send_mail(message)


@notify.check
async def was_sent(step: StepContext, http: Annotated[httpx.AsyncClient, Resource(open_catalogue)]) -> bool:
    """Whether the mail server has stored that message."""
    response = await http.get(f"/mails/{outside.message_id(step.idempotency_key).strip('<>')}")
    return response.status_code == httpx.codes.OK


research.flow(
    parallel(search_library, search_packages, search_documents),
    merge,
    analyse,
    write,
    store,
    register,
    notify,
)
