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
class FanOut:
    """One step, `width` steps side by side, one step that merges."""

    title: str
    width: int
    payload_bytes: int
    in_flight: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Timers:
    """Runs that sleep until one moment."""

    title: str
    runs: int
    payload_bytes: int


@dataclass(frozen=True)
class Approvals:
    """Runs that ask a human, who answers at once."""

    title: str
    runs: int
    payload_bytes: int
    in_flight: tuple[int, ...]


@dataclass(frozen=True)
class Agent:
    """A model called so many times in one run; each reply is a message of `payload_bytes`."""

    title: str
    turns: tuple[int, ...]
    payload_bytes: int
    runs: int


@dataclass(frozen=True)
class Items:
    """Items of one run beside runs of one step, so many of them in flight."""

    title: str
    items: int
    in_flight: tuple[int, ...]


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
    warm_up_s: float

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
    fan_out: FanOut
    timers: Timers
    approvals: Approvals
    agent: Agent
    items: Items


def load(path: Path = FILE) -> Workloads:
    """Read the file; a key that is missing or unknown is a TypeError."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(path.read_text())
    tables = {name: _with_tuples(table) for name, table in tables.items()}
    others = {name: tables.pop(name) for name in ("race", "W8", "W9", "W3", "W4", "W5", "W7", "each")}
    return Workloads(
        chains={name: Chain(name=name, **table) for name, table in tables.items()},
        restart=Waiting("W8", **others["W8"]),
        waiting=Waiting("W9", **others["W9"]),
        race=Race(**others["race"]),
        fan_out=FanOut(**others["W3"]),
        timers=Timers(**others["W4"]),
        approvals=Approvals(**others["W5"]),
        agent=Agent(**others["W7"]),
        items=Items(**others["each"]),
    )


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
