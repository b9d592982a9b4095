"""The judge of losses: a step is given up when its holder is dead, or has been silent for its lease (P32)."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from logkeel.log import Record
from logkeel.records import RunCompleted, RunEvent, StepAnswer, StepHeartbeat, StepReclaimed
from logkeel.runs.core.doubt import RECLAIMS_TO_GIVE_UP
from logkeel.testing.world import TraceEvent, World

Histories = Mapping[tuple[str, str], list[RunEvent]]
Place = tuple[str, str, str, int]

LEASE_MS = 10_000
UNREAD_MS = 3_000
"""What came so shortly before a decision may not have been read."""

LATE_MS = 4_000
"""From the end of a lease to the decision: the timer waits for the log, whose markers may be late."""

ALL_RECORDS, ALL_BYTES = 1_000, 4_000_000
"""Batches that take whatever a world has."""

DISTURBS = (
    *("STRIKE", "KILLED", "FROZEN", "WOKEN", "CONNECTED", "STARTS", "ENDS"),
    *("REVOKED", "LOST", "ASSIGNED", "READY", "FAULT", "init_transactions"),
)
"""After a resync every lease begins anew, and when a batch found no producer, as after an outage; an engine that does

not run decides nothing.
"""

OF_WORKERS = ("kill_worker", "stop_workers", "drain_worker", "join_worker", "cut_off_worker")
"""Strikes that keep no engine from anything."""


def faults_of_losses(world: World, histories: Histories, answers: Iterable[tuple[Record, StepAnswer]]) -> Iterator[str]:
    """What was given up too soon or too late."""
    dead: set[Place] = set()
    signs: dict[Place, list[int]] = defaultdict(list)
    for record, each in answers:
        place = (each.identity.run_id, each.identity.incarnation, each.identity.path, each.identity.dispatch)
        if isinstance(each, StepReclaimed) and each.holder_dead:
            dead.add(place)
        if isinstance(each, StepHeartbeat):
            signs[place].append(record.timestamp_ms)
    disturbed, keeps_up = _disturbed(world), _keeps_up(world)
    for (run_id, incarnation), events in histories.items():
        started: set[Place] = set()
        for event in events:
            place = (run_id, incarnation, event.path or "", event.dispatch or 0)
            if event.kind == "step_started":
                started.add(place)
                signs[place].append(event.at_ms)
            elif event.kind == "step_reclaimed" and event.reason == "asked":
                # Who has been heard of has a lease already, which a question leaves alone.
                signs[place] += [event.at_ms] if place not in started else []
            elif event.kind == "step_reclaimed" and place not in dead:
                heard = [at_ms for at_ms in signs[place] if at_ms <= event.at_ms - UNREAD_MS]
                if not heard or not _was_silent([*sorted(heard), event.at_ms], keeps_up=keeps_up):
                    yield f"P32: {place} was given up although its holder was not silent for {LEASE_MS} ms"
                known = bisect_right(disturbed, event.at_ms)
                since_ms = max([*heard, *disturbed[max(0, known - 1) : known]], default=event.at_ms)
                if keeps_up and event.at_ms - since_ms > LEASE_MS + LATE_MS:
                    yield f"P32: {place} was given up {event.at_ms - since_ms:.0f} ms after anything was heard of it"


def was_beside_a_killer(completion: RunCompleted, histories: Histories, killed_by_steps: set[str]) -> bool:
    """Whether a run failed by losses of which too few to fail were its own: the rest fell to a step beside it.

    The engine cannot tell which of the steps of a dead process has killed it, and counts a loss of each (P32).
    """
    if completion.error is None or completion.error.code != "worker_lost":
        return False
    events = histories[completion.run_id, completion.incarnation]
    failed = next(event.path for event in reversed(events) if event.kind == "step_failed")
    lost = [e.holder for e in events if (e.kind, e.reason, e.path) == ("step_reclaimed", "lost", failed)]
    own = [holder for holder in lost if holder not in killed_by_steps]
    return len(own) < RECLAIMS_TO_GIVE_UP <= len(lost)


def _was_silent(signs: list[int], *, keeps_up: bool) -> bool:
    """Whether the holder was for as long as its lease; the last of `signs` is the decision.

    An engine that is behind decides by the log as it was when the lease ran out, and may not have read what came since.
    """
    gaps = [later - sooner for sooner, later in pairwise(signs)]
    return (gaps[-1] if keeps_up else max(gaps)) >= LEASE_MS - 100


def _keeps_up(world: World) -> bool:
    """Whether engines read all there is at once, and markers are quick: else a timer waits for the log (P23)."""
    at_once = world.settings.max_records >= ALL_RECORDS and world.settings.max_bytes >= ALL_BYTES
    return at_once and not world.cluster.conditions.slow_markers


def _disturbed(world: World) -> list[float]:
    """When an engine was kept from deciding, or took partitions over; sorted."""
    zero_ms = world.cluster.clock.now_ms() - world.elapsed_ms
    found = []
    for event in world.trace.events:
        if event.event not in DISTURBS or event.process.startswith("worker-"):
            continue
        if event.event != "STRIKE" or event.detail.split(" ")[0] not in OF_WORKERS:
            found += [zero_ms + event.ms, zero_ms + event.ms + _lasts_ms(event)]
    return sorted(found)


def _lasts_ms(event: TraceEvent) -> float:
    """How long a strike is: nothing else tells of the end of an outage."""
    amount, unit = [*event.detail.rpartition(", ")[2].split(" "), ""][:2]
    return float(amount) if event.event == "STRIKE" and unit == "ms" else 0.0
