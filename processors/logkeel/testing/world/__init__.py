"""A seeded world: production engines and workers on the simulated cluster, faults, and judges.

Nothing runs by itself and nothing waits: one scheduler on one thread lets processes act in a seeded order and moves the
clock. Import from here; `logkeel.testing` itself imports nothing heavy.
"""

from logkeel.testing.world.ending import play_out
from logkeel.testing.world.judging import general_faults
from logkeel.testing.world.processes import EngineProcess, Outsider, Process, WorkerProcess
from logkeel.testing.world.settings import Defined, PlayedWorkflow, WorldSettings
from logkeel.testing.world.striking import EffectStrike, Strike, StrikeKind, TimedStrike, crashes_everywhere
from logkeel.testing.world.trace import Trace, TraceEvent
from logkeel.testing.world.world import World

__all__ = [
    "Defined",
    "EffectStrike",
    "EngineProcess",
    "Outsider",
    "PlayedWorkflow",
    "Process",
    "Strike",
    "StrikeKind",
    "TimedStrike",
    "Trace",
    "TraceEvent",
    "WorkerProcess",
    "World",
    "WorldSettings",
    "crashes_everywhere",
    "general_faults",
    "play_out",
]
