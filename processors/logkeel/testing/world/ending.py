"""Plays a world until what is wanted has happened, then until everything rests, so that it can be judged."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logkeel.testing.world.world import World

PLAY_MS = 240_000.0
"""Far more than the worst plan needs: what has not ended by then is stuck."""

ENDS_TO_GIVE_UP = 30

QUIET_MS = 5_000.0
"""Without an effect of any process: longer than any marker is late, and than an idle commit waits."""


def play_out(world: "World", ended: Callable[[], bool]) -> list[str]:
    """Play until `ended`, end all faults, and let it become quiet; what is wrong if it does not."""
    world.run(lambda: ended() or len(world.ends) > ENDS_TO_GIVE_UP, limit_ms=PLAY_MS)
    if not ended():
        return [f"runs are stuck after {PLAY_MS / 1_000:.0f} s", *world.stuck()]
    world.heal()
    return [] if rests(world) else ["the processes do not come to rest", *world.stuck()]


def rests(world: "World") -> bool:
    """Play until nothing has happened for a while: a transaction that ended late may have a marker under way."""
    effects, since_ms = world.effects, world.elapsed_ms

    def is_quiet() -> bool:
        nonlocal effects, since_ms
        if world.effects != effects or not world.is_calm():
            effects, since_ms = world.effects, world.elapsed_ms
        return world.elapsed_ms - since_ms >= QUIET_MS

    return world.run(is_quiet, limit_ms=PLAY_MS)
