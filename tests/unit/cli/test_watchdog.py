"""A process whose loop stands still ends itself, and no other does."""

import subprocess
import sys
import threading

from logkeel.cli.watchdog import Beats, watch
from logkeel.errors import ClientStuck

STUCK = """
import threading
from logkeel.cli.watchdog import Beats, watch
beats = Beats()
watch(beats, 0.4)
beats.is_set()
threading.Event().wait(30)
"""


def test_a_loop_that_stands_still_ends_its_process_and_shows_where() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == ClientStuck.exit_code
    assert "client_stuck: the polling thread has not moved for 0.4 s" in done.stderr
    assert 'File "<string>", line 7 in <module>' in done.stderr


def test_a_loop_that_turns_or_has_not_begun_is_left_alone() -> None:
    ended = threading.Event()
    turning, unbegun = Beats(), Beats()
    for beats in (turning, unbegun):
        watch(beats, 1.0, end=ended.set)
    tick = threading.Event()
    for _ in range(30):
        assert not turning.is_set()
        tick.wait(0.05)
    assert not ended.is_set()
    assert ended.wait(5.0), "and is ended once it stands still"
