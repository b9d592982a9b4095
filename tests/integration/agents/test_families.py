"""Child runs and conversations on a real broker, over two partitions, killed -9 in the middle."""

from pathlib import Path

import pytest
from examples.agents.deep_research import research
from examples.agents.support_chat import support
from tests.integration.agents.harness import LIVENESS_S, agent, repeated_steps

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_deep_research_goes_on_with_all_its_children_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.deep_research:research", research) as one:
        handle = one.client.start(research, question="logs")
        for count in (2, 5):
            one.until(lambda count=count: len(one.history.projection.runs()) >= count)  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        one.until(lambda: len(one.history.projection.runs()) == 7)
        runs = [view.run_id for view in one.history.projection.runs()]
        one.until(lambda: all(one.view(run_id).status == "succeeded" for run_id in runs))
        histories = [one.events(run_id) for run_id in runs]
    assert result.count("a source on") == 8
    assert len({run_id.rpartition("-")[0] for run_id in runs}) == 2, "the root, and its children with ids of their own"
    assert not [path for events in histories for path in repeated_steps(events)]
    parents = {events[0].parent.run_id for events in histories if events[0].parent is not None}
    assert len(parents) == 3


def test_a_conversation_goes_on_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.support_chat:support", support) as one:
        first = [one.client.start(support, customer=name, message=f"{name} says hello") for name in ("ann", "bob")]
        assert [handle.result(LIVENESS_S) for handle in first] == [
            "You said 'ann says hello'.",
            "You said 'bob says hello'.",
        ]
        later = [one.client.start(support, customer="ann", message=f"message {number}") for number in range(20)]
        one.until(lambda: len(one.history.projection.runs()) >= 4)
        one.kill_and_start()
        answers = [handle.result(LIVENESS_S) for handle in later]
    before = ["ann says hello", *(f"message {number}" for number in range(19))]
    assert answers == [f"You said 'message {n}', and before that {said!r}." for n, said in enumerate(before)]
