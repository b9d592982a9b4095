"""An application on the broker, and insight beside it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.integration.insight.process import PARTITIONS, Process

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect


@pytest.fixture
def insight(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Process]:
    """Not started yet; killed at the end."""
    settings = Settings(bootstrap_servers=kafka_bootstrap, prefix=f"kill{uuid4().hex[:6]}", partitions=PARTITIONS)
    apply_application(connect(settings).admin(), settings, ["default"])
    made = Process(settings, tmp_path / "log")
    yield made
    made.kill()
