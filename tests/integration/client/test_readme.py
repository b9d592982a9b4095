"""The README's producer and consumer, on plain confluent-kafka, against a running application."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.client.snippets import first_workflow, snippet
from tests.integration.runs.application import running


@pytest.mark.kafka
def test_plain_clients_start_a_run_and_hear_of_its_end(kafka_bootstrap: str, tmp_path: Path) -> None:
    environment = {**os.environ, "BOOTSTRAP": kafka_bootstrap}
    with running(kafka_bootstrap, tmp_path, [first_workflow(tmp_path).hello]) as application:
        for name in ("produce.py", "consume.py"):
            # The broker is shared by all tests, so this application has a prefix of its own.
            (tmp_path / name).write_text(snippet(name).replace('"logkeel.', f'"{application.settings.prefix}.'))
        arguments = [sys.executable, str(tmp_path / "consume.py")]
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as consumer:
            try:
                subprocess.run([sys.executable, str(tmp_path / "produce.py")], env=environment, check=True, timeout=30)
                application.completion("order-4711")
                assert consumer.stdout is not None
                said = consumer.stdout.readline()
            finally:
                consumer.kill()
    assert said == "order-4711 succeeded {'letter': b'\"Dear Ada, it is sunny and all quiet.\"'}\n"
