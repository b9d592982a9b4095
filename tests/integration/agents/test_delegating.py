"""Durable code on a real broker, over two partitions, killed -9 while its child runs are awaited, and between lives."""

from pathlib import Path

import pytest
from tests.integration.agents.delegating import delegate
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps
from tests.integration.agents.watching_on import LIVES, watch

from logkeel.records import RunEvent

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_code_gets_what_its_children_return_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "tests.integration.agents.delegating:delegate", delegate) as one:
        handle = one.client.start(delegate, topic="t")
        for count in (2, 5):
            one.until(lambda count=count: len(one.history.projection.runs()) >= count)  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        one.until(lambda: len(one.history.projection.runs()) >= 7)
        runs = [view.run_id for view in one.history.projection.runs()]
        one.until(lambda: all(one.view(run_id).status == "succeeded" for run_id in runs))
        histories = [one.events(run_id) for run_id in runs]
    assert result == ["tll", "tlr", "trl", "trr"]
    assert len(runs) == 7, "each child was started once"
    assert not [path for events in histories for path in repeated_steps(events)]
    started = [event.path or "" for events in histories for event in events if event.kind == "child_started"]
    assert sorted(started) == sorted(["delegate?1.0.0", "delegate?1.1.0"] * 3)


def test_code_of_many_lives_goes_on_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "tests.integration.agents.watching_on:watch", watch) as one:
        handle = one.client.start(watch)
        one.until(one.history.projection.runs)
        for count in (2, 4):
            one.until(lambda count=count: _lives(one.events(handle.run_id)) >= count)  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        one.until(lambda: one.view(handle.run_id).status == "succeeded")
        events = one.events(handle.run_id)
        lives = one.view(handle.run_id).fields["lives"].payload
    assert result == [f"found in {life}" for life in range(LIVES)]
    assert lives is not None
    assert lives.data == str(LIVES).encode()
    assert _lives(events) == LIVES - 1
    calls = [event.journal.name for event in events if event.kind == "step_journaled" and event.journal is not None]
    assert calls.count("look") == calls.count("update lives") == LIVES, "each once in each life"


def _lives(events: list[RunEvent]) -> int:
    return sum(event.kind == "step_restarted" for event in events)
