"""Definition mistakes, one function each: what somebody could write, and must be told about. Not run, but called."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from logkeel.workflow import (
    CHECKED,
    KEYED,
    NONE,
    ONCE,
    Control,
    Retry,
    State,
    StepContext,
    Workflow,
    branch,
    human,
    leave,
    loop,
    parallel,
    rescue,
    saga,
    sequence,
    sleep,
    wait_signal,
    within,
)
from logkeel.workflow.blocks import FlowBlock

Verdict = Literal["good", "poor"]


class Draft(State):
    """What the mistakes are about."""

    topic: str
    text: str | None = None
    notes: str | None = None
    verdict: Verdict | None = None
    ready: bool = False
    order: Annotated[int | None, Control] = None
    decision: Literal["approve", "reject"] | None = None


class Drafts:
    """A workflow of two writers, a judge and a sender; a mistake is a flow of them."""

    def __init__(self) -> None:
        self.workflow = wf = Workflow("drafts", state=Draft, returns="text")

        @wf.step(writes=lambda s: s.text)
        def write(topic: str) -> str:
            return topic

        @wf.step(writes=lambda s: s.notes)
        def note(topic: str) -> str:
            return topic

        @wf.step(writes=lambda s: s.verdict)
        def judge(text: str) -> Verdict:
            return "good" if text else "poor"

        @wf.step(effect=KEYED)
        def send(text: str) -> None: ...

        self.write, self.note, self.judge, self.send = write, note, judge, send

    def flow(self, *blocks: FlowBlock) -> None:
        """Put it together, with every step somewhere in front, so that only the mistake is told of."""
        self.workflow.flow(self.write, self.note, self.judge, self.send, *blocks)


Mistake = Callable[[Drafts], Any]
MISTAKES: dict[str, Mistake] = {}


def mistake(function: Mistake) -> Mistake:
    """Add it under its name."""
    MISTAKES[function.__name__] = function
    return function


@mistake
def a_field_that_is_read_before_it_is_written(d: Drafts) -> None:
    d.workflow.flow(d.judge, d.write, d.note, d.send)


@mistake
def a_field_that_is_written_in_one_case_only(d: Drafts) -> None:
    d.workflow.flow(d.note, branch("ready", true=d.write, false=d.note), d.judge, d.send)


@mistake
def a_field_that_a_cancelled_block_may_not_have_written(d: Drafts) -> None:
    d.workflow.flow(within("1m", d.write, on_timeout=d.note), d.judge, d.send)


@mistake
def a_field_that_a_failed_body_may_not_have_written(d: Drafts) -> None:
    d.workflow.flow(d.note, rescue(d.write, on={"*": d.note}), d.judge, d.send)


@mistake
def a_field_that_the_first_branch_may_not_have_written(d: Drafts) -> None:
    d.workflow.flow(parallel(d.write, d.note, wait="first"), d.judge, d.send)


@mistake
def a_field_that_is_written_behind_the_way_out(d: Drafts) -> None:
    d.workflow.flow(d.note, loop(leave("ready", True), d.write, max_rounds=2), d.judge, d.send)


@mistake
def branches_that_write_one_field(d: Drafts) -> None:
    d.flow(parallel(d.write, d.write))


@mistake
def a_branch_that_reads_what_its_sibling_writes(d: Drafts) -> None:
    d.flow(parallel(d.write, d.judge))


@mistake
def an_effect_in_a_branch_that_may_be_cancelled(d: Drafts) -> None:
    d.flow(parallel(d.send, d.note, wait="first"))


@mistake
def a_quorum_of_more_than_there_are(d: Drafts) -> None:
    d.flow(parallel(d.write, d.note, wait=3))


@mistake
def a_parallel_block_of_one(d: Drafts) -> None:
    d.flow(parallel(d.write))


@mistake
def a_branch_on_a_payload(d: Drafts) -> None:
    d.flow(branch("text", good=d.note, otherwise=d.write))


@mistake
def a_branch_on_no_field(d: Drafts) -> None:
    d.flow(branch("verdikt", good=d.note, poor=d.write))


@mistake
def a_branch_that_forgets_a_choice(d: Drafts) -> None:
    d.flow(branch("verdict", good=d.note))


@mistake
def a_branch_on_a_number_without_otherwise(d: Drafts) -> None:
    d.flow(sequence(wait_signal("go"), branch("order", {1: d.note})))


@mistake
def a_case_that_is_no_choice(d: Drafts) -> None:
    d.flow(branch("verdict", good=d.note, bad=d.write, poor=d.write))


@mistake
def two_cases_for_one_value(d: Drafts) -> None:
    d.flow(branch("verdict", {"good": d.write}, good=d.note, poor=d.write))


@mistake
def a_branch_without_cases(d: Drafts) -> None:
    d.flow(branch("verdict", otherwise=d.note))


@mistake
def a_loop_that_nothing_leaves(d: Drafts) -> None:
    d.flow(loop(d.write, d.judge, max_rounds=3))


@mistake
def a_loop_without_rounds(d: Drafts) -> None:
    d.flow(loop(d.write, leave("verdict", "good"), max_rounds=0))


@mistake
def a_leave_outside_of_loops(d: Drafts) -> None:
    d.flow(leave("verdict", "good"))


@mistake
def a_leave_in_a_branch_of_parallel(d: Drafts) -> None:
    d.flow(loop(parallel(d.note, (d.write, leave("verdict", "good"))), max_rounds=2, on_exhausted="continue"))


@mistake
def a_leave_for_a_value_that_cannot_be(d: Drafts) -> None:
    d.flow(loop(d.write, leave("verdict", "great"), max_rounds=2))


@mistake
def a_rescue_without_handlers(d: Drafts) -> None:
    d.flow(rescue(d.write, on={}))


@mistake
def a_rescue_for_no_error(d: Drafts) -> None:
    d.flow(rescue(d.write, on={"": d.note}))


@mistake
def a_duration_that_is_none(d: Drafts) -> None:
    d.flow(sleep("soon"))


@mistake
def no_time_at_all(d: Drafts) -> None:
    d.flow(within(0, d.write))


@mistake
def a_human_without_a_time_out(d: Drafts) -> None:
    d.flow(human("approve", writes="decision"))  # type: ignore[call-arg]  # the mistake: mypy finds it too


@mistake
def a_human_whose_verb_has_no_place(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", allow=("approve", "edit"), answer="notes", timeout="48h"))


@mistake
def a_human_who_writes_a_payload(d: Drafts) -> None:
    d.flow(human("approve", writes="notes", timeout="48h"))


@mistake
def an_answer_that_goes_nowhere(d: Drafts) -> None:
    d.flow(human("approve", writes="order", allow=("respond",), timeout="48h"))


@mistake
def an_answer_that_nobody_can_give(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", answer="notes", timeout="48h"))


@mistake
def an_escalation_to_nobody(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="48h", on_timeout="escalate"))


@mistake
def a_policy_for_a_time_that_never_ends(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout=None, on_timeout="reject"))


@mistake
def a_reminder_that_comes_too_late(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="1h", remind="2h"))


@mistake
def a_human_who_is_shown_no_field(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="1h", shows=["report"]))


@mistake
def a_signal_into_a_control_field(d: Drafts) -> None:
    d.flow(wait_signal("go", writes="verdict"))


@mistake
def a_signal_correlated_by_a_number(d: Drafts) -> None:
    d.flow(wait_signal("go", correlate="order"))


@mistake
def a_signal_that_is_not_waited_for_and_waited_for_ever(d: Drafts) -> None:
    d.flow(wait_signal("go", on_timeout="continue"))


@mistake
def something_that_is_no_block(d: Drafts) -> None:
    d.flow("write")  # type: ignore[arg-type]  # the mistake: mypy finds it too


@mistake
def an_empty_sequence(d: Drafts) -> None:
    d.flow(())


@mistake
def a_step_that_is_left_out(d: Drafts) -> None:
    d.workflow.flow(d.write, d.judge, d.send)


@mistake
def a_step_of_another_workflow(d: Drafts) -> None:
    d.flow(Drafts().note)


@mistake
def a_step_that_says_no_effect(d: Drafts) -> None:
    @d.workflow.step()  # type: ignore[call-overload,untyped-decorator,unused-ignore]  # the mistake
    def publish(text: str) -> None: ...


@mistake
def a_checked_step_without_a_check(d: Drafts) -> None:
    @d.workflow.step(effect=CHECKED)
    def publish(text: str) -> None: ...

    d.flow(publish)


@mistake
def a_step_that_may_not_run_twice_and_is_retried(d: Drafts) -> None:
    @d.workflow.step(effect=ONCE, retry=Retry(max_attempts=3))
    def pay(text: str) -> None: ...

    d.flow(pay)


@mistake
def a_parameter_that_is_no_field(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes)
    def think(subject: str) -> str:
        return subject


@mistake
def a_step_that_writes_no_field(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.thoughts)  # type: ignore[attr-defined]  # the mistake: mypy finds it too
    def think(topic: str) -> str:
        return topic


@mistake
def a_step_for_a_process_that_stands_in_a_function_and_waits(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, cpu=True)
    async def think(topic: str, step: StepContext) -> str:
        return topic


@mistake
def an_effect_in_a_saga_that_cannot_be_undone(d: Drafts) -> None:
    @d.workflow.step(effect=KEYED)
    def reserve(topic: str) -> None: ...

    @reserve.undo
    def release(topic: str) -> None: ...

    @d.workflow.step(effect=ONCE)
    def pay(topic: str) -> None: ...

    d.flow(saga(reserve, pay))


@mistake
def a_saga_with_nothing_to_undo(d: Drafts) -> None:
    d.flow(saga(d.write))


@mistake
def an_undo_that_no_saga_asks_for(d: Drafts) -> None:
    @d.workflow.step(effect=KEYED)
    def reserve(topic: str) -> None: ...

    @reserve.undo
    def release(topic: str) -> None: ...

    d.flow(reserve)


@mistake
def an_undo_of_a_step_without_effect(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, effect=NONE)
    def look(topic: str) -> str:
        return topic

    @look.undo
    def forget(topic: str) -> None: ...


@mistake
def an_undo_that_does_not_say_its_effect(d: Drafts) -> None:
    @d.workflow.step(effect=ONCE)
    def pay(topic: str) -> None: ...

    @pay.undo
    def pay_back(topic: str) -> None: ...


@mistake
def an_undo_that_counts_on_what_a_step_in_doubt_has_written(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, effect=KEYED)
    def reserve(topic: str) -> str:
        return topic

    @reserve.undo
    def release(notes: str) -> None: ...


@mistake
def an_undo_that_reads_what_its_step_does_not(d: Drafts) -> None:
    @d.workflow.step(effect=KEYED)
    def reserve(topic: str) -> None: ...

    @reserve.undo
    def release(text: str | None) -> None: ...


@mistake
def a_way_out_of_a_loop_in_a_saga(d: Drafts) -> None:
    @d.workflow.step(effect=KEYED)
    def reserve(topic: str) -> None: ...

    @reserve.undo
    def release(topic: str) -> None: ...

    d.flow(loop(saga(reserve, leave("ready", True)), max_rounds=2))
