"""What a round of chaos did and saw."""

from collections import Counter
from dataclasses import dataclass, field

UNFINISHED_AT_KILL = 100


@dataclass
class Report:
    """What was done and seen."""

    seed: int
    engine_kills: int = 0
    worker_kills: int = 0
    in_transaction: int = 0
    in_step: int = 0
    steps_cut: int = 0
    zombies: int = 0
    stores: int = 0
    runs: int = 0
    humans_asked: int = 0
    p39_doubles: int = 0
    events: int = 0
    seconds: float = 0.0
    killed_at: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Every kill -9."""
        return self.engine_kills + self.worker_kills

    def text(self) -> str:
        """For people."""
        places = ", ".join(f"{place} {count}" for place, count in self.killed_at.most_common())
        verdict = "GOOD: nothing lost, nothing twice" if not self.faults else f"BAD: {len(self.faults)} faults"
        kills = f"{self.kills} x kill -9 ({self.engine_kills} engine, {self.worker_kills} worker)"
        steps = f"{self.in_step} in a started step ({self.steps_cut} steps cut)"
        lines = [
            f"seed {self.seed}: {kills} and {self.zombies} zombies in {self.seconds:.0f} s",
            f"  >= {UNFINISHED_AT_KILL} runs unfinished at each; {self.in_transaction} in a transaction, {steps}",
            f"  engine killed: {places}",
            f"  {self.runs} runs, {self.events} events; {self.stores} stores of dead engines equal to their changelog",
            f"  human asked {self.humans_asked} times; doubles inside the window of P39: {self.p39_doubles}",
            *(f"  FAULT {fault}" for fault in self.faults[:20]),
            f"verdict: {verdict}",
        ]
        return "\n".join(lines)


@dataclass
class Outcome:
    """What a siege did and saw."""

    done: Counter[str] = field(default_factory=Counter)
    killed_at: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def text_of(seed: int, minutes: float, outcome: Outcome) -> str:
    """For people."""
    verdict = "GOOD: nothing lost, nothing twice, nothing stuck"
    lines = [
        f"seed {seed}, {minutes:g} minutes, {outcome.seconds:.0f} s with the judge",
        *(f"  {count:7} {what}" for what, count in sorted(outcome.done.items())),
        f"  engines killed: {', '.join(f'{place} {count}' for place, count in outcome.killed_at.most_common())}",
        *(f"  FAULT {fault}" for fault in outcome.faults[:20]),
        f"verdict: {f'BAD: {len(outcome.faults)} faults' if outcome.faults else verdict}",
    ]
    return "\n".join(lines)
