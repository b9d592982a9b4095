"""The class-data archives fit each other and the class path; else Java ignores them silently and starts slowly."""

import os
import subprocess
from pathlib import Path

import pytest

from logkeel.broker.places import cache_directory
from logkeel.broker.runtime import prepare

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_java_accepts_both_archives() -> None:
    command = prepare(cache_directory(os.environ, Path.home())).command(Path("absent.properties"), heap_mb=512)
    loud = ["-Xlog:cds*=info" if argument == "-Xlog:cds=off" else argument for argument in command[:-1]]
    log = subprocess.run(loud, capture_output=True, text=True, check=False, timeout=60).stdout
    opened = [line for line in log.splitlines() if "Opened shared archive file" in line]
    assert [Path(line.split()[-1].rstrip(".")).name for line in opened] == ["base.jsa", "kafka.jsa"]
    assert "[warning" not in log
    assert "[error" not in log
