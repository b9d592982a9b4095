"""What signals do to a role: SIGUSR1 is answered with stacks, and the process goes on until SIGTERM."""

import signal
import subprocess
import sys

ROLE = """
from logkeel.cli.signals import stop_on_signals
stop = stop_on_signals()
print("ready", flush=True)
stop.wait(60)
print("ended kindly", flush=True)
"""


def test_a_role_that_is_asked_says_where_it_is_and_goes_on() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ROLE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as said, process.stderr as errors:
        assert said.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        stack = [errors.readline(), errors.readline()]
        assert "most recent call first" in stack[0]
        assert 'File "' in stack[1]
        process.send_signal(signal.SIGTERM)
        assert said.readline() == "ended kindly\n"
        assert process.wait(60) == 0
