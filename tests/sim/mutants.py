"""Every mutation of `tests/protocol.toml` against the simulator's seeds: `python -m tests.sim.mutants [RULE ...]`.

The seeds are not told where to look: each mutant plays them from the first on, until one fails. Who survives the first
round plays more seeds in the next. What was found is written to `found.toml` as soon as it is known; a rule that is
`unseen` there carries its reason. Works on a copy of the sources. The exit code is 1 if a mutant survives that is not
expected to.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("streams", "schemas", "processors", "tests", "pyproject.toml")
FOUND = ROOT / "tests" / "sim" / "found.toml"
ROUNDS = (60, 400, 2_000)
START = 1
HEADER = "# What the simulator's seeds make of the mutations of `tests/protocol.toml`; `make sim-mutants` writes it."
COMMENTS = {
    "shown": "# The first seed that was seen to fail under the mutation, from 1 on, and what was wrong with it.",
    "survived": "# Mutations that so many seeds from 1 on did not show.",
    "unseen": "# Mutations that no seed can show, and why.",
}
FAILED = re.compile(r"seed (\d+) FAILED: (.*)")


def main(wanted: list[str]) -> int:
    """Judge every mutation, or those named."""
    protocol = tomllib.loads((ROOT / "tests" / "protocol.toml").read_text())
    left = [rule for rule, entry in protocol.items() if "reason" not in entry and (not wanted or rule in wanted)]
    with tempfile.TemporaryDirectory(prefix="logkeel-sim-mutants-") as scratch:
        copy = Path(scratch)
        copy_sources(copy)
        for seeds in ROUNDS:
            left = [rule for rule in left if not _is_found(copy, rule, protocol[rule], seeds)]
    unexpected = [rule for rule in left if rule not in recorded()["unseen"]]
    print(f"survived: {', '.join(unexpected) or 'none'}", flush=True)
    return 1 if unexpected else 0


def recorded() -> dict[str, dict[str, str]]:
    """`found.toml`: what was `shown` of a rule, what it `survived`, or why it is `unseen`."""
    return tomllib.loads(FOUND.read_text())


def seed_of(shown: str) -> int:
    """The seed that a recorded failure names."""
    return int(shown.split(":", maxsplit=1)[0])


def _is_found(copy: Path, rule: str, entry: dict[str, str], seeds: int) -> bool:
    found = judge(copy, entry, seeds=seeds)
    print(f"{rule:16} {found or f'survived {seeds} seeds'}", flush=True)
    _record(rule, found, seeds)
    return found is not None


def _record(rule: str, found: str | None, seeds: int) -> None:
    """Write the whole file anew, in the order of `protocol.toml`."""
    tables = recorded()
    for table in ("shown", "survived"):
        tables.setdefault(table, {}).pop(rule, None)
    if found is not None:
        tables["shown"][rule] = found
    elif rule not in tables["unseen"]:
        tables["survived"][rule] = f"{seeds} seeds"
    order = list(tomllib.loads((ROOT / "tests" / "protocol.toml").read_text()))
    parts = [
        "\n".join(
            [
                comment,
                f"[{table}]",
                *(_line(each, tables[table][each]) for each in sorted(tables[table], key=order.index)),
            ]
        )
        for table, comment in COMMENTS.items()
    ]
    FOUND.write_text("\n\n".join([HEADER, *parts]) + "\n")


def _line(rule: str, text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{rule}" = "{escaped}"' if "." in rule else f'{rule} = "{escaped}"'


def copy_sources(copy: Path) -> None:
    """The sources that win over the installed ones."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)


def judge(copy: Path, entry: dict[str, str], *, seeds: int, processes: int = 2) -> str | None:
    """The first failure that a mutant shows, as `seed: fault`; None if it shows none."""
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
    # A mutant may act where the production code rests, and says so.
    command += ["--every-turn", "--processes", str(processes)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    told = FAILED.search(done.stdout)
    if told is not None:
        return f"{told[1]}: {told[2]}"[:160]
    if done.returncode != 0:
        raise RuntimeError(f"the simulation itself broke: {done.stderr[-2_000:]}")
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
