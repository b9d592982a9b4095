"""What a run waits for, in words. Pure: views and times in, texts out."""

from logkeel.cli.texts import one_line
from logkeel.cli.times import ago, due, duration
from logkeel.projection import LimitView, WaitView
from logkeel.projection.limits import BUDGET, RUN_BUDGET


def sentence(wait: WaitView, now_ms: int, *, name: str | None = None) -> str:
    """`waits for a human: approve, asked 2h 00m ago, due in 1d 22h, of editors`. `name`: instead of its path."""
    name, since = name or wait.path, f"for {duration(now_ms - wait.since_ms)}"
    match wait.kind:
        case "human":
            return f"waits for a human: {name}, asked {ago(wait.since_ms, now_ms)}{_due(wait, now_ms)}{_asked_of(wait)}"
        case "sleep":
            return f"sleeps: {name}, {since}{_due(wait, now_ms)}"
        case "signal":
            of = "" if wait.correlation is None else f" of {wait.correlation!r}"
            return f"waits for the signal {wait.name!r}{of}: {name}, {since}{_due(wait, now_ms)}"
        case "within":
            return f"has limited time: {name}, {since}{_due(wait, now_ms)}"
        case "limit":
            what = f"{name}, " if name else ""
            return f"waits for the limit {_limit(wait)}: {what}{since}"
        case "child":
            return f"waits for its child run {wait.name}: {name}, {since}"


def _limit(wait: WaitView) -> str:
    limit = wait.limit
    if limit is None:
        return repr(wait.name)
    return f"{wait.name!r} ({allowed(limit)})"


def allowed(limit: LimitView) -> str:
    """`3 at once`, `60 in 1m 00s`; of a budget, `200000 in this run`, `500 in all`"""
    if limit.kind == RUN_BUDGET:
        return f"{limit.allows} in this run"
    if limit.kind == BUDGET and limit.per_ms is None:
        return f"{limit.allows} in all"
    return f"{limit.allows} at once" if limit.per_ms is None else f"{limit.allows} in {duration(limit.per_ms)}"


def _due(wait: WaitView, now_ms: int) -> str:
    if wait.due_ms is None:
        return ""
    return f", {'due' if wait.due_ms >= now_ms else 'was due'} {due(wait.due_ms, now_ms)}"


def _asked_of(question: WaitView) -> str:
    return "" if question.assignee is None else f", of {one_line(question.assignee)}"
