"""A user's own workflow under every crash: see `crash_everywhere`, and docs/testing.md for how to read its report."""

from logkeel.testing.crashes.everywhere import CrashOptions, crash_everywhere
from logkeel.testing.crashes.outside import Happening, Outside
from logkeel.testing.crashes.report import CrashReport, Violation

__all__ = ["CrashOptions", "CrashReport", "Happening", "Outside", "Violation", "crash_everywhere"]
