"""What is to be said of the rows as they stand: standstills that began or ended, and figures for `/metrics`. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from logkeel.insight.clusters import Cluster
from logkeel.insight.rows import Told
from logkeel.insight.standing import Stuck
from logkeel.insight.windows import Tally

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Values of gauges by their labels, made once and read from any thread."""

    stuck: Mapping[Labels, float] = field(default_factory=dict)
    started: Mapping[Labels, float] = field(default_factory=dict)
    ended: Mapping[Labels, float] = field(default_factory=dict)
    mean_s: Mapping[Labels, float] = field(default_factory=dict)
    max_s: Mapping[Labels, float] = field(default_factory=dict)
    used: Mapping[Labels, float] = field(default_factory=dict)
    clusters: Mapping[Labels, float] = field(default_factory=dict)


def figures(tallies: Iterable[Tally], clusters: Iterable[Cluster], stuck: Iterable[Stuck]) -> Figures:
    """`tallies`: those of one window, of all partitions."""
    started: dict[Labels, float] = defaultdict(float)
    ended: dict[Labels, float] = defaultdict(float)
    timed: dict[Labels, list[int]] = defaultdict(lambda: [0, 0, 0])
    used: dict[Labels, float] = defaultdict(float)
    for tally in tallies:
        place = (tally.workflow, tally.step)
        started[place] += tally.started
        for outcome, count in tally.ended.items():
            ended[*place, outcome] += count
        for unit, amount in tally.used.items():
            used[*place, unit] += amount
        if tally.timed:
            sums = timed[place]
            sums[0], sums[1], sums[2] = sums[0] + tally.timed, sums[1] + tally.total_ms, max(sums[2], tally.max_ms)
    shapes: dict[Labels, float] = defaultdict(float)
    for cluster in clusters:
        shapes[cluster.workflow, cluster.step] += 1
    standing: dict[Labels, float] = defaultdict(float)
    for each in stuck:
        standing[each.workflow, each.reason] += 1
    return Figures(
        stuck=dict(standing),
        started=dict(started),
        ended=dict(ended),
        mean_s={place: sums[1] / sums[0] / 1000 for place, sums in timed.items()},
        max_s={place: sums[2] / 1000 for place, sums in timed.items()},
        used=dict(used),
        clusters=dict(shapes),
    )


def last_whole(starts_ms: Iterable[int], now_ms: int, length_ms: int) -> int | None:
    """The newest window that is over; None: none is. Two windows ago it is gone, whatever came since."""
    return max((each for each in starts_ms if now_ms - 2 * length_ms < each <= now_ms - length_ms), default=None)


def standstills(
    found: Mapping[bytes, Stuck], told: Mapping[bytes, Told]
) -> tuple[dict[bytes, Stuck], frozenset[bytes], dict[bytes, Stuck]]:
    """(new or changed, over, those whose alert is still to be sent), by the rows' keys."""
    news = {key: stuck for key, stuck in found.items() if key not in told or told[key].stuck != stuck}
    over = frozenset(key for key in told if key not in found)
    unsent = {
        key: stuck
        for key, stuck in found.items()
        if key not in told or told[key].stuck.key != stuck.key or not told[key].alerted
    }
    return news, over, unsent
