"""Simulate: `python -m tests.sim [--seeds N] [--start S] [--seed S --log] [--everywhere]`.

Without `--start` the seeds are fresh ones, and printed. A seed that fails is shrunk and printed as a command. The exit
code is 1 if any failed.
"""

import argparse
import contextlib
import secrets
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.sim.case import play
from tests.sim.everywhere import crashes
from tests.sim.known import BY_NAME
from tests.sim.many import CHUNK, silence, verdicts
from tests.sim.plan import plan_of
from tests.sim.report import Report
from tests.sim.shrinking import Shrunk, shrink

TOLD_EVERY_S = 30.0


def main() -> int:
    """See the module."""
    options = _options()
    silence()
    if options.seed is not None:
        return _one(options)
    if options.everywhere:
        return _everywhere()
    start = secrets.randbelow(10**9) if options.start is None else options.start
    print(f"seeds {start} to {start + options.seeds - 1} on {options.processes} processes", flush=True)
    began_s, report = time.monotonic(), Report()
    with contextlib.suppress(KeyboardInterrupt):
        _play(start, options, report, began_s)
    if not options.first:
        for verdict in report.failed[:3]:
            print(_told(shrink(verdict.seed)), flush=True)
    print(report.text(time.monotonic() - began_s), flush=True)
    return 1 if report.failed else 0


def _play(start: int, options: argparse.Namespace, report: Report, began_s: float) -> None:
    """All seeds; what an interrupt leaves is reported all the same."""
    told_s = began_s
    size, every_turn = 4 if options.first else CHUNK, options.every_turn
    for verdict in verdicts(start, options.seeds, options.processes, size=size, every_turn=every_turn):
        report.add(verdict)
        if verdict.faults:
            print(f"seed {verdict.seed} FAILED: {verdict.faults[0]}", flush=True)
            if options.first:
                return
        now_s = time.monotonic()
        if now_s - told_s >= TOLD_EVERY_S:
            told_s = now_s
            print(f"{report.played} of {options.seeds} seeds in {now_s - began_s:.0f} s", file=sys.stderr, flush=True)


def _one(options: argparse.Namespace) -> int:
    plan = plan_of(options.seed).without(
        runs=frozenset(_numbers(options.without_runs)), strikes=frozenset(_numbers(options.without_strikes))
    )
    with TemporaryDirectory(prefix="logkeel-sim-") as directory:
        verdict = play(plan, Path(directory), keep_lines=options.log, every_turn=options.every_turn)
    if options.log:
        sys.stdout.write("\n".join(verdict.lines) + "\n")
    for number, strike in enumerate(plan.strikes):
        print(f"strike {number}: {strike}")
    for run in plan.runs:
        print(f"{run}")
    print(f"scenario {plan.scenario}, {verdict.events} events, {verdict.simulated_ms / 1_000:.1f} s simulated")
    for fault in verdict.faults:
        print(f"FAULT {fault}")
    return 1 if verdict.faults else 0


def _everywhere() -> int:
    """A crash before and after each effect of each workflow's undisturbed run."""
    failed = 0
    for workflow in sorted(BY_NAME):
        played = list(crashes(workflow))
        for strike, verdict in played:
            if verdict.faults:
                failed += 1
                print(f"{workflow}, crash {strike.when} effect {strike.at} FAILED: {verdict.faults[0]}", flush=True)
        print(f"{workflow:8} {len(played)} schedules", flush=True)
    print(f"{failed} failed")
    return 1 if failed else 0


def _told(shrunk: Shrunk) -> str:
    faults = "\n".join(f"    {fault}" for fault in shrunk.faults[:5])
    return f"reproduce with\n  {shrunk.command}\n{faults}"


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--start", type=int, help="the first seed (default: a fresh one)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", action="store_true", help="stop at the first seed that fails, and do not shrink it")
    parser.add_argument("--seed", type=int, help="play one seed")
    parser.add_argument("--everywhere", action="store_true", help="crash at every effect of a short history instead")
    parser.add_argument("--every-turn", action="store_true", help="run turns in which nothing is to do as well")
    parser.add_argument("--log", action="store_true", help="with --seed: print every event")
    parser.add_argument("--without-strikes", default="", metavar="N,N", help="with --seed: leave strikes out")
    parser.add_argument("--without-runs", default="", metavar="N,N", help="with --seed: leave runs out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
