"""A worker that breaks one rule on purpose, so that the demo's verdict can be seen to be bad.

SABOTAGE=key: the idempotency key differs from attempt to attempt (breaks P30).
SABOTAGE=offset: the worker forgets which commands it has started (breaks P31).
"""

import os
import sys
from typing import Any

from logkeel.cli.main import main
from logkeel.steps.attempt import WorkerStepContext
from logkeel.steps.machine.marks import Mark


def break_the_key() -> None:
    """Make the key of each dispatch another one."""
    breakable: Any = WorkerStepContext
    key = breakable.idempotency_key.fget

    def unstable(self: WorkerStepContext) -> str:
        return f"{key(self)}-{self.dispatch}"

    breakable.idempotency_key = property(unstable)


def break_the_mark() -> None:
    """Say of every command that it was never started."""

    def forgetful(self: Mark) -> str:
        return "started=-1"

    breakable: Any = Mark
    breakable.encode = forgetful


KINDS = {"key": break_the_key, "offset": break_the_mark}

if __name__ == "__main__":
    kind = os.environ.get("SABOTAGE", "")
    if kind not in KINDS:
        sys.exit(f"SABOTAGE={kind!r} is unknown; it may be: {', '.join(KINDS)}")
    KINDS[kind]()
    main(sys.argv[1:])
