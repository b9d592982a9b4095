"""How a process begins: soon. A run that a kill has interrupted waits for what is done here."""

import sys


def log_without_rich() -> None:
    """Load structlog as where rich is not installed, unless a person looks at standard error.

    Only its tracebacks on a terminal use rich, with attrs and pygments some 50 ms of each start.
    """
    if sys.stderr.isatty() or "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # what makes an import of it fail
    try:
        import structlog  # noqa: F401 - loaded here so that others find it
    finally:
        del sys.modules["rich"]
