"""Child runs that code starts, on a real broker, over two partitions, killed -9 while they are awaited."""

from pathlib import Path

import pytest
from tests.integration.agents.delegating import delegate
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_code_gets_what_its_children_return_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "tests.integration.agents.delegating:delegate", delegate) as one:
        handle = one.client.start(delegate, topic="t")
        for count in (2, 5):
            one.until(lambda count=count: len(one.history.projection.runs()) >= count)  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        runs = [view.run_id for view in one.history.projection.runs()]
        one.until(lambda: all(one.view(run_id).status == "succeeded" for run_id in runs))
        histories = [one.events(run_id) for run_id in runs]
    assert result == ["tll", "tlr", "trl", "trr"]
    assert len(runs) == 7, "each child was started once"
    assert not [path for events in histories for path in repeated_steps(events)]
    started = [event.path or "" for events in histories for event in events if event.kind == "child_started"]
    assert sorted(started) == sorted(["delegate?1.0.0", "delegate?1.1.0"] * 3)
