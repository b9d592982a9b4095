"""Durable code whose calls keep to limits and budgets: by a worker alone, and by the production engine in memory."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec.structs import replace
from tests.unit.budgets.test_used import tried, tried_with
from tests.unit.journals.stage import Stage

from logkeel.errors import NotDone, StepSignatureError
from logkeel.records import ErrorInfo, JournalEntry, StepFailed, StepSucceeded, StepSuspended
from logkeel.workflow import (
    CHECKED,
    KEYED,
    ONCE,
    Budget,
    CallFailed,
    Concurrency,
    Control,
    Rate,
    Retry,
    State,
    StepContext,
    Workflow,
    current_step,
    durable,
)
from logkeel.workflow.trials import Trial

MODEL = Concurrency(2, name="model")
QUICK = Retry(max_attempts=3, initial="10ms", maximum="20ms", on="not_done")


class Granting(Stage):
    """An engine that grants whatever is asked for, and takes entries of slots out as the real one does."""

    refuses: ErrorInfo | None = None

    def __init__(self, workflow: "Workflow[Any]", **inputs: Any) -> None:
        super().__init__(workflow, **inputs)
        self.on_kept = self._take

    def _take(self, entry: JournalEntry) -> None:
        if entry.waits_for is None and entry.state != "intent":
            self.entries.pop(f"{entry.position}.s", None)

    def grant(self) -> None:
        """All that wait may begin."""
        for position, entry in list(self.entries.items()):
            if entry.waits_for == "limit" and entry.state == "intent":
                state = "done" if self.refuses is None else "failed"
                self.entries[position] = replace(entry, state=state, error=self.refuses)

    def lose(self) -> None:
        """The worker is lost: what it may have begun is to be asked for anew."""
        for position in [each for each in self.entries if each.endswith(".s")]:
            del self.entries[position]

    def to_its_end(self) -> Any:
        """Execute until it returns or fails; how often it was suspended comes beside."""
        for suspensions in range(50):
            outcome = self.execute()
            if not isinstance(outcome, StepSuspended):
                return outcome, suspensions
            self.grant()
        raise AssertionError("it never comes to an end")


class Outside:
    """What is called; how many at once, and how often."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.calls: list[str] = []
        self.errors: list[Exception] = []

    async def ask(self, name: str) -> str:
        """A call that takes a while."""
        self.calls.append(name)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.5)
        self.now -= 1
        if self.errors:
            raise self.errors.pop()
        return name.upper()


def one(outside: Outside, **options: Any) -> "Workflow[Any]":
    @durable(name="one", budgets=[Budget("tokens", 100)])
    async def code(step: StepContext) -> str:
        result: str = await step.options(**options).run("pay", outside.ask, "x")
        return result

    return code


def test_a_call_waits_for_its_slot_and_holds_no_worker() -> None:
    outside = Outside()
    stage = Granting(one(outside, limits=[MODEL], uses={"tokens": 40}))
    outcome = stage.execute()
    assert isinstance(outcome, StepSuspended)
    assert (outcome.waits, outside.calls) == (("0.s",), [])
    (asked,) = stage.sent
    assert (asked.waits_for, asked.uses, [each.name for each in asked.limits]) == ("limit", {"tokens": 40}, ["model"])
    assert isinstance(stage.execute(), StepSuspended), "asked once, however often the code is executed"
    assert stage.sent == [asked]
    stage.grant()
    assert isinstance(stage.execute(), StepSucceeded)
    assert list(stage.entries) == ["0"]
    assert isinstance(stage.execute(), StepSucceeded)
    assert (outside.calls, len(stage.sent)) == (["x"], 2), "a call that is on record takes no slot"


def test_others_go_on_while_one_waits() -> None:
    outside = Outside()

    @durable(name="two")
    async def code(step: StepContext) -> list[str]:
        limited = step.options(limits=[MODEL])
        return await step.gather(limited.run("a", outside.ask, "a"), step.run("b", outside.ask, "b"))

    stage = Granting(code)
    outcome = stage.execute()
    assert isinstance(outcome, StepSuspended)
    assert outside.calls == ["b"]
    stage.grant()
    assert stage.result() == ["A", "B"]


@pytest.mark.parametrize("effect", [KEYED, KEYED(valid_for="1h"), ONCE, CHECKED(settle="1s")])
def test_every_try_asks_anew_and_an_effect_that_surely_did_not_happen_is_no_doubt(effect: Any) -> None:
    outside = Outside()
    outside.errors = [NotDone("not yet"), NotDone("not yet")]
    check = {"check": lambda name: None} if effect.kind == "CHECKED" else {}
    stage = Granting(one(outside, effect=effect, retry=QUICK, limits=[MODEL], **check))
    outcome, suspensions = stage.to_its_end()
    assert isinstance(outcome, StepSucceeded), outcome
    assert (len(outside.calls), suspensions) == (3, 3)
    assert [entry.ordinal for entry in stage.sent if entry.waits_for == "limit"] == [0, 1, 2]


def test_tries_are_counted_over_suspensions() -> None:
    outside = Outside()
    outside.errors = [NotDone("no") for _ in range(9)]
    outcome, _ = Granting(one(outside, retry=QUICK, limits=[MODEL])).to_its_end()
    assert isinstance(outcome, StepFailed)
    assert len(outside.calls) == 3


def test_once_whose_worker_was_lost_is_in_doubt_whatever_it_had_been_granted() -> None:
    outside = Outside()
    stage = Granting(one(outside, effect=ONCE, retry=QUICK, limits=[MODEL]))
    assert isinstance(stage.execute(), StepSuspended)
    stage.grant()
    assert stage.execute(lose_after=1) is None, "it dies behind the intent, in the call"
    stage.lose()
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.in_doubt, outcome.position, outside.calls) == (True, "0", ["x"])


@pytest.mark.parametrize("kept", range(6))
def test_wherever_its_worker_dies_it_comes_to_its_end(kept: int) -> None:
    outside = Outside()

    @durable(name="three")
    async def code(step: StepContext) -> list[str]:
        limited = step.options(limits=[MODEL])
        return await step.gather(*(limited.run(name, outside.ask, name) for name in "abc"))

    stage = Granting(code)
    stage.execute(lose_after=kept)
    stage.lose()
    outcome, _ = stage.to_its_end()
    assert isinstance(outcome, StepSucceeded)
    assert not [position for position in stage.entries if position.endswith(".s")]


def test_a_call_that_is_refused_fails_and_its_code_may_do_with_less() -> None:
    outside = Outside()

    @durable(name="frugal", budgets=[Budget("tokens", 100)])
    async def code(step: StepContext) -> str:
        try:
            return await step.options(uses={"tokens": 90}).run("large", outside.ask, "large")
        except CallFailed as error:
            return f"{error.details['failure_code']}: {await step.run('small', outside.ask, 'small')}"

    stage = Granting(code)
    stage.refuses = ErrorInfo(code="budget_exhausted", kind="fatal", message="too little left")
    assert isinstance(stage.execute(), StepSuspended)
    stage.grant()
    assert stage.result() == "budget_exhausted: SMALL"
    assert stage.result() == "budget_exhausted: SMALL"
    assert outside.calls == ["small"]


def test_code_that_goes_another_way_while_it_waits_is_found() -> None:
    outside = Outside()
    names = iter(["a", "b"])

    @durable(name="fickle")
    async def code(step: StepContext) -> str:
        return await step.options(limits=[MODEL]).run(next(names), outside.ask, "x")

    stage = Granting(code)
    assert isinstance(stage.execute(), StepSuspended)
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.code, "'a' at position 0" in outcome.error.message) == ("journal_diverged", True)


# With the engine


async def spend(amount: int) -> int:
    """A call that says what it has used."""
    current_step().used(tokens=amount - 1)
    current_step().used(tokens=1)
    return amount


def test_calls_are_accounted_for_and_the_one_that_finds_too_little_fails() -> None:
    @durable(name="spender", budgets=[Budget("tokens", 100)])
    async def code(step: StepContext, each: int) -> str:
        count = 0
        try:
            while True:
                await step.options(uses={"tokens": 40}).run("model", spend, each)
                count += 1
        except CallFailed as error:
            return f"{count}, {error.details['failure_code']}"

    trial = tried(code, each=25)
    assert (trial.status, trial.result, settled_calls(trial)) == ("succeeded", "3, budget_exhausted", 75)
    trial = tried(code, each=40)
    assert (trial.status, trial.result, settled_calls(trial)) == ("succeeded", "2, budget_exhausted", 80)


def settled_calls(trial: Trial) -> int:
    """What counts as used in the end."""
    others = ("step_dispatched", "limit_asked", "step_resumed", "question_answered")
    return sum(event.amounts.get("tokens", 0) for event in trial.events if event.kind not in others)


def test_a_human_gives_more_for_a_call() -> None:
    @durable(name="asker", budgets=[Budget("tokens", 50, on_exhausted="ask")])
    async def code(step: StepContext) -> int:
        calls = step.options(uses={"tokens": 40})
        return await calls.run("model", spend, 40) + await calls.run("model", spend, 40)

    trial = tried_with(code, {"budget:tokens": "approve"})
    assert (trial.status, trial.result, settled_calls(trial)) == ("succeeded", 80, 80)
    assert tried_with(code, {"budget:tokens": "reject"}).status == "failed"


class Brief(State):
    """What is asked, for whom."""

    tenant: Annotated[str, Control]
    answer: str | None = None


def brief(outside: Outside, **options: Any) -> "Workflow[Any]":
    wf = Workflow("brief", state=Brief, returns="answer", budgets=[Budget("tokens", 1_000, key="tenant")])

    @wf.step(writes=lambda s: s.answer, journal=True, timeout=None)
    async def think(tenant: str, step: StepContext) -> str:
        limited = step.options(**options)
        return " ".join(await step.gather(*(limited.run(name, outside.ask, name) for name in "abcdef")))

    wf.flow(think)
    return wf


def test_never_more_at_once_than_the_limit_and_none_is_forgotten() -> None:
    outside = Outside()
    limits = [Concurrency(2, key="tenant", name="model"), Rate(3, per="1s", name="calls")]
    trial = tried(brief(outside, limits=limits, uses={"tokens": 40}), tenant="acme")
    assert (trial.status, trial.result) == ("succeeded", "A B C D E F")
    assert outside.most <= 2
    assert Counter(outside.calls) == Counter("abcdef")
    begun = [e.at_ms for e in trial.events if e.kind == "limit_granted" and e.attributes["kind"] == "rate"]
    assert all(later - earlier >= 1_000 for earlier, later in zip(begun, begun[3:], strict=False))


TEXTS = Path(__file__).with_name("mistakes.txt")
MISTAKES: dict[str, dict[str, Any]] = {
    "no name": {"limits": [Concurrency(4)]},
    "no list": {"limits": Concurrency(4, name="model")},
    "no number": {"limits": [Concurrency(0, name="model")]},
    "no field": {"limits": [Concurrency(4, name="model", key="customer")]},
    "no control field": {"limits": [Concurrency(4, name="model", key="answer")]},
    "twice": {"limits": [MODEL, MODEL]},
    "no unit": {"uses": {"dollars": 4}},
    "no amount": {"uses": {"tokens": 0.5}},
    "too much": {"uses": {"tokens": 1_001}},
    "time": {"uses": {"wall_ms": 4}},
    "no mapping": {"uses": 4_000},
}


def told(options: dict[str, Any]) -> str:
    """The message, without the place of this repository."""
    trial = tried(brief(Outside(), **options), tenant="acme")
    assert trial.error is not None
    assert trial.error.code == StepSignatureError.code
    return re.sub(r"/\S*/(\w*\.py):\d+", r"\1", trial.error.message)


def everything() -> str:
    """All of them, as they are kept."""
    return "".join(f"{name}\n{told(options)}\n\n" for name, options in MISTAKES.items())


def test_what_does_not_fit_is_told_with_place_and_remedy() -> None:
    assert everything() == TEXTS.read_text(encoding="utf-8")


def test_a_call_in_a_task_of_the_codes_own_cannot_wait() -> None:
    outside = Outside()

    @durable(name="loose")
    async def code(step: StepContext) -> str:
        return await asyncio.create_task(step.options(limits=[MODEL]).run("pay", outside.ask, "x"))

    trial = tried(code)
    assert trial.error is not None
    assert "start it by step.gather(...)" in trial.error.message


def test_a_unit_that_the_step_reserves_as_a_whole_is_not_reserved_by_a_call() -> None:
    @durable(name="both", budgets=[Budget("tokens", 100)], uses={"tokens": 50})
    async def code(step: StepContext) -> int:
        return await step.options(uses={"tokens": 40}).run("model", spend, 1)

    trial = tried(code)
    assert trial.error is not None
    assert "as its step does" in trial.error.message


def test_a_call_without_uses_may_not_report() -> None:
    @durable(name="silent", budgets=[Budget("tokens", 100)])
    async def code(step: StepContext) -> int:
        return await step.run("model", spend, 2)

    trial = tried(code)
    assert trial.error is not None
    assert "step.options(uses=…)" in trial.error.message
