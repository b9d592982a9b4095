"""The demo's sinks: they keep a ledger of every arrival, and are as unkind as announced."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
from examples.research import outside
from examples.research.processes import Outside
from examples.research.verdict import read_ledger


@pytest.fixture
def sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """The outside world as a process of its own."""
    world = Outside(tmp_path, hang_first=1)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    yield world
    world.stop()


def test_a_mail_is_in_the_ledger_and_can_be_looked_up(sinks: Outside, tmp_path: Path) -> None:
    message = EmailMessage()
    message["Message-ID"] = outside.message_id("key-1")
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Report"
    message.set_content("text")
    outside.send_mail(message)
    assert [entry["message_id"] for entry in read_ledger(tmp_path / "mails.jsonl")] == [outside.message_id("key-1")]
    with httpx.Client(base_url=sinks.environment["RESEARCH_CATALOGUE"]) as client:
        assert client.get(f"/mails/{outside.message_id('key-1').strip('<>')}").status_code == httpx.codes.OK
        assert client.get(f"/mails/{outside.message_id('key-2').strip('<>')}").status_code == httpx.codes.NOT_FOUND


def test_the_first_registration_hangs_and_the_second_is_recognised(sinks: Outside, tmp_path: Path) -> None:
    with httpx.Client(base_url=sinks.environment["RESEARCH_CATALOGUE"], headers={"Idempotency-Key": "k"}) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/reports", json={"title": "t"}, timeout=0.5)
        assert client.post("/reports", json={"title": "t"}).json() == {"applied": False}
    arrivals = [(entry["applied"], entry["hung"]) for entry in read_ledger(tmp_path / "catalogue.jsonl")]
    assert arrivals == [(True, True), (False, False)]
