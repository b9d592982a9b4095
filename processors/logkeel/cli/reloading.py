"""Runs a command again whenever a source file changes: a child process, ended and started anew.

What its runs were doing goes on in the next child: that is what the log is for.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import typer

from logkeel.cli.output import say
from logkeel.errors import ConfigInvalid

CHILD = "LOGKEEL_DEV_PARENT"
"""The process id of the parent, for a child that must not outlive it."""

END_S = 15.0
LOOK_MS = 200


def run_reloading(
    command: Sequence[str], folders: Sequence[Path], stop: threading.Event, *, look: Callable[[], None]
) -> None:
    """Run `python -m logkeel.cli.main <command>` until `stop` is set, anew after each change below `folders`.

    A first child that ends by itself ends all of it, with its exit code; behind a later one the next change is awaited,
    so that a mistake can be mended. Raises what `look` raises, which is called several times a second, and
    `ConfigInvalid`.
    """
    changes = _watch(folders, stop)
    child, first = _start(command), True
    try:
        for changed in changes:
            look()
            ended = child.poll()
            if ended is not None and first and not stop.is_set():
                raise typer.Exit(ended)
            if changed and not stop.is_set():
                say(f"{', '.join(changed)} changed: starting again; runs go on")
                _end(child)
                child, first = _start(command), False
    finally:
        _end(child)


def parent_is_gone() -> bool:
    """Whether this process is such a child, and its parent has ended."""
    parent = os.environ.get(CHILD)
    return parent is not None and os.getppid() != int(parent)


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, CHILD: str(os.getpid())}
    return subprocess.Popen([sys.executable, "-m", "logkeel.cli.main", *command], env=environment)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _watch(folders: Sequence[Path], stop: threading.Event) -> Iterator[list[str]]:
    try:
        from watchfiles import PythonFilter, watch
    except ModuleNotFoundError as error:
        raise ConfigInvalid("hot reload needs watchfiles: pip install 'logkeel[broker]', or say --no-reload") from error
    known = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    for found in watch(
        *known,
        watch_filter=PythonFilter(),
        stop_event=stop,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        yield sorted({Path(path).name for _, path in found})
