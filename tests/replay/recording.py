"""Makes the recorded histories: `python -m tests.replay.recording`, which adds those that are missing.

A history that is there is never made again: it stands for the runs that were under way when that code decided. A change
of the code that makes one diverge needs a new logic number (ARCHITECTURE section 5), or the change is a mistake.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.replay.scenes import SCENES
from tests.sim.many import silence

from logkeel.cli.recordings import lines_of

FOLDER = Path(__file__).parent / "histories"


def names_of(scene: str) -> list[str]:
    """The histories of a scene that are kept."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl") if path.stem.partition("-")[0] == scene)


def record() -> Iterator[Path]:
    """Play the scenes that have no histories yet; gives the files that are new."""
    for scene, play in SCENES.items():
        if names_of(scene):
            continue
        for name, recording in play().items():
            path = FOLDER / f"{scene}-{name}.jsonl" if name else FOLDER / f"{scene}.jsonl"
            path.write_bytes(b"".join(line + b"\n" for line in lines_of(recording)))
            yield path


if __name__ == "__main__":
    silence()
    for added in record():
        print(added)  # noqa: T201 - the command's output
