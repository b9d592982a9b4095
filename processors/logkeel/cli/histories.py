"""The history as it is now, and the time to look at it with."""

from logkeel.cli.settings import Settings
from logkeel.projection import Projection


def history_of(settings: Settings, run_id: str | None) -> Projection:
    """The runs of the history that is kept, or the one run. Raises `LogTimeout`, `LogUnavailable`, `TopicMissing`."""
    from logkeel.cli.wiring import connect
    from logkeel.projection import HistoryReader

    reader = HistoryReader(connect(settings), settings.names, run_id=run_id)
    try:
        return reader.catch_up()
    finally:
        reader.close()


def time_ms() -> int:
    """Milliseconds since the epoch."""
    from logkeel.kafka import SystemClock

    return SystemClock().now_ms()
