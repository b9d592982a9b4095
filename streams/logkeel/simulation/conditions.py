"""How a simulated cluster behaves where Kafka promises nothing: what takes time, what is there yet, what waits.

`Conditions` is the best case, at once and whole, for tests of logic. `RandomConditions` draws everything from a seed,
inside of what the real one was seen to do: a marker is written after its EndTxn was answered, a member hears of a
rebalance with its next heartbeat, a fresh connection brings nothing at first, a fetch brings a part.
"""

from random import Random

FORGOTTEN_MS = 10_000.0
"""For so long a connection can be silent: whoever stands between client and broker may have forgotten it then."""


class Conditions:
    """The best case. Times are milliseconds."""

    scan_ms = 0.0
    """How often the broker looks for transactions that are over time (Kafka: every 10 s)."""

    slow_markers = False
    """Whether one in ten is late by up to three seconds; all that a partition has to commit then adds up."""

    patience_ms = 0.0
    """How much of its time-out a reader's fetch waits when nothing is there."""

    def call_ms(self, effect: str) -> float:
        """How long a call takes until it reaches the cluster."""
        return 0.0

    def marker_ms(self) -> float:
        """From the answer to EndTxn until the marker of one partition is on its log."""
        return 0.0

    def hearing_ms(self) -> float:
        """From the beginning of a rebalance, or an expulsion, until the member concerned hears of it."""
        return 0.0

    def unheard_ms(self) -> float:
        """How long ago the last heartbeat was of a member that falls silent."""
        return 0.0

    def connecting_ms(self) -> float:
        """Until a fresh consumer or reader brings anything."""
        return 0.0

    def drops_connections(self, silent_ms: float) -> bool:
        """Whether whoever was stopped for so long, or without its network, finds its connections to read by closed."""
        return False

    def sending_ms(self) -> float:
        """How long a record of a plain producer waits in its process before it is sent."""
        return 0.0

    def acknowledgement_ms(self) -> float:
        """From a record's place on the log until its producer's report."""
        return 0.0

    def lateness_ms(self) -> float:
        """How late a duplicate of a request arrives, or one whose sender has given up."""
        return 0.0

    def lateness_calls(self) -> int:
        """After how many calls of its sender a duplicate arrives, if its time has not come; 0: by time alone."""
        return 0

    def lags(self) -> bool:
        """Whether a partition brings nothing to this fetch, although there is something."""
        return False

    def part_of(self, max_records: int) -> int:
        """How many records a fetch brings at most; at least 1."""
        return max_records

    def pass_over(self, places: int) -> None:
        """Draw what a fetch of so many partitions draws that brings nothing."""
        self.part_of(1)
        for _ in range(places):
            self.lags()


class RandomConditions(Conditions):
    """Everything from one source of chance. `pace` stretches the times: 1 is a quick local broker."""

    scan_ms = 10_000.0
    patience_ms = 25.0

    def __init__(self, random: Random, *, pace: float = 1.0) -> None:
        self._random = random
        self._pace = pace
        self.slow_markers = random.random() < 0.3

    def call_ms(self, effect: str) -> float:
        return self._pace * self._random.random() * (0.2 if effect == "produce" else 2.0)

    def marker_ms(self) -> float:
        draw = self._random.random()
        if self.slow_markers and draw < 0.1:
            return self._random.uniform(50.0, 3_000.0)
        return self._pace * draw * 8.0

    def hearing_ms(self) -> float:
        return self._random.uniform(0.0, 3_000.0) if self._random.random() < 0.6 else 0.0

    def unheard_ms(self) -> float:
        return self._random.uniform(0.0, 3_000.0)

    def connecting_ms(self) -> float:
        # Now and then a reader finds a broker that is busy, while others read already.
        return self._random.uniform(0.0, 60.0) if self._random.random() < 0.9 else self._random.uniform(60.0, 900.0)

    def drops_connections(self, silent_ms: float) -> bool:
        return silent_ms >= FORGOTTEN_MS and self._random.random() < 0.5

    def sending_ms(self) -> float:
        draw = self._random.random()
        return self._random.uniform(20.0, 600.0) if draw < 0.03 else self._pace * draw

    def acknowledgement_ms(self) -> float:
        return self._pace * self._random.random() * 6.0

    def lateness_ms(self) -> float:
        return self._random.choice((8.0, 60.0, 200.0, 2_000.0)) * self._random.random()

    def lateness_calls(self) -> int:
        return self._random.randint(1, 40)

    def lags(self) -> bool:
        return self._random.random() < 0.15

    def pass_over(self, places: int) -> None:
        # As above, without a call for each: most fetches of a simulation bring nothing. `random` takes 64 bits, and
        # `randint` three until they are below four.
        bits = self._random.getrandbits
        if self._random.random() >= 0.7:
            while bits(3) >= 4:
                pass
        bits(64 * places)

    def part_of(self, max_records: int) -> int:
        return max_records if self._random.random() < 0.7 else min(max_records, self._random.randint(1, 4))
