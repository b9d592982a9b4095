"""Slots: which of an application's processes this one is (P13). A shell file: it locks files.

A slot is a directory `slot-NNNN` under the state directory, held by an exclusive `flock` that ends with the process,
however it ends. Group instance id, transactional ids and stores derive from it, so a restart finds its own again.
"""

import fcntl
import os
import re
from pathlib import Path

from logkeel.errors import SlotTaken

SLOTS = 10_000

_IDENTITY = re.compile(rb"([0-9a-f]{12}) (\d+) (\d+)\n")


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


def directory_identity(directory: Path) -> str:
    """Twelve random digits that stand for this directory: made once, the same for every process and after a restart.

    Two directories never share it: a copied one notices that it is another file, and takes a new one. So who holds a
    slot's lock in a directory of this identity knows that whoever held it before is gone (P32).
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / "identity", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        place = os.fstat(descriptor)
        found = _IDENTITY.fullmatch(os.read(descriptor, 200))
        if found is not None and (int(found[2]), int(found[3])) == (place.st_dev, place.st_ino):
            return found[1].decode()
        identity = os.urandom(6).hex()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{identity} {place.st_dev} {place.st_ino}\n".encode(), 0)
        os.fsync(descriptor)
        return identity
    finally:
        os.close(descriptor)


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
