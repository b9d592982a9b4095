"""A long round: every scene, twice by default. `python -m tests.pods [--rounds N] [--load N]`.

Exit code 1 if anything is wrong.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.pods.site import Report, Site

from logkeel.broker import EmbeddedBroker

WAKE_S = 5.0
"""From a request to its result, with no worker there at first, on a machine that has room for one."""


def long_round(site: Site, load: int) -> None:
    """Everything that a cluster does to pods."""
    engines, workers, on = site.engines, site.workers, site.meanwhile
    site.scene("one engine, one worker", lambda: site.scale(1, 1))
    site.keep(load)
    site.scene("three engines, three workers", lambda: site.scale(3, 3))
    site.scene("update of the engines", lambda: engines.update(on))
    site.scene("update of the workers", lambda: workers.update(on))
    site.scene("a machine of an engine is lost", lambda: engines.lose_machine(1, on, volume_too=False))
    site.scene("a machine of a worker is lost", lambda: workers.lose_machine(on))
    site.scene("a machine of an engine is lost with its volume", lambda: engines.lose_machine(0, on, volume_too=True))
    site.scene("five engines, five workers", lambda: site.scale(5, 5))
    site.scene("one engine, one worker", lambda: site.scale(1, 1))
    site.scene("no workers, and back", site.sleep_and_wake)


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--load", type=int, default=60, help="runs kept in flight")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logkeel-pods-") as directory, EmbeddedBroker() as broker:
        site = Site(broker.bootstrap_servers, Path(directory), f"pods{int(time.time())}", _say)
        try:
            for _ in range(options.rounds):
                long_round(site, options.load)
            report: Report = site.finish()
        finally:
            site.close()
    _say(report.text())
    late = [seconds for seconds in report.woke_s if seconds > WAKE_S]
    if late:
        _say(f"woke later than {WAKE_S} s: {late}")
    return bool(report.faults or late)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
