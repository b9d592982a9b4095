"""A workflow whose runs are turns of conversations, as data."""

from typing import Literal

import msgspec

OnBusy = Literal["queue", "reject", "interrupt", "join"]


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Which field says whose turn a run is, what is carried over, and what a turn does that comes during another one.

    `keep`: fields that the next turn begins with as this one left them. `on_busy`: wait in line, be refused, end the
    running turn, or become a signal to it: then the signal is called as the field `joins`, and brings its value.
    """

    field: str
    keep: tuple[str, ...] = ()
    on_busy: OnBusy = "queue"
    joins: str | None = None
