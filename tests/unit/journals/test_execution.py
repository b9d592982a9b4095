"""Durable code in a worker: what is called, what is journaled, and what a further execution sees of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.journals.stage import Stage
from tests.unit.payloads.chains import chain

from logkeel.errors import NotDone
from logkeel.payloads import PLAIN
from logkeel.records import StepFailed, StepRefused, StepReleased, StepSucceeded, StepSuspended
from logkeel.workflow import (
    CHECKED,
    KEYED,
    ONCE,
    CallFailed,
    Fail,
    Retry,
    StepContext,
    Workflow,
    current_step,
    durable,
)

QUICK = Retry(max_attempts=3, initial="10ms", maximum="20ms")


class Reply(BaseModel):
    """What a model says."""

    text: str
    tools: tuple[str, ...] = ()


class Outside:
    """Notes what was called, in order; fails as it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.errors: list[Exception] = []
        self.happened = False

    async def model(self, turn: int) -> Reply:
        """Paid for."""
        self.calls.append(f"model {turn}")
        await asyncio.sleep(0.5)
        return Reply(text=f"said {turn}", tools=("a", "b"))

    async def tool(self, name: str, *, idempotency_key: str = "") -> str:
        """Slower the earlier it is called."""
        self.calls.append(f"tool {name}")
        self.keys.append(idempotency_key)
        await asyncio.sleep(1 / len(self.calls))
        if self.errors:
            raise self.errors.pop()
        return name.upper()

    async def done(self, name: str) -> bool:
        """The check of `tool`."""
        self.calls.append(f"check {name}")
        return self.happened

    def plain(self, name: str) -> tuple[str, str]:
        """A plain function; its key comes from around it."""
        self.calls.append(f"plain {name}")
        self.keys.append(current_step().idempotency_key)
        return name, "done"


def agent(outside: Outside, turns: int = 2) -> "Workflow[Any]":
    @durable(name="agent")
    async def code(step: StepContext, question: str) -> list[str]:
        said = [question]
        for turn in range(turns):
            reply = await step.run("model", outside.model, turn)
            calls = (step.run(f"tool:{name}", outside.tool, name) for name in reply.tools)
            said += [reply.text, *await step.gather(*calls)]
        return said

    return code


RESULT = ["why", "said 0", "A", "B", "said 1", "A", "B"]


def test_calls_are_made_once_and_their_results_come_back_as_they_were() -> None:
    outside = Outside()
    stage = Stage(agent(outside), question="why")
    assert stage.result() == RESULT
    assert [entry.position for entry in stage.entries.values()] == ["0", "1.1.0", "1.0.0", "2", "3.1.0", "3.0.0"]
    calls = list(outside.calls)
    assert stage.result() == RESULT
    assert outside.calls == calls


@pytest.mark.parametrize("kept", range(6))
def test_whatever_was_kept_when_the_process_died_is_not_called_again(kept: int) -> None:
    outside = Outside()
    stage = Stage(agent(outside), question="why")
    assert stage.execute(lose_after=kept) is None
    before, made = list(stage.sent), len(outside.calls)
    assert stage.result() == RESULT
    assert len(outside.calls) - made == 6 - kept
    assert stage.sent[: len(before)] == before
    assert len({entry.position for entry in stage.sent}) == len(stage.sent) == 6


def test_dying_at_every_entry_still_comes_to_the_end_with_one_call_each() -> None:
    outside = Outside()
    stage = Stage(agent(outside, turns=20), question="why")
    for _ in range(59):
        assert stage.execute(lose_after=1) is None
    result = stage.result()
    assert len(result) == 61
    assert len(stage.sent) == 60


def one_call(outside: Outside, function: Any, **options: Any) -> "Workflow[Any]":
    @durable(name="one")
    async def code(step: StepContext) -> str:
        result: str = await step.options(**options).run("pay", function, "x")
        return result

    return code


def test_a_call_that_fails_for_good_fails_the_same_way_by_the_journal() -> None:
    outside = Outside()
    outside.errors = [RuntimeError("broken") for _ in range(3)]

    @durable
    async def code(step: StepContext) -> str:
        try:
            return await step.options(retry=QUICK).run("tool", outside.tool, "x")
        except CallFailed as error:
            return f"{error.details['failure_code']}: {error.details['call']}"

    stage = Stage(code)
    assert stage.result() == "RuntimeError: tool"
    assert outside.calls == ["tool x"] * 3
    assert stage.result() == "RuntimeError: tool"
    assert len(outside.calls) == 3
    assert len(set(outside.keys)) == 1


def test_a_failure_nobody_catches_is_final_since_it_would_come_again() -> None:
    outside = Outside()
    outside.errors = [Fail("card_declined")]
    outcome = Stage(one_call(outside, outside.tool)).execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.code, outcome.error.kind, outside.calls) == ("card_declined", "fatal", ["tool x"])


def test_a_call_that_takes_too_long_is_cut_and_tried_again() -> None:
    outside = Outside()
    stage = Stage(one_call(outside, outside.tool, timeout="600ms", retry=QUICK))
    assert stage.result() == "X"  # the second one takes half a second
    assert outside.calls == ["tool x"] * 2


def test_keys_are_stable_and_each_call_has_its_own() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> list[str]:
        keyed = step.options(effect=KEYED)
        first = await keyed.run("plain", outside.plain, "a")
        return [*first, *await keyed.run("plain", outside.plain, "b"), await keyed.run("tool", outside.tool, "c")]

    stage = Stage(code)
    assert stage.execute(lose_after=0) is None
    assert stage.execute(lose_after=1) is None
    assert stage.result() == ["a", "done", "b", "done", "C"]
    assert outside.calls == ["plain a", "plain a", "plain b", "plain b", "tool c"]
    a, b, c = outside.keys[0], outside.keys[2], outside.keys[4]
    assert outside.keys == [a, a, b, b, c]
    assert len({a, b, c}) == 3


def test_once_that_was_begun_and_not_ended_is_in_doubt() -> None:
    outside = Outside()
    stage = Stage(one_call(outside, outside.tool, effect=ONCE))
    assert stage.execute(lose_after=1) is None
    assert (stage.sent[0].state, stage.sent[0].effect) == ("intent", "ONCE")
    assert outside.calls == ["tool x"]
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.in_doubt, outcome.position, outside.calls) == (True, "0", ["tool x"])


def test_once_is_repeated_for_not_done_only() -> None:
    outside = Outside()
    outside.errors = [RuntimeError("cut off"), NotDone("refused")]
    retry = Retry(max_attempts=5, initial="10ms", on="not_done")
    outcome = Stage(one_call(outside, outside.tool, effect=ONCE, retry=retry)).execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.in_doubt, outcome.error.code, len(outside.calls)) == (True, "RuntimeError", 2)


@pytest.mark.parametrize("happened", [True, False])
def test_checked_is_asked_about_before_it_is_called_again(happened: bool) -> None:
    outside = Outside()
    options: dict[str, Any] = {"effect": CHECKED(settle="2s"), "timeout": "5s"}

    async def check(name: str) -> Any:
        return "found" if await outside.done(name) else None

    stage = Stage(one_call(outside, outside.tool, check=check, **options))
    assert stage.execute(lose_after=1) is None
    began_ms, outside.happened = stage.sent[0].at_ms, happened
    assert stage.result() == ("found" if happened else "X")
    assert outside.calls == ["tool x", "check x", *([] if happened else ["tool x"])]
    assert stage.clock.now_ms() - began_ms >= 7_000


def test_a_key_that_is_forgotten_outside_counts_as_once() -> None:
    outside = Outside()
    stage = Stage(one_call(outside, outside.tool, effect=KEYED(valid_for="1h")))
    assert stage.execute(lose_after=1) is None
    assert stage.execute(lose_after=0) is None
    assert len(outside.calls) == 2
    stage.clock.sleep(3_600)
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.in_doubt, len(outside.calls)) == (True, 2)


def test_who_may_have_lost_the_step_begins_nothing_that_must_not_happen_twice() -> None:
    outside = Outside()
    stage = Stage(one_call(outside, outside.tool, effect=ONCE))
    stage.on_kept = lambda _: stage.clock.sleep(6.0)  # the process stands still between intent and call
    outcome = stage.execute()
    assert isinstance(outcome, StepReleased)
    assert (outcome.was_started, outside.calls) == (True, [])


def test_code_that_went_another_way_is_named() -> None:
    outside = Outside()
    stage = Stage(agent(outside), question="why")
    assert stage.execute(lose_after=4) is None

    @durable(name="agent")
    async def other(step: StepContext, question: str) -> list[str]:
        try:
            await step.run("model", outside.model, 0)
            await step.run("summary", outside.model, 1)
        except Exception:  # noqa: BLE001 - code that takes everything for a failure of its own
            return ["caught"]
        return []

    stage.workflow = other
    stage.definition = other.definition()
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.code, outcome.error.kind) == ("journal_diverged", "fatal")
    assert "a gather at position 1, but the code made 'summary'" in outcome.error.message


def test_code_that_ends_before_its_journal_is_named() -> None:
    outside = Outside()
    stage = Stage(agent(outside), question="why")
    assert stage.execute(lose_after=4) is None
    shorter = agent(outside, turns=1)
    stage.workflow, stage.definition = shorter, shorter.definition()
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert "'model' at position 2, but the code made the end of the step" in outcome.error.message


def test_code_that_waits_is_suspended_and_goes_on_with_what_came() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> str:
        await step.sleep("2h")
        return await step.run("tool", outside.tool, "x")

    stage = Stage(code)
    outcome = stage.execute()
    assert isinstance(outcome, StepSuspended)
    assert outcome.waits == ("0",)
    entry = stage.entries["0"]
    assert (entry.state, entry.waits_for, entry.due_ms) == ("intent", "sleep", entry.at_ms + 7_200_000)
    assert isinstance(stage.execute(), StepSuspended)
    stage.clock.sleep(7_200)
    assert stage.result() == "X"


def test_it_is_suspended_only_when_all_branches_wait() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> list[str]:
        async def slow(number: int) -> str:
            await step.sleep("30s")
            return await step.run("tool", outside.tool, f"{number}")

        return await step.gather(slow(0), step.run("model", outside.tool, "m"), slow(2), concurrency=2)

    stage = Stage(code)
    outcome = stage.execute()
    assert isinstance(outcome, StepSuspended)
    assert outcome.waits == ("0.0.0", "0.2.0")
    assert outside.calls == ["tool m"]
    stage.clock.sleep(40)
    assert stage.result() == ["0", "M", "2"]


def test_time_and_chance_are_the_same_in_each_execution() -> None:
    outside = Outside()
    seen: list[tuple[Any, ...]] = []

    @durable
    async def code(step: StepContext) -> None:
        first = (step.now(), step.random(), step.uuid())

        async def branch(number: int) -> tuple[Any, ...]:
            await step.run("tool", outside.tool, f"{number}")
            return step.now(), step.random(), step.uuid()

        seen.append((first, *await step.gather(*(branch(number) for number in range(3))), step.now()))
        await step.sleep("1s")
        seen[-1] += (step.now(),)

    stage = Stage(code)
    assert isinstance(stage.execute(), StepSuspended)
    stage.clock.sleep(5)
    assert isinstance(stage.execute(), StepSucceeded)
    assert seen[0] == seen[1][:-1]
    drawn = [value for part in seen[1][:4] for value in part[1:]]
    assert len(set(drawn)) == 8
    assert seen[1][0][0] < seen[1][4] < seen[1][5]


def test_branches_that_fail_let_the_others_end_and_the_first_in_order_is_raised() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> str:
        async def branch(number: int) -> str:
            await step.run("tool", outside.tool, f"{number}")
            if number:
                raise ValueError(f"branch {number}")
            return ""

        try:
            await step.gather(*(branch(number) for number in range(3)))
        except ValueError as error:
            return str(error)
        return "none"

    assert Stage(code).result() == "branch 1"


def test_tasks_of_the_codes_own_have_lanes_too_and_cannot_wait_for_signals() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> list[str]:
        async def branch(number: int) -> str:
            one = await step.run("tool", outside.tool, f"{number}")
            return one + await step.run("tool", outside.tool, "again")

        def started(it: Coroutine[Any, Any, str]) -> "asyncio.Task[str]":
            return asyncio.get_running_loop().create_task(it)

        both = list(await asyncio.gather(started(branch(0)), started(branch(1))))
        try:
            await asyncio.gather(started(step.wait_signal("go", str)))
        except Exception as error:  # noqa: BLE001 - shown
            both.append(type(error).__name__)
        return both

    stage = Stage(code)
    assert stage.execute(lose_after=3) is None
    made = len(outside.calls)
    assert stage.result() == ["0AGAIN", "1AGAIN", "StepSignatureError"]
    assert len(outside.calls) == made + 1
    assert sorted(stage.entries) == ["t0.0", "t0.1", "t1.0", "t1.1"]


def test_a_journaled_call_makes_no_journaled_calls() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> str:
        async def outer() -> str:
            return await step.run("inner", outside.tool, "x")

        try:
            return await step.run("outer", outer)
        except CallFailed as error:
            return str(error.details["failure_code"])

    assert Stage(code).result() == "step_signature"
    assert outside.calls == []


def test_results_in_a_journal_are_encrypted_and_who_has_no_key_gives_the_step_back() -> None:
    outside = Outside()
    stage = Stage(agent(outside), question="why")
    stage.payloads = chain()
    assert stage.execute(lose_after=3) is None
    payloads = [write.payload for entry in stage.sent for write in entry.writes]
    assert all(payload is not None and b"said" not in (payload.data or b"") for payload in payloads)
    made = list(outside.calls)
    stage.payloads = PLAIN
    outcome = stage.execute()
    assert isinstance(outcome, StepRefused)
    assert "unknown_payload_key" in outcome.reason
    assert outside.calls == made
    stage.payloads = chain()
    assert isinstance(stage.execute(), StepSucceeded)
    assert len(outside.calls) == len(made) + 3


def test_a_result_that_is_no_data_is_the_calls_failure() -> None:
    outside = Outside()

    @durable
    async def code(step: StepContext) -> str:
        def wrong() -> int:
            outside.calls.append("wrong")
            return "no number"  # type: ignore[return-value]  # what is tested

        await step.run("wrong", wrong)
        return ""

    stage = Stage(code)
    for _ in range(2):
        outcome = stage.execute()
        assert isinstance(outcome, StepFailed)
        assert outcome.error.code == "step_signature"
    assert outside.calls == ["wrong"]
