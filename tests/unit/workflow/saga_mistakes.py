"""Mistakes in sagas, and in steps that undo; which join those of `mistakes`."""

from tests.unit.workflow.mistakes import MISTAKES, Drafts, mistake

from logkeel.workflow import KEYED, NONE, ONCE, leave, loop, saga

__all__ = ["MISTAKES"]


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
def a_saga_with_a_name_that_no_path_can_have(d: Drafts) -> None:
    @d.workflow.step(effect=KEYED)
    def reserve(topic: str) -> None: ...

    @reserve.undo
    def release(topic: str) -> None: ...

    d.flow(saga(reserve, name="book/it"))


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
