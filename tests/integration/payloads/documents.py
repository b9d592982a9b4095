"""Workflows whose values are large or secret. Served by `logkeel worker`."""

import hashlib
from typing import Literal

from tests.chaos.outside import note

from logkeel.workflow import State, Workflow, parallel

MEGABYTES = 10


class Shelf(State):
    """Five fields of 10 MB each."""

    title: str
    a: str | None = None
    b: str | None = None
    c: str | None = None
    d: str | None = None
    e: str | None = None
    digest: str | None = None


shelves = Workflow("shelves", state=Shelf, returns=("digest", "a", "b", "c", "d", "e"))


def text(title: str, name: str) -> str:
    """10 MB that are different for each field."""
    return (title + name).ljust(100, ".") * (MEGABYTES * 10_000)


@shelves.step(writes=lambda s: s.a, timeout="60s")
def write_a(title: str) -> str:
    return text(title, "a")


@shelves.step(writes=lambda s: s.b, timeout="60s")
def write_b(title: str) -> str:
    return text(title, "b")


@shelves.step(writes=lambda s: (s.c, s.d, s.e), timeout="60s")
def write_others(title: str) -> tuple[str, str, str]:
    return text(title, "c"), text(title, "d"), text(title, "e")


@shelves.step(writes=lambda s: s.digest, timeout="60s")
def read_all(a: str, b: str, c: str, d: str, e: str) -> str:
    """Reads 50 MB."""
    note("read", bytes=len(a + b + c + d + e))
    return digest_of(a, b, c, d, e)


def digest_of(*texts: str) -> str:
    """What tells that nothing was lost."""
    return hashlib.sha256("".join(texts).encode()).hexdigest()


shelves.flow(parallel(write_a, write_b, write_others), read_all)


class Patient(State):
    """Everything but the verdict is a secret."""

    name: str
    verdict: Literal["well", "ill"] | None = None
    letter: str | None = None


patients = Workflow("patients", state=Patient, returns=("verdict", "letter"))


@patients.step(writes=lambda s: s.verdict)
async def judge(name: str) -> Literal["well", "ill"]:
    return "well" if name.startswith("Ada") else "ill"


@patients.step(writes=lambda s: s.letter)
async def tell(name: str, verdict: str) -> str:
    return f"Dear {name}, you are {verdict}. " * 100


patients.flow(judge, tell)
