"""Forks of turns: another conversation begins, with what the turns before had left, and the first one goes on alone."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.scripts import text
from tests.unit.runs.test_conversations import ANN, Talk, message, talk
from tests.unit.runs.test_retried_turns import SAY_TWICE

from logkeel.cli.talks import new_talk
from logkeel.client import NewConversation
from logkeel.client.forking import cut, fork_request, in_conversation
from logkeel.definitions import encode_document
from logkeel.errors import InvalidInput
from logkeel.log.partitioner import partition_for
from logkeel.records import FieldWrite, RequestRejected, RunEvent, StartRun

OTHER = "ann, otherwise"


def histories(engine: Talk) -> dict[str, list[RunEvent]]:
    """Events by run."""
    found: dict[str, list[RunEvent]] = {}
    for event in engine.told(engine.names.run_events, RunEvent):
        found.setdefault(event.run_id, []).append(event)
    return found


def talk_for(engine: Talk, run_id: str) -> NewConversation | None:
    """What the command line makes of it."""
    known, document = histories(engine), encode_document(talk(*SAY_TWICE).document)
    return new_talk(OTHER, known[run_id], known.values(), lambda first: document)


def fork(engine: Talk, run_id: str, new_id: str = "f", *, at: int | None = None, whole: bool = True) -> None:
    """Asks for it, from where the run is."""
    made = talk_for(engine, run_id) if whole else None
    request = fork_request(cut(histories(engine)[run_id], at), run_id=new_id, request_id=f"fork {new_id}")
    engine.ask(
        request if made is None else in_conversation(request, made),
        partition=partition_for((OTHER if whole else new_id).encode(), engine.partitions),
    )


def refused(engine: Talk) -> list[RequestRejected]:
    """What was."""
    return engine.told(engine.names.run_completions, RequestRejected)


def spoken(partitions: int = 1) -> Talk:
    """A conversation in its second turn, half done."""
    engine = Talk(talk(*SAY_TWICE), partitions=partitions)
    engine.tell("t1")
    engine.say("t1", "one", mood="calm")
    engine.say("t1", "two")
    engine.tell("t2")
    engine.say("t2", "three")
    return engine


@pytest.mark.parametrize("die", [False, True])
@pytest.mark.parametrize("partitions", [1, 2])
def test_a_fork_knows_what_was_said_before_and_goes_on_in_a_conversation_of_its_own(die: bool, partitions: int) -> None:
    engine = spoken(partitions)
    fork(engine, "t2")
    if die:
        engine.reboot()
    assert engine.heard("f") == ["one", "two", "three"]
    (mood,) = [each for each in engine.command("f").inputs if each.field == "mood"]
    assert mood.control == "calm"
    assert engine.command("f").idempotency_key != engine.command("t2").idempotency_key
    engine.say("f", "here")
    engine.say("t2", "there")
    engine.tell("t3")
    engine.tell("g", who=OTHER)
    assert engine.heard("t3") == ["one", "two", "three", "there"]
    assert engine.heard("g") == ["one", "two", "three", "here"], "the next turn of the new conversation"
    assert engine.ends() == [("t1", "succeeded"), ("f", "succeeded"), ("t2", "succeeded")]
    started = histories(engine)["g"][0]
    assert started.former_revisions == len(histories(engine)["f"])


def test_a_start_in_the_new_conversation_waits_for_the_fork() -> None:
    engine = spoken()
    fork(engine, "t2")
    engine.tell("g", who=OTHER)
    assert "g" not in {each.identity.run_id for each in engine.commands()}
    engine.say("f", "here")
    assert engine.heard("g") == ["one", "two", "three", "here"]


def test_a_turn_forked_from_before_it_ended_and_one_that_was_forked() -> None:
    engine = spoken()
    engine.say("t2", "four")
    fork(engine, "t2", at=histories(engine)["t2"][-3].revision)
    assert engine.heard("f") == ["one", "two", "three"]
    engine.say("f", "other")
    engine.tell("g", who=OTHER)
    assert engine.heard("g") == ["one", "two", "three", "other"]


@pytest.mark.parametrize("replaces", [True, False])
def test_what_the_turn_was_given_stands_beside_or_instead_of_what_was_kept(replaces: bool) -> None:
    engine = spoken()
    engine.say("t2", "four")
    cleared = (FieldWrite(field="messages"),) if replaces else ()
    start = StartRun(
        workflow="work",
        run_id="t3",
        request_id="t3",
        conversation_id=ANN,
        inputs=(text("topic", "t"), text("who", ANN), *cleared, message("afresh")),
    )
    engine.ask(start, partition=partition_for(ANN.encode(), 1))
    before = engine.heard("t3")
    assert before == (["afresh"] if replaces else ["one", "two", "three", "four", "afresh"])
    fork(engine, "t3")
    assert engine.heard("f") == before


def test_a_conversation_that_exists_is_not_begun_by_a_fork() -> None:
    engine = spoken()
    fork(engine, "t2")
    fork(engine, "t2", "again")
    engine.say("f", "here")
    fork(engine, "t2", "behind")
    assert [each.code for each in refused(engine)] == ["conversation_taken"] * 2
    assert {"again", "behind"}.isdisjoint(histories(engine))


def test_a_fork_that_names_no_conversation_says_how() -> None:
    engine = spoken()
    fork(engine, "t2", whole=False)
    (rejected,) = refused(engine)
    assert rejected.code == "fork_of_a_turn"
    assert "--conversation" in rejected.reason


def test_a_beginning_that_is_not_kept_says_so() -> None:
    engine = spoken()
    known, document = histories(engine), encode_document(talk(*SAY_TWICE).document)
    with pytest.raises(InvalidInput, match="not on the log any more"):
        new_talk(OTHER, known["t2"], [known["t2"]], lambda first: document)
    with pytest.raises(InvalidInput, match="--conversation ID"):
        new_talk(None, known["t2"], known.values(), lambda first: document)
    no_turn = [replace(known["t2"][0], former_revisions=None, conversation_id=None)]
    assert new_talk(None, no_turn, (), lambda first: document) is None
    with pytest.raises(InvalidInput, match="leave --conversation out"):
        new_talk(OTHER, no_turn, (), lambda first: document)
