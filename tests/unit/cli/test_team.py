"""Threads that end together and in order."""

import threading
from collections.abc import Callable

import pytest

from logkeel.cli.team import Team


def waits(name: str, ended: list[str]) -> Callable[[threading.Event], None]:
    def run(stop: threading.Event) -> None:
        stop.wait()
        ended.append(name)

    return run


def nothing() -> None:
    return None


def test_the_last_one_started_ends_first() -> None:
    ended: list[str] = []
    with Team(threading.Event()) as team:
        team.start("engine", waits("engine", ended))
        team.start("worker", waits("worker", ended))
        team.start("second worker", waits("second worker", ended))
    assert ended == ["second worker", "worker", "engine"]


def test_a_failure_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []

    def fails(stop: threading.Event) -> None:
        raise ValueError("broken")

    def work_together() -> None:
        with Team(threading.Event()) as team:
            team.start("engine", waits("engine", ended))
            team.start("worker", fails)
            team.wait(nothing)

    with pytest.raises(ValueError, match="broken"):
        work_together()
    assert ended == ["engine"]


def test_one_that_ends_unasked_takes_the_others_along() -> None:
    ended: list[str] = []
    with Team(threading.Event()) as team:
        team.start("engine", waits("engine", ended))
        team.start("worker", lambda stop: ended.append("worker"))
        team.wait(nothing)
    assert ended == ["worker", "engine"]


def test_what_the_look_raises_ends_everything() -> None:
    ended: list[str] = []

    def broker_is_gone() -> None:
        raise RuntimeError("gone")

    def work_together() -> None:
        with Team(threading.Event()) as team:
            team.start("engine", waits("engine", ended))
            team.wait(broker_is_gone)

    with pytest.raises(RuntimeError, match="gone"):
        work_together()
    assert ended == ["engine"]
