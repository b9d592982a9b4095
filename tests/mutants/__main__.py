"""Break each protocol rule by one line and see its test fail: `python -m tests.mutants [RULE ...]`.

Works on a copy of the sources that wins over the installed ones; the work tree is only read. A mutant survives if its
test passes; then, or if a test fails unmutated, the exit code is 1. A rule without mutation carries a `reason`.
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
RULES = [f"P{number}" for number in range(1, 40)]


def main(wanted: list[str]) -> int:
    """Judge every rule, or those named."""
    protocol = tomllib.loads((ROOT / "tests" / "protocol.toml").read_text())
    wrong = [f"{rule}: not listed in tests/protocol.toml" for rule in RULES if rule not in protocol]
    with tempfile.TemporaryDirectory(prefix="logkeel-mutants-") as scratch:
        copy = Path(scratch)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, copy / name)
        for rule, entry in protocol.items():
            if wanted and rule.split(".")[0] not in wanted and rule not in wanted:
                continue
            verdict = judge(copy, entry)
            print(f"{rule:12} {verdict}", flush=True)  # noqa: T201 - the report
            if verdict.startswith("WRONG"):
                wrong.append(f"{rule}: {verdict}")
    for line in wrong:
        print(line, file=sys.stderr)  # noqa: T201 - the report
    return 1 if wrong else 0


def judge(copy: Path, entry: dict[str, str]) -> str:
    """What becomes of one mutant."""
    if "reason" in entry:
        return f"no mutant: {entry['reason']}"
    path = copy / entry["file"]
    source = path.read_text()
    if source.count(entry["find"]) != 1:
        return f"WRONG: {entry['find']!r} is not once in {entry['file']}"
    if not passes(copy, entry["test"]):
        return f"WRONG: {entry['test']} fails unmutated"
    path.write_text(source.replace(entry["find"], entry["replace"]))
    try:
        return f"WRONG: survived {entry['test']}" if passes(copy, entry["test"]) else "killed"
    finally:
        path.write_text(source)


def passes(copy: Path, test: str) -> bool:
    """Whether the test passes on the copy."""
    roots = os.pathsep.join(str(copy / name) for name in ("streams", "schemas", "processors"))
    environment = {**os.environ, "PYTHONPATH": roots, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run {test}: {done.stdout.decode()[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
