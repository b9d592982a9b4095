"""The three folders are source roots of one namespace package (docs/decisions)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOTS = [ROOT / "streams" / "logkeel", ROOT / "schemas" / "logkeel", ROOT / "processors" / "logkeel"]


def test_namespace_roots_have_no_init() -> None:
    assert [str(root) for root in ROOTS if (root / "__init__.py").exists()] == []


def test_every_room_is_typed() -> None:
    rooms = [room for root in ROOTS for room in root.iterdir() if room.is_dir() and room.name != "__pycache__"]
    assert rooms
    assert [str(room) for room in rooms if not (room / "py.typed").exists()] == []
