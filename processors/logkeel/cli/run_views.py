"""What a run looks like to a person and to a program. Pure: views and times in, rows, trees and JSON values out."""

from dataclasses import asdict
from typing import Any

import msgspec
from rich.text import Text
from rich.tree import Tree

from logkeel.projection import FieldView, RunView, StepView, WaitView
from logkeel.records import ErrorInfo, RunEvent

LONGEST_VALUE = 100
_MARKS = {
    "dispatched": ("…", "cyan"),
    "started": ("▶", "cyan"),
    "waiting": ("◷", "yellow"),
    "in_doubt": ("?", "bold yellow"),
    "suspended": ("⏸", "yellow"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "revoked": ("-", "dim"),
}
_SAID = {
    "dispatched": "sent to a worker",
    "started": "running",
    "waiting": "waiting to go on",
    "in_doubt": "in doubt",
    "suspended": "its code waits",
    "done": "done",
    "failed": "failed",
    "revoked": "revoked",
}


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


def as_json(view: RunView, now_ms: int) -> dict[str, Any]:
    """Everything a run is."""
    return {
        **summary(view, now_ms),
        "schema_version": view.schema_version,
        "conversation_id": view.conversation_id,
        "finished_at_ms": view.finished_at_ms,
        "deadline_ms": view.deadline_ms,
        "attributes": view.attributes,
        "error": _error(view.error),
        "completed_steps": view.completed_steps,
        "steps": [_step(step) for step in view.steps.values()],
        "fields": {name: {**_field(field), "value": value_of(field)} for name, field in view.fields.items()},
        "errors": [
            {"path": each.path, "attempt": each.attempt, "at_ms": each.at_ms, **(_error(each.error) or {})}
            for each in view.errors
        ],
        "signals": view.signals,
        "history_complete": view.complete,
    }


def summary(view: RunView, now_ms: int) -> dict[str, Any]:
    """A line of `run list`."""
    return {
        "run_id": view.run_id,
        "workflow": f"{view.workflow}@{view.version}",
        "status": view.status,
        "revision": view.revision,
        "started_at_ms": view.started_at_ms,
        "age_ms": (view.finished_at_ms or now_ms) - view.started_at_ms,
        "current_steps": [_step(step) | {"for_ms": now_ms - step.since_ms} for step in view.current_steps],
        "waits": [_wait(wait) | {"for_ms": now_ms - wait.since_ms} for wait in view.waits.values()],
    }


def current(view: RunView, now_ms: int) -> str:
    """What a run waits for, in a few words."""
    steps = [f"{step.path} {_SAID[step.phase]} for {duration(now_ms - step.since_ms)}" for step in view.current_steps]
    return "; ".join([*steps, *(wait_text(wait, now_ms) for wait in view.waits.values())])


def wait_text(wait: WaitView, now_ms: int) -> str:
    """What is waited for, since when, and until when."""
    what = {
        "sleep": "sleeps",
        "signal": f"waits for signal {wait.name!r}",
        "human": f"asks {wait.assignee or 'a human'}",
        "within": "has its time",
    }[wait.kind]
    until = "" if wait.due_ms is None else f", until in {duration(wait.due_ms - now_ms)}"
    return f"{wait.path} {what} for {duration(now_ms - wait.since_ms)}{until}"


def question_json(view: RunView, wait: WaitView, now_ms: int) -> dict[str, Any]:
    """A question, and what one is to see."""
    return {
        "run_id": view.run_id,
        "workflow": f"{view.workflow}@{view.version}",
        **_wait(wait),
        "age_ms": now_ms - wait.since_ms,
        "shown": {name: value_of(view.fields[name]) for name in wait.shows if name in view.fields},
    }


def question_lines(view: RunView, wait: WaitView, now_ms: int) -> list[str]:
    """The same for a person."""
    due = "no deadline" if wait.due_ms is None else f"due in {duration(wait.due_ms - now_ms)}"
    lines = [
        f"{wait.question}",
        f"{view.run_id}  {view.workflow}@{view.version}  {wait.path}",
        f"asked {duration(now_ms - wait.since_ms)} ago of {wait.assignee or 'anybody'}, {due}",
        f"answers: {', '.join(wait.allow)}" + (f"; an answer goes to {wait.answer}" if wait.answer else ""),
    ]
    shown = [name for name in wait.shows if name in view.fields]
    return lines + [f"{name}: {msgspec.json.encode(value_of(view.fields[name])).decode()}" for name in shown]


def event_json(event: RunEvent) -> dict[str, Any]:
    """An event without payloads: what `run watch -o json` prints a line of."""
    return {
        "revision": event.revision,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "path": event.path,
        "attempt": event.attempt,
        "dispatch": event.dispatch,
        "due_ms": event.due_ms,
        "reason": event.reason,
        "error": _error(event.error),
        "writes": [write.field for write in event.writes],
    }


def event_text(event: RunEvent, started_at_ms: int) -> str:
    """An event as a line for people."""
    place = "" if event.path is None else f"  {event.path}" + (f" (attempt {event.attempt})" if event.attempt else "")
    error = "" if event.error is None else f": {event.error.message} ({event.error.code})"
    return f"{duration(event.at_ms - started_at_ms):>8}  {event.kind.replace('_', ' ')}{place}{error}"


def tree(view: RunView, now_ms: int) -> Tree:
    """The live picture: forks as branches, steps with attempts and times."""
    ended = view.finished_at_ms or now_ms
    head = f"{view.run_id}  {view.workflow}@{view.version}  {view.status}  {duration(ended - view.started_at_ms)}"
    root = Tree(Text(head, style="bold"))
    branches: dict[str, Tree] = {}
    for step in view.steps.values():
        *forks, name = step.path.split("/")
        parent, place = root, ""
        for fork in forks:
            place = f"{place}/{fork}"
            if place not in branches:
                branches[place] = parent.add(Text(fork, style="dim"))
            parent = branches[place]
        parent.add(_line(step, name, now_ms))
    for wait in view.waits.values():
        root.add(Text(f"◷ {wait_text(wait, now_ms)}", style="bold yellow" if wait.kind == "human" else "yellow"))
    if view.error is not None:
        root.add(Text(f"{view.error.message} ({view.error.code})", style="red"))
    return root


def _line(step: StepView, name: str, now_ms: int) -> Text:
    mark, style = _MARKS[step.phase]
    line = Text.assemble((f"{mark} ", style), name)
    if step.attempt > 1:
        line.append(f"  attempt {step.attempt}", style="yellow")
    took = (step.finished_at_ms or step.since_ms) - step.first_dispatched_ms
    if step.is_open:
        line.append(f"  {_SAID[step.phase]} for {duration(now_ms - step.since_ms)}", style=style)
    else:
        line.append(f"  {duration(took)}", style="dim")
    if step.phase == "waiting" and step.due_ms is not None:
        line.append(f", goes on in {duration(step.due_ms - now_ms)}", style=style)
    if step.phase == "in_doubt" and step.due_ms is None:
        line.append("; a human decides: logkeel run resolve", style=style)
    if step.error is not None and step.phase != "done":
        line.append(f"  {step.error.message} ({step.error.code})", style="red")
    return line


def value_of(field: FieldView) -> Any:
    """A field's value; of an encoding that cannot be read here, what is known of it."""
    payload = field.payload
    if field.is_control or payload is None:
        return field.control
    if payload.encoding == "json" and payload.data is not None:
        return msgspec.json.decode(payload.data)
    if payload.blob is not None:
        return {"encoding": payload.encoding, "bytes": payload.blob.size_bytes, "uri": payload.blob.uri}
    return {"encoding": payload.encoding, "bytes": None if payload.data is None else len(payload.data)}


def short(value: Any) -> str:
    """A value in one line."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _step(step: StepView) -> dict[str, Any]:
    return {
        "path": step.path,
        "phase": step.phase,
        "attempt": step.attempt,
        "dispatch": step.dispatch,
        "since_ms": step.since_ms,
        "due_ms": step.due_ms,
        "holder": step.holder,
        "error": _error(step.error),
    }


def _wait(wait: WaitView) -> dict[str, Any]:
    return {name: value for name, value in asdict(wait).items() if value not in (None, (), "")}


def _field(field: FieldView) -> dict[str, Any]:
    return {"revision": field.revision, "written_by": field.path}


def _error(error: ErrorInfo | None) -> dict[str, Any] | None:
    return None if error is None else {"code": error.code, "kind": error.kind, "message": error.message}
