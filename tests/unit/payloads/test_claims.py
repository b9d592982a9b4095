"""Values that take longer to fetch than a claim is valid for are not fetched again when the claim is made again."""

import threading
import time
from pathlib import Path
from queue import Queue

import msgspec
from tests.unit.steps.commands import SOURCE, command

from logkeel.kafka import SystemClock
from logkeel.payloads import BlobStore, PayloadChain
from logkeel.records import Blob, FieldValue, Payload, StepSucceeded
from logkeel.steps.attempt import Attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.execution import CLAIM_VALID_S, Outcome
from logkeel.steps.executor import StepExecutor
from logkeel.steps.machine.messages import StartStep
from logkeel.workflow import ONCE, State, Workflow

WAIT_S = 30.0


class Note(State):
    """One large value."""

    text: str


class Slow(BlobStore):
    """Takes longer than a claim is valid for, and keeps nothing."""

    def __init__(self, url: str) -> None:
        super().__init__([url], cache_bytes=0)
        self.reads = 0

    def get(self, blob: Blob) -> bytes:
        """See `BlobStore.get`."""
        self.reads += 1
        threading.Event().wait(CLAIM_VALID_S + 0.1)
        return super().get(blob)


def test_what_took_long_is_at_hand_when_the_claim_was_made_again(tmp_path: Path) -> None:
    calls: list[int] = []
    notes = Workflow("notes", state=Note)

    @notes.step(effect=ONCE)
    async def publish(text: str) -> None:
        calls.append(len(text))

    notes.flow(publish)
    store, reports = Slow(tmp_path.as_uri()), Queue[Outcome | None]()
    chain = PayloadChain(blobs=store)
    payload = chain.wrap(Payload(encoding="json", data=b'"%s"' % (b"n" * 300_000)), "text")
    plain = command(0, effect="ONCE")
    asked = msgspec.structs.replace(
        plain,
        identity=msgspec.structs.replace(plain.identity, step="publish"),
        workflow="notes",
        definition_digest=notes.definition().digest,
        inputs=(FieldValue(field="text", revision=1, payload=payload),),
        timeout_ms=60_000,
    )
    executor = StepExecutor(StepCatalog([notes], payloads=chain), SystemClock(), holder="me", concurrency=1)

    def report(attempt: Attempt, outcome: Outcome | None, *, slot_free: bool) -> None:
        reports.put(outcome)

    executor.open(report, lambda: None)
    outcomes: list[Outcome | None] = []
    for _ in range(2):
        executor.submit([StartStep(SOURCE, 0, asked, claimed=True)], claimed_at_s=time.monotonic())
        outcomes.append(reports.get(timeout=WAIT_S))
    executor.close()
    assert outcomes[0] is None, "the claim was too old"
    assert isinstance(outcomes[1], StepSucceeded)
    assert (store.reads, calls) == (1, [300_000])
