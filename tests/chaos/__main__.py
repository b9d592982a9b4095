"""`make chaos`: python -m tests.chaos [--kills 60] [--zombies 5] [--seed N] [--keep FOLDER]; exits 1 if it is bad."""

import argparse
import logging
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import Chaos

from logkeel.broker import EmbeddedBroker


def main() -> None:
    """One round on a broker of its own."""
    parser = argparse.ArgumentParser(prog="make chaos", description="kill -9 engine and worker under load")
    parser.add_argument("--kills", type=int, default=64)
    parser.add_argument("--zombies", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", help="keep ledger, logs and stores in this folder")
    options = parser.parse_args()
    # The client tells of every connection that a kill breaks.
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="logkeel-chaos-") as scratch:
        directory = Path(options.keep or scratch)
        with EmbeddedBroker(directory / "kafka") as broker:
            chaos = Chaos(broker.bootstrap_servers, directory / "chaos", options.seed, say)
            report = chaos.run(options.kills, options.zombies)
    say(report.text())
    sys.exit(1 if report.faults else 0)


def say(line: str) -> None:
    """One line at once."""
    print(line, flush=True)


main()
