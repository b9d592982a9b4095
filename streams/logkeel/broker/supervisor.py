"""Runs the broker as its child and ends it when the owner of the broker ends, however that happens.

A program of its own, started by path with nothing but the standard library (`python -I -S supervisor.py`), and single
threaded on purpose: Linux sends a parent-death signal when the *thread* that forked ends, and this process has one.

Protocol: the owner holds the write end of standard input. `S` asks for an orderly stop (SIGTERM), end of file without
it means that the owner died (SIGKILL). The pipe may have been inherited by the owner's other children, so the parent's
process id is watched as well. Standard output carries one line, the broker's process id.

Arguments: owner's process id, directory to remove after an owner's death (or empty), command line.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.2
_ORDERLY_STOP_S = 20.0


def main(owner_pid: int, remove: str, command: list[str]) -> int:
    """Start the command, watch owner and child; returns the child's exit status (negative: signal)."""
    child = _spawn(command)
    os.write(1, f"{child}\n".encode())
    os.close(1)
    orderly = _watch(child, owner_pid)
    if orderly is None:
        return _wait(child)
    if orderly:
        _kill(child, signal.SIGTERM)
        deadline = time.monotonic() + _ORDERLY_STOP_S
        while time.monotonic() < deadline:
            status = _poll(child)
            if status is not None:
                return status
            time.sleep(0.02)
    _kill(child, signal.SIGKILL)
    status = _wait(child)
    if remove and not orderly:
        shutil.rmtree(remove, ignore_errors=True)
    return status


def _spawn(command: list[str]) -> int:
    own_pid = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(2, 1)
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own_pid:  # the parent died before the request took effect
                os._exit(1)
        os.execv(command[0], command)  # noqa: S606 - a fixed command line, no shell wanted
    finally:
        os._exit(127)


def _watch(child: int, owner_pid: int) -> bool | None:
    """True: stop was asked for; False: the owner is gone; None: the child ended by itself."""
    while True:
        readable, _, _ = select.select([0], [], [], _POLL_S)
        if readable:
            return os.read(0, 1) == b"S"
        if os.getppid() != owner_pid:
            return False
        if _ended(child):
            return None


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _poll(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill(child: int, number: signal.Signals) -> None:
    if not _ended(child):
        os.kill(child, number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]) & 0xFF)
