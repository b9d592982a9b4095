"""`logkeel insight` beside an application: poison, alerts, metrics, a run that gets on again, and a kind end."""

import base64
import socket
import time
import urllib.request

import msgspec
import pytest
from tests.integration.insight.events import write
from tests.integration.insight.process import Process
from tests.unit.insight.events import event
from tests.unit.notify.servers import serving

from logkeel.cli.wiring import connect
from logkeel.insight.rows import key_of
from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord
from logkeel.log.reading import read_topic
from logkeel.notify.signing import verify_webhook, webhook_key

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
STEP = {"path": "0/ask", "step": "ask", "attempt": 1}


def test_poison_is_put_aside_and_a_standstill_is_told_and_taken_back(insight: Process) -> None:
    settings = insight.settings
    names, client, at_ms = settings.names, connect(settings), int(time.time() * 1000) - 3_600_000
    producer = KafkaLogClient(settings.bootstrap_servers).transactional_producer(
        "poison", transaction_timeout_ms=10_000
    )
    producer.init_transactions(30)
    producer.begin()
    producer.produce(OutputRecord(names.run_events, b"r", b"no record", 0, (("ce_id", b"7"),)))
    producer.flush(30)
    producer.commit(30)
    begun = [event("r", 1, "run_started", at_ms), event("r", 2, "step_dispatched", at_ms, **STEP)]
    write(settings.bootstrap_servers, names.run_events, begun)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = key_of("stuck", 0, "r")

    def said() -> list[bytes | None]:
        return [record.value for record in read_topic(client, names.insight) if record.key == key]

    with serving() as endpoint:
        endpoint.answers = [(500, {}, b"")]  # so it comes again, under the same id
        alerts = ("--alert-url", f"http://127.0.0.1:{endpoint.port}/", "--alert-private")
        insight.start(*alerts, "--metrics-port", str(port), LOGKEEL_INSIGHT_SECRET=SECRET)
        insight.wait_for(lambda: len(endpoint.taken) >= 2 and len(said()) >= 1)
        first, second = endpoint.taken[:2]
        keys = [webhook_key(SECRET)]
        ids = {verify_webhook(keys, each.headers, each.body, now_s=time.time()) for each in (first, second)}
        assert len(ids) == 1
        told = msgspec.json.decode(first.body)
        assert (told["type"], told["data"]["run_id"], told["data"]["reason"]) == ("run.stuck", "r", "worker")
        insight.wait_for(lambda: b'logkeel_runs_stuck{reason="worker",workflow="w"} 1.0' in metrics(port))
        write(settings.bootstrap_servers, names.run_events, [event("r", 3, "run_completed", at_ms, status="cancelled")])
        insight.wait_for(lambda: said()[-1] is None)
        assert insight.end() == 0
    assert len(endpoint.taken) == 2
    (letter,) = read_topic(client, names.dead_letters)
    assert (letter.key, letter.value) == (b"r", b"no record")
    headers = dict(letter.headers)
    assert (headers["dead.topic"], headers["ce_id"]) == (names.run_events.encode(), b"7")


def metrics(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found: bytes = answer.read()
        return found
