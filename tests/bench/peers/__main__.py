"""`make bench-peers`: python -m tests.bench.peers [measure flows race waits table] [--repeats N] [--systems NAME ...]

Results are appended to the file after each pass, so a run that was cut off can be gone on with; `--fresh` begins anew.
Systems take turns within each repeat, in another order each time.
"""

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.peers import environments, flows, measuring, racing, tables, waits, workloads
from tests.bench.peers.systems import KINDS, Kind

PARTS = ("measure", "flows", "race", "waits", "table")
RACED_EFFECTS = ("IDEMPOTENT", "KEYED", "CHECKED", "ONCE")


def main() -> None:
    """Set up, measure what is asked for, and print the tables."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description="measure logkeel and its peers")
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all of them unless named")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--race-repeats", type=int, default=2)
    parser.add_argument("--systems", nargs="+", default=[kind.name for kind in KINDS], help="names, or beginnings")
    parser.add_argument("--chains", nargs="+", help="of the workload file; all unless named")
    parser.add_argument("--scale", type=float, default=1.0, help="of every duration: 0.2 is a fifth")
    parser.add_argument("--results", type=Path, default=Path("bench-results/peers.json"))
    parser.add_argument("--into", type=Path, help="a Markdown file: put the tables between its two marks")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results of the file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    bench = Bench(options)
    for part in options.parts or PARTS:
        getattr(bench, part)()


class Bench:
    """Results so far, and how more of them are made."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._file = workloads.load()
        missing = {} if options.parts == ["table"] else environments.set_up()
        wanted = [kind for kind in KINDS if any(_is_meant(kind.name, named) for named in options.systems)]
        absent = {k.name: "; ".join(missing[need] for need in k.needs if need in missing) for k in wanted}
        absent = {name: why for name, why in absent.items() if why}
        self._kinds = [kind for kind in wanted if kind.name not in absent]
        for name, why in absent.items():
            _say(f"left out: {name}: {why}")
        known = options.results.exists() and not options.fresh
        self._results: dict[str, Any] = json.loads(options.results.read_text()) if known else {}
        if options.parts != ["table"]:
            facts = {"machine": _machine(), "versions": environments.versions(), "missing": absent}
            self._results |= facts | {"durability": {kind.name: kind.durability for kind in KINDS}}

    def measure(self) -> None:
        """Every chain on every system, `--repeats` times."""
        named = self._options.chains or list(self._file.chains)
        chains = {name: self._file.chains[name] for name in named}
        for repeat in range(self._options.repeats):
            for kind in self._shuffled(repeat):
                _say(f"repeat {repeat + 1}: {kind.name}")
                scale = self._options.scale
                self._keep("measured", partial(measuring.measure, kind, chains=chains, scale=scale))

    def flows(self) -> None:
        """Fan-out, timers, approvals and agents on every system that has runs, `--repeats` times."""
        for repeat in range(self._options.repeats):
            for kind in self._shuffled(repeat):
                if flows.can(kind):
                    _say(f"flows, repeat {repeat + 1}: {kind.name}")
                    scale = self._options.scale
                    self._keep("flows", partial(flows.measure, kind, file=self._file, scale=scale))

    def race(self) -> None:
        """The crash race on every system, by each plan; logkeel with each effect."""
        for repeat in range(self._options.race_repeats):
            for plan in racing.PLANS:
                for kind in self._shuffled(repeat):
                    for effect in RACED_EFFECTS if kind.name == "logkeel" else RACED_EFFECTS[:1]:
                        if racing.has(kind, plan):
                            _say(f"race {repeat + 1}, {plan}: {kind.name} {effect}")
                            once = partial(racing.race, kind, workload=self._file.race, plan=plan, effect=effect)
                            self._keep("races", once)

    def waits(self) -> None:
        """W8 and W9 on every system that can wait."""
        for kind in self._kinds:
            for workload in (self._file.restart, self._file.waiting):
                if waits.can(kind):
                    _say(f"{workload.name}: {kind.name}")
                    scale = self._options.scale
                    self._keep("waits", partial(waits.measure, kind, workload=workload, scale=scale))

    def table(self) -> None:
        """Print what is known, or put it into a document."""
        text = tables.document(self._results)
        if into := self._options.into:
            into.write_text(tables.between_marks(into.read_text(), text))
        else:
            print(text)
        _say(f"all figures: {self._options.results}")

    def _shuffled(self, repeat: int) -> list[Kind]:
        kinds = list(self._kinds)
        random.Random(repeat).shuffle(kinds)
        return kinds

    def _keep(self, name: str, make: Callable[[Path], list[dict[str, Any]]]) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-peers-", ignore_cleanup_errors=True) as scratch:
            Path(scratch).chmod(0o755)  # PostgreSQL runs as another user
            try:
                rows = make(Path(scratch) / "system")
            except RuntimeError as error:
                _say(f"failed: {error}")
                return
        for row in rows:
            _say(f"  {row}")
        self._results.setdefault(name, []).extend(rows)
        self._options.results.parent.mkdir(parents=True, exist_ok=True)
        self._options.results.write_text(json.dumps(self._results, indent=1) + "\n")


def _is_meant(name: str, named: str) -> bool:
    """By its whole name; a name that is nobody's means all that begin with it."""
    whole = any(kind.name == named for kind in KINDS)
    return name == named if whole else name.startswith(named)


def _machine() -> str:
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory_gb:.0f} GiB"
    return f"{kind}, Python {platform.python_version()}; each system with its client on the same cores"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
