"""The transactional processor: one Kafka transaction binds input positions, state and outputs of a batch."""

from logkeel.exactly_once.changelog import changelog_config
from logkeel.exactly_once.dead_letters import Letter, Redriver, read_letters
from logkeel.exactly_once.diagnosis import Verdict
from logkeel.exactly_once.loop import TransactionalLoop
from logkeel.exactly_once.observer import BatchCounts, Observer, SeveralObservers, Unobserved
from logkeel.exactly_once.parts import LoopPorts
from logkeel.exactly_once.port import CommitListener, Processor, Produced, SideEvent, SideSource, Timer, Turn
from logkeel.exactly_once.repair import Repair, Repaired
from logkeel.exactly_once.settings import LoopSettings
from logkeel.exactly_once.slots import SlotLock, take_slot

__all__ = [
    "BatchCounts",
    "Letter",
    "CommitListener",
    "LoopPorts",
    "LoopSettings",
    "Observer",
    "Processor",
    "Produced",
    "Redriver",
    "Repair",
    "Repaired",
    "SideEvent",
    "SideSource",
    "SlotLock",
    "Timer",
    "TransactionalLoop",
    "Turn",
    "SeveralObservers",
    "Unobserved",
    "Verdict",
    "changelog_config",
    "read_letters",
    "take_slot",
]
