"""Each block of a flow by itself: what follows what, on good days and on bad ones."""

import pytest
from tests.unit.runs.flows import Flow, inner, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    Handler,
    HumanBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SignalBlock,
    SleepBlock,
    WithinBlock,
)
from logkeel.records import Payload
from logkeel.runs.core.reading import inputs_of

HOUR_MS = 3_600_000
a, b, c = (step_block(name) for name in "abc")


def run(*blocks: Block) -> Flow:
    """A run of these blocks, one after the other, that has begun."""
    return Flow(plan_with(flow_of(*blocks)))


def judged(max_rounds: int = 3, on_exhausted: str = "fail") -> LoopBlock:
    """`a`, left when the verdict is yes, else `b`, and again."""
    body = flow_of(a, LeaveBlock(id="leave", field="verdict", value="yes"), b)
    return LoopBlock(id="loop", body=body, max_rounds=max_rounds, on_exhausted=on_exhausted)  # type: ignore[arg-type]


CHOICE = BranchBlock(id="choice", field="verdict", cases=(Case(value="yes", block=a), Case(value="no", block=b)))


@pytest.mark.parametrize(("verdict", "taken"), [("yes", ["choice/a"]), ("no", ["choice/b"]), ("maybe", ["c"])])
def test_a_branch_takes_the_case_of_the_value_or_none(verdict: str, taken: list[str]) -> None:
    flow = run(step_block("s"), CHOICE, c)
    flow.succeed("s", verdict=verdict)
    assert flow.open_steps == taken
    flow.succeed(taken[0])
    if flow.open_steps:
        flow.succeed("c")
    assert flow.status == "succeeded"
    flow.check()


def test_a_loop_is_left_where_the_leave_stands_and_each_round_has_its_own_steps() -> None:
    flow = run(judged(), c)
    flow.succeed("loop[1]/a", verdict="no")
    flow.succeed("loop[1]/b")
    assert flow.open_steps == ["loop[2]/a"]
    flow.check()
    flow.succeed("loop[2]/a", verdict="yes")
    assert flow.open_steps == ["c"]
    assert list(flow.state.steps) == ["loop[1]/a", "loop[1]/b", "loop[2]/a", "c"]
    flow.check()


def test_an_exhausted_loop_fails_or_goes_on() -> None:
    for policy, status in (("fail", "failed"), ("continue", "running")):
        flow = run(judged(2, policy), c)
        for number in (1, 2):
            flow.succeed(f"loop[{number}]/a", verdict="no")
            flow.succeed(f"loop[{number}]/b")
        assert flow.status == status
        flow.check()
    error = run_exhausted().state.head.error
    assert error is not None
    assert error.code == "loop_exhausted"


def run_exhausted() -> Flow:
    flow = run(judged(1))
    flow.succeed("loop[1]/a", verdict="no")
    flow.succeed("loop[1]/b")
    return flow


def test_ten_thousand_rounds_without_waiting_nest_nothing() -> None:
    body = flow_of(CHOICE)
    flow = run(LoopBlock(id="loop", body=body, max_rounds=10_000, on_exhausted="continue"))
    assert flow.status == "succeeded"
    assert sum(event.kind == "block_entered" for event in flow.history) == 20_000


def test_loops_in_loops_and_forks_in_loops_know_their_rounds() -> None:
    inner = LoopBlock(
        id="inner",
        body=flow_of(ParallelBlock(id="fork", branches=(a, b)), LeaveBlock(id="leave", field="verdict", value="yes")),
        max_rounds=2,
        on_exhausted="continue",
    )
    flow = run(LoopBlock(id="outer", body=flow_of(inner, c), max_rounds=2, on_exhausted="continue"))
    for outer in (1, 2):
        for number in (1, 2):
            where = f"outer[{outer}]/inner[{number}]/fork"
            assert flow.open_steps == [f"{where}/a", f"{where}/b"]
            flow.succeed(f"{where}/b")
            flow.check()
            flow.succeed(f"{where}/a", verdict="no")
            flow.check()
        flow.succeed(f"outer[{outer}]/c")
    assert flow.status == "succeeded"
    flow.check()


def test_a_failure_is_caught_by_code_before_kind_before_all() -> None:
    handlers = (Handler(on="*", block=c), Handler(on="timeout", block=b), Handler(on="boom", block=step_block("d")))
    for kind, code_matches, taken in (("fatal", True, "d"), ("timeout", False, "b"), ("fatal", False, "c")):
        known = handlers if code_matches else handlers[:2]
        flow = run(RescueBlock(id="rescue", body=a, handlers=known))
        flow.fail("rescue/a", kind)
        if flow.open_steps == ["rescue/a"]:
            flow.fire_next()
            flow.fail("rescue/a", kind)
        assert flow.open_steps == [f"rescue/{taken}"]
        flow.check()
        flow.succeed(f"rescue/{taken}")
        assert flow.status == "succeeded"


def test_a_rescue_cancels_what_still_runs_in_its_body_and_drops_what_it_wrote() -> None:
    body = ParallelBlock(id="fork", branches=(flow_of(a, step_block("d")), b, SleepBlock(id="nap", duration_ms=5)))
    flow = run(RescueBlock(id="rescue", body=body, handlers=(Handler(on="*", block=c),)))
    flow.succeed("rescue/fork/a")
    flow.fail("rescue/fork/b")
    assert flow.open_steps == ["rescue/c"]
    assert flow.revoked == ["rescue/fork/d"]
    assert not flow.state.forks
    assert flow.value("a") is None
    flow.check()


def test_a_failing_handler_is_not_caught_by_its_own_rescue_but_by_an_outer_one() -> None:
    inner = RescueBlock(id="inner", body=a, handlers=(Handler(on="*", block=b),))
    flow = run(RescueBlock(id="outer", body=inner, handlers=(Handler(on="*", block=c),)))
    flow.fail("outer/inner/a")
    flow.fail("outer/inner/b")
    assert flow.open_steps == ["outer/c"]
    flow.check()
    alone = run(inner)
    alone.fail("inner/a")
    alone.fail("inner/b")
    assert alone.status == "failed"


def test_a_block_has_its_time() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=flow_of(a, b), on_timeout=c))
    flow.succeed("hour/a")
    flow.check()
    flow.fire_next()
    assert flow.open_steps == ["hour/c"]
    assert flow.revoked == ["hour/b"]
    flow.check()
    flow.succeed("hour/c")
    assert flow.status == "succeeded"


def test_a_block_that_ends_in_time_leaves_no_timer() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=a), b)
    timer = next(iter(flow.timers))
    flow.succeed("hour/a")
    assert flow.timers == set()
    flow.fire(timer)
    assert flow.open_steps == ["b"], "a timer that comes late does nothing"
    flow.check()


def test_time_out_without_a_block_for_it_is_a_failure_that_can_be_caught() -> None:
    limited = WithinBlock(id="hour", timeout_ms=HOUR_MS, body=a)
    flow = run(RescueBlock(id="rescue", body=limited, handlers=(Handler(on="timeout", block=b),)))
    flow.fire_next()
    assert flow.open_steps == ["rescue/b"]
    flow.check()
    alone = run(limited)
    alone.fire_next()
    assert alone.status == "failed"
    alone.check()


def test_the_first_branch_is_enough_and_the_others_are_cancelled() -> None:
    flow = run(ParallelBlock(id="race", branches=(flow_of(a, b), c), wait="first"), step_block("d"))
    flow.succeed("race/a")
    flow.succeed("race/c")
    assert flow.open_steps == ["d"]
    assert flow.revoked == ["race/b"]
    assert flow.value("a") is None
    assert flow.value("c") is not None
    flow.check()


def test_two_of_three_are_enough() -> None:
    flow = run(ParallelBlock(id="vote", branches=(a, b, c), wait=2), step_block("d"))
    flow.succeed("vote/c")
    assert flow.open_steps == ["vote/a", "vote/b"]
    flow.succeed("vote/a")
    assert flow.open_steps == ["d"]
    assert [flow.value(name) is not None for name in "abc"] == [True, False, True]
    flow.check()


def test_a_sleep_of_a_month_is_a_row_and_a_timer() -> None:
    flow = run(SleepBlock(id="nap", duration_ms=30 * 24 * HOUR_MS), a)
    assert flow.open_steps == []
    assert flow.waits == ["nap"]
    flow.check()
    flow.fire_next()
    assert flow.open_steps == ["a"]
    flow.check()


WAIT = SignalBlock(id="wait", name="paid", writes="letter", timeout_ms=HOUR_MS)


def test_a_signal_that_came_before_is_taken_at_once_the_oldest_first() -> None:
    flow = run(a, WAIT, SignalBlock(id="again", name="paid"), b)
    flow.signal("paid")
    flow.signal("other")
    flow.signal("paid")
    first = min(flow.state.signals)
    flow.succeed("a")
    assert flow.open_steps == ["b"]
    taken = [event.reads[0].revision for event in flow.history if event.kind == "wait_ended"]
    assert taken[0] == first < taken[1]
    assert [signal.name for signal in flow.state.signals.values()] == ["other"]
    assert flow.value("letter") == Payload(encoding="json", data=b'"hello"')
    flow.check()


def test_a_signal_ends_the_wait_that_is_correlated_with_it() -> None:
    wait = SignalBlock(id="wait", name="paid", correlate="order")
    flow = run(a, wait, b)
    flow.succeed("a", order="4711")
    flow.signal("paid", "4712")
    flow.signal("paid")
    assert flow.waits == ["wait"]
    flow.signal("paid", "4711")
    assert flow.open_steps == ["b"]
    flow.check()


def test_no_signal_in_time_is_a_failure_or_the_next_block() -> None:
    flow = run(RescueBlock(id="rescue", body=WAIT, handlers=(Handler(on="signal_timed_out", block=b),)))
    flow.fire_next()
    assert flow.open_steps == ["rescue/b"]
    flow.check()
    patient = run(SignalBlock(id="wait", name="paid", timeout_ms=1, on_timeout="continue"), b)
    patient.fire_next()
    assert patient.open_steps == ["b"]
    patient.check()


def question(**details: object) -> HumanBlock:
    """A question with 48 h of time."""
    known: dict[str, object] = {"question": "May it go out?", "writes": "decision", "timeout_ms": 48 * HOUR_MS}
    return HumanBlock(id="approve", **{**known, **details})  # type: ignore[arg-type]  # by keyword


def test_a_human_decides_and_the_history_says_who() -> None:
    flow = run(question(shows=("topic",), assignee="editors"), b)
    asked = flow.history[-1]
    assert (asked.kind, asked.actor, [each.field for each in asked.reads]) == ("question_asked", "editors", ["topic"])
    assert flow.answer("approve", "approve", answered_by="ada", comment="fine") is None
    assert flow.value("decision") == "approve"
    answered = next(event for event in flow.history if event.kind == "question_answered")
    assert (answered.actor, answered.name, answered.reason) == ("ada", "approve", "fine")
    assert flow.open_steps == ["b"]
    flow.check()
    late = flow.answer("approve", "reject")
    assert late is not None
    assert late.code == "question_not_open"


def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_open() -> None:
    flow = run(question(allow=("approve", "edit"), answer="letter"), b)
    number = flow.state.waits["approve"].number
    codes = [
        flow.answer("approve", "reject"),
        flow.answer("approve", "edit"),
        flow.answer("approve", "delegate"),
        flow.answer("approve", "approve", question=number - 1),
        flow.answer("approve", "approve", incarnation="9-9-9"),
        flow.answer("elsewhere", "approve"),
    ]
    assert [each.code for each in codes if each] == [
        "verb_not_allowed",
        "answer_missing",
        "assignee_missing",
        "question_not_open",
        "another_incarnation",
        "question_not_open",
    ]
    letter = Payload(encoding="json", data=b'"better"')
    assert flow.answer("approve", "edit", payload=letter, question=number) is None
    assert flow.value("letter") == letter
    flow.check()


@pytest.mark.parametrize("policy", ["approve", "reject"])
def test_nobody_answers_and_the_policy_does(policy: str) -> None:
    flow = run(question(on_timeout=policy), b)
    flow.fire_next()
    assert flow.value("decision") == policy
    assert flow.open_steps == ["b"]
    flow.check()


def test_nobody_answers_and_that_is_a_failure() -> None:
    flow = run(RescueBlock(id="rescue", body=question(), handlers=(Handler(on="human_timed_out", block=c),)))
    flow.fire_next()
    assert flow.open_steps == ["rescue/c"]
    assert flow.value("decision") is None
    flow.check()


def test_nobody_answers_so_somebody_else_is_asked_for_as_long_again() -> None:
    flow = run(question(on_timeout="escalate", escalate_to="boss", then="reject"), b)
    began_ms = flow.now_ms
    flow.fire_next()
    wait = flow.state.waits["approve"]
    assert (wait.assignee, wait.due_ms) == ("boss", began_ms + 96 * HOUR_MS)
    flow.check()
    flow.fire_next()
    assert flow.value("decision") == "reject"
    flow.check()


def test_reminders_come_until_there_is_an_answer() -> None:
    flow = run(question(remind_ms=20 * HOUR_MS), b)
    for _ in range(2):
        assert flow.fire_next()[0] == "reminder"
        flow.check()
    flow.answer("approve", "approve")
    assert flow.timers == set()
    assert sum(event.kind == "question_reminded" for event in flow.history) == 2
    flow.check()


def test_a_question_is_handed_on_and_keeps_its_deadline() -> None:
    flow = run(question(assignee="ada"), b)
    due_ms = flow.state.waits["approve"].due_ms
    assert flow.answer("approve", "delegate", assignee="bob", answered_by="ada") is None
    wait = flow.state.waits["approve"]
    assert (wait.assignee, wait.due_ms, wait.escalated) == ("bob", due_ms, False)
    flow.check()


def test_several_questions_are_open_at_once() -> None:
    both = ParallelBlock(id="both", branches=(question(), HumanBlock(id="legal", question="?", writes="verdict")))
    flow = run(both, b)
    assert flow.waits == ["both/approve", "both/legal"]
    flow.answer("both/legal", "reject")
    flow.answer("both/approve", "approve")
    assert (flow.value("verdict"), flow.value("decision")) == ("reject", "approve")
    assert flow.open_steps == ["b"]
    flow.check()


def test_a_cancelled_run_waits_for_nothing() -> None:
    flow = run(ParallelBlock(id="all", branches=(question(remind_ms=5), WAIT, SleepBlock(id="nap", duration_ms=7), a)))
    assert len(flow.timers) == 4
    flow.cancel()
    assert flow.timers == set()
    assert flow.revoked == ["all/a"]
    flow.check()


def test_an_inner_workflow_sees_its_own_state_and_leaves_what_it_returns() -> None:
    body = flow_of(a, SignalBlock(id="wait", name="go", writes="letter"), b)
    flow = run(step_block("s"), inner("sub", body), c)
    flow.succeed("s", verdict="yes")
    assert flow.open_steps == ["sub/a"]
    inputs = {value.field: value for value in inputs_of(flow.state, flow.plan, flow.plan.steps["sub/a"])}
    assert inputs["topic"].payload == Payload(encoding="json", data=b'"kafka"')
    assert inputs["verdict"].control is None, "the outer verdict is not seen inside"
    flow.succeed("sub/a", verdict="no")
    assert flow.value("verdict") == "yes", "and the inner one not outside"
    flow.check()
    flow.signal("go")
    flow.succeed("sub/b")
    assert flow.open_steps == ["c"]
    assert flow.value("letter") == Payload(encoding="json", data=b'"hello"')
    assert {scope for scope, _ in flow.state.fields} == {""}, "its state is gone"
    flow.check()


def test_an_inner_workflow_begins_anew_in_every_round() -> None:
    body = flow_of(inner("sub", flow_of(a, CHOICE)), LeaveBlock(id="leave", field="verdict", value="yes"))
    flow = run(LoopBlock(id="loop", body=body, max_rounds=2, on_exhausted="continue"), c)
    for number in (1, 2):
        flow.succeed(f"loop[{number}]/sub/a", verdict="no")
        assert flow.open_steps == [f"loop[{number}]/sub/choice/b"]
        flow.succeed(f"loop[{number}]/sub/choice/b")
        flow.check()
    assert flow.open_steps == ["c"]
    assert {scope for scope, _ in flow.state.fields} == {""}


def test_a_failure_inside_is_caught_outside_and_takes_the_inner_state_along() -> None:
    body = inner("sub", flow_of(a, b))
    flow = run(RescueBlock(id="rescue", body=body, handlers=(Handler(on="*", block=c),)))
    flow.succeed("rescue/sub/a")
    flow.fail("rescue/sub/b")
    assert flow.open_steps == ["rescue/c"]
    assert {scope for scope, _ in flow.state.fields} == {""}
    flow.check()


def test_a_large_value_is_copied_in_and_out_and_none_is_left_over() -> None:
    large = Payload(encoding="json", data=b'"' + b"x" * 1_000 + b'"')
    body = flow_of(SignalBlock(id="wait", name="go", writes="letter"), a)
    flow = run(SignalBlock(id="first", name="first", writes="letter"), inner("sub", body), c)
    flow.signal("first")
    flow.signal("go", payload=large)
    flow.succeed("sub/a")
    assert list(flow.state.values.values()) == [large]
    flow.check()


def test_a_paused_run_finishes_what_runs_and_sends_nothing_until_it_is_resumed() -> None:
    flow = run(ParallelBlock(id="both", branches=(flow_of(a, b), c)), step_block("d"))
    flow.pause()
    flow.succeed("both/a")
    flow.succeed("both/c")
    assert flow.open_steps == []
    assert list(flow.state.held) == ["both/b"]
    flow.check()
    flow.pause()
    flow.resume()
    assert flow.open_steps == ["both/b"]
    flow.check()
    flow.succeed("both/b")
    flow.succeed("d")
    assert flow.status == "succeeded"


def test_while_a_run_is_paused_timers_and_answers_count_and_lead_nowhere_yet() -> None:
    flow = run(ParallelBlock(id="all", branches=(flow_of(SleepBlock(id="nap", duration_ms=5), a), question(), c)), b)
    flow.fail("all/c", "retryable")
    flow.pause()
    flow.answer("all/approve", "approve")
    while flow.timers:
        flow.fire_next()
        flow.check()
    assert sorted(flow.state.held) == ["all/a", "all/c"]
    flow.resume()
    assert flow.open_steps == ["all/a", "all/c"]
    assert flow.state.steps["all/c"].attempt == 2
    flow.check()


def test_a_paused_run_can_be_cancelled() -> None:
    flow = run(a, b)
    flow.pause()
    flow.succeed("a")
    flow.cancel()
    assert flow.status == "cancelled"
    flow.check()
