"""A stream is read while its worker is killed -9 in the middle: both attempts are seen, and which one counts."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.runs.application import Application, running
from tests.integration.steps.emitting import WORDS, talking

from logkeel.client import AsyncClient, Client, Emitted
from logkeel.kafka import KafkaLogClient
from logkeel.steps import publish_definitions

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def worker(bootstrap: str, application: Application, directory: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "tests.integration.steps.emitting", bootstrap, application.names.prefix]
    process = subprocess.Popen([*command, str(directory)], cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def follow(bootstrap: str, prefix: str, found: list[str]) -> threading.Thread:
    """`logkeel run follow` beside it, its lines into `found`."""
    command = [str(Path(sys.executable).parent / "logkeel"), "run", "follow", "r", "-o", "json"]
    process = subprocess.Popen(
        [*command, "--bootstrap-servers", bootstrap, "--prefix", prefix], stdout=subprocess.PIPE, text=True
    )

    def read() -> None:
        with process:
            found.extend(process.stdout or ())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_worker_is_killed_in_mid_stream(kafka_bootstrap: str, tmp_path: Path) -> None:
    workflow, seen, lines = talking(), list[Emitted](), list[str]()
    with running(kafka_bootstrap, tmp_path, []) as application:
        publish_definitions(application.client, application.names, [workflow])
        prefix = application.names.prefix
        async with AsyncClient(KafkaLogClient(kafka_bootstrap), prefix=prefix) as client:
            handle = await client.start(workflow, run_id="r", words=WORDS)
            following = follow(kafka_bootstrap, prefix, lines)
            stream = client.stream("r")
            with worker(kafka_bootstrap, application, tmp_path):
                async for each in stream:
                    seen.append(each)
                    if each.value == f"word {WORDS // 3}":
                        break
            await stream.aclose()  # type: ignore[attr-defined]  # an asynchronous generator is one
            with worker(kafka_bootstrap, application, tmp_path):
                async for each in client.stream("r", after=seen[-1].place):
                    seen.append(each)
            assert await handle.result(30) == f"{WORDS} words"
        following.join(30)
        with Client(application.client, prefix=prefix) as again:
            kept = list(again.stream("r"))
    # Read in two pieces or in one, it is the same.
    assert seen == kept
    last = max(each.dispatch for each in seen)
    assert last > 1
    counted = [each for each in seen if each.dispatch == last]
    assert [each.value for each in counted] == [f"word {number}" for number in range(WORDS)]
    assert [each.sequence for each in counted] == list(range(WORDS))
    superseded = [each.value for each in seen if each.dispatch < last]
    assert superseded == [f"word {number}" for number in range(len(superseded))]
    assert len(superseded) > WORDS // 3
    assert {(each.run_id, each.path, each.dropped) for each in seen} == {("r", "talk", 0)}
    printed = [json.loads(line) for line in lines]
    assert [line["value"] for line in printed if line["kind"] == "emitted"] == [each.value for each in seen]
    assert printed[0]["kind"] == "run_started"
    assert printed[-1]["kind"] == "run_completed"
