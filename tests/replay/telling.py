"""What of an event is recorded."""

from msgspec.structs import replace

from logkeel.records import RunEvent


def told(event: RunEvent) -> RunEvent:
    """Without what only says where it was recorded."""
    error = None if event.error is None else replace(event.error, stack=None)
    return replace(event, holder=None if event.holder is None else "worker", error=error)
