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
    """`found.toml`: `shown` by rule, and why some are `unseen`."""
    return tomllib.loads(FOUND.read_text())


def seed_of(shown: str) -> int:
    """The seed that a recorded failure names."""
    return int(shown.split(":", maxsplit=1)[0])


def _is_found(copy: Path, rule: str, entry: dict[str, str], seeds: int) -> bool:
    found = judge(copy, entry, seeds=seeds)
    print(f"{rule:16} {found or f'survived {seeds} seeds'}", flush=True)
    if found is not None:
        _record(rule, found)
    return found is not None


def _record(rule: str, found: str) -> None:
    """Keep the order of `protocol.toml`, and the comments of the file."""
    protocol = list(tomllib.loads((ROOT / "tests" / "protocol.toml").read_text()))
    text, marker = FOUND.read_text(), "[shown]\n"
    begin = text.index(marker) + len(marker)
    end = text.index("\n#", begin)
    shown = {**tomllib.loads(text[begin:end]), rule: found}
    lines = [f"{_quoted(each)} = {_quoted(shown[each], always=True)}" for each in sorted(shown, key=protocol.index)]
    FOUND.write_text(text[:begin] + "\n".join(lines) + "\n" + text[end:])


def _quoted(text: str, *, always: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if always or "." in text else text


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
    command += ["--processes", str(processes)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    told = FAILED.search(done.stdout)
    if told is not None:
        return f"{told[1]}: {told[2]}"[:160]
    if done.returncode != 0:
        raise RuntimeError(f"the simulation itself broke: {done.stderr[-2_000:]}")
    return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
