"""Definition mistakes, one function each: what somebody could write, and must be told about. Not run, but called."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from logkeel.workflow import (
    CHECKED,
    KEYED,
    ONCE,
    Concurrency,
    Control,
    Rate,
    Retry,
    State,
    StepContext,
    Workflow,
    branch,
    child,
    human,
    inline,
    leave,
    loop,
    parallel,
    rescue,
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
    rounds: Annotated[int, Control] = 0
    kind: Literal["letter", "memo"] | None = "letter"
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
    d.workflow.flow(d.note, loop(leave("verdict", "good"), d.write, d.judge, max_rounds=2), d.send)


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
def a_quorum_that_is_no_number(d: Drafts) -> None:
    d.flow(parallel(d.write, d.note, wait=1.5))  # type: ignore[arg-type]  # the mistake: mypy finds it too


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
def a_case_of_another_type(d: Drafts) -> None:
    d.flow(branch("ready", {1: d.write, 0: d.note}))


@mistake
def a_case_that_no_number_can_be(d: Drafts) -> None:
    d.flow(branch("rounds", {"one": d.write}, otherwise=d.note))


@mistake
def a_case_for_none_where_none_cannot_be(d: Drafts) -> None:
    d.flow(branch("ready", {None: d.write}, true=d.write, false=d.note))


@mistake
def two_cases_for_one_value(d: Drafts) -> None:
    d.flow(branch("verdict", {"good": d.write}, good=d.note, poor=d.write))


@mistake
def a_branch_without_cases(d: Drafts) -> None:
    d.flow(branch("verdict", otherwise=d.note))


@mistake
def a_branch_that_forgets_none(d: Drafts) -> None:
    d.flow(branch("kind", letter=d.write, memo=d.note))


@mistake
def a_branch_on_what_nobody_has_written(d: Drafts) -> None:
    d.flow(branch("decision", approve=d.write, reject=d.note))


@mistake
def an_otherwise_that_nothing_gets_to(d: Drafts) -> None:
    d.flow(branch("ready", true=d.write, false=d.note, otherwise=d.write))


@mistake
def a_loop_that_nothing_leaves(d: Drafts) -> None:
    d.flow(loop(d.write, d.judge, max_rounds=3))


@mistake
def a_loop_without_rounds(d: Drafts) -> None:
    d.flow(loop(d.write, leave("verdict", "good"), max_rounds=0))


@mistake
def a_loop_whose_rounds_are_all_alike(d: Drafts) -> None:
    d.flow(loop(d.write, leave("ready", True), max_rounds=3))


@mistake
def a_block_behind_ways_out_for_every_value(d: Drafts) -> None:
    d.flow(loop(leave("ready", True), leave("ready", False), d.write, max_rounds=3, on_exhausted="continue"))


@mistake
def a_block_with_a_name_that_no_path_can_have(d: Drafts) -> None:
    d.flow(loop(d.write, d.judge, leave("verdict", "good"), max_rounds=3, name="until/good"))


@mistake
def a_leave_outside_of_loops(d: Drafts) -> None:
    d.flow(leave("verdict", "good"))


@mistake
def a_leave_in_a_branch_of_parallel(d: Drafts) -> None:
    d.flow(loop(parallel(d.note, (d.write, leave("verdict", "good"))), max_rounds=2, on_exhausted="continue"))


@mistake
def a_leave_for_a_value_that_cannot_be(d: Drafts) -> None:
    d.flow(loop(d.write, d.judge, leave("verdict", "great"), max_rounds=2))


@mistake
def a_rescue_without_handlers(d: Drafts) -> None:
    d.flow(rescue(d.write, on={}))


@mistake
def a_rescue_for_no_error(d: Drafts) -> None:
    d.flow(rescue(d.write, on={"": d.note}))


@mistake
def a_rescue_for_a_class_of_errors(d: Drafts) -> None:
    d.flow(rescue(d.write, on={TimeoutError: d.note}))  # type: ignore[dict-item]  # the mistake: mypy finds it too


@mistake
def a_duration_that_is_none(d: Drafts) -> None:
    d.flow(sleep("soon"))


@mistake
def no_time_at_all(d: Drafts) -> None:
    d.flow(within(0, d.write))


@mistake
def a_time_that_nobody_lives_to_see(d: Drafts) -> None:
    d.flow(sleep("400000000000d"))


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
def an_end_that_the_human_is_not_offered(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", allow=("approve",), timeout="48h", on_timeout="reject"))


@mistake
def what_follows_an_escalation_that_never_is(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="48h", then="reject"))


@mistake
def an_escalation_that_never_comes(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="48h", escalate_to="chief"))


@mistake
def an_end_that_does_not_exist(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", timeout="48h", on_timeout="ignore"))  # type: ignore[arg-type]  # the mistake


@mistake
def a_human_who_may_say_nothing(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", allow=(), timeout="48h"))


@mistake
def a_verb_that_is_allowed_twice(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", allow=("approve", "approve"), timeout="48h"))


@mistake
def an_answer_into_a_control_field(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", allow=("respond",), answer="kind", timeout="48h"))


@mistake
def one_text_where_several_are_wanted(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", shows="text", timeout="48h"))


@mistake
def a_question_that_is_no_text(d: Drafts) -> None:
    d.flow(human("approve", question=7, writes="decision", timeout="48h"))  # type: ignore[arg-type]  # the mistake


@mistake
def an_option_that_does_not_exist(d: Drafts) -> None:
    d.flow(human("approve", writes="decision", time_out="48h", timeout=None))  # type: ignore[call-arg]  # the mistake


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
def a_limit_that_lets_nothing_begin(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, limits=[Concurrency(0), Rate(5, per="soon")])
    def think(topic: str) -> str:
        return topic


@mistake
def a_limit_for_each_value_of_what_the_engine_cannot_read(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, limits=[Concurrency(2, key="topic"), Concurrency(1, key="tenant")])
    def think(topic: str) -> str:
        return topic


@mistake
def a_limit_twice_and_one_without_a_name(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, limits=[Concurrency(2), Concurrency(3), Rate(1, "1s", name="a b")])
    def think(topic: str) -> str:
        return topic


@mistake
def limits_that_are_no_list_of_limits(d: Drafts) -> None:
    Workflow("narrow", state=Draft, limits=3)  # type: ignore[arg-type]  # the mistake


@mistake
def a_limit_of_runs_with_the_name_of_another_one(d: Drafts) -> None:
    Workflow("narrow", state=Draft, limits=[Concurrency(3, name="gpt")])


@mistake
def runs_that_hold_what_their_children_wait_for(d: Drafts) -> None:
    narrow = Workflow("narrow", state=Draft, limits=[Concurrency(3)])
    between = Workflow("between", state=Draft)
    between.flow(child(narrow))
    narrow.flow(child(between))


@mistake
def a_workflow_with_limits_inside_of_another_one(d: Drafts) -> None:
    narrow = Workflow("narrow", state=Draft, limits=[Rate(1, "1s")])
    narrow.flow(sleep("1s"))
    d.flow(inline(narrow))
