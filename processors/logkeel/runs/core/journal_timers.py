"""Journals as commands carry them, and the timers of waits inside steps. Pure.

A timer of a wait is named by the step's path and the wait's position, as one text: neither has a zero character.
"""

from logkeel.records import ErrorInfo, FieldValue, JournalEntry
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes, journal_bytes
from logkeel.runs.core.actions import ClearTimer, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.state import RunState


def journal_of(state: RunState, placed: PlacedStep) -> tuple[JournalEntry, ...]:
    """The journal of a step, in the order of its code; empty for a step without one."""
    if placed.definition.journaled is not True:
        return ()
    return tuple(entry for _, entry in sorted(state.journal.of(placed.path), key=lambda item: _order(item[0])))


def journal_problem(path: str, inputs: tuple[FieldValue, ...], journal: tuple[JournalEntry, ...]) -> ErrorInfo | None:
    """Why no command can carry this journal beside the inputs; None if one can."""
    size_bytes = journal_bytes(journal)
    room_bytes = MAX_FIELDS_BYTES - fields_bytes(inputs)
    if size_bytes <= room_bytes:
        return None
    message = (
        f"the journal of step {path} has {len(journal)} entries of {size_bytes} bytes, one command carries at most"
        f" {room_bytes} beside the fields it reads. Let calls return less, keep large values outside and return their"
        " address, or spread the work over several steps or rounds"
    )
    return ErrorInfo(code="journal_too_large", kind="fatal", message=message)


def timer_path(path: str, position: str) -> str:
    """The path of a wait's timer."""
    return f"{path}\x00{position}"


def place_of_timer(path: str) -> tuple[str, str]:
    """(step path, position) of a wait's timer."""
    step_path, _, position = path.partition("\x00")
    return step_path, position


def clear_wait_timers(turn: Activation, placed: PlacedStep) -> None:
    """Nobody is to be woken for this step's code."""
    for position, due_ms in _due(turn, placed):
        turn.do(ClearTimer("journal", due_ms, timer_path(placed.path, position)))


def set_wait_timers(turn: Activation, placed: PlacedStep) -> None:
    """The step goes on after an attempt that failed: what its code waited for goes on as well."""
    for position, due_ms in _due(turn, placed):
        turn.do(SetTimer("journal", due_ms, timer_path(placed.path, position)))


def _due(turn: Activation, placed: PlacedStep) -> list[tuple[str, int]]:
    if placed.definition.journaled is not True:
        return []
    waits = turn.state.journal_waits.of(placed.path)
    return [(position, wait.due_ms) for position, wait in waits if wait.due_ms is not None]


def _order(position: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in position.split("."))
