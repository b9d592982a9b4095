"""What a run looks like to a person. Pure: views and times in, lines and trees out."""

from typing import Any

import msgspec
from rich.text import Text
from rich.tree import Tree

from logkeel.cli import wait_views
from logkeel.cli.texts import one_line
from logkeel.cli.times import duration
from logkeel.projection import RunView, StepView, WaitView
from logkeel.records import RunEvent

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


def current(view: RunView, now_ms: int) -> str:
    """What a run waits for, in a few words."""
    steps = [f"{step.path} {_SAID[step.phase]} for {duration(now_ms - step.since_ms)}" for step in view.current_steps]
    waits = [wait_views.sentence(wait, now_ms) for wait in view.waits.values() if wait.kind != "within"]
    paused = [] if view.paused_at_ms is None else [f"paused for {duration(now_ms - view.paused_at_ms)}"]
    return "; ".join([*paused, *steps, *waits])


def event_text(event: RunEvent, started_at_ms: int) -> str:
    """An event as a line for people."""
    place = "" if event.path is None else f"  {event.path}" + (f" (attempt {event.attempt})" if event.attempt else "")
    error = "" if event.error is None else f": {event.error.message} ({event.error.code})"
    said = f"{event.kind.replace('_', ' ')}{place}{one_line(_details(event))}{error}"
    return f"{duration(event.at_ms - started_at_ms):>8}  {said}"


def _details(event: RunEvent) -> str:
    """What the kind alone does not say of waits, questions and signals."""
    match event.kind:
        case "question_asked":
            return f": {event.reason}" + ("" if event.actor is None else f" (of {event.actor})")
        case "question_answered":
            by, said = f" by {event.actor}" if event.actor else "", f" ({event.reason})" if event.reason else ""
            return f": {event.name}{by}{said}"
        case "question_reassigned":
            return f": to {event.name}, {'by ' + event.actor if event.actor else event.reason}"
        case "wait_started" | "wait_ended" if event.name is not None:
            return f": {event.name}" + ("" if event.reason is None else f" ({event.reason})")
        case "run_paused" | "run_resumed" | "run_retried" if event.reason is not None:
            return f": {event.reason}"
        case "signal_received" | "child_started" | "limit_asked" | "limit_granted":
            return f": {event.name}"
        case "child_ended":
            return f": {event.name} ({event.status})"
        case _:
            return ""


def tree(view: RunView, now_ms: int) -> Tree:
    """The live picture: blocks as branches, steps with attempts and times, and what the run waits for."""
    ended = view.finished_at_ms or now_ms
    head = f"{view.run_id}  {view.workflow}@{view.version}  {view.status}  {duration(ended - view.started_at_ms)}"
    if view.paused_at_ms is not None and view.finished_at_ms is None:
        head += f"  paused for {duration(now_ms - view.paused_at_ms)}: logkeel run resume {view.run_id}"
    root = Tree(Text(head, style="bold"))
    branches: dict[str, Tree] = {}
    for step in view.steps.values():
        parent, name = _placed(root, branches, step.path)
        parent.add(_line(step, name, now_ms))
    for wait in sorted(view.waits.values(), key=lambda wait: wait.kind == "within"):
        parent, name = _placed(root, branches, wait.path)
        if wait.kind == "within" and f"/{wait.path}" in branches:
            branches[f"/{wait.path}"].label = _wait(wait, name, now_ms)
        else:
            parent.add(_wait(wait, name, now_ms))
    for unit, account in view.accounts.items():
        yet = f", {account.reserved_sum} reserved" if account.reserved else ""
        more = f", {account.granted} granted on top" if account.granted else ""
        root.add(Text(f"{account.spent} {unit} used{yet}{more}", style="dim"))
    if view.error is not None:
        root.add(Text(f"{view.error.message} ({view.error.code})", style="red"))
    return root


def _placed(root: Tree, branches: dict[str, Tree], path: str) -> tuple[Tree, str]:
    """The branch that a path hangs on, and its last name."""
    *blocks, name = path.split("/")
    parent, place = root, ""
    for block in blocks:
        place = f"{place}/{block}"
        if place not in branches:
            branches[place] = parent.add(Text(block, style="dim"))
        parent = branches[place]
    return parent, name


def _wait(wait: WaitView, name: str, now_ms: int) -> Text:
    mark, style = _MARKS["in_doubt" if wait.kind == "human" else "waiting"]
    line = Text.assemble((f"{mark} ", style), wait_views.sentence(wait, now_ms, name=name))
    if wait.kind == "human":
        line.append("; a human answers: logkeel approvals show", style=style)
    return line


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


def short(value: Any) -> str:
    """A value in one line."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
