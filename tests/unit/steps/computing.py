"""Steps that compute, in a module that another process can import."""

import os
import threading
import time
from pathlib import Path

from pydantic import BaseModel

from logkeel.errors import Fail
from logkeel.workflow import ONCE, State, Workflow


class Point(BaseModel):
    """A value of one's own class."""

    x: int


class Sums(State):
    """What is computed, and where it is noted."""

    what: str
    points: list[Point] = []  # noqa: RUF012 - pydantic copies defaults
    total: int | None = None


sums = Workflow("sums", state=Sums, returns="total")


class PickyError(Exception):
    """Can be pickled, and not made again."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@sums.step(writes=lambda s: s.total, cpu=True, timeout="60s")
def add(what: str, points: list[Point]) -> int:
    """What a test wants to happen."""
    match what.split(":"):
        case ["pid"]:
            return os.getpid()
        case ["fail"]:
            raise Fail("overflow", "too much")
        case ["picky"]:
            raise PickyError(3, "not made again")
        case ["exit"]:
            os._exit(7)
        case ["killed"]:
            os.kill(os.getpid(), 9)
        case ["busy", folder]:
            (Path(folder) / "began").write_text(str(os.getpid()))
            end_s = time.monotonic() + 60
            while time.monotonic() < end_s:
                pass
        case ["lock"]:
            return threading.Lock()  # type: ignore[return-value]
        case _:
            pass
    return sum(point.x for point in points)


@sums.step(effect=ONCE, cpu=True, timeout="60s")
def launch(what: str) -> None:
    """As `add`, with an effect."""
    add(what, [])


sums.flow(add, launch)
