"""`logkeel init`: what it writes works as it stands, and it overwrites nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from logkeel.cli.init import FILES, init
from logkeel.errors import ConfigInvalid


def test_the_new_project_passes_its_own_test(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    init(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine")
    with pytest.raises(ConfigInvalid, match=r"app\.py already"):
        init(tmp_path)
    assert (tmp_path / "app.py").read_text() == "mine"
    assert not (tmp_path / "test_app.py").exists()
