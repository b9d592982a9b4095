"""Every mutation of `tests/protocol.toml` against the simulator's seeds: `python -m tests.sim.mutants [RULE ...]`.

The seeds are not told where to look: each mutant plays them from the first on, until one fails. `found.toml` lists the
seed that found each, and those that no seed can see, with the reason. Works on a copy of the sources; the exit code is
1 if a mutant survives that is not listed as unseen.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("streams", "schemas", "processors", "tests", "pyproject.toml")
SEEDS = 1_500
START = 1


def main(wanted: list[str]) -> int:
    """Judge every mutation, or those named."""
    protocol = tomllib.loads((ROOT / "tests" / "protocol.toml").read_text())
    unseen = tomllib.loads((ROOT / "tests" / "sim" / "found.toml").read_text())["unseen"]
    survived = []
    with tempfile.TemporaryDirectory(prefix="logkeel-sim-mutants-") as scratch:
        copy = Path(scratch)
        copy_sources(copy)
        for rule, entry in protocol.items():
            if (wanted and rule not in wanted) or "reason" in entry:
                continue
            found = judge(copy, entry)
            print(f"{rule:5} {found or 'SURVIVED'}", flush=True)
            if found is None and rule not in unseen:
                survived.append(rule)
    print(f"survived: {', '.join(survived) or 'none'}", flush=True)
    return 1 if survived else 0


def copy_sources(copy: Path) -> None:
    """The sources that win over the installed ones."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)


def judge(copy: Path, entry: dict[str, str], *, seeds: int = SEEDS, processes: int = 2) -> str | None:
    """The first failure that a mutant shows, None if it shows none."""
    path = copy / entry["file"]
    source = path.read_text()
    if source.count(entry["find"]) != 1:
        raise ValueError(f"{entry['find']!r} is not once in {entry['file']}")
    path.write_text(source.replace(entry["find"], entry["replace"]))
    try:
        return _first_failure(copy, seeds, processes)
    finally:
        path.write_text(source)


def _first_failure(copy: Path, seeds: int, processes: int) -> str | None:
    roots = os.pathsep.join(str(copy / name) for name in ("streams", "schemas", "processors", "."))
    environment = {**os.environ, "PYTHONPATH": roots, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.sim", "--start", str(START), "--seeds", str(seeds), "--first"]
    command += ["--processes", str(processes)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if "FAILED" in line]
    if told:
        return told[0]
    if done.returncode != 0:
        raise RuntimeError(f"the simulation itself broke: {done.stderr[-2_000:]}")
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
