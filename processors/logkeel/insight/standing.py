"""A run as far as it may get stuck: what it waits for, since when; and whether that is too long. Pure.

The view of `logkeel.projection`, without values and without what is over. Events up to its revision change nothing.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from logkeel.projection import RunView, StepView, WaitView
from logkeel.projection.advancing import begins_anew, is_news
from logkeel.projection.views import apply, view_from
from logkeel.records import RunEvent

Reason = Literal["worker", "limit", "human", "timer", "restore", "signal", "child", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is too long, in milliseconds: for a worker to take a step, for it to finish one, for a limit, for a

    human, for a signal or child without a time of its own, for anything else; and how late a timer may be.
    """

    pickup_ms: int = 300_000
    running_ms: int = 3_600_000
    limit_ms: int = 900_000
    human_ms: int = 86_400_000
    outside_ms: int = 86_400_000
    other_ms: int = 900_000
    late_ms: int = 60_000


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A run that gets no further: why, where, and since when. `detail`: the worker, limit, assignee or signal."""

    run_id: str
    incarnation: str
    workflow: str
    reason: Reason
    path: str
    since_ms: int
    detail: str = ""

    @property
    def key(self) -> str:
        """Stands for this very standstill, however often it is found."""
        return f"{self.run_id}/{self.incarnation}/{self.path}/{self.reason}/{self.since_ms}"


def advanced(view: RunView | None, event: RunEvent) -> RunView | None:
    """The run behind this event, None if it has ended. `view` is changed in place, unless it begins anew."""
    if view is None or begins_anew(view, event):
        view = view_from(event)
    if not is_news(view, event):
        return view
    apply(view, msgspec.structs.replace(event, writes=(), reads=(), payload=None))
    view.steps = {path: step for path, step in view.steps.items() if step.is_open}
    for over in (view.completed_steps, view.errors, view.signals, view.answers, view.children, view.fields):
        over.clear()
    return view if view.status == "running" else None


def packed(view: RunView) -> bytes:
    """As a row."""
    return msgspec.msgpack.encode(view)


def unpacked(data: bytes) -> RunView:
    """Out of a row."""
    return msgspec.msgpack.decode(data, type=RunView)


def stuck(view: RunView, now_ms: int, patience: Patience, *, engine_stands: bool = False) -> Stuck | None:
    """What has kept the run for too long, the oldest first; None: nothing has, or it is paused.

    `engine_stands`: its partition has input that no engine reads. Then a late timer and a silent step are its doing.
    """
    if view.paused_at_ms is not None or view.status != "running":
        return None
    found = [*_of_waits(view, now_ms, patience), *_of_steps(view, now_ms, patience)]
    if not view.steps and not view.waits and now_ms - view.updated_at_ms > patience.other_ms:
        found.append(_at(view, "restore" if engine_stands else "other", "", view.updated_at_ms))
    if not found:
        return None
    first = min(found, key=lambda each: (each.since_ms, each.path))
    if engine_stands and first.reason in ("timer", "worker"):
        return msgspec.structs.replace(first, reason="restore", detail="no engine reads its partition")
    return first


def _of_waits(view: RunView, now_ms: int, patience: Patience) -> list[Stuck]:
    found = []
    for wait in view.waits.values():
        age_ms = now_ms - wait.since_ms
        if wait.due_ms is not None and now_ms - wait.due_ms > patience.late_ms:
            found.append(_at(view, "timer", wait.path, wait.due_ms, wait.kind))
        elif wait.kind == "limit" and age_ms > patience.limit_ms:
            found.append(_at(view, "limit", wait.path, wait.since_ms, wait.name))
        elif wait.kind == "human" and age_ms > patience.human_ms:
            found.append(_at(view, "human", wait.path, wait.since_ms, wait.assignee or ""))
        elif wait.kind in ("signal", "child") and wait.due_ms is None and age_ms > patience.outside_ms:
            found.append(_at(view, _outside(wait), wait.path, wait.since_ms, wait.name))
    return found


def _of_steps(view: RunView, now_ms: int, patience: Patience) -> list[Stuck]:
    return [found for step in view.steps.values() if (found := _of_step(view, step, now_ms, patience)) is not None]


def _of_step(view: RunView, step: StepView, now_ms: int, patience: Patience) -> Stuck | None:
    age_ms = now_ms - step.since_ms
    if step.phase == "dispatched":
        # A command that was refused or reclaimed is sent again; the wait is that of all of them.
        since_ms = step.first_dispatched_ms if step.attempt == 1 else step.since_ms
        late = now_ms - since_ms > patience.pickup_ms
        return _at(view, "worker", step.path, since_ms, "nobody has begun") if late else None
    if step.phase == "started" and age_ms > patience.running_ms:
        return _at(view, "worker", step.path, step.since_ms, step.holder or "")
    if step.phase == "waiting" and step.due_ms is not None and now_ms - step.due_ms > patience.late_ms:
        return _at(view, "timer", step.path, step.due_ms, step.reason or "retry")
    if step.phase == "in_doubt" and age_ms > patience.human_ms:
        return _at(view, "human", step.path, step.since_ms, "in doubt")
    waits = any(path.startswith(f"{step.path}?") for path in view.waits)
    if step.phase == "suspended" and not waits and age_ms > patience.other_ms:
        return _at(view, "other", step.path, step.since_ms, step.reason or "")
    return None


def _outside(wait: WaitView) -> Reason:
    return "signal" if wait.kind == "signal" else "child"


def _at(view: RunView, reason: Reason, path: str, since_ms: int, detail: str = "") -> Stuck:
    return Stuck(
        run_id=view.run_id,
        incarnation=view.incarnation,
        workflow=view.workflow,
        reason=reason,
        path=path,
        since_ms=since_ms,
        detail=detail,
    )
