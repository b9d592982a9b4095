"""The transactional processor: one Kafka transaction binds input positions, state and outputs of a batch."""

from logkeel.exactly_once.port import Processor, SideEvent, SideSource, Timer, Turn

__all__ = ["Processor", "SideEvent", "SideSource", "Timer", "Turn"]
