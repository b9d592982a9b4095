"""Times as people say them. Pure."""


def duration(milliseconds: float) -> str:
    """`850ms`, `12.3s`, `4m 05s`, `3h 12m`, `2d 4h`."""
    seconds = max(0.0, milliseconds / 1_000)
    if seconds < 1:
        return f"{milliseconds:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, hours = int(seconds // 60), int(seconds // 3_600)
    if hours == 0:
        return f"{minutes}m {int(seconds) % 60:02}s"
    return f"{hours}h {minutes % 60:02}m" if hours < 24 else f"{hours // 24}d {hours % 24}h"


def ago(then_ms: int, now_ms: int) -> str:
    """`2h 00m ago`."""
    return f"{duration(now_ms - then_ms)} ago"


def due(due_ms: int | None, now_ms: int) -> str:
    """`in 1d 22h`; `3.0s ago` while an engine is late or away; `never`."""
    if due_ms is None:
        return "never"
    return f"in {duration(due_ms - now_ms)}" if due_ms >= now_ms else ago(due_ms, now_ms)
