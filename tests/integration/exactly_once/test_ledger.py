"""The ledger on a real broker, its processes killed, stopped and woken: not a cent out of place."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger.world import World

POSTINGS = 3_000


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> Iterator[World]:
    """A ledger whose processes end with the test."""
    world = World(kafka_bootstrap, tmp_path)
    yield world
    world.processes.end()


@pytest.mark.kafka
@pytest.mark.slow
def test_killed_again_and_again(world: World) -> None:
    rng = random.Random(os.environ.get("LOGKEEL_SEED", "7"))
    for round_number in range(6):
        world.post(POSTINGS // 6, seed=round_number)
        world.processes.start(0)
        world.wait_for_batches(0, 1 + rng.randrange(4))
        world.processes.signal(0, signal.SIGKILL)
    world.processes.start(0)
    world.judge()
    world.processes.end()
    world.judge_stores(0)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_woken_zombie_does_nothing_twice(world: World) -> None:
    world.post(POSTINGS, seed=1)
    world.processes.start(0)
    world.wait_for_batches(0, 3)
    world.processes.signal(0, signal.SIGSTOP)
    world.processes.start(1)
    world.wait_for_batches(1, 5)
    world.processes.signal(0, signal.SIGCONT)
    world.post(500, seed=2)
    world.judge()
