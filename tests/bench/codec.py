"""How long the codec takes per record: `python -m tests.bench.codec`. Best of several rounds, one core."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from logkeel.records import (
    FieldReference,
    FieldValue,
    FieldWrite,
    Payload,
    RunEvent,
    StepCommand,
    StepIdentity,
    StepSucceeded,
    TraceContext,
)
from logkeel.wire import Record, decode, decode_request, encode

ROUNDS = 7
CALLS = 3_000

_IDENTITY = StepIdentity(
    run_id="01J9ZV5D4X8Q6T3N",
    incarnation="3-1234567-1767225600000",
    path="gather/search_web",
    step="search_web",
    attempt=1,
    dispatch=1,
)
_TRACE = TraceContext(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

SAMPLES: dict[str, Record] = {
    "StepCommand": StepCommand(
        identity=_IDENTITY,
        workflow="research",
        version="1",
        definition_digest="0" * 64,
        routing_key="01J9ZV5D4X8Q6T3N",
        home_partition=3,
        effect="KEYED",
        idempotency_key="5f2b7c0d9e1a4b3c8d7e6f5a4b3c2d1e",
        revision=5,
        dispatched_at_ms=1_767_225_600_000,
        timeout_ms=60_000,
        max_attempts=3,
        inputs=(
            FieldValue(field="query", revision=1, payload=Payload(encoding="json", data=b'"durable execution"')),
            FieldValue(field="rounds", revision=4, is_control=True, control=2),
        ),
        trace=_TRACE,
    ),
    "StepSucceeded": StepSucceeded(
        identity=_IDENTITY,
        holder="worker-00",
        started_at_ms=1_767_225_600_010,
        finished_at_ms=1_767_225_600_042,
        writes=(FieldWrite(field="web", payload=Payload(encoding="json", data=b"[1, 2, 3]")),),
        reads=(FieldReference(field="query", revision=1),),
        trace=_TRACE,
    ),
    "RunEvent": RunEvent(
        run_id=_IDENTITY.run_id,
        incarnation=_IDENTITY.incarnation,
        revision=6,
        kind="step_succeeded",
        at_ms=1_767_225_600_043,
        workflow="research",
        version="1",
        definition_digest="0" * 64,
        path=_IDENTITY.path,
        step=_IDENTITY.step,
        attempt=1,
        dispatch=1,
        writes=(FieldWrite(field="web", payload=Payload(encoding="json", data=b"[1, 2, 3]")),),
    ),
}

JSON_REQUEST = b'{"workflow": "research", "run_id": "r-1", "input": {"query": "durable execution", "rounds": 2}}'


def best_us(call: Callable[[Any], object], argument: Any) -> float:
    """Microseconds per call, best of `ROUNDS` rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call(argument)
        best = min(best, (time.perf_counter() - start) / CALLS)
    return best * 1e6


def measure() -> list[dict[str, Any]]:
    """One row per sample: bytes, microseconds to encode and to decode."""
    rows: list[dict[str, Any]] = []
    for name, record in SAMPLES.items():
        data = encode(record)
        rows.append(
            {
                "record": name,
                "bytes": len(data),
                "encode_us": round(best_us(encode, record), 1),
                "decode_us": round(best_us(decode, data), 1),
            }
        )
    json_us = round(best_us(decode_request, JSON_REQUEST), 1)
    rows.append({"record": "JSON request", "bytes": len(JSON_REQUEST), "encode_us": None, "decode_us": json_us})
    return rows


if __name__ == "__main__":
    for row in measure():
        print(msgspec.json.encode(row).decode())
