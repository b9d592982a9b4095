"""Mistakes in budgets, and in what steps say that they use; which join those of `mistakes`."""

from tests.unit.workflow.mistakes import Draft, Drafts, mistake
from tests.unit.workflow.yielding_mistakes import MISTAKES

from logkeel.workflow import Budget, Concurrency, State, StepContext, Workflow, child, inline

__all__ = ["MISTAKES"]


class Note(State):
    """What is budgeted."""

    topic: str
    text: str | None = None


@mistake
def budgets_that_are_no_list_of_budgets(d: Drafts) -> None:
    Workflow("narrow", state=Draft, budgets={"tokens": 100})  # type: ignore[arg-type]  # the mistake


@mistake
def money_in_fractions(d: Drafts) -> None:
    Workflow("narrow", state=Draft, budgets=[Budget("usd", 0.5)])  # type: ignore[arg-type]  # the mistake


@mistake
def budgets_for_each_value_of_what_the_engine_cannot_read(d: Drafts) -> None:
    budgets = [Budget("tokens", 100, key="topic"), Budget("tokens", 100, key="tenant"), Budget("calls a day", 3)]
    Workflow("narrow", state=Draft, budgets=budgets)


@mistake
def a_budget_that_waits_for_ever_and_one_per_no_time(d: Drafts) -> None:
    Workflow("narrow", state=Draft, budgets=[Budget("a", 9, on_exhausted="wait"), Budget("b", 9, per="soon")])


@mistake
def a_human_who_is_asked_for_what_runs_share(d: Drafts) -> None:
    Workflow("narrow", state=Draft, budgets=[Budget("tokens", 100, per="24h", on_exhausted="ask")])


@mistake
def a_budget_twice_with_a_name_that_is_none(d: Drafts) -> None:
    Workflow("narrow", state=Draft, budgets=[Budget("a", 9, name="a b"), Budget("a", 8, name="a b")])


@mistake
def a_step_that_uses_no_amount(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, uses={"tokens": 0, "wall_ms": 10})
    def think(topic: str) -> str:
        return topic


@mistake
def a_step_that_uses_a_list(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes, uses=["tokens"])  # type: ignore[call-overload, untyped-decorator]  # the mistake
    def think(topic: str) -> str:
        return topic


@mistake
def steps_and_budgets_that_do_not_fit(d: Drafts) -> None:
    budgets = [Budget("tokens", 100), Budget("calls", 3), Budget("wall_ms", 30_000)]
    wide = Workflow("wide", state=Note, budgets=budgets)

    @wide.step(writes=lambda s: s.text, uses={"tokens": 200, "usd_micros": 10}, timeout=None)
    def think(topic: str) -> str:
        return topic

    wide.flow(think)


@mistake
def code_with_a_journal_that_uses_what_runs_share(d: Drafts) -> None:
    wide = Workflow("wide", state=Note, budgets=[Budget("tokens", 100, per="24h")])

    @wide.step(writes=lambda s: s.text, uses={"tokens": 20}, journal=True)
    async def think(topic: str, step: StepContext) -> str:
        return topic

    wide.flow(think)


@mistake
def a_workflow_with_budgets_inside_of_another_one(d: Drafts) -> None:
    wide = Workflow("wide", state=Draft, budgets=[Budget("tokens", 100)])

    @wide.step(writes=lambda s: s.text, uses={"tokens": 20})
    def think(topic: str) -> str:
        return topic

    wide.flow(think)
    d.flow(inline(wide))


@mistake
def children_and_budgets_that_do_not_fit(d: Drafts) -> None:
    part = Workflow("part", state=Note)

    @part.step(writes=lambda s: s.text)
    def write(topic: str) -> str:
        return topic

    part.flow(write)
    wide = Workflow("wide", state=Note, budgets=[Budget("tokens", 100), Budget("calls", 9, per="24h")])
    wide.flow(child(part, inputs={"topic": "topic"}, uses={"tokens": 200, "calls": 3, "dollars": 0, "wall_ms": 1}))


@mistake
def code_that_waits_for_runs_of_a_workflow_that_holds_a_slot(d: Drafts) -> None:
    deep = Workflow("deep", state=Note, limits=[Concurrency(3)])

    @deep.step(writes=lambda s: s.text, journal=True, children=lambda: [deep])
    async def dig(topic: str, step: StepContext) -> str:
        return topic

    deep.flow(dig)
    deep.definition()
