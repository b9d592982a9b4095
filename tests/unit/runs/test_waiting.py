"""Waits through a whole engine on the simulated cluster: days of them, across restarts, and answers that come twice."""

from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import Block, HumanBlock, SignalBlock, SleepBlock
from logkeel.log import TopicPartition
from logkeel.records import AnswerQuestion, Payload, RunEvent, SignalRun

HOUR_MS = 3_600_000
a, b = step_block("a"), step_block("b")


def engine_with(*blocks: Block) -> Engine:
    """An engine that has started a run of these blocks."""
    engine = Engine()
    engine.publish(plan_with(flow_of(*blocks)))
    engine.ask(a_start())
    return engine


def reboot(engine: Engine) -> None:
    """The engine stops and another one starts on what it left."""
    engine.loop.close()
    engine.cluster.advance(11_000)
    engine.loop = engine.boot()
    engine.turns()


def state_records(engine: Engine) -> int:
    """How many records the changelog has by now."""
    return engine.cluster.log(TopicPartition(engine.names.run_state, 0)).end


def event(engine: Engine, kind: str) -> RunEvent:
    """The one event of this kind."""
    (found,) = (each for each in engine.told(engine.names.run_events, RunEvent) if each.kind == kind)
    return found


def question(**details: object) -> HumanBlock:
    """A question with 48 h of time."""
    known: dict[str, object] = {"question": "Go?", "writes": "decision", "timeout_ms": 48 * HOUR_MS}
    return HumanBlock(id="approve", **{**known, **details})  # type: ignore[arg-type]  # by keyword


def test_a_question_waits_for_two_days_across_restarts_and_its_policy_answers() -> None:
    engine = engine_with(question(on_timeout="reject"), a)
    engine.cluster.advance(24 * HOUR_MS)
    reboot(engine)
    assert engine.commands() == []
    engine.cluster.advance(24 * HOUR_MS)
    engine.turns()
    answered = event(engine, "question_answered")
    assert (answered.name, answered.reason) == ("reject", "no answer in time")
    assert [command.identity.path for command in engine.commands()] == ["a"]


def test_waiting_for_a_day_writes_nothing() -> None:
    engine = engine_with(question(), a)
    engine.turns()
    before = state_records(engine)
    for _ in range(24):
        engine.cluster.advance(HOUR_MS)
        engine.turns(3)
    assert state_records(engine) == before


def test_an_answer_that_is_sent_twice_counts_once_and_another_one_comes_too_late() -> None:
    engine = engine_with(question(), a)
    yes = AnswerQuestion(run_id="r", path="approve", verb="approve", request_id="x", answered_by="ada")
    engine.ask(yes)
    reboot(engine)
    engine.ask(yes)
    engine.ask(AnswerQuestion(run_id="r", path="approve", verb="reject", request_id="y", answered_by="bob"))
    assert event(engine, "question_answered").actor == "ada"
    assert engine.rejections() == ["question_not_open"]
    assert len(engine.commands()) == 1


def test_an_answer_just_before_the_deadline_wins_over_the_timer_that_fires_late() -> None:
    """P23: an engine that was down reads what waits in the log before its timers fire."""
    engine = engine_with(question(on_timeout="reject"), a)
    engine.loop.close()
    engine.cluster.advance(48 * HOUR_MS - 10_000)
    engine.send(AnswerQuestion(run_id="r", path="approve", verb="approve", request_id="x"))
    engine.cluster.advance(60_000)
    engine.loop = engine.boot()
    engine.turns()
    assert event(engine, "question_answered").name == "approve"


def test_a_sleep_ends_once_although_the_engine_was_away() -> None:
    engine = engine_with(SleepBlock(id="nap", duration_ms=30 * 24 * HOUR_MS), a)
    engine.loop.close()
    engine.cluster.advance(31 * 24 * HOUR_MS)
    engine.loop = engine.boot()
    engine.turns()
    reboot(engine)
    assert engine.history().count("wait_ended") == 1
    assert len(engine.commands()) == 1


def test_a_signal_that_comes_before_its_wait_is_kept_across_restarts() -> None:
    engine = engine_with(a, SignalBlock(id="wait", name="paid", writes="letter"), b)
    engine.ask(SignalRun(run_id="r", name="paid", request_id="s", payload=Payload(encoding="json", data=b"1")))
    reboot(engine)
    engine.succeed(engine.commands()[0])
    assert [command.identity.path for command in engine.commands()] == ["a", "b"]
    assert event(engine, "wait_ended").writes[0].payload == Payload(encoding="json", data=b"1")
