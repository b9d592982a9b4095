"""Each test of a cluster runs on the simulated and on the real one; each test of a store in memory and on RocksDB.

The simulated one comes twice: at its best, and as the seeded world has it, where everything takes time.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.conformance.sides import KafkaSide, Side, SimulatedSide
from tests.conformance.stores import MemoryStores, RocksStores, Stores

from logkeel.simulation import RandomConditions


@pytest.fixture(params=["simulated", "rough", pytest.param("kafka", marks=pytest.mark.kafka)])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    """A cluster; tests keep apart by the names of their topics."""
    made: Side
    if request.param == "simulated":
        made = SimulatedSide()
    elif request.param == "rough":
        made = SimulatedSide(RandomConditions(Random(request.node.nodeid)))
    else:
        made = KafkaSide(request.getfixturevalue("kafka_bootstrap"), tmp_path)
    yield made
    made.end()


@pytest.fixture(params=["memory", "rocks"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """A place for stores, empty at first."""
    return MemoryStores() if request.param == "memory" else RocksStores(tmp_path)
