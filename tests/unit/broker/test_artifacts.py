"""Fetching the jars: from a mirror, resumed, refused when damaged; all errors name the ways out."""

import gc
import hashlib
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from logkeel.broker import artifacts
from logkeel.broker.artifacts import MIRROR_VARIABLE, OWN_JARS_VARIABLE, kafka_class_path
from logkeel.broker.pinned import Jar, pinned_jars
from logkeel.errors import ArtifactsUnavailable, DiskFull

# jgo leaves its streamed responses to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

CONTENTS = {"kafka_2.13": b"kafka" * 1000, "slf4j-api": b"logging"}
JARS = tuple(
    Jar("org.example", name, "1.0", len(content), hashlib.sha256(content).hexdigest())
    for name, content in CONTENTS.items()
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for jar in JARS:
        folder = root / "org/example" / jar.artifact / jar.version
        folder.mkdir(parents=True)
        (folder / jar.name).write_bytes(CONTENTS[jar.artifact])
    return root


@pytest.fixture
def mirror(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    monkeypatch.setattr(artifacts, "pinned_jars", lambda: JARS)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(repository)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {MIRROR_VARIABLE: f"http://127.0.0.1:{server.server_port}/"}
    server.shutdown()
    thread.join()
    server.server_close()
    gc.collect()


def test_fetches_from_the_mirror_once_and_shows_progress(
    tmp_path: Path, mirror: dict[str, str], repository: Path
) -> None:
    said: list[str] = []
    found = kafka_class_path(tmp_path / "cache", environment=mirror, say=said.append)
    assert [path.read_bytes() for path in found] == [CONTENTS[jar.artifact] for jar in JARS]
    assert "2 jars" in said[0]
    assert "2/2 jars" in said[-1]
    shutil.rmtree(repository)
    again: list[str] = []
    assert kafka_class_path(tmp_path / "cache", environment=mirror, say=again.append) == found
    assert again == []


def test_an_interrupted_fetch_is_resumed(tmp_path: Path, mirror: dict[str, str], repository: Path) -> None:
    cache = tmp_path / "cache"
    whole, torn = kafka_class_path(cache, environment=mirror, say=lambda _: None)
    torn.write_bytes(b"lo")
    left_over = whole.parent.parent / "fetch-killed"
    left_over.mkdir()
    (repository / "org/example" / JARS[0].artifact / "1.0" / JARS[0].name).unlink()
    assert kafka_class_path(cache, environment=mirror, say=lambda _: None) == [whole, torn]
    assert torn.read_bytes() == CONTENTS["slf4j-api"]
    assert not left_over.exists()


def test_a_jar_with_another_content_is_refused(tmp_path: Path, mirror: dict[str, str], repository: Path) -> None:
    jar = JARS[1]
    (repository / "org/example" / jar.artifact / "1.0" / jar.name).write_bytes(b"LOGGING")
    with pytest.raises(ArtifactsUnavailable, match="SHA-256"):
        kafka_class_path(tmp_path / "cache", environment=mirror, say=lambda _: None)
    assert not list((tmp_path / "cache").rglob(jar.name))


@pytest.mark.parametrize("broken", ["missing", "unreachable"])
def test_the_error_names_every_way_out(tmp_path: Path, mirror: dict[str, str], repository: Path, broken: str) -> None:
    if broken == "missing":
        shutil.rmtree(repository / "org")
    else:
        mirror = {MIRROR_VARIABLE: "http://127.0.0.1:1"}
    with pytest.raises(ArtifactsUnavailable) as raised:
        kafka_class_path(tmp_path / "cache", environment=mirror, say=lambda _: None)
    for way_out in (MIRROR_VARIABLE, OWN_JARS_VARIABLE, "--bootstrap-servers"):
        assert way_out in raised.value.message


def test_own_jars_win(tmp_path: Path) -> None:
    (tmp_path / "kafka_2.13-4.3.1.jar").touch()
    (tmp_path / "a.jar").touch()
    found = kafka_class_path(tmp_path / "cache", environment={OWN_JARS_VARIABLE: str(tmp_path)})
    assert [path.name for path in found] == ["a.jar", "kafka_2.13-4.3.1.jar"]
    assert not (tmp_path / "cache").exists()


def test_own_jars_without_kafka_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactsUnavailable, match=r"holds no kafka_"):
        kafka_class_path(tmp_path / "cache", environment={OWN_JARS_VARIABLE: str(tmp_path)})


def test_a_full_disk_is_seen_before_the_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(DiskFull, match="LOGKEEL_CACHE"):
        kafka_class_path(tmp_path / "cache", environment={}, say=lambda _: None)


def test_the_pinned_set_is_whole() -> None:
    jars = pinned_jars()
    names = [jar.name for jar in jars]
    assert len(names) == len(set(names))
    assert {"kafka_2.13-4.3.1.jar", "slf4j-simple-1.7.36.jar"} <= set(names)
    assert all(len(jar.sha256) == 64 and jar.bytes > 0 for jar in jars)
    assert os.sep not in "".join(names)
