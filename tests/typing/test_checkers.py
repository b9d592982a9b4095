"""mypy and basedpyright find what is wrong in the author's code, and nothing in what is right."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUST_FAIL = Path(__file__).with_name("must_fail.txt")
EXAMPLES = [path for folder in ("agents", "documents") for path in sorted((ROOT / "examples" / folder).glob("*.py"))]
MUST_PASS = (Path(__file__).with_name("must_pass.py"), *EXAMPLES)
TIMEOUT_S = 240

Checker = Callable[[Sequence[Path], Path], dict[str, list[str]]]
"""Messages of errors, by `file:line`."""


def by_mypy(files: Sequence[Path], scratch: Path) -> dict[str, list[str]]:
    """Strict, with the settings of this repository."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        str(scratch / "cache"),
        *map(str, files),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, list[str]] = {}
    for name, line, message in re.findall(r"^(.*?):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        found.setdefault(f"{Path(name).name}:{line}", []).append(message)
    return found


def by_basedpyright(files: Sequence[Path], scratch: Path) -> dict[str, list[str]]:
    """In its standard mode, so that what it finds is what editors show."""
    paths = [str(ROOT / part) for part in ("streams", "schemas", "processors", ".")]
    project = {"include": [str(file) for file in files], "extraPaths": paths, "typeCheckingMode": "standard"}
    (scratch / "pyrightconfig.json").write_text(json.dumps(project))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(scratch / "pyrightconfig.json")]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files), done.stdout
    found: dict[str, list[str]] = {}
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            place = f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}"
            found.setdefault(place, []).append(each["message"])
    return found


@pytest.mark.parametrize("checker", [by_mypy, by_basedpyright])
@pytest.mark.timeout(2 * TIMEOUT_S)
def test_each_mistake_is_found_and_nothing_else(checker: Checker, tmp_path: Path) -> None:
    source = tmp_path / "must_fail.py"
    shutil.copy(MUST_FAIL, source)
    lines = source.read_text(encoding="utf-8").splitlines()
    ends = ("# wrong", "# wrong to mypy") if checker is by_mypy else ("# wrong",)
    wrong = {f"must_fail.py:{number}" for number, line in enumerate(lines, start=1) if line.endswith(ends)}
    found = checker([source], tmp_path)
    assert wrong - found.keys() == set(), "not found"
    assert {place: found[place] for place in found.keys() - wrong} == {}, "found where nothing is wrong"


@pytest.mark.parametrize("checker", [by_mypy, by_basedpyright])
@pytest.mark.timeout(2 * TIMEOUT_S)
def test_what_is_right_passes(checker: Checker, tmp_path: Path) -> None:
    assert checker(MUST_PASS, tmp_path) == {}
