"""Whole runs in memory: the production engine carries payloads that it cannot read."""

from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from tests.unit.payloads.chains import chain, ring

from logkeel.client.building import Readable, inputs_of
from logkeel.client.client import result_of
from logkeel.errors import BlobStoreUnavailable
from logkeel.payloads import BlobStore, PayloadChain
from logkeel.projection.projection import fold
from logkeel.records import Blob, RunCompleted, RunEvent, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.wire import encode
from logkeel.workflow import ONCE, State, Workflow

SECRET = "the patient is well"


class Case(State):
    """A control field beside what is secret."""

    note: str
    urgent: bool = False
    verdict: Literal["good", "poor"] | None = None
    letter: str | None = None


def cases(name: str = "cases") -> "Workflow[Case]":
    """A control value made of an encrypted field, then a letter made of both."""
    workflow = Workflow(name, state=Case, returns=("letter", "verdict"))

    @workflow.step(writes=lambda s: s.verdict)
    def judge(note: str) -> Literal["good", "poor"]:
        return "good" if "well" in note else "poor"

    @workflow.step(writes=lambda s: s.letter)
    async def praise(note: str, urgent: bool, verdict: str) -> str:
        return f"{note}, {verdict}{'!' if urgent else ''}"

    workflow.flow(judge, praise)
    return workflow


def ask(which: PayloadChain, workflow: "Workflow[Any] | str", **inputs: Any) -> StartRun:
    writes = which.wrap_writes(inputs_of(workflow, inputs), "the input")
    return StartRun(workflow="cases", run_id="r", request_id="q", inputs=writes, input_digest=which.digest("d"))


def ended(application: MemoryApplication) -> RunCompleted:
    assert application.run_until(lambda: application.outcome("r") is not None)
    outcome = application.outcome("r")
    assert isinstance(outcome, RunCompleted)
    return outcome


def bytes_of(history: list[RunEvent], completed: RunCompleted) -> bytes:
    return b"".join([*map(encode, history), encode(completed)])


@pytest.mark.parametrize("by_object", [True, False])
def test_the_engine_carries_what_it_cannot_read(by_object: bool) -> None:
    which, workflow = chain(), cases()
    with MemoryApplication([workflow], payloads=which) as application:
        by_name = ask(which, "cases", note=SECRET, urgent=Readable(True))
        application.send(ask(which, workflow, note=SECRET, urgent=True) if by_object else by_name, key="r")
        completed = ended(application)
        history = application.history("r")
    assert completed.status == "succeeded", completed.error
    seen = bytes_of(history, completed)
    assert b"well" not in seen
    assert b"good" in seen, "control fields stay readable"
    letter = next(value for value in completed.result if value.field == "letter")
    assert letter.payload is not None
    assert letter.payload.encoding == "json+aesgcm:key-1"
    values = which.unwrap_fields(completed.result)
    assert workflow.result(values) == {"letter": f"{SECRET}, good!", "verdict": "good"}


def test_a_control_field_that_comes_encrypted_is_refused_by_name() -> None:
    which = chain()
    with MemoryApplication([cases()], payloads=which) as application:
        application.send(ask(which, "cases", note=SECRET, urgent=True), key="r")
        completed = ended(application)
    assert completed.error is not None
    assert completed.error.code == "invalid_input"
    assert "urgent: must be bool, and readable by the engine" in completed.error.message


def test_a_worker_without_the_key_gives_the_step_back_until_one_has_it() -> None:
    """A key that was rotated too early ends no run."""
    old, new = chain(keys=ring("key-1")), chain(keys=ring("key-2"))
    with MemoryApplication([cases()], payloads=old) as application:
        application.send(ask(new, cases(), note=SECRET), key="r")
        application.run_until(lambda: any(e.kind == "step_refused" for e in application.history("r")))
        refused = next(e for e in application.history("r") if e.kind == "step_refused")
        assert "key-2" in (refused.reason or "")
        assert "unknown_payload_key" in (refused.reason or "")
        assert application.outcome("r") is None
        # As a worker that was started again with both keys.
        application._workers[0]._executor._execution._values._chain = chain(keys=ring("key-2", ["key-1"]))
        assert ended(application).status == "succeeded"


def test_what_was_changed_on_its_way_ends_the_run_by_name() -> None:
    which = chain()
    request = ask(which, cases(), note=SECRET)
    payload = request.inputs[0].payload
    assert payload is not None
    data = bytearray(payload.data or b"")
    data[30] ^= 1
    with MemoryApplication([cases()], payloads=which) as application:
        changed = replace(request.inputs[0], payload=replace(payload, data=bytes(data)))
        application.send(replace(request, inputs=(changed, *request.inputs[1:])), key="r")
        completed = ended(application)
    assert completed.error is not None
    assert completed.error.code == "payload_tampered"


def test_large_values_go_by_reference(tmp_path: Path) -> None:
    which = chain(compression="none", blobs=BlobStore([tmp_path.as_uri()]))
    note = SECRET * 100_000
    workflow = cases()
    with MemoryApplication([workflow], payloads=which) as application:
        application.send(ask(which, workflow, note=note), key="r")
        completed = ended(application)
        view = fold(application.history("r"))
        assert len(bytes_of(application.history("r"), completed)) < 20_000
    blob = view.fields["letter"].payload
    assert blob is not None
    assert blob.blob is not None
    assert blob.encoding == "json+aesgcm:key-1"
    opened = which.unwrap_fields(completed.result)
    assert workflow.result(opened)["letter"] == f"{note}, good"


def test_a_blob_that_went_too_early_ends_the_run_by_name(tmp_path: Path) -> None:
    which = chain(compression="none", blobs=BlobStore([tmp_path.as_uri()]))
    request = ask(which, cases(), note=SECRET * 100_000)
    for blob in [path for path in tmp_path.rglob("*") if path.is_file()]:
        blob.unlink()
    with MemoryApplication([cases()], payloads=which) as application:
        application.send(request, key="r")
        completed = ended(application)
    assert completed.error is not None
    assert completed.error.code == "blob_missing"
    assert "longer than the log" in completed.error.message


class Wide(State):
    """Together more than a record takes."""

    a: str
    b: str
    c: str | None = None
    d: str | None = None
    size: int | None = None


def test_many_fields_of_middle_size_are_read_together_with_a_lower_threshold(tmp_path: Path) -> None:
    workflow: Workflow[Wide] = Workflow("cases", state=Wide, returns="size")

    @workflow.step(writes=lambda s: (s.c, s.d))
    async def more(a: str) -> tuple[str, str]:
        return a, a

    @workflow.step(writes=lambda s: s.size)
    async def measure(a: str, b: str, c: str, d: str) -> int:
        return len(a + b + c + d)

    workflow.flow(more, measure)
    outcomes = []
    for above in (200_000, 262_144):
        which = PayloadChain(blobs=BlobStore([tmp_path.as_uri()]), blob_above_bytes=above)
        with MemoryApplication([workflow], payloads=which) as application:
            application.send(ask(which, workflow, a="a" * 250_000, b="b" * 250_000), key="r")
            outcomes.append(ended(application))
    fits, does_not = outcomes
    assert fits.status == "succeeded"
    assert does_not.error is not None
    assert does_not.error.code == "command_too_large"
    assert "a lower --blob-above" in does_not.error.message


class Sulky(BlobStore):
    """Fails its first writes."""

    def __init__(self, url: str, *, failures: int) -> None:
        super().__init__([url])
        self.failures = failures

    def put(self, data: bytes) -> Blob:
        """See `BlobStore.put`."""
        self.failures -= 1
        if self.failures >= 0:
            raise BlobStoreUnavailable("sulking")
        return super().put(data)


def paid(calls: list[str], *, timeout: str) -> "Workflow[Case]":
    workflow = Workflow("cases", state=Case, returns="letter")

    @workflow.step(writes=lambda s: s.letter, effect=ONCE, timeout=timeout)
    async def pay(note: str) -> str:
        calls.append(note)
        return "x" * 300_000

    workflow.flow(pay)
    return workflow


def test_a_result_is_kept_while_the_store_is_away_and_not_made_again(tmp_path: Path) -> None:
    calls: list[str] = []
    workflow = paid(calls, timeout="60s")
    which = PayloadChain(blobs=Sulky(tmp_path.as_uri(), failures=2))
    with MemoryApplication([workflow], payloads=which) as application:
        application.send(ask(PayloadChain(), workflow, note="n"), key="r")
        completed = ended(application)
    assert (completed.status, calls) == ("succeeded", ["n"])
    opened = replace(completed, result=which.unwrap_fields(completed.result))
    assert len(result_of(workflow, opened)) == 300_000


def test_a_once_step_whose_result_cannot_be_kept_is_in_doubt(tmp_path: Path) -> None:
    calls: list[str] = []
    workflow = paid(calls, timeout="1s")
    which = PayloadChain(blobs=Sulky(tmp_path.as_uri(), failures=1_000))
    with MemoryApplication([workflow], payloads=which) as application:
        application.send(ask(PayloadChain(), workflow, note="n"), key="r")
        application.run_until(lambda: any(e.kind == "step_in_doubt" for e in application.history("r")))
        doubt = next(e for e in application.history("r") if e.kind == "step_in_doubt")
    assert doubt.error is not None
    assert doubt.error.code == "blob_store_unavailable"
    assert calls == ["n"]
