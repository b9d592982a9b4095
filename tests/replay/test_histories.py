"""Every history that was ever recorded here is decided by the present code as it was then."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.replay.recording import FOLDER, names_of
from tests.replay.scenes import SCENES

from logkeel.cli.recordings import Recording, recording_of
from logkeel.cli.replaying import redecided
from logkeel.projection.projection import fold
from logkeel.records import RunEvent
from logkeel.runs.core.redeciding import OF_ANOTHER_RUN
from logkeel.runs.core.replay import replay

RECORDINGS: dict[str, Recording] = {
    path.stem: recording_of(path.read_bytes().splitlines(), path.name) for path in sorted(FOLDER.glob("*.jsonl"))
}
OUTCOMES = redecided(RECORDINGS)


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_the_code_decides_what_it_decided_then(name: str) -> None:
    found, recording = OUTCOMES[name], RECORDINGS[name]
    assert found.divergence is None, found.divergence
    assert found.compared > 0
    assert found.not_compared.keys() <= {OF_ANOTHER_RUN}
    state, view = replay(recording.events, recording.plan()), fold(recording.events)
    assert (view.status, view.revision) == (state.head.status, len(recording.events))


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_each_scene_is_recorded_and_can_be_played_still(scene: str) -> None:
    """The code of today plays it to an end, and decides alike what it has just decided."""
    assert names_of(scene)
    played = SCENES[scene]()
    assert len(played) == len(names_of(scene))
    for name, found in redecided(played).items():
        assert found.divergence is None, f"{name}: {found.divergence}"
        assert found.compared > 0


def _events() -> Iterator[RunEvent]:
    return (event for recording in RECORDINGS.values() for event in recording.events)


def test_they_hold_most_of_what_can_happen() -> None:
    kinds = {event.kind for event in _events()}
    assert kinds >= {
        *("run_paused", "run_resumed", "run_retried", "run_forked", "cancel_requested", "step_held", "answer_ignored"),
        *("step_started", "step_in_doubt", "step_resolved", "step_reclaimed", "step_released", "step_refused"),
        *("step_journaled", "step_suspended", "question_asked", "question_answered", "question_reassigned"),
        *("signal_received", "wait_ended", "block_rescued", "block_timed_out", "undo_started", "undo_ended"),
        *("child_started", "child_ended", "child_settled", "limit_asked", "limit_granted"),
    }
    told_to_go_on = [each for each in _events() if each.kind == "child_started" and "again" in each.attributes]
    assert any(each.journal is not None for each in told_to_go_on), "a child of code"
    assert any(each.journal is not None and each.journal.waits_for == "limit" for each in _events())
    assert any(each.kind == "question_answered" and each.amounts for each in _events()), "of a budget"


def test_a_changed_word_in_any_of_them_would_be_found() -> None:
    """The comparison is of whole events: each recorded history is held against one with another last word."""
    for name, recording in RECORDINGS.items():
        *events, last = recording.events
        other = Recording(recording.document, (*events, replace(last, at_ms=last.at_ms, attributes={"of": "nothing"})))
        outcomes = redecided({**RECORDINGS, name: other})
        assert outcomes[name].divergence is not None, name
