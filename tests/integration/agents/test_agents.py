"""The examples on a real broker, each killed -9 in the middle: they end as if nothing had happened."""

from pathlib import Path

import pytest
from examples.agents.classic import research
from examples.agents.payment import payment
from examples.agents.react import agent as react
from examples.agents.supervisor import team
from examples.documents.summaries import summaries
from tests.integration.agents.harness import LIVENESS_S, Agent, agent, repeated_steps

from logkeel.client.answers import Answer

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def steps_done(one: Agent, run_id: str, count: int) -> bool:
    return len(one.view(run_id).completed_steps) >= count


def test_the_classic_agent_waits_for_its_editor_across_a_kill(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.classic:research", research) as one:
        handle = one.client.start(research, query="kafka")
        one.until(lambda: handle.run_id in {view.run_id for view in one.history.projection.runs()})
        one.until(lambda: steps_done(one, handle.run_id, 4))
        one.kill_and_start()
        question = one.until(lambda: next(iter(one.view(handle.run_id).questions), None))
        one.kill_and_start()
        assert (question.path, question.allow, question.notify) == ("approve", ("approve", "reject"), "editors")
        for name in ("ada", "bob"):
            one.client.answer(
                Answer(run_id=handle.run_id, path="approve", verb="approve", answered_by=name),
                request_id=f"{handle.run_id}-{name}",
            )
        result = handle.result(LIVENESS_S)
        one.until(lambda: one.view(handle.run_id).status == "succeeded")
        events = one.events(handle.run_id)
    assert result["report"].startswith("draft 3")
    assert result["outcome"].startswith("published")
    assert [event.actor for event in events if event.kind == "question_answered"] == ["ada"]
    assert not repeated_steps(events)


def test_a_payment_is_charged_and_shipped_across_a_kill(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.payment:payment", payment) as one:
        handles = [one.client.start(payment, order=f"{kind}-{n}", amount=n) for n in range(5) for kind in ("o", "lost")]
        first = handles[0].run_id
        one.until(lambda: first in {view.run_id for view in one.history.projection.runs()})
        one.until(lambda: steps_done(one, first, 1))
        one.kill_and_start()
        outcomes = []
        for handle in handles:
            one.until(lambda run_id=handle.run_id: resolved(one, run_id))  # type: ignore[misc]
            outcomes.append(handle.result(LIVENESS_S)["outcome"])
        histories = [one.events(handle.run_id) for handle in handles]
    assert outcomes == ["paid", "refunded"] * 5
    assert not [path for events in histories for path in repeated_steps(events)]


def test_a_team_of_agents_goes_on_with_its_private_memories(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.supervisor:team", team) as one:
        handle = one.client.start(team, goal="a note")
        one.until(lambda: handle.run_id in {view.run_id for view in one.history.projection.runs()})
        for count in (2, 5):
            one.until(lambda count=count: steps_done(one, handle.run_id, count))  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        one.until(lambda: one.view(handle.run_id).status == "succeeded")
        events = one.events(handle.run_id)
    assert result == "researcher (2 notes) researcher (2 notes) writer (2 notes)"
    assert not repeated_steps(events)


def test_documents_are_read_once_each_and_bad_ones_are_told_of(kafka_bootstrap: str, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(200):
        text = b"\xff\xfe" if number % 20 == 7 else f"# document {number}".encode()
        (folder / f"{number:03}.md").write_bytes(text)
    with agent(kafka_bootstrap, tmp_path, "examples.documents.summaries:summaries", summaries) as one:
        handle = one.client.start(summaries, folder=str(folder))
        one.until(lambda: handle.run_id in {view.run_id for view in one.history.projection.runs()})
        for count in (20, 120):
            one.until(lambda count=count: steps_done(one, handle.run_id, count))  # type: ignore[misc]
            one.kill_and_start()
        result = handle.result(LIVENESS_S)
        one.until(lambda: one.view(handle.run_id).status == "succeeded")
        events = one.events(handle.run_id)
    lines = result["overview"].splitlines()
    assert [line.rpartition("document ")[2] for line in lines[:-1]] == [str(n) for n in range(200) if n % 20 != 7]
    assert lines[-1] == "570 words; 10 documents could not be read"
    assert list(result["failed"]) == [str(number) for number in range(200) if number % 20 == 7]
    assert not repeated_steps(events)


def test_a_react_agent_asks_before_it_sends_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, "examples.agents.react:agent", react) as one:
        handle = one.client.start(react, question="What is a log?")
        one.until(lambda: handle.run_id in {view.run_id for view in one.history.projection.runs()})
        question = one.until(lambda: next(iter(one.view(handle.run_id).questions), None))
        one.kill_and_start()
        one.client.answer(
            Answer(run_id=handle.run_id, path=question.path, verb="reject", comment="not today", answered_by="ada")
        )
        answered = handle.result(LIVENESS_S)
        one.until(lambda: one.view(handle.run_id).status == "succeeded")
        events = one.events(handle.run_id)
    assert answered
    entries = [event.journal.position for event in events if event.kind == "step_journaled" and event.journal]
    assert len(entries) == len(set(entries)), "no call is in the journal twice"
    assert "model" in {event.name for event in events if event.kind == "step_journaled"}


def resolved(one: Agent, run_id: str) -> bool:
    """Whether the run has ended; asked about the step in doubt, the human has seen that nothing was told."""
    if run_id not in {view.run_id for view in one.history.projection.runs()}:
        return False
    view = one.view(run_id)
    for step in view.current_steps:
        if step.phase == "in_doubt":
            one.client.resolve(run_id, step.path, "did_not")
    return view.status != "running"
