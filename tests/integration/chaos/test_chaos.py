"""A small round of `make chaos`: processes killed -9 and frozen under load, judged by the world outside."""

import os
from pathlib import Path

import pytest
from tests.chaos.harness import Chaos


@pytest.mark.kafka
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_happens_twice(kafka_bootstrap: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("LOGKEEL_SEED", "7"))
    lines: list[str] = []
    report = Chaos(kafka_bootstrap, tmp_path, seed, lines.append).run(kills=4, zombies=1)
    assert not report.faults, "\n".join([*lines, report.text()])
    assert (report.kills, report.zombies) == (4, 1)
    assert report.stores > 0
