"""A process that stands still for longer than a request may take, and goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from logkeel.broker import EmbeddedBroker

STOPPED_S = 16.0
"""Longer than the client's own limit of a request."""

SENT_S = 0.5
"""A request is on its way by then."""

ASKING = """
import sys
from logkeel.kafka import KafkaLogClient

admin = KafkaLogClient(sys.argv[1]).admin()
for _ in range(2):
    assert admin.describe_topics(["not-there"], with_config=True) == {}
    print("answered", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_a_request_that_ran_out_of_time_in_a_standstill_is_made_again(
    embedded_broker: Callable[[], EmbeddedBroker],
) -> None:
    broker = embedded_broker()
    assert broker.pid is not None
    command = [sys.executable, "-c", ASKING, broker.bootstrap_servers]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "answered\n"
            os.kill(broker.pid, signal.SIGSTOP)
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(SENT_S)
            os.kill(process.pid, signal.SIGSTOP)
            os.kill(broker.pid, signal.SIGCONT)
            time.sleep(STOPPED_S)
            os.kill(process.pid, signal.SIGCONT)
            assert process.stdout.readline() == "answered\n"
        finally:
            process.kill()
