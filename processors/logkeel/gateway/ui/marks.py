"""What a run does at each block of its flow, for its drawing. Pure."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from logkeel.projection import RunView
from logkeel.runs.core.paths import is_in_code, split_place, static

State = Literal["failed", "open", "waiting", "done", "over"]

_STATES: Final[dict[str, State]] = {
    "in_doubt": "failed",
    "failed": "failed",
    "dispatched": "open",
    "started": "open",
    "suspended": "waiting",
    "waiting": "waiting",
    "done": "done",
    "revoked": "over",
}
_ORDER: Final = tuple(_STATES)
"""What is told first of several occurrences."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How a block stands, in a word for its colour and in words for everybody."""

    state: State
    words: str


def marks_of(view: RunView) -> dict[str, Mark]:
    """By the path of a block in the definition; blocks that the run has not met are missing."""
    counted: dict[str, Counter[str]] = {}
    for step in view.steps.values():
        counted.setdefault(_block(step.path), Counter())[step.phase] += 1
    found = {path: _mark(phases) for path, phases in counted.items()}
    for wait in view.waits.values():
        if wait.kind != "limit":
            words = {"human": "asked", "within": "has a time limit"}.get(wait.kind, "waiting")
            found[_block(wait.path)] = Mark("waiting", words)
    for answer in view.answers:
        found.setdefault(_block(answer.path), Mark("done", answer.verb))
    return found


def _block(path: str) -> str:
    return static(split_place(path)[0] if is_in_code(path) else path)


def _mark(phases: Counter[str]) -> Mark:
    met = sorted(phases, key=_ORDER.index)
    if sum(phases.values()) == 1:
        return Mark(_STATES[met[0]], met[0].replace("_", " "))
    return Mark(_STATES[met[0]], ", ".join(f"{phases[each]} {each.replace('_', ' ')}" for each in met))
