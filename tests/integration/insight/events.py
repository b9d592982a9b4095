"""Run events as an engine writes them, without one: in transactions, some of which are aborted."""

from collections.abc import Sequence

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord
from logkeel.records import RunCompleted, RunEvent
from logkeel.wire import encode

DIGEST = "0" * 64


def write(
    bootstrap: str,
    topic: str,
    records: Sequence[RunEvent | RunCompleted],
    *,
    committed: bool = True,
    partition: int = 0,
) -> None:
    """All of them in one transaction, on one partition."""
    producer = KafkaLogClient(bootstrap).transactional_producer(f"{topic}.writer", transaction_timeout_ms=10_000)
    producer.init_transactions(30)
    producer.begin()
    for each in records:
        producer.produce(OutputRecord(topic, each.run_id.encode(), encode(each), partition, ()))
    producer.flush(30)
    if committed:
        producer.commit(30)
    else:
        producer.abort(30)
