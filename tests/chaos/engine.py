"""The engine of the command line, with its present place in a shared byte, so that a kill knows what it interrupted.

Run: python -m tests.chaos.engine BOOTSTRAP PREFIX STATE_DIR SLOT PLACE_FILE; CHAOS_COMMIT_TIMEOUT_MS in the environment
makes it give up a commit sooner than usual, so that more of them end in doubt.
"""

import mmap
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

from logkeel.cli.logged_loop import LoggedLoop
from logkeel.cli.logs import configure_logs
from logkeel.cli.output import say
from logkeel.cli.settings import Settings
from logkeel.cli.signals import stop_on_signals
from logkeel.cli.wiring import connect, engine_settings, make_engine
from logkeel.errors import LogkeelError
from logkeel.exactly_once import take_slot
from logkeel.exactly_once.observer import Place

PLACES: tuple[str, ...] = get_args(Place)
COMMIT_TIMEOUT = "CHAOS_COMMIT_TIMEOUT_MS"
IN_TRANSACTION = frozenset({"after_begin", "after_produce", "after_offsets", "after_flush"})


class Placed(LoggedLoop):
    """Writes the last place it passed into a byte."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("r+b")
        self._byte = mmap.mmap(self._file.fileno(), 1)

    def at(self, place: Place) -> None:
        """Remember it."""
        self._byte[0] = PLACES.index(place)


def place_of(path: Path) -> str:
    """Where the engine with this file was last."""
    return PLACES[path.read_bytes()[0]]


def main(bootstrap: str, prefix: str, state_dir: str, slot: str, place_file: str) -> None:
    """Run until SIGTERM."""
    configure_logs("info", json_lines=True)
    settings = Settings(bootstrap_servers=bootstrap, prefix=prefix, state_dir=state_dir)
    stop: threading.Event = stop_on_signals()
    lock = take_slot(Path(state_dir) / "engines", int(slot))
    usual = engine_settings(settings, lock.slot)
    commit_timeout_ms = int(os.environ.get(COMMIT_TIMEOUT, usual.commit_timeout_ms))
    loop_settings = replace(usual, commit_timeout_ms=commit_timeout_ms)
    observer = Placed(Path(place_file))
    make_engine(connect(settings), settings, lock, observer=observer, loop_settings=loop_settings).run(stop)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LogkeelError as error:
        say(f"{error.code}: {error.message}")
        sys.exit(error.exit_code)
