"""`logkeel dev` when something goes wrong: it ends, says why, and touches nothing that is not its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.client.snippets import snippet

from logkeel.broker import detached

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

DEV = [sys.executable, "-m", "logkeel.cli.main", "dev", "hello.py"]
END_S = 90


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a workflow."""
    return make_project(tmp_path, "project")


def make_project(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "hello.py").write_text(snippet("hello.py"))
    return folder


def kafka_of(project: Path) -> Path:
    """Projects of one test share their broker's folder, as those of one person do."""
    return project.parent / "kafka"


@contextmanager
def dev(project: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that is ready in the block, if it gets ready at all, and has ended behind it."""
    environment = {**os.environ, "LOGKEEL_BROKER_DATA": str(kafka_of(project)), "LOGKEEL_LOG_LEVEL": "warning"}
    environment.pop("LOGKEEL_BOOTSTRAP_SERVERS", None)
    with subprocess.Popen(
        [*DEV, *options], cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=END_S)
    assert not detached.status(kafka_of(project)).running


def until_ready(process: "subprocess.Popen[str]") -> str:
    return until_said(process, "ready on")


def until_said(process: "subprocess.Popen[str]", text: str) -> str:
    """The line with this text."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return line
    raise AssertionError("".join(said))


def test_fresh_forgets_its_own_and_spares_the_rest(project: Path) -> None:
    thesis = project / "state" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("mine")
    for _ in range(2):
        with dev(project, "--fresh", "--state-dir", "state") as process:
            until_ready(process)
        assert process.returncode == 0
    assert thesis.read_text() == "mine"


def test_what_one_project_forgets_does_not_break_another(tmp_path: Path) -> None:
    first, second = (make_project(tmp_path, name) for name in ("first", "second"))
    for project, options in ((first, ()), (second, ("--fresh",)), (first, ())):
        with dev(project, *options) as process:
            until_ready(process)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=END_S)
        assert process.returncode == 0, said


def test_a_worker_that_cannot_be_made_ends_everything(project: Path) -> None:
    (project / "state").mkdir()
    (project / "state" / "workers").write_text("a file where a folder must be")
    with dev(project, "--state-dir", "state") as process:
        _, said = process.communicate(timeout=END_S)
    assert process.returncode not in (0, None)
    assert "workers" in said


def test_a_broker_that_dies_ends_everything(project: Path) -> None:
    with dev(project) as process:
        until_ready(process)
        broker = detached.status(kafka_of(project)).pid
        assert broker is not None
        os.kill(broker, signal.SIGKILL)
        _, said = process.communicate(timeout=END_S)
    assert (process.returncode, "broker_died" in said) == (15, True), said


def test_a_killed_owner_leaves_no_broker(project: Path) -> None:
    with dev(project) as process:
        until_ready(process)
        process.kill()
        process.wait(END_S)
        assert detached.wait_until_free(kafka_of(project), timeout_s=END_S)


def test_a_changed_file_starts_it_again_and_a_mistake_waits_for_its_correction(project: Path) -> None:
    source = project / "hello.py"
    good = source.read_text()
    with dev(project) as process:
        until_ready(process)
        source.write_text(good.replace('"5s"', '"7s"'))
        assert "hello@1.dev1" in until_ready(process), "another content under the same label gets one of its own"
        source.write_text("this is no Python")
        until_said(process, "SyntaxError")
        source.write_text(good)
        assert "hello@1 ready" in until_ready(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=END_S)
    assert process.returncode == 0
