"""What a process that only works does not load, and that nothing lacks it afterwards."""

import subprocess
import sys

import pytest

ROLES = {
    "worker": "import logkeel.cli.worker, logkeel.steps, logkeel.cli.wiring, logkeel.cli.observing, logkeel.cli.logs",
    "engine": "import logkeel.cli.engine, logkeel.runs, logkeel.cli.wiring, logkeel.cli.observing, logkeel.cli.logs",
}

BEGIN = """
import sys
import logkeel.cli.main
from logkeel.cli.beginning import log_without_rich
log_without_rich()
{role}
logkeel.cli.logs.configure_logs()
import structlog
try:
    raise ValueError("on the way")
except ValueError:
    structlog.get_logger().exception("failed")
print(*(name for name in ("rich", "attr", "pygments") if name in sys.modules))
from logkeel.cli.output import Format, print_rows
print_rows(("a",), [("drawn",)], Format.TABLE)
"""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_begins_without_what_draws(role: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(role=ROLES[role])], capture_output=True, text=True, timeout=60, check=True
    )
    loaded, *table = done.stdout.splitlines()
    assert loaded == ""
    assert "drawn" in "".join(table), "rich is there for those who draw"
    assert "on the way" in done.stderr, "tracebacks are logged"
