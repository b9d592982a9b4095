"""Plays a world until what is wanted has happened, then until everything rests, so that it can be judged."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logkeel.testing.world.world import World

PLAY_MS = 240_000.0
"""Far more than the worst plan needs: what has not ended by then is stuck."""

ENDS_TO_GIVE_UP = 30
ROUNDS_TO_REST = 5

QUIET_MS = 5_000.0
"""Idle commits and late markers."""


def play_out(world: "World", ended: Callable[[], bool]) -> list[str]:
    """Play until `ended`, end all faults, and let it become quiet; what is wrong if it does not."""
    world.run(lambda: ended() or len(world.ends) > ENDS_TO_GIVE_UP, limit_ms=PLAY_MS)
    if not ended():
        return [f"runs are stuck after {PLAY_MS / 1_000:.0f} s", *world.stuck()]
    world.heal()
    for _ in range(ROUNDS_TO_REST):
        world.run(world.is_calm, limit_ms=PLAY_MS)
        world.run(lambda: not world.is_calm(), limit_ms=QUIET_MS)
        if world.is_calm():
            return []
    return ["the processes do not come to rest", *world.stuck()]
