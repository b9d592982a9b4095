"""What tests of applications and of logkeel itself use: fakes, crashes, a real broker, a proxy before it.

Importing this package imports nothing heavy: pytest loads its plugin in every run of a project that has logkeel
installed. What a test names is loaded when it is asked for: `from logkeel.testing import Answer`. Everything else is
in modules of its own: `brokers`, `memory`, `proxy`, `pytest_plugin`, `world`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logkeel.testing.crashes import CrashReport, Outside, crash_everywhere
    from logkeel.workflow.trials import NOBODY, Answer, Cancel, Question, Signal, Trial

_HOMES = {
    "logkeel.testing.crashes": ("CrashReport", "Outside", "crash_everywhere"),
    "logkeel.workflow.trials": ("NOBODY", "Answer", "Cancel", "Question", "Signal", "Trial"),
}

__all__ = [
    "Answer",
    "Cancel",
    "CrashReport",
    "NOBODY",
    "Outside",
    "Question",
    "Signal",
    "Trial",
    "crash_everywhere",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"logkeel.testing has no {name!r}")
