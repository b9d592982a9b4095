"""The contracts of `.importlinter` cover every room, and each kind of them breaks when its wall is breached."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tidy.rules import ROOM_OF_LIBRARY, ROOTS, Repository

ROOT = Path(__file__).resolve().parents[2]

BREACHES = {
    "floors": ("streams/logkeel/log/breach.py", "import logkeel.exactly_once"),
    "streams": ("streams/logkeel/exactly_once/breach.py", "from logkeel.records import StepCommand"),
    "confluent_kafka": ("streams/logkeel/log/breach_too.py", "import confluent_kafka"),
    "rocksdict": ("streams/logkeel/exactly_once/breach_too.py", "def later() -> None:\n    import rocksdict"),
    "fastavro": ("schemas/logkeel/records/breach.py", "from fastavro import schemaless_writer"),
    "loop": ("streams/logkeel/exactly_once/breach_of_time.py", "from time import monotonic"),
    "commit": ("streams/logkeel/exactly_once/transaction.py", "import threading"),
    "fold": ("processors/logkeel/runs/core/breach.py", "import random"),
    "cryptography": ("processors/logkeel/client/breach.py", "import cryptography"),
    "engine_payloads": ("processors/logkeel/runs/rows/breach.py", "from logkeel.payloads import PLAIN"),
    "typer": ("schemas/logkeel/errors/breach.py", "import typer"),
}


def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser


def lint(root: Path) -> tuple[int, str]:
    path = os.pathsep.join(str(root / folder) for folder in ("streams", "schemas", "processors"))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The product and its contracts, to be broken."""
    for path in (path for path in Repository(ROOT).paths if path.startswith(ROOTS) or path == ".importlinter"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def test_every_room_is_under_contract() -> None:
    packages = [path.removesuffix("/__init__.py") for path in Repository(ROOT).paths if path.endswith("/__init__.py")]
    rooms = {f"logkeel.{path.split('/')[-1]}" for path in packages if path.rpartition("/")[0] in ROOTS}
    assert set(contracts()["importlinter"]["root_packages"].split()) == rooms, "list the rooms in .importlinter"
    layers = set(re.findall(r"logkeel\.\w+", contracts()["importlinter:contract:floors"]["layers"]))
    assert rooms <= layers


def test_every_library_with_a_room_has_a_contract() -> None:
    names = {section.rpartition(":")[2] for section in contracts().sections()}
    assert set(ROOM_OF_LIBRARY) - {"click", "uvicorn"} <= names
    for library in names & set(ROOM_OF_LIBRARY):
        ignored = contracts()[f"importlinter:contract:{library}"]["ignore_imports"]
        places = ROOM_OF_LIBRARY[library]
        rooms = [place.rstrip("/").rpartition("/")[2] for place in ((places,) if isinstance(places, str) else places)]
        arrows = [f"logkeel.{each} -> {library}" for room in rooms for each in (room, f"{room}.**")]
        assert ignored.split("\n")[1:] == arrows


def test_a_breached_wall_is_noticed(copy: Path) -> None:
    code, said = lint(copy)
    assert code == 0, said
    present = {name: breach for name, breach in BREACHES.items() if f"importlinter:contract:{name}" in contracts()}
    assert len(present) >= 7
    for path, text in present.values():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    code, said = lint(copy)
    assert code == 1
    for name in present:
        assert f"{contracts()[f'importlinter:contract:{name}']['name']} BROKEN" in said
