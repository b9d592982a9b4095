"""`make chaos MINUTES=20`: a siege of a cluster of three. `make chaos ARGS="--kills 60"`: kills on one broker.

Exits with 1 if anything was lost, done against its contract or stuck, or if too little was done to say so.
"""

import argparse
import logging
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.camp import Camp
from tests.chaos.damage import may_mount
from tests.chaos.harness import Chaos
from tests.chaos.plan import floors, moves
from tests.chaos.report import text_of
from tests.chaos.siege import Siege

from logkeel.broker import EmbeddedBroker


def main() -> None:
    """One siege or one round on brokers of its own."""
    parser = argparse.ArgumentParser(prog="make chaos", description="engines, workers and brokers under fire")
    parser.add_argument("--minutes", type=float, help="a siege of three nodes, three engines and three workers")
    parser.add_argument("--kills", type=int, default=64, help="without --minutes: kills on one broker")
    parser.add_argument("--zombies", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", help="keep ledger, logs and stores in this folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what it started ends with it
    mounting = options.minutes is not None and may_mount()
    # The client tells of every connection that a kill breaks.
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="logkeel-chaos-") as scratch:
        directory = Path(options.keep or scratch)
        if options.minutes is None:
            faults = round_of_kills(directory, options.seed, options.kills, zombies=options.zombies)
        else:
            faults = siege(directory, options.seed, options.minutes, mounting=mounting)
    sys.exit(1 if faults else 0)


def round_of_kills(directory: Path, seed: int, kills: int, *, zombies: int) -> list[str]:
    """Two engines and two workers on one broker."""
    with EmbeddedBroker(directory / "kafka") as broker:
        report = Chaos(broker.bootstrap_servers, directory / "chaos", seed, say).run(kills, zombies)
    say(report.text())
    return report.faults


def siege(directory: Path, seed: int, minutes: float, *, mounting: bool) -> list[str]:
    """Three of everything."""
    planned = moves(seed, minutes)
    say(f"seed {seed}: {len(planned)} moves in {minutes:g} minutes; small disks: {mounting}")
    with Camp(directory, seed, mounting=mounting) as camp:
        outcome = Siege(camp, say).run(planned, minutes)
    short = [f"{what}: {outcome.done[what]}, not {least}" for what, least in floors(minutes).items()]
    outcome.faults += [
        f"too little was done to count: {text}"
        for text, (what, least) in zip(short, floors(minutes).items(), strict=True)
        if outcome.done[what] < least
    ]
    say(text_of(seed, minutes, outcome))
    return outcome.faults


def say(line: str) -> None:
    """One line at once."""
    print(line, flush=True)


main()
