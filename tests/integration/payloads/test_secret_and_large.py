"""Encrypted and large payloads on a real broker: an engine without keys and store, workers and client with both."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.chaos import outside
from tests.chaos.processes import Victim
from tests.integration.payloads.documents import MEGABYTES, digest_of, patients, shelves, text
from tests.integration.runs.application import Application, running

from logkeel.cli.payloads import payload_chain
from logkeel.cli.settings import load_settings
from logkeel.client import Client
from logkeel.log import TopicPartition
from logkeel.steps import publish_definitions

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

WAIT_S = 120.0
SECRET = "Ada Lovelace of St James's Square"


class Clinic:
    """An application whose engine knows nothing of payloads, one worker process, and a client."""

    def __init__(self, bootstrap: str, directory: Path, application: Application) -> None:
        self.application = application
        self.blobs = directory / "blobs"
        keys = directory / "keys.toml"
        secret = base64.b64encode(bytes(range(32))).decode()
        keys.write_text(f'current = "2026"\n[keys]\n2026 = "{secret}"\n')
        self.ledger = directory / "ledger.jsonl"
        environment = {
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
            "LOGKEEL_PREFIX": application.settings.prefix,
            "LOGKEEL_STATE_DIR": str(directory / "workers"),
            "LOGKEEL_PAYLOAD_KEYS": str(keys),
            "LOGKEEL_BLOB_STORE": self.blobs.as_uri(),
            outside.LEDGER: str(self.ledger),
        }
        command = ["-m", "logkeel.cli.main", "worker", "tests.integration.payloads.documents", "--slot", "0"]
        self.worker = Victim("worker", command, directory / "worker.log", environment)
        chain = payload_chain(load_settings({}, environment=environment))
        self.client = Client(application.client, prefix=application.settings.prefix, payloads=chain)

    def kept(self) -> list[Path]:
        """Whole blobs; a draft of a writer that was killed has a suffix."""
        return [path for path in self.blobs.rglob("*") if path.is_file() and not path.suffix]

    def shown(self, run_id: str, *, keys: bool) -> Any:
        """The fields as `logkeel run show` prints them."""
        environment = {**os.environ, **self.worker.environment}
        if not keys:
            del environment["LOGKEEL_PAYLOAD_KEYS"]
        command = [sys.executable, "-m", "logkeel.cli.main", "run", "show", run_id, "-o", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)["fields"]

    def seen(self) -> bytes:
        """Keys and values of everything on the topics that carry values, as brokers and engines see it."""
        names = self.application.names
        topics = [names.run_requests, names.step_commands(), names.step_results, names.run_state]
        topics += [names.run_events, names.run_completions, names.dead_letters]
        admin, reader = self.application.client.admin(), self.application.client.reader("read_committed")
        found = admin.describe_topics(topics)
        places = [TopicPartition(topic, number) for topic in topics for number in range(found[topic].partitions)]
        ends = admin.end_offsets(places, committed_only=True)
        reader.assign(dict.fromkeys(places, 0))
        records, reached = [], dict.fromkeys(places, 0)
        deadline_s = time.monotonic() + WAIT_S
        while any(reached[place] < ends[place] for place in places):
            assert time.monotonic() < deadline_s
            fetched = reader.fetch(1_000, 0.2)
            records += [(record.key or b"") + b" " + (record.value or b"") for record in fetched.records]
            reached |= {place: end for place, end in fetched.ends.items() if place in reached}
        reader.close()
        return b"\n".join(records)


@pytest.fixture
def clinic(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Clinic]:
    with running(kafka_bootstrap, tmp_path / "engine", []) as application:
        publish_definitions(application.client, application.names, [shelves, patients])
        clinic = Clinic(kafka_bootstrap, tmp_path, application)
        with clinic.client:
            yield clinic
        if clinic.worker.alive:
            clinic.worker.kill()


def test_nothing_on_the_log_tells_a_secret(clinic: Clinic) -> None:
    clinic.worker.start()
    handle = clinic.client.start(patients, run_id="visit", name=SECRET)
    result = handle.result(WAIT_S)
    assert result == {"verdict": "well", "letter": f"Dear {SECRET}, you are well. " * 100}
    seen = clinic.seen()
    assert b"visit" in seen
    assert b"well" in seen, "control fields stay readable"
    assert b"aesgcm:2026" in seen
    for secret in ("Ada", "Lovelace", "Dear", "Square"):
        assert secret.encode() not in seen
    assert clinic.shown("visit", keys=True)["name"]["value"] == SECRET
    assert clinic.shown("visit", keys=False)["name"]["value"]["encoding"] == "json+aesgcm:2026"
    again = clinic.client.start(patients, run_id="visit", name=SECRET).wait(WAIT_S)
    assert again.reannounced, "encrypted again it is the same input"


def test_fifty_megabytes_of_state_survive_the_death_of_the_worker(clinic: Clinic) -> None:
    clinic.worker.start()
    title = f"shelf {uuid4().hex}"
    handle = clinic.client.start(shelves, title=title)
    deadline_s = time.monotonic() + WAIT_S
    while len(clinic.kept()) < 2:
        assert time.monotonic() < deadline_s, clinic.worker.tail()
        time.sleep(0.002)
    clinic.worker.kill()
    clinic.worker.start()
    result = handle.result(WAIT_S)
    expected = [text(title, name) for name in "abcde"]
    assert [result[name] for name in "abcde"] == expected
    assert result["digest"] == digest_of(*expected)
    assert [line["bytes"] for line in outside.read(clinic.ledger) if line["what"] == "read"][
        -1
    ] == 5 * MEGABYTES * 10**6
    assert len(clinic.kept()) == 5, "a retry writes the same objects"
    assert len(clinic.seen()) < 100_000
