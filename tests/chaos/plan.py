"""What happens in a siege, decided beforehand by a seed. Pure: how often each move comes, in which order, and to whom.

The figures are per minute. Moves that a whole cluster or application has to stop for come once or twice in a siege, the
two that spoil the changelog last: they end with an operator's repair.
"""

import random
from dataclasses import dataclass
from typing import Final

PER_MINUTE: Final = {
    "kill engine": 7.0,
    "kill worker": 5.0,
    "kill broker": 1.3,
    "end in doubt": 5.5,
    "freeze engine": 0.4,
    "freeze worker": 0.4,
    "restart engine": 0.6,
    "restart worker": 0.6,
    "cut a proxy": 0.6,
    "delay at a proxy": 0.3,
    "lose answers at a proxy": 0.3,
    "refuse at a proxy": 0.2,
    "corrupt a store": 0.5,
    "delete a state directory": 0.4,
    "fill a disk": 0.3,
    "rolling restart": 0.1,
    "scale 3 to 1 to 3": 0.15,
}
WHOLE_MINUTES: Final = 4.0
"""From here on a siege has time for every kind of move."""

EARLY: Final = ("expire offsets of engines", "expire offsets of workers")
LATE: Final = ("truncate the changelog", "recreate the changelog")
FLOORS_PER_MINUTE: Final = {"process kills": 10.0, "broker kills": 1.0, "commits in doubt": 2.5}
"""What a siege must have done to count: 200, 20 and 50 in 20 minutes."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens. `luck` in [0, 1) decides its details, `target` whom it meets if that one is free."""

    kind: str
    luck: float
    target: int


def moves(seed: int, minutes: float) -> list[Move]:
    """The moves of a siege in their order; in a long one at least one of each kind."""
    chance = random.Random(seed)
    least = int(minutes >= WHOLE_MINUTES)
    kinds = [kind for kind, rate in PER_MINUTE.items() for _ in range(max(least, round(rate * minutes)))]
    chance.shuffle(kinds)
    early = len(kinds) // 10
    ordered = [*kinds[:early], *EARLY, *kinds[early:], *LATE] if least else kinds
    return [Move(kind, chance.random(), chance.randrange(3)) for kind in ordered]


def floors(minutes: float) -> dict[str, int]:
    """How much of each must have been done."""
    return {what: int(rate * minutes) for what, rate in FLOORS_PER_MINUTE.items()}
