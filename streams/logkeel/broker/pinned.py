"""The pinned set of jars: coordinates, sizes and digests of Apache Kafka and what it needs.

Pinning replaces resolving on the user's machine: it saves the walk over some hundred POM files, and a jar with another
digest than the one the tests ran with is never loaded.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.3.1"


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact: Maven coordinates, size in bytes and SHA-256 as hexadecimal digits."""

    group: str
    artifact: str
    version: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """File name inside the jars directory."""
        return f"{self.artifact}-{self.version}.jar"


@cache
def pinned_jars() -> tuple[Jar, ...]:
    """All jars of the class path, in class-path order."""
    content = json.loads(files("logkeel.broker").joinpath("jars.json").read_text(encoding="utf-8"))
    return tuple(Jar(**row) for row in content["jars"])


def broken_by_size(directory: Path, jars: Iterable[Jar]) -> list[Jar]:
    """Jars that are missing or have another size: the cheap check made before each start."""
    return [jar for jar in jars if not _has_size(directory / jar.name, jar.bytes)]


def has_digest(path: Path, jar: Jar) -> bool:
    """Whether the file has the pinned content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
