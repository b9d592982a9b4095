"""What may happen to an engine's state on disk: gone, corrupted, or no room for more."""

import ctypes
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.chaos.processes import Victim

SMALL_DISK: Final = "64m"
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
FLIPPED_BYTES: Final = 64


def may_mount() -> bool:
    """Take a mount namespace of our own, so that small disks go with this process. Before any thread is started."""
    own_ids = (os.getuid(), os.getgid())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS) == 0:
        pass
    elif libc.unshare(_NEW_USER | _NEW_MOUNTS) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {own_ids[0]} 1")
        Path("/proc/self/gid_map").write_text(f"0 {own_ids[1]} 1")
    else:
        return False
    private, recursive = 1 << 18, 1 << 14
    return bool(libc.mount(b"none", b"/", None, private | recursive, None) == 0)


def mount_small_disk(place: Path) -> bool:
    """A disk of its own for this folder; whether it worked."""
    place.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"small", str(place).encode(), b"tmpfs", 0, f"size={SMALL_DISK}".encode()) == 0)


def unmount(place: Path) -> None:
    """Detach such a disk, whoever still uses it."""
    detach = 2
    ctypes.CDLL(None, use_errno=True).umount2(str(place).encode(), detach)


class SmallDisk:
    """A disk that is really full: a file takes what is left of it."""

    name = "no space left"

    def __init__(self, place: Path) -> None:
        self._filler = place / "filler"

    def fill(self, victim: Victim) -> None:
        """Nothing fits any more."""
        block = bytes(64 * 1024)
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(block):
                    pass
            except OSError:
                return

    def empty(self, victim: Victim) -> None:
        """As before."""
        self._filler.unlink(missing_ok=True)


class NoLongerFiles:
    """For a process without a disk of its own: none of its files may grow (RLIMIT_FSIZE)."""

    name = "file too large"

    def fill(self, victim: Victim) -> None:
        """Nothing fits any more."""
        self._limit(victim, 0)

    def empty(self, victim: Victim) -> None:
        """As before."""
        self._limit(victim, resource.RLIM_INFINITY)

    def _limit(self, victim: Victim, limit: int) -> None:
        if victim.alive:
            _, hard = resource.prlimit(victim.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(victim.pid, resource.RLIMIT_FSIZE, (limit if limit == 0 else hard, hard))


Disk = SmallDisk | NoLongerFiles


def delete(tables: Path) -> str:
    """Every store of an engine."""
    shutil.rmtree(tables, ignore_errors=True)
    return "all stores deleted"


def corrupt(tables: Path, luck: float) -> str:
    """One file of one store; says which."""
    stores = sorted(each for each in tables.glob("*/*") if (each / "CURRENT").exists())
    if not stores:
        return "no store to corrupt"
    store = stores[int(luck * 997) % len(stores)]
    ways: list[tuple[str, Callable[[Path], None]]] = [
        ("*.sst", _flip),
        ("*.log", _flip),
        ("MANIFEST-*", _flip),
        ("CURRENT", Path.unlink),
        ("*.sst", Path.unlink),
        ("MANIFEST-*", Path.unlink),
    ]
    pattern, way = ways[int(luck * len(ways))]
    files = sorted((each for each in store.glob(pattern) if each.stat().st_size), key=lambda each: each.stat().st_size)
    if not files:
        pattern, way, files = "CURRENT", Path.unlink, [store / "CURRENT"]
    way(files[-1])
    return f"{files[-1].name} of {store.name} {'is gone' if not files[-1].exists() else 'has flipped bits'}"


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        middle = path.stat().st_size // 2
        file.seek(middle)
        flipped = bytes(byte ^ 0x5A for byte in file.read(FLIPPED_BYTES))
        file.seek(middle)
        file.write(flipped)
