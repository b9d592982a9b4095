"""Which seeds have what is not in all of them."""

ROCKS_EVERY = 100
"""A database takes its time to open: the other seeds keep rows in memory."""

HEAVY_EVERY, HEAVY_AT = 32, 7
"""Seeds with records of a megabyte, and with Kafka's own limits."""

HARD_AT, UNATTENDED_AT, SKEWED_AT = 3, 11, 9
"""Of sixteen seeds, those with a step that kills its workers, with cancels while no worker lives, and with checked
steps that are lost by a worker whose clock is behind until it is started again, if it is.
"""

PAUSED_AT = 15
"""Of sixteen seeds, the one whose runs are paused for a while."""

TRIPS_AT = 6
"""The seeds of eight that have sagas as well."""

FORSAKEN_AT = 6
"""The seeds of eight in half of which an engine that dies inside of a transaction stays away."""

LIMITED_AT = 1
"""The seeds of eight that have runs with limits as well."""

SPENDING_AT = 2
"""The seeds of eight that have runs with budgets as well."""

AGENTS_AT = 5
"""The seeds of eight that have durable code as well; in every second of them a worker is cut off."""

CALLING_AT = 3
"""The seeds of eight that have runs as well whose calls keep to limits and budgets."""

RETRIED_AT = 7
"""The seeds of eight that have runs as well that fail until they have been retried."""

FORKED_AT = 12
"""The seeds of sixteen whose runs are forked."""

PATCHED_AT, RELATED_AT = 4, 10
"""The seeds of sixteen that have runs as well whose failed elements are retried, and those with parents and turns that
are.
"""

ELDERS_AT = 22
"""The seeds of thirty-two that have runs as well whose code has children that are retried with it."""

ROLLED_AT, LENGTHY_AT = 8, 7
"""The seeds of sixteen where workers of two versions work side by side and all are restarted in turn, and of eight with
steps that take seconds, one worker of which is dead for longer than its session.
"""


def is_lengthy(seed: int) -> bool:
    """Whether it is one with steps that take seconds."""
    return seed % 8 == LENGTHY_AT and seed % HEAVY_EVERY != HEAVY_AT
