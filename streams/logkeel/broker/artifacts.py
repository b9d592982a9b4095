"""Fetches the jars of Apache Kafka once and keeps them verified in the cache; the only importer of jgo.

Must not: run Java, resolve versions (they are pinned), write outside of the cache directory.

Invariants: a jar appears under its final name only whole and with the pinned digest (rename after check), so an
interrupted fetch is resumed by the next one; two processes never fetch at once (file lock).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final, NoReturn

from logkeel.broker.locking import exclusive
from logkeel.broker.pinned import KAFKA_VERSION, Jar, broken_by_size, has_digest, pinned_jars
from logkeel.errors import ArtifactsUnavailable, DiskFull

MIRROR_VARIABLE: Final = "LOGKEEL_MAVEN_REPOSITORY"
OWN_JARS_VARIABLE: Final = "LOGKEEL_KAFKA_JARS"
_PARALLEL_FETCHES: Final = 8
_FETCH_TIMEOUT_S: Final = 30
# The jars, once while they arrive and once in place, and the class-data archive.
_NEEDED_BYTES: Final = 250 * 1024 * 1024

Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Default progress report: one line of prose on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress is prose, and stdout is kept for data


def kafka_class_path(
    cache: Path, *, environment: Mapping[str, str] | None = None, say: Say = say_on_stderr
) -> list[Path]:
    """Jars to put on the class path, fetched into `cache` if they are not there.

    `LOGKEEL_KAFKA_JARS` (a directory of jars, e.g. `libs` of a Kafka distribution) wins over any fetch.

    Raises: ArtifactsUnavailable, DiskFull.
    """
    environment = os.environ if environment is None else environment
    own = environment.get(OWN_JARS_VARIABLE)
    if own:
        return _own_jars(Path(own).expanduser())
    directory = cache / "kafka" / KAFKA_VERSION / "jars"
    jars = pinned_jars()
    if broken_by_size(directory, jars):
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive(cache / "fetch.lock", on_wait=lambda: say("waiting for another process that fetches Kafka")):
            _fetch_missing(directory, environment.get(MIRROR_VARIABLE), say)
    return [directory / jar.name for jar in jars]


def _own_jars(directory: Path) -> list[Path]:
    found = sorted(directory.glob("*.jar"))
    if not any(path.name.startswith("kafka_") for path in found):
        _unavailable(f"{OWN_JARS_VARIABLE}={directory} holds no kafka_*.jar")
    return found


def _fetch_missing(directory: Path, mirror: str | None, say: Say) -> None:
    missing = broken_by_size(directory, pinned_jars())
    if not missing:
        return
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < _NEEDED_BYTES:
        raise DiskFull(
            f"{directory} has {free_bytes >> 20} MiB free, {_NEEDED_BYTES >> 20} MiB are needed for Apache Kafka: "
            "make room, or set LOGKEEL_CACHE to another disk",
            path=str(directory),
            free_bytes=free_bytes,
            needed_bytes=_NEEDED_BYTES,
        )
    total_bytes = sum(jar.bytes for jar in missing)
    say(f"fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} jars, {total_bytes / 1e6:.0f} MB (once, then cached)")
    for left_over in directory.parent.glob("fetch-*"):  # of a fetch that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=directory.parent) as staging:
        _fetch_all(missing, into=directory, context=_maven(Path(staging), mirror), say=say)


def _fetch_all(missing: list[Jar], *, into: Path, context: Any, say: Say) -> None:
    total_bytes = sum(jar.bytes for jar in missing)
    done_bytes = told_percent = 0
    with ThreadPoolExecutor(_PARALLEL_FETCHES) as pool:
        fetches = [pool.submit(_fetch_one, jar, into, context) for jar in missing]
        try:
            for count, fetch in enumerate(as_completed(fetches), 1):
                done_bytes += fetch.result()
                percent = 100 * done_bytes // total_bytes
                if percent >= told_percent + 10 or count == len(missing):
                    told_percent = percent
                    say(f"  {count}/{len(missing)} jars, {done_bytes / 1e6:.0f}/{total_bytes / 1e6:.0f} MB")
        except (OSError, RuntimeError, AssertionError) as error:
            # requests' errors are OSErrors; jgo reports "not found" as a RuntimeError.
            pool.shutdown(wait=False, cancel_futures=True)
            _unavailable(str(error), cause=error)


def _fetch_one(jar: Jar, into: Path, context: Any) -> int:
    fetched = Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
    if not has_digest(fetched, jar):
        raise RuntimeError(f"{jar.name} has not the pinned SHA-256: it was damaged on its way or at its source")
    fetched.replace(into / jar.name)
    return jar.bytes


def _maven(staging: Path, mirror: str | None) -> Any:
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as error:
        _unavailable("the package jgo is not installed (pip install 'logkeel[broker]')", cause=error)
    # The pure-Python resolver needs neither Maven nor a JDK; without a mirror jgo's own default repository is used.
    return MavenContext(
        resolver=PythonResolver(),
        repo_cache=staging,
        local_repos=[],
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
        timeout=_FETCH_TIMEOUT_S,
    )


def _unavailable(reason: str, cause: BaseException | None = None) -> NoReturn:
    raise ArtifactsUnavailable(
        f"Apache Kafka {KAFKA_VERSION} cannot be fetched: {reason}\n"
        f"Either set {MIRROR_VARIABLE} to a Maven repository you can reach,\n"
        f"or set {OWN_JARS_VARIABLE} to a directory with Kafka's jars (libs of a Kafka distribution),\n"
        "or use a running broker: --bootstrap-servers host:port",
        reason=reason,
    ) from cause
