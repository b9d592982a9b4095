"""The workload file as values. Standard library only: it is read on both sides, ours and the peers'."""

import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("workloads.toml")


@dataclass(frozen=True)
class Chain:
    """A run of `steps` steps one after the other, and how it is asked for."""

    name: str
    title: str
    steps: int
    payload_bytes: int
    in_flight: tuple[int, ...] = ()
    seconds: float = 0.0
    open_loop_runs_per_s: tuple[int, ...] = ()
    open_loop_seconds: float = 0.0


@dataclass(frozen=True)
class Waiting:
    """Runs that wait, each holding a value of `payload_bytes`."""

    name: str
    title: str
    runs: int
    payload_bytes: int
    idle_seconds: float = 0.0


@dataclass(frozen=True)
class Race:
    """The crash race."""

    title: str
    runs: int
    steps: int
    step_ms: int
    in_flight: int
    kills: int
    seed: int
    stuck_after_s: float
    step_timeout_s: float

    def kill_plan(self) -> list[tuple[int, float]]:
        """(effects in the ledger, seconds to wait from then) of each kill, drawn from the seed.

        The wait is up to two steps' time: a ledger grows when steps end, so that a kill without it would always hit
        the moment after.
        """
        chance = random.Random(self.seed)
        effects = self.runs * self.steps
        width = effects * 0.9 / self.kills
        start = effects * 0.03
        wait_s = 2 * self.step_ms / 1_000
        return [
            (int(start + width * (number + chance.uniform(0.2, 0.8))), chance.uniform(0.0, wait_s))
            for number in range(self.kills)
        ]


@dataclass(frozen=True)
class Workloads:
    """The whole file."""

    chains: Mapping[str, Chain]
    restart: Waiting
    waiting: Waiting
    race: Race


def load(path: Path = FILE) -> Workloads:
    """Read the file; a key that is missing or unknown is a TypeError."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(path.read_text())
    race, restart, waiting = (tables.pop(name) for name in ("race", "W8", "W9"))
    chains = {}
    for name, table in tables.items():
        lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
        chains[name] = Chain(name=name, **{**table, **lists})
    return Workloads(chains, Waiting("W8", **restart), Waiting("W9", **waiting), Race(**race))
