"""A small siege of three nodes: one of each kind of death, and commits in doubt, judged by the world outside."""

import os
from pathlib import Path

import pytest
from tests.chaos.camp import Camp
from tests.chaos.plan import Move
from tests.chaos.siege import Siege

MOVES = [
    Move("end in doubt", 0.9, 0),
    Move("end in doubt", 0.9, 1),
    Move("kill engine", 0.3, 0),
    Move("kill broker", 0.5, 2),
    Move("kill worker", 0.6, 1),
    Move("corrupt a store", 0.1, 2),
    Move("restart engine", 0.1, 1),
]
MINUTES = 0.4


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_brokers_engines_and_workers_die_and_nothing_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("LOGKEEL_SEED", "7"))
    lines: list[str] = []
    with Camp(tmp_path, seed, mounting=False) as camp:
        outcome = Siege(camp, lines.append).run(MOVES, MINUTES)
    assert not outcome.faults, "\n".join([*lines, *outcome.faults])
    assert (outcome.done["process kills"], outcome.done["broker kills"]) == (3, 1)
    assert outcome.done["runs"] > 0
