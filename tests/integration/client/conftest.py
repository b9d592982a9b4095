"""An application that runs: topics, engine and worker as processes, started once for this folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

REPOSITORY = Path(__file__).parents[3]
LOGKEEL = [sys.executable, "-m", "logkeel.cli.main"]


@dataclass(frozen=True)
class Application:
    bootstrap: str
    prefix: str
    environment: dict[str, str]

    def logkeel(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        return subprocess.run(
            [*LOGKEEL, *arguments], cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=60
        )


@pytest.fixture(scope="session")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    prefix = f"t{uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("application")
    own = {
        "LOGKEEL_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "LOGKEEL_PREFIX": prefix,
        "LOGKEEL_STATE_DIR": str(folder / "state"),
    }
    running = Application(kafka_bootstrap, prefix, {**os.environ, **own})
    done = running.logkeel("topics", "apply")
    assert done.returncode == 0, done.stderr
    roles = (["engine"], ["worker", "tests.integration.client.greetings"])
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen([*LOGKEEL, *role], cwd=REPOSITORY, env=running.environment, stdout=log, stderr=log)
            for role in roles
        ]
        yield running
        for process in processes:
            process.terminate()
        for process in processes:
            assert process.wait(40) == 0, (folder / "log").read_text()[-3000:]
