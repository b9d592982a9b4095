"""What follows when something in a flow has ended: places of the definition. Values only.

Paths are those of the definition; where a run meets them depends on the round it is in (`paths.locate`).
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ToStep:
    """Go on with this step."""

    path: str


@dataclass(frozen=True, slots=True)
class ToFork:
    """Go on with all branches of this fork."""

    path: str


@dataclass(frozen=True, slots=True)
class ToJoin:
    """The branch of this index of this fork has ended."""

    path: str
    index: int


@dataclass(frozen=True, slots=True)
class ToChoice:
    """Go on with the case that a control field says."""

    path: str


@dataclass(frozen=True, slots=True)
class ToLoop:
    """Begin the first round of this loop."""

    path: str


@dataclass(frozen=True, slots=True)
class ToRound:
    """A round of this loop has ended."""

    path: str


@dataclass(frozen=True, slots=True)
class ToLeave:
    """Leave a loop, or go on in it."""

    path: str


@dataclass(frozen=True, slots=True)
class ToLimit:
    """Begin this block, whose time is limited."""

    path: str


@dataclass(frozen=True, slots=True)
class ToLimitEnd:
    """This block has ended in time."""

    path: str


@dataclass(frozen=True, slots=True)
class ToWait:
    """Wait here."""

    path: str


@dataclass(frozen=True, slots=True)
class ToInline:
    """Begin this inner workflow."""

    path: str


@dataclass(frozen=True, slots=True)
class ToInlineEnd:
    """This inner workflow has ended."""

    path: str


@dataclass(frozen=True, slots=True)
class ToEach:
    """Begin this each block."""

    path: str


@dataclass(frozen=True, slots=True)
class ToElements:
    """Begin as many elements of this each block as may be open; or leave it, if all have ended."""

    path: str


@dataclass(frozen=True, slots=True)
class ToElementEnd:
    """An element of this each block has ended."""

    path: str


@dataclass(frozen=True, slots=True)
class ToChild:
    """Start this child run."""

    path: str


@dataclass(frozen=True, slots=True)
class ToSaga:
    """Begin this saga."""

    path: str


@dataclass(frozen=True, slots=True)
class ToSagaEnd:
    """The body of this saga has succeeded."""

    path: str


@dataclass(frozen=True, slots=True)
class ToUndone:
    """This undo step has ended, or the step that it undoes has."""

    path: str


@dataclass(frozen=True, slots=True)
class ToEnd:
    """The flow has ended."""


Target: TypeAlias = (
    ToStep
    | ToFork
    | ToJoin
    | ToChoice
    | ToLoop
    | ToRound
    | ToLeave
    | ToLimit
    | ToLimitEnd
    | ToWait
    | ToInline
    | ToInlineEnd
    | ToEach
    | ToElements
    | ToElementEnd
    | ToChild
    | ToSaga
    | ToSagaEnd
    | ToUndone
    | ToEnd
)
