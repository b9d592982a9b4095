"""Who was told of a run's questions: the notifiers' deliveries, read from their changelog."""

from collections.abc import Iterator
from typing import Any

import msgspec

from logkeel.cli.texts import one_line
from logkeel.cli.times import due
from logkeel.log import LogClient, read_topic
from logkeel.notify import rows
from logkeel.notify.cases import Case, Delivery
from logkeel.records.topics import TopicNames

COLUMNS = ("path", "kind", "to", "state", "attempts", "next", "error")


def cases_of_run(client: LogClient, names: TopicNames, run_id: str) -> list[Case]:
    """Its cases that are kept, the oldest question first. Raises `TopicMissing`, `LogUnavailable`."""
    begin = rows.cases_of_any(run_id)
    found: dict[bytes, Case | None] = {}
    for record in read_topic(client, names.notifier_state):
        if record.key is not None and record.key.startswith(begin):
            found[record.key] = _case(record.value)
    return sorted((case for case in found.values() if case is not None), key=lambda case: case.question.since_ms)


def table(cases: list[Case], now_ms: int) -> list[tuple[Any, ...]]:
    """A line for each delivery, by `COLUMNS`."""
    return [
        (
            case.question.path,
            each.kind,
            str(each.target),
            each.state,
            each.attempt,
            due(each.next_ms, now_ms) if each.state == "due" else None,
            one_line(each.error) or None,
        )
        for case, each in _deliveries(cases)
    ]


def as_json(cases: list[Case]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "path": case.question.path,
            "number": case.question.number,
            "kind": each.kind,
            "channel": each.channel,
            "recipient": each.recipient,
            "state": each.state,
            "attempts": each.attempt,
            "next_ms": each.next_ms if each.state == "due" else None,
            "error": each.error or None,
            "key": each.key,
        }
        for case, each in _deliveries(cases)
    ]


def _deliveries(cases: list[Case]) -> Iterator[tuple[Case, Delivery]]:
    return ((case, each) for case in cases for each in case.deliveries)


def _case(value: bytes | None) -> Case | None:
    """None for a tombstone, and for a row of another version."""
    try:
        return None if value is None else rows.decode_case(value)
    except msgspec.DecodeError:
        return None
