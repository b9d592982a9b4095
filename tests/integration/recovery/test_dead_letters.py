"""Dead letters on the real broker: listed, shown, and sent back exactly once, whoever else tries."""

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.recovery.site import Site
from tests.ledger.ledger import Ledger, Posting
from tests.ledger.verify import read_books, read_partition

from logkeel.errors import LogkeelError, ProducerFenced
from logkeel.exactly_once import Letter, Redriver, Turn, read_letters
from logkeel.kafka import SystemClock
from logkeel.log import OutputRecord, Record, TopicPartition

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

BAD = 6


class Picky(Ledger):
    """Cannot book postings whose id begins with `bad`: a bug that a later version does not have."""

    def process(self, record: Record, turn: Turn) -> None:
        """Refuse, or book."""
        if b'"id":"bad' in (record.value or b""):
            raise ArithmeticError("cannot add")
        super().process(record, turn)


def poisoned(site: Site) -> list[Letter]:
    """Let an engine with a bug set some postings aside."""
    site.deposit(4)
    site.deposit(BAD, name="bad")
    site.deposit(4)
    with site.engine(processor=Picky(site.topics)):
        site.until(lambda: len(waiting(site)) == BAD, lambda: "no letters")
        site.until(lambda: len(booked(site)) == 8, lambda: "the others are not booked")
    return waiting(site)


def letters(site: Site) -> list[Letter]:
    return read_letters(site.client, SystemClock(), site.topics.dead_letters)


def waiting(site: Site) -> list[Letter]:
    return [each for each in letters(site) if each.redriven_at_ms is None]


def booked(site: Site) -> Counter[str]:
    return Counter(receipt.id for receipt in read_books(site.client, site.topics, 1).receipts[0])


def logkeel(site: Site, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "logkeel.cli.main", "dead-letters", *arguments, "-b", site.bootstrap]
    return subprocess.run(
        [*command, "--prefix", site.prefix, "-o", "json"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_poison_that_was_fixed_is_booked_once_by_command(site: Site) -> None:
    poisoned(site)
    listed = answer(logkeel(site, "list"))
    assert [each["error"] for each in listed] == ["ArithmeticError"] * BAD
    shown = answer(logkeel(site, "show", listed[0]["id"]))
    assert json.loads(shown["text"])["id"].startswith("bad")
    assert logkeel(site, "show", "0:999999").returncode == 13
    assert logkeel(site, "redrive").returncode == 13
    assert len(answer(logkeel(site, "redrive", listed[0]["id"]))) == 1
    assert len(answer(logkeel(site, "redrive", "--all"))) == BAD - 1
    assert answer(logkeel(site, "redrive", "--all")) == []
    (again,) = answer(logkeel(site, "redrive", listed[0]["id"]))
    assert again["state"] == "redriven before"
    assert answer(logkeel(site, "list")) == []
    assert len(answer(logkeel(site, "list", "--all"))) == BAD
    with site.engine() as engine:
        site.until(lambda: len(booked(site)) == 8 + BAD, lambda: f"only {booked(site)}")
        assert engine.ended_by is None
    assert set(booked(site).values()) == {1}


def test_the_original_goes_back_byte_for_byte_to_where_it_came_from(site: Site) -> None:
    value = msgspec.json.encode(Posting(id="bad-bytes", target="a", amount=1))
    producer = site.client.producer()
    original = OutputRecord(site.topics.deposits, b"\x00key", value, 0, (("trace", b"\xff\x00"), ("trace", b"2")))
    producer.produce(original)
    producer.flush(10)
    producer.close()
    with site.engine(processor=Picky(site.topics)):
        site.until(lambda: len(letters(site)) == 1, lambda: "no letter")
    with Redriver(site.client, SystemClock(), site.topics.dead_letters) as redriver:
        redriver.redrive(redriver.letters())
    first, second = read_partition(site.client, TopicPartition(site.topics.deposits, 0))
    assert (second.key, second.value) == (first.key, first.value) == (b"\x00key", value)
    assert second.headers[:-1] == first.headers
    assert second.headers[-1] == ("redriven.from", f"{site.topics.dead_letters}/{letters(site)[0].name}".encode())


def test_two_redrivers_race_and_each_letter_goes_back_once(site: Site) -> None:
    found = poisoned(site)
    ended: list[int | LogkeelError] = []
    barrier = threading.Barrier(3)

    def race() -> None:
        barrier.wait()
        try:
            with Redriver(site.client, SystemClock(), site.topics.dead_letters) as redriver:
                ended.append(redriver.redrive(redriver.letters()))
        except LogkeelError as error:
            ended.append(error)

    threads = [threading.Thread(target=race) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ended) == 3
    with Redriver(site.client, SystemClock(), site.topics.dead_letters) as redriver:
        redriver.redrive(redriver.letters())
    sent = read_partition(site.client, TopicPartition(site.topics.deposits, 0))[-len(found) :]
    assert Counter(record.value for record in sent) == Counter(letter.value for letter in found)
    assert waiting(site) == []


def test_a_redriver_that_wakes_up_late_is_fenced(site: Site) -> None:
    found = poisoned(site)
    with Redriver(site.client, SystemClock(), site.topics.dead_letters) as zombie:
        seen = zombie.letters()
        with Redriver(site.client, SystemClock(), site.topics.dead_letters) as successor:
            assert successor.redrive(successor.letters()) == len(found)
        with pytest.raises(ProducerFenced):
            zombie.redrive(seen)
    sent = read_partition(site.client, TopicPartition(site.topics.deposits, 0))
    assert len(sent) == 8 + 2 * len(found)
