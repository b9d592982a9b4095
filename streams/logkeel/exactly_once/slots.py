"""Slots: which of an application's processes this one is (P13). A shell file: it locks files.

A slot is a directory `slot-NNNN` under the state directory, held by an exclusive `flock` that ends with the process,
however it ends. Group instance id, transactional ids and stores derive from it, so a restart finds its own again.
"""

import fcntl
import os
from pathlib import Path

from logkeel.errors import SlotTaken

SLOTS = 10_000


class SlotLock:
    """A held slot. `directory` is where its stores belong."""

    def __init__(self, slot: int, directory: Path, descriptor: int) -> None:
        self.slot = slot
        self.directory = directory
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the slot back; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take_slot(state_directory: Path, slot: int | None = None) -> SlotLock:
    """Lock `slot`, or the lowest free one. Raises `SlotTaken` if another process holds it."""
    for candidate in range(SLOTS) if slot is None else (slot,):
        lock = _try(state_directory, candidate)
        if lock is not None:
            return lock
    raise SlotTaken(
        f"slot {slot} in {state_directory} is held by another process: stop that one, or choose another slot",
        slot=slot,
        directory=str(state_directory),
    )


def _try(state_directory: Path, slot: int) -> SlotLock | None:
    directory = state_directory / f"slot-{slot:04d}"
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return SlotLock(slot, directory, descriptor)
