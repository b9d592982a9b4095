"""A cluster in memory, with what decides exactly-once; a clock that is told the time; stores in memory."""

from logkeel.simulation.client import SimulatedClient
from logkeel.simulation.clock import SimulatedClock
from logkeel.simulation.cluster import SimulatedCluster
from logkeel.simulation.faults import Faults
from logkeel.simulation.store import MemoryStore, MemoryStoreDirectory

__all__ = ["Faults", "MemoryStore", "MemoryStoreDirectory", "SimulatedClient", "SimulatedClock", "SimulatedCluster"]
