"""What strikes the world of a seed: drawn before anything happens."""

from random import Random
from typing import Literal

from tests.sim.seeds import AGENTS_AT, FORSAKEN_AT, ROLLED_AT, SKEWED_AT, UNATTENDED_AT, is_lengthy

from logkeel.simulation import EffectName
from logkeel.testing.world import EffectStrike, Strike, TimedStrike, WorldSettings
from logkeel.testing.world.striking import EffectKind, TimedKind

SPAN_MS = 4_000.0

AIMED: tuple[EffectName, ...] = ("commit_offsets", "commit_offsets", "send", "commit", "write", "committed")
"""What an aimed strike is at; of the first, one in a few is a claim."""

EFFECTS = 700
"""About as many effects as a seed without faults has."""

CUT_OFF_MS = (900.0, 5_000.0, 11_500.0, 14_000.0, 24_000.0)
ROLL_MS = (300.0, 1_000.0, 3_000.0)

AWAY_MS = 28_000.0
"""A worker's session, and two leases of its steps behind it."""

FIRST_HEARD = (6, 18)
"""Commits of workers by which steps that take seconds are first heard of."""

FORSAKEN_MS = 55_000.0
"""Longer than a transaction of a dead engine may stay open, shorter than it does if nobody aborts it."""

COORDINATOR_LOST, COORDINATOR_AWAY_MS = 0.08, (50.0, 250.0, 1_500.0)
"""Of all seeds, so many have an engine whose transactions lose their coordinator, and for how long."""

PRODUCED = 80
"""About as many records as the engines of a world have produced when its runs have begun."""

_EFFECT_KINDS: tuple[EffectKind, ...] = (
    *("crash",) * 10,
    *("freeze",) * 6,
    *("slow",) * 6,
    *("commit_applied_in_doubt",) * 2,
    *("commit_lost_in_doubt",) * 2,
    *("commit_late_in_doubt",) * 2,
    *("commit_repeated",) * 3,
    *("send_offsets_repeated",) * 2,
    "commit_abortable",
    "abort_repeated",
    "abort_times_out",
    "send_offsets_abortable",
    "produce_abortable",
    "produce_fatal",
    "init_times_out",
    "disturbed",
    "offset_commit_lost",
    "offset_commit_unanswered",
    "membership_reset",
)
_TIMED_KINDS: tuple[TimedKind, ...] = (
    *("kill_engine",) * 4,
    *("kill_worker",) * 4,
    *("join_engine",) * 3,
    *("join_worker",) * 3,
    *("drain_worker",) * 2,
    *("stop_workers",) * 2,
    *("stop_engines",) * 2,
    *("outage",) * 2,
    *("jump_clock",) * 2,
    *("disk_full",) * 2,
    *("disk_lost",) * 2,
    *("power_failure",) * 2,
    "disk_damaged",
    "clean_logs",
    *("expel",) * 2,
    "cut_off_engine",
    *("cut_off_worker",) * 3,
    *("roll",) * 4,
    "expire_offsets",
    "stranger",
)


def strikes_of(seed: int, settings: WorldSettings) -> tuple[Strike, ...]:
    """What strikes the world of a seed, and when."""
    draw = Random(f"{seed}/strikes")
    count = draw.choice((1, 1, 2, 2, 3, 3, 4, 5, 7))
    drawn = tuple(_effect_strike(draw) if draw.random() < 0.65 else _timed_strike(draw) for _ in range(count))
    if seed % 16 == SKEWED_AT:
        # A check is judged by the right time, which engines have.
        drawn = tuple(strike for strike in drawn if strike.kind != "jump_clock")
    return drawn + _aimed(seed) + _special(seed, settings) + _forsaken(seed) + _coordinator_lost(seed)


def _aimed(seed: int) -> tuple[Strike, ...]:
    """At an early effect of one kind, in every fourth seed: there are few of each, and they are the delicate ones."""
    if seed % 4 != 1 or seed % 16 == SKEWED_AT:
        return ()
    draw = Random(f"{seed}/aimed")
    kind: EffectKind = draw.choice(("crash", "freeze", "freeze"))
    amount_ms = draw.choice((100.0, 3_000.0) if kind == "crash" else (2_500.0, 12_000.0, 25_000.0, 25_000.0))
    when: Literal["before", "after"] = draw.choice(("before", "after"))
    return (EffectStrike(kind, draw.randint(1, 16), when, amount_ms, of=draw.choice(AIMED)),)


def _special(seed: int, settings: WorldSettings) -> tuple[Strike, ...]:
    """What the seeds of a special kind need."""
    draw = Random(f"{seed}/special")
    if seed % 16 == UNATTENDED_AT:
        return (TimedStrike("stop_workers", draw.uniform(0.0, 1_500.0), 0, draw.choice((6_000.0, 8_000.0))),)
    if seed % 16 == ROLLED_AT:
        return (TimedStrike("roll", draw.uniform(300.0, 2_000.0), 0, draw.choice(ROLL_MS)),)
    if seed % 8 == AGENTS_AT and draw.random() < 0.5:
        return (
            TimedStrike("cut_off_worker", draw.uniform(300.0, 3_000.0), draw.randrange(12), draw.choice(CUT_OFF_MS)),
        )
    if is_lengthy(seed):
        return _lost_at_length(seed, draw)
    if seed % 16 == SKEWED_AT:
        return _set_right(seed, *settings.skews)
    return ()


def _lost_at_length(seed: int, draw: Random) -> tuple[Strike, ...]:
    """A worker is dead for longer than its session; in every second seed for two leases more, and before its offsets

    follow its first heartbeats. While its session lasts, the engines are restarted: leases begin anew, and are asked
    about before they end (P32).
    """
    lost = TimedStrike("kill_worker", draw.uniform(1_500.0, 6_000.0), draw.randrange(12), 13_000.0)
    away = Random(f"{seed}/away")
    if away.random() < 0.5:
        return (lost,)
    return (
        EffectStrike("crash", away.randint(*FIRST_HEARD), "before", AWAY_MS, of="commit_offsets"),
        TimedStrike("stop_engines", away.uniform(2_000.0, 6_500.0), 0, 300.0),
    )


def _set_right(seed: int, slot: int) -> tuple[Strike, ...]:
    """The worker whose clock is behind is started again while its steps run and have been heard of; or it never is, and

    each check that it makes waits by its clock (P35).
    """
    draw = Random(f"{seed}/right")
    if draw.random() < 0.5:
        return ()
    return (TimedStrike("kill_worker", draw.uniform(1_600.0, 3_600.0), slot, 300.0),)


def _forsaken(seed: int) -> tuple[Strike, ...]:
    """An engine dies inside of a transaction and stays away, in every second of these seeds (P18)."""
    draw = Random(f"{seed}/forsaken")
    if seed % 8 != FORSAKEN_AT or draw.random() < 0.5:
        return ()
    return (EffectStrike("crash", draw.randint(1, PRODUCED), "after", FORSAKEN_MS, of="produce"),)


def _coordinator_lost(seed: int) -> tuple[Strike, ...]:
    """In some seeds, whatever else they have (P11)."""
    draw = Random(f"{seed}/coordinator")
    if draw.random() >= COORDINATOR_LOST:
        return ()
    at_ms, target = draw.uniform(300.0, SPAN_MS), draw.randrange(12)
    return (TimedStrike("coordinator_lost", at_ms, target, draw.choice(COORDINATOR_AWAY_MS)),)


def _effect_strike(draw: Random) -> EffectStrike:
    kind = draw.choice(_EFFECT_KINDS)
    at = draw.randint(1, EFFECTS)
    when: Literal["before", "after"] = draw.choice(("before", "after"))
    amounts = {
        "crash": (100.0, 500.0, 3_000.0, 14_000.0),
        "freeze": (300.0, 2_500.0, 12_000.0, 25_000.0),
        "slow": (50.0, 500.0, 2_500.0, 5_000.0),
    }
    return EffectStrike(kind, at, when, draw.choice(amounts.get(kind, (0.0,))))


def _timed_strike(draw: Random) -> TimedStrike:
    kind = draw.choice(_TIMED_KINDS)
    at_ms, target = draw.uniform(0, SPAN_MS), draw.randrange(12)
    if kind == "outage":
        amount_ms = draw.choice((100.0, 1_000.0, 6_000.0))
    elif kind == "jump_clock":
        amount_ms = draw.choice((-40_000.0, -1_500.0, -50.0, 900.0))
    elif kind == "disk_full":
        amount_ms = draw.choice((50.0, 800.0, 2_500.0))
    elif kind in ("cut_off_engine", "cut_off_worker"):
        amount_ms = draw.choice(CUT_OFF_MS)
    elif kind == "roll":
        amount_ms = draw.choice(ROLL_MS)
    else:
        amount_ms = draw.choice((300.0, 2_000.0, 13_000.0))
    return TimedStrike(kind, at_ms, target, amount_ms)
