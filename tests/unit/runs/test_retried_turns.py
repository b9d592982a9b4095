"""Failed turns of conversations are retried, as long as nobody has spoken since; what they said is there once."""

import pytest
from tests.unit.runs.scripts import T0, step_block
from tests.unit.runs.test_conversations import ANN, Talk, message, talk

from logkeel.definitions import ParallelBlock, SequenceBlock, StepBlock
from logkeel.log.partitioner import partition_for
from logkeel.records import RetryRun, RunEvent, StepSucceeded

SAY_TWICE = (StepBlock(id="first", step="say"), StepBlock(id="second", step="say"))


def retry(engine: Talk, run_id: str, number: int = 1) -> None:
    """Asks for it."""
    request = RetryRun(run_id=run_id, request_id=f"{run_id} again {number}", routing_key=ANN)
    engine.ask(request, partition=partition_for(ANN.encode(), engine.partitions))


def failing(engine: Talk, run_id: str) -> None:
    """Its step fails for good."""
    engine.fail(engine.command(run_id))


@pytest.mark.parametrize("die", [False, True])
def test_the_last_turn_goes_on_where_it_failed_and_the_next_one_knows_what_it_said(die: bool) -> None:
    engine = Talk(talk(*SAY_TWICE))
    engine.tell("t1")
    engine.say("t1", "one")
    engine.say("t1", "two")
    engine.tell("t2")
    engine.say("t2", "three")
    failing(engine, "t2")
    if die:
        engine.reboot()
    retry(engine, "t2")
    if die:
        engine.reboot()
    assert engine.heard("t2") == ["one", "two", "three"]
    engine.say("t2", "four")
    engine.tell("t3")
    assert engine.heard("t3") == ["one", "two", "three", "four"]
    assert engine.ends() == [("t1", "succeeded"), ("t2", "failed"), ("t2", "succeeded")]
    events = engine.told(engine.names.run_events, RunEvent)
    (third,) = (event for event in events if event.kind == "run_started" and event.run_id == "t3")
    before = [event for event in events if event.run_id in ("t1", "t2")]
    assert third.former_revisions == len(before), "those of the retried turn count once, up to its second end"


def test_a_start_that_comes_while_the_turn_goes_on_again_waits_for_it() -> None:
    engine = Talk()
    engine.tell("t1")
    failing(engine, "t1")
    retry(engine, "t1")
    engine.tell("t2")
    assert {each.identity.run_id for each in engine.commands()} == {"t1"}
    engine.say("t1", "at last")
    assert engine.heard("t2") == ["at last"]


def test_a_turn_that_was_followed_is_not_retried() -> None:
    """Neither while the next one runs, nor behind its end, nor while one waits to begin."""
    engine = Talk()
    engine.tell("t1")
    failing(engine, "t1")
    engine.tell("t2")
    retry(engine, "t1", 1)
    engine.say("t2", "hello")
    retry(engine, "t1", 2)
    assert engine.rejections() == ["turn_was_followed"] * 2
    engine.tell("t3")
    failing(engine, "t3")
    retry(engine, "t3")
    assert engine.rejections() == ["turn_was_followed"] * 2, "it is the last one"
    assert engine.heard("t3") == ["hello"]


def test_a_retry_that_comes_twice_is_one_and_late_copies_do_nothing() -> None:
    engine = Talk()
    engine.tell("t1")
    failing(engine, "t1")
    for _ in range(2):
        retry(engine, "t1")
    engine.say("t1", "once")
    engine.tell("t2")
    retry(engine, "t1")
    assert engine.heard("t2") == ["once"]
    assert engine.history().count("run_retried") == 1
    assert engine.rejections() == []


def test_what_open_branches_had_said_is_dropped_so_the_turn_cannot_go_on() -> None:
    chatty = SequenceBlock(id="both", blocks=SAY_TWICE)
    engine = Talk(talk(ParallelBlock(id="all", branches=(chatty, step_block("say"))), step_block("say")))
    engine.tell("t1")
    first = engine.commands()[0]
    said = StepSucceeded(
        identity=first.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, writes=(message("lost"),)
    )
    engine.answer(first, said)
    failing(engine, "t1")
    assert engine.ends() == [("t1", "failed")]
    retry(engine, "t1")
    assert engine.rejections() == ["retry_of_a_turn"]
    engine.tell("t2")
    assert engine.heard("t2") == []
