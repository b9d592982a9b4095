"""Failed elements are retried on a real broker, with kills before and while they run again."""

from collections import defaultdict
from pathlib import Path

import pytest
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps
from tests.integration.agents.labelling import PAGES, labelling

from logkeel.errors import RequestWasRejected
from logkeel.records import RunEvent

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

BOOKS = ("iliad", "odyssey")


def notes(directory: Path) -> dict[str, list[str]]:
    """Keys by what was done with which page."""
    found = defaultdict(list)
    for line in (directory / "notes").read_text().splitlines():
        what, _, key = line.rpartition(" ")
        found[what].append(key)
    return found


def has_ended_twice(events: list[RunEvent]) -> bool:
    """Whether the history has its second end."""
    return [event.kind for event in events].count("run_completed") == 2


def test_only_failed_elements_run_again_under_their_old_keys_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    target = "tests.integration.agents.labelling:labelling"
    odd = [f"{book}:{number}" for book in BOOKS for number in range(1, PAGES, 2)]
    with agent(kafka_bootstrap, tmp_path, target, labelling, LABELLING=str(tmp_path)) as one:
        first = {book: one.client.start(labelling, run_id=book, title=book) for book in BOOKS}
        ends = {book: handle.wait(LIVENESS_S) for book, handle in first.items()}
        assert {end.status for end in ends.values()} == {"succeeded"}
        before = notes(tmp_path)
        one.kill_and_start()

        (tmp_path / "light").touch()
        again = {b: one.client.retry(b, request_id=f"{b}-again", workflow=labelling) for b in BOOKS}
        one.until(lambda: any(len(notes(tmp_path)[f"label {page}"]) > 1 for page in odd))
        one.kill_and_start()
        for book in BOOKS:
            one.client.retry(book, request_id=f"{book}-again")
        results = {book: handle.result(LIVENESS_S) for book, handle in again.items()}
        with pytest.raises(RequestWasRejected, match="has ended as succeeded"):
            one.client.retry(BOOKS[0]).wait(LIVENESS_S)
        one.until(lambda: all(has_ended_twice(one.events(book)) for book in BOOKS))
        histories = {book: one.events(book) for book in BOOKS}
    for book, result in results.items():
        labels, failed = result["labels"], result["failed"]
        assert sorted(labels) == sorted(map(str, range(PAGES)))
        assert all(label.startswith(f"{book}:") for label in labels.values())
        assert failed == {}
    done = notes(tmp_path)
    for what, keys in done.items():
        assert len(set(keys)) == 1, "an outside system sees one of each (P30)"
        if what.removeprefix("label ") not in odd:
            assert keys == before[what], f"{what} was never done again"
    for events in histories.values():
        assert [event.kind for event in events].count("run_retried") == 1, "the request came twice"
        assert not repeated_steps(events)
