"""A cluster in memory, with what decides exactly-once; a clock that is told the time; stores in memory."""

from logkeel.simulation.client import SimulatedClient
from logkeel.simulation.clock import ProcessClock, SimulatedClock
from logkeel.simulation.cluster import SimulatedCluster
from logkeel.simulation.conditions import Conditions, RandomConditions
from logkeel.simulation.effects import EffectName, Probe, ProcessDied
from logkeel.simulation.event_loop import SimulatedEventLoop
from logkeel.simulation.faults import Fault, Faults
from logkeel.simulation.store import MemoryStore, MemoryStoreDirectory

__all__ = [
    "Conditions",
    "EffectName",
    "Fault",
    "Faults",
    "MemoryStore",
    "MemoryStoreDirectory",
    "Probe",
    "ProcessClock",
    "ProcessDied",
    "RandomConditions",
    "SimulatedClient",
    "SimulatedClock",
    "SimulatedCluster",
    "SimulatedEventLoop",
]
