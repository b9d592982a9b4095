"""`trial`: scripted steps, fake humans, signals, months that pass at once, and what is told of it all."""

import time
from datetime import timedelta
from typing import Literal

import pytest
from tests.unit.testing.flowing import step, with_flow

from logkeel.definitions import (
    BranchBlock,
    Case,
    HumanBlock,
    LeaveBlock,
    LoopBlock,
    SequenceBlock,
    SignalBlock,
    SleepBlock,
    StepBlock,
)
from logkeel.errors import DefinitionError, RunFailed, WaitTimedOut
from logkeel.workflow import ONCE, Retry, State, StepContext, Workflow
from logkeel.workflow.trials import NOBODY, Answer, Cancel, Question, Signal

HOUR_MS = 3_600_000


class Letter(State):
    """What is written and sent."""

    topic: str
    draft: str | None = None
    verdict: Literal["good", "poor"] | None = None
    decision: Literal["approve", "reject", "edit"] | None = None
    receipt: dict[str, int] | None = None
    sent: str | None = None


def letters(name: str = "letters") -> "Workflow[Letter]":
    """Its steps must not run: they are faked."""
    workflow = Workflow(name, state=Letter, returns="sent")

    @workflow.step(writes=lambda s: s.draft, retry=Retry(max_attempts=4, initial="3h", maximum="9h"))
    async def write(topic: str) -> str:
        raise AssertionError(topic)

    @workflow.step(writes=lambda s: s.verdict)
    async def judge(draft: str) -> Literal["good", "poor"]:
        raise AssertionError(draft)

    @workflow.step(writes=lambda s: s.sent)
    async def send(draft: str, step: StepContext) -> str:
        return f"{draft} by {step.path}"

    return workflow


def question(**details: object) -> HumanBlock:
    """48 hours, then a rejection."""
    known: dict[str, object] = {
        "question": "May it go out?",
        "writes": "decision",
        "answer": "draft",
        "allow": ("approve", "reject", "edit"),
        "shows": ("draft",),
        "timeout_ms": 48 * HOUR_MS,
        "on_timeout": "reject",
    }
    return HumanBlock(id="approve", **{**known, **details})  # type: ignore[arg-type]  # by keyword


SENT = BranchBlock(
    id="choice",
    field="decision",
    cases=(Case(value="approve", block=step("send")), Case(value="edit", block=StepBlock(id="send-2", step="send"))),
)


def asking() -> "Workflow[Letter]":
    """Written, judged, asked about, and sent if it may be."""
    return with_flow(letters(), step("write"), step("judge"), question(), SENT)


WRITTEN = {"write": "Dear Ada", "judge": "good"}


async def test_steps_are_scripted_and_a_human_decides() -> None:
    trial = await asking().trial(topic="sea", results=WRITTEN, humans={"approve": "approve"})
    assert (trial.status, trial.result) == ("succeeded", "Dear Ada by choice/send")
    assert trial.state == Letter(
        topic="sea", draft="Dear Ada", verdict="good", decision="approve", sent="Dear Ada by choice/send"
    )
    asked = trial.questions[0]
    assert (asked.name, asked.text, asked.shows) == ("approve", "May it go out?", {"draft": "Dear Ada"})
    assert trial.attempts == {"write": 1, "judge": 1, "choice/send": 1}
    assert not trial.unused


async def test_a_function_answers_and_its_value_is_typed() -> None:
    def edit(asked: Question) -> tuple[str, str]:
        return ("edit", f"{asked.shows['draft']}, at last")

    assert await asking().try_out(topic="sea", results=WRITTEN, humans=edit) == "Dear Ada, at last by choice/send-2"


async def test_nobody_answers_and_two_days_pass_at_once() -> None:
    began_s = time.monotonic()
    trial = await asking().trial(topic="sea", results=WRITTEN, humans={"approve": NOBODY})
    assert trial.state.decision == "reject"
    assert timedelta(hours=48) <= trial.simulated < timedelta(hours=49)
    assert time.monotonic() - began_s < 10


async def test_a_human_who_is_not_faked_stops_the_run_before_any_time_out() -> None:
    with pytest.raises(WaitTimedOut, match=r"humans=\{'approve': 'approve'\}"):
        await asking().try_out(topic="sea", results=WRITTEN)
    trial = await asking().trial(topic="sea", results=WRITTEN)
    assert trial.status == "running"
    assert trial.state.decision is None
    assert "nobody answers approve: May it go out?" in str(trial)


async def test_a_human_thinks_for_hours_and_another_one_is_asked() -> None:
    escalating = question(on_timeout="escalate", escalate_to="boss", then="fail")
    workflow = with_flow(letters(), step("write"), escalating, SENT)
    answers = [NOBODY, Answer("approve", after="5h", by="boss")]
    trial = await workflow.trial(topic="sea", results={"write": "Dear Ada"}, humans={"approve": answers})
    assert trial.status == "succeeded", f"{trial} {trial.questions}"
    assert [(each.assignee, each.asked) for each in trial.questions] == [(None, 1), ("boss", 2)]
    assert timedelta(hours=53) <= trial.simulated < timedelta(hours=54)


async def test_an_answer_that_does_not_fit_says_what_does() -> None:
    with pytest.raises(DefinitionError, match="answer one of approve, reject, edit"):
        await asking().try_out(topic="sea", results=WRITTEN, humans={"approve": "yes"})


async def test_a_script_has_an_item_for_each_round_and_raises_what_is_an_error() -> None:
    body = SequenceBlock(
        id="body", blocks=(step("write"), step("judge"), LeaveBlock(id="leave", field="verdict", value="good"))
    )
    workflow = with_flow(letters(), LoopBlock(id="loop", body=body, max_rounds=5), step("send"))
    results = {"write": ["one", TimeoutError("no model"), "two"], "judge": ["poor", "good"], "send": len}
    with pytest.raises(DefinitionError, match="takes"):
        await workflow.try_out(topic="sea", results=results)
    results["send"] = lambda draft: draft.upper()
    trial = await workflow.trial(topic="sea", results=results)
    assert trial.result == "TWO", str(trial)
    assert trial.attempts["loop[2]/write"] == 2
    assert "no model" in trial.history


async def test_a_script_that_is_over_fails_the_step_and_says_so() -> None:
    body = SequenceBlock(id="body", blocks=(step("write"), step("judge")))
    workflow = with_flow(letters(), LoopBlock(id="loop", body=body, max_rounds=2))
    with pytest.raises(RunFailed, match=r"results\['judge'\] has 1 result, and loop\[2\]/judge asks"):
        await workflow.try_out(topic="sea", results={"write": "x", "judge": ["poor"]})


async def test_a_step_is_named_by_itself_and_an_unknown_one_is_refused() -> None:
    workflow = with_flow(letters(), step("write"), step("send"))
    write = workflow.steps["write"]
    assert await workflow.try_out(topic="sea", results={write: lambda topic: f"on {topic}"}) == "on sea by send"
    assert await workflow.try_out(topic="sea", results={write.function: "x"}) == "x by send"
    with pytest.raises(DefinitionError, match="'wirte', which is no step"):
        await workflow.try_out(topic="sea", results={"wirte": "x"})


async def test_a_sleep_of_a_season_takes_no_time() -> None:
    workflow = with_flow(letters(), step("write"), SleepBlock(id="nap", duration_ms=90 * 24 * HOUR_MS), step("send"))
    trial = await workflow.trial(topic="sea", results={"write": "x"})
    assert trial.status == "succeeded"
    assert timedelta(days=90) <= trial.simulated < timedelta(days=90, hours=1)


WAIT = SignalBlock(id="paid", name="paid", writes="receipt", correlate="verdict", timeout_ms=HOUR_MS)


async def test_signals_come_early_late_or_never() -> None:
    workflow = with_flow(letters(), step("write"), step("judge"), WAIT, step("send"))
    for sent in (("paid", {"euro": 3}, "good"), Signal("paid", {"euro": 3}, "good", after="59m")):
        trial = await workflow.trial(topic="sea", results=WRITTEN, signals=[sent])
        assert trial.state.receipt == {"euro": 3}
    other = await workflow.trial(topic="sea", results=WRITTEN, signals=[("paid", {"euro": 3}, "poor")])
    assert other.error is not None
    assert other.error.code == "signal_timed_out"
    assert other.unused == ("signal 'paid': nobody waited for it",)
    with pytest.raises(DefinitionError, match="is no signal"):
        await workflow.try_out(topic="sea", signals=[3])


async def test_a_run_is_cancelled_while_it_sleeps() -> None:
    workflow = with_flow(letters(), SleepBlock(id="nap", duration_ms=9 * HOUR_MS), step("write"))
    trial = await workflow.trial(topic="sea", results={"write": "x"}, signals=[Cancel(after="8h")])
    assert trial.status == "cancelled"
    assert trial.unused == ("results['write']: the step did not run",)


async def test_a_human_says_what_became_of_a_step_in_doubt() -> None:
    workflow = Workflow("paying", state=Letter, returns="sent")

    @workflow.step(writes=lambda s: s.sent, effect=ONCE)
    async def pay() -> str:
        raise OSError("the line broke")

    workflow.flow(pay)
    assert await workflow.try_out(topic="sea", humans={"pay": ("did", "receipt 7")}) == "receipt 7"
    with pytest.raises(WaitTimedOut, match=r"humans=\{'pay': 'did'\}"):
        await workflow.try_out(topic="sea")


async def test_the_history_reads_like_a_story() -> None:
    trial = await asking().trial(topic="sea", results=WRITTEN, humans={"approve": Answer("approve", by="ada")})
    lines = [line[9:].strip() for line in trial.history.splitlines()]
    assert lines[0] == 'run started: topic="sea"'
    assert 'step succeeded write: draft="Dear Ada"' in lines
    assert "question asked approve: May it go out?; until 2d 0h later" in lines
    assert "question answered approve approve: decision='approve'; by ada" in lines
    assert lines[-1] == "run completed succeeded"


async def test_fields_may_be_named_as_the_parameters_are() -> None:
    class Survey(State):
        results: str
        report: str | None = None

    workflow = Workflow("surveys", state=Survey, returns="report")

    @workflow.step(writes=lambda s: s.report)
    async def tell(results: str) -> str:
        return results

    workflow.flow(tell)
    assert await workflow.try_out({"results": "fine"}) == "fine"
