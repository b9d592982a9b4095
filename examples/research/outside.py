"""How the research agent reaches the outside world: addresses from the environment, opened once per worker."""

import asyncio
import hashlib
import os
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import httpx

CREATE_REPORTS = """
create table if not exists reports (run_id text primary key, question text not null, report text not null)
"""
UPSERT_REPORT = """
insert into reports (run_id, question, report) values (?, ?, ?)
on conflict (run_id) do update set question = excluded.question, report = excluded.report
"""


@asynccontextmanager
async def open_shelf() -> AsyncIterator[Path]:
    """The folder for reports, RESEARCH_SHELF (default: ./reports)."""
    shelf = Path(os.environ.get("RESEARCH_SHELF", "reports"))
    await asyncio.to_thread(shelf.mkdir, parents=True, exist_ok=True)
    yield shelf


@asynccontextmanager
async def open_catalogue() -> AsyncIterator[httpx.AsyncClient]:
    """The catalogue's HTTP client, RESEARCH_CATALOGUE."""
    async with httpx.AsyncClient(base_url=os.environ["RESEARCH_CATALOGUE"], timeout=30) as client:
        yield client


def send_mail(message: EmailMessage) -> None:
    """One SMTP conversation with RESEARCH_SMTP (host:port)."""
    host, port = os.environ["RESEARCH_SMTP"].rsplit(":", 1)
    with smtplib.SMTP(host, int(port), timeout=4) as server:
        server.send_message(message)


def message_id(idempotency_key: str) -> str:
    """A Message-ID (RFC 5322, 3.6.4) that is the same for every attempt of the same step."""
    return f"<{hashlib.sha256(idempotency_key.encode()).hexdigest()[:40]}@research.example.org>"
