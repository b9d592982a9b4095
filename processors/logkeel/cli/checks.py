"""The checks of `logkeel doctor`: each looks at one thing, says what it saw and what to do."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from logkeel.cli.payloads import payload_chain
from logkeel.cli.provisioning import plan_application
from logkeel.cli.settings import Settings
from logkeel.errors import LogkeelError, LogUnavailable
from logkeel.kafka import SystemClock, finalized_features
from logkeel.kafka.features import METADATA_VERSION, TRANSACTION_VERSION
from logkeel.log import LogClient, OutputRecord, TopicPartition
from logkeel.payloads import JSON_ENCODING
from logkeel.records import Payload

Verdict = Literal["ok", "warn", "fail", "skipped"]

KAFKA_4_0 = 25
"""Level of the feature `metadata.version` of a cluster that was brought to Kafka 4.0 (4.0-IV3)."""

SCARCE_BYTES, FULL_BYTES = 2 * 1024**3, 256 * 1024**2
SKEW_WARN_MS, SKEW_FAIL_MS = 2_000, 30_000
TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found. `remedy` is empty if nothing is to be done."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def run_checks(client: LogClient, settings: Settings, queues: list[str]) -> Iterator[Check]:
    """All checks, in an order in which each may rest on those before. Never raises a `LogkeelError`."""
    reachable = _guarded("broker", lambda: _reachable(client, settings))
    yield reachable
    yield _guarded("disk", lambda: disk(settings))
    if settings.payload_keys or settings.blob_store:
        yield _guarded("payloads", lambda: payloads(settings))
    if reachable.verdict == "fail":
        yield from (Check(name, "skipped", "no broker") for name in ("version", "topics", "transactions", "clock"))
        return
    yield _guarded("version", lambda: _version(settings))
    yield _guarded("topics", lambda: _topics(client, settings, queues))
    if _present(client, settings.names.run_requests):
        yield from _transaction_and_clock(client, settings)
    else:
        yield from (Check(name, "skipped", "topics are missing") for name in ("transactions", "clock"))


def payloads(settings: Settings) -> Check:
    """Whether keys and store work: a value goes there and back. The object is always the same one."""
    chain = payload_chain(settings)
    probe = Payload(encoding=JSON_ENCODING, data=b'"%s"' % (b"doctor " * 64))
    if chain.blobs is not None:
        chain = replace(chain, compression="none", blob_above_bytes=1)
    came_back = chain.unwrap(chain.wrap(probe, "a probe")) == probe
    said = [] if chain.keys is None else [f"encrypted with {chain.keys.current.key_id}"]
    said += [] if chain.blobs is None else [f"kept in {settings.blob_store}"]
    if came_back:
        return Check("payloads", "ok", ", ".join(said))
    return Check("payloads", "fail", "what was written came back changed", "look at keys and blob store")


def disk(settings: Settings) -> Check:
    """Space for tables; looks at the nearest folder that exists."""
    place = Path(settings.state_dir).resolve()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    said = f"{free / 1024**3:.1f} GiB free for {place}"
    if free < FULL_BYTES:
        return Check("disk", "fail", said, "free space, or choose another folder with --state-dir")
    if free < SCARCE_BYTES:
        return Check("disk", "warn", said, "tables grow with the runs in flight: keep 2 GiB free")
    return Check("disk", "ok", said)


def version(levels: dict[str, int]) -> Check:
    """What the feature levels mean."""
    metadata, transactions = levels.get(METADATA_VERSION), levels.get(TRANSACTION_VERSION, 0)
    said = f"{METADATA_VERSION} {metadata}, {TRANSACTION_VERSION} {transactions}"
    if metadata is None or metadata < KAFKA_4_0:
        return Check("version", "warn", said, "logkeel is tested on Kafka 4.3; bring the cluster to 4.0 or newer")
    if transactions < 2:
        remedy = "kafka-features.sh upgrade --feature transaction.version=2 (KIP-890) closes hanging transactions"
        return Check("version", "warn", said, remedy)
    return Check("version", "ok", f"Kafka 4.0 or newer ({said})")


def clock(skew_ms: int) -> Check:
    """What a difference between the broker's clock and ours means."""
    said = f"this machine's clock is {abs(skew_ms)} ms {'behind' if skew_ms > 0 else 'ahead of'} the broker's"
    remedy = "synchronise both by NTP: timers and time-outs of runs follow the engine's clock"
    if abs(skew_ms) > SKEW_FAIL_MS:
        return Check("clock", "fail", said, remedy)
    return Check("clock", "warn" if abs(skew_ms) > SKEW_WARN_MS else "ok", said, remedy * (abs(skew_ms) > SKEW_WARN_MS))


def _present(client: LogClient, topic: str) -> bool:
    admin = client.admin()
    try:
        return topic in admin.describe_topics([topic])
    except LogkeelError:
        return False
    finally:
        admin.close()


def _reachable(client: LogClient, settings: Settings) -> Check:
    admin = client.admin()
    try:
        admin.describe_topics([settings.names.run_requests])
    finally:
        admin.close()
    return Check("broker", "ok", f"{settings.bootstrap_servers} answers")


def _version(settings: Settings) -> Check:
    if any("security" in key or key.startswith(("ssl", "sasl")) for key in settings.kafka):
        return Check("version", "skipped", "the broker does not say its version before TLS and login")
    try:
        return version(dict(finalized_features(settings.bootstrap_servers)))
    except LogUnavailable as error:
        return Check("version", "warn", error.message, "see that the cluster is Kafka 4.0 or newer")


def _topics(client: LogClient, settings: Settings, queues: list[str]) -> Check:
    admin = client.admin()
    try:
        plan = plan_application(admin, settings, queues)
    finally:
        admin.close()
    if plan.problems:
        return Check("topics", "fail", "; ".join(plan.problems), "see the message")
    command = f"logkeel topics apply --prefix {settings.prefix}"
    if plan.create:
        missing = ", ".join(topic.name for topic in plan.create)
        return Check("topics", "fail", f"missing: {missing}", command)
    if plan.alter:
        return Check("topics", "warn", f"settings differ: {', '.join(each.topic for each in plan.alter)}", command)
    return Check("topics", "ok", f"the topics of {settings.prefix!r} are as they should be")


def _transaction_and_clock(client: LogClient, settings: Settings) -> Iterator[Check]:
    """One aborted transaction: its record is invisible, but the broker has put its own time on it."""
    seen: list[tuple[TopicPartition, int]] = []
    sent_ms: list[int] = []

    def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
        if error is None:
            seen.append((place, offset))

    def transact() -> Check:
        producer = client.transactional_producer(f"{settings.prefix}-doctor-{uuid4().hex[:8]}")
        try:
            producer.init_transactions(TIMEOUT_S)
            producer.begin()
            sent_ms.append(SystemClock().now_ms())
            producer.produce(OutputRecord(settings.names.run_requests, b"doctor", b"doctor", 0), delivered)
            producer.flush(TIMEOUT_S)
            producer.abort(TIMEOUT_S)
        finally:
            producer.close()
        return Check("transactions", "ok", "a transaction was written and aborted")

    checked = _guarded("transactions", transact)
    yield checked
    if not seen:
        yield Check("clock", "skipped", "no record to compare times with")
        return
    yield _guarded("clock", lambda: clock(_timestamp_of(client, *seen[0]) - sent_ms[0]))


def _timestamp_of(client: LogClient, place: TopicPartition, offset: int) -> int:
    reader = client.reader("read_uncommitted")
    try:
        reader.assign({place: offset})
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            for record in reader.fetch(10, 0.1).records:
                if record.offset == offset:
                    return record.timestamp_ms
    finally:
        reader.close()
    raise LogkeelError("the record of the check could not be read back")


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except LogkeelError as error:
        return Check(name, "fail", f"{error.code}: {error.message}", _REMEDIES.get(name, ""))


_REMEDIES = {
    "broker": "check --bootstrap-servers and the network; for a broker of your own: logkeel broker start",
    "transactions": "the engine needs rights on its transactional ids, and a working transaction coordinator",
}
