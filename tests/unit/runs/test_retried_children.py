"""A parent that is retried tells its children to go on: two engines' partitions, requests in, records out (P29)."""

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import wait
from tests.unit.runs.scripts import T0, flow_of, plan_of, step_block, text
from tests.unit.runs.test_child_runs import Family, child, named

from logkeel.definitions import ParallelBlock
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    CancelRun,
    ChildCall,
    ErrorInfo,
    RequestRejected,
    RetryRun,
    RunEvent,
    StartRun,
    StepCommand,
    StepFailed,
    StepJournaled,
)
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.wire import encode

TWO = named(plan_of(flow_of(step_block("a"), step_block("b")), returns=("b",)), "other")
BESIDE = ParallelBlock(id="all", branches=(child(), step_block("x")))


def command(family: Family, step: str, run_id: str) -> StepCommand:
    """The last one of this step."""
    sent = [each for each in family.commands() if (each.identity.step, each.identity.run_id) == (step, run_id)]
    return sent[-1]


def retry(family: Family, run_id: str, number: int = 1) -> None:
    """Asks for it."""
    family.ask(RetryRun(run_id=run_id, request_id=f"{run_id}/again/{number}"))
    family.turns()


def history(family: Family, run_id: str) -> list[RunEvent]:
    """Of one run."""
    return [event for event in family.told(family.names.run_events, RunEvent) if event.run_id == run_id]


def test_a_failed_child_goes_on_where_it_failed_under_its_old_keys() -> None:
    family = Family(child(), publish=(TWO,))
    kid = family.kid
    family.work("a", kid)
    former = command(family, "b", kid)
    family.fail(former)
    assert family.ends(family.run_id) == ["failed"]
    retry(family, family.run_id)
    again = command(family, "b", kid)
    assert again.idempotency_key == former.idempotency_key
    assert again.identity.incarnation == former.identity.incarnation
    family.succeed(again)
    family.work("z", family.run_id)
    assert (family.ends(kid), family.ends(family.run_id)) == (["failed", "succeeded"], ["failed", "succeeded"])
    assert [event.path for event in history(family, kid) if event.kind == "step_succeeded"] == ["a", "b"]
    told = next(event for event in history(family, kid) if event.kind == "run_retried")
    assert told.parent is not None
    assert told.parent.number == max(e.revision for e in history(family, family.run_id) if e.kind == "child_started")
    assert replay(history(family, kid), TWO).head.status == "succeeded"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_engines_that_die_around_it_tell_it_once(moment: str) -> None:
    family = Family(child(), publish=(TWO,))
    family.fail(command(family, "a", family.kid))
    family.send(RetryRun(run_id=family.run_id, request_id="again"))
    if moment == "after":
        family.turns()
    family.loop.close()
    family.loop = family.boot()
    family.turns(40)
    assert family.kinds(family.kid).count("run_retried") == 1
    family.succeed(command(family, "a", family.kid))
    family.succeed(command(family, "b", family.kid))
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["failed", "succeeded"]


def test_what_is_asked_twice_or_too_late_changes_nothing() -> None:
    """P26, P29: copies of the request, of its former one, and of the word of the first end."""
    family = Family(child(), publish=(TWO,))
    kid = family.kid
    family.fail(command(family, "a", kid))
    (first_word,) = family.words()
    retry(family, family.run_id)
    asked = [each for each in family.told(family.names.run_requests, StartRun) if each.run_id == kid]
    assert [each.parent is not None and each.parent.again for each in asked] == [False, True]
    for copied in (asked[1], asked[0], asked[1]):
        family.ask(copied)
    home = partition_for(family.run_id.encode(), 2)
    family.producer.produce(OutputRecord(family.names.step_results, b"r", encode(first_word), home))
    family.turns()
    assert family.kinds(kid).count("run_retried") == 1
    assert family.kinds(family.run_id)[-1] == "child_started", "it waits still"
    family.fail(command(family, "a", kid))
    family.ask(asked[1])
    assert family.kinds(kid).count("run_retried") == 1, "a copy that comes behind the second end is no third life"
    assert family.ends(family.run_id) == ["failed", "failed"]


def test_a_child_that_its_parent_had_cancelled_goes_on_and_is_cancelled_again() -> None:
    family = Family(BESIDE, publish=(TWO,))
    kid = family.kid
    family.work("a", kid)
    for life in (1, 2):
        family.fail(command(family, "x", family.run_id))
        family.turns()
        assert family.ends(kid) == ["cancelled"] * life
        retry(family, family.run_id, life)
    family.succeed(command(family, "b", kid))
    family.succeed(command(family, "x", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id)[-1] == "succeeded"
    assert family.ends(kid)[-1] == "succeeded"
    assert [event.path for event in history(family, kid) if event.kind == "step_succeeded"] == ["a", "b"]


def test_a_child_that_had_succeeded_unheard_tells_its_end_once_more() -> None:
    family = Family(BESIDE, publish=(TWO,))
    kid = family.kid
    family.work("a", kid)
    last, beside = command(family, "b", kid), command(family, "x", family.run_id)
    error = ErrorInfo(code="boom", message="it broke", kind="fatal")
    broken = StepFailed(identity=beside.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, error=error)
    family.producer.produce(OutputRecord(family.names.step_results, b"r", encode(broken), beside.home_partition))
    family.succeed(last)
    family.turns()
    assert (family.ends(family.run_id), family.ends(kid)) == (["failed"], ["succeeded"])
    assert "child_ended" not in family.kinds(family.run_id), "the parent had ended when it was told"
    retry(family, family.run_id)
    assert family.ends(kid) == ["succeeded"]
    assert family.kinds(family.run_id)[-1] == "child_ended"
    family.succeed(command(family, "x", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["failed", "succeeded"]


def test_a_child_that_somebody_else_has_cancelled_stays_so_and_the_parent_hears_why() -> None:
    family = Family(child(), publish=(TWO,))
    family.ask(CancelRun(run_id=family.kid, requested_by="ada", reason="enough"))
    family.turns()
    assert family.ends(family.run_id) == ["failed"]
    retry(family, family.run_id)
    assert family.ends(family.run_id) == ["failed", "failed"]
    error = family.words()[-1].error
    assert error is not None
    assert error.code == "run_not_retryable"
    assert family.kinds(family.kid)[-1] == "run_completed"


def test_a_start_for_another_wait_is_understood_though_nobody_says_again() -> None:
    """As an engine of before would send it, which does not know that the child had begun."""
    family = Family(child(), publish=(TWO,))
    family.fail(command(family, "a", family.kid))
    asked = next(each for each in family.told(family.names.run_requests, StartRun) if each.run_id == family.kid)
    assert asked.parent is not None
    family.ask(replace(asked, request_id="later", parent=replace(asked.parent, number=asked.parent.number + 3)))
    assert family.kinds(family.kid).count("run_retried") == 1
    family.ask(replace(asked, request_id="late", parent=replace(asked.parent, number=asked.parent.number + 1)))
    family.fail(command(family, "a", family.kid))
    assert [word.number for word in family.words()] == [asked.parent.number, asked.parent.number + 3]


def test_a_child_that_is_not_known_any_more_is_never_begun_anew() -> None:
    """Its effects may have happened, under keys of an incarnation that is gone."""
    family = Family(child(), publish=(TWO,))
    family.fail(command(family, "a", family.kid))
    asked = next(each for each in family.told(family.names.run_requests, StartRun) if each.run_id == family.kid)
    assert asked.parent is not None
    gone = replace(
        asked, run_id="gone", request_id="gone/start/9", parent=replace(asked.parent, again=True, number=9, path="gone")
    )
    family.ask(gone)
    assert family.kinds("gone") == []
    word = family.words()[-1]
    assert word.error is not None
    assert (word.child_run_id, word.child_incarnation, word.error.code) == ("gone", "-", "child_expired")


def test_a_retry_waits_behind_the_first_start_for_a_definition_that_is_not_known_yet() -> None:
    """Seed 279261130: told that it was gone, the parent failed by a child that was about to begin."""
    family = Family(BESIDE, publish=())
    family.fail(command(family, "x", family.run_id))
    retry(family, family.run_id)
    assert family.words() == []
    family.publish(TWO)
    family.turns()
    assert [kind for kind in family.kinds(family.kid) if kind.startswith("run_")] == [
        "run_started",
        "run_completed",
        "run_retried",
    ]
    for step in ("a", "b"):
        family.work(step, family.kid)
    family.succeed(command(family, "x", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["failed", "succeeded"]


def test_a_retry_that_comes_with_the_definition_waits_for_the_first_start_which_is_let_go_behind_it() -> None:
    """Seed 560134422: records come before what waited for a definition, which came with this very batch."""
    family = Family(BESIDE, publish=())
    family.fail(command(family, "x", family.run_id))
    family.put(TWO)
    retry(family, family.run_id)
    assert [word.error.code for word in family.words() if word.error] == ["cancelled"]
    assert "run_retried" in family.kinds(family.kid)
    for step in ("a", "b"):
        family.work(step, family.kid)
    family.succeed(command(family, "x", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["failed", "succeeded"]


@pytest.mark.parametrize("is_late", [False, True])
def test_retries_and_cancels_of_a_child_that_could_not_begin_yet_are_heard_in_their_order(is_late: bool) -> None:
    """Seed 369908534: a cancel was heard before the retry that it was for, and the next retry met a child under way."""
    family = Family(BESIDE, publish=())
    family.fail(command(family, "x", family.run_id))
    retry(family, family.run_id, 1)
    family.fail(command(family, "x", family.run_id))
    if is_late:
        family.put(TWO)
    retry(family, family.run_id, 2)
    if not is_late:
        family.publish(TWO)
    assert [kind for kind in family.kinds(family.kid) if kind.startswith("run_")] == [
        *("run_started", "run_completed"),
        *("run_retried", "run_completed"),
        "run_retried",
    ]
    assert {word.error.code for word in family.words() if word.error} == {"cancelled"}
    for step in ("a", "b"):
        family.succeed(command(family, step, family.kid))
    family.succeed(command(family, "x", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["failed", "failed", "succeeded"]


def test_a_retry_of_a_child_whose_definition_never_comes_fails_as_its_first_start() -> None:
    family = Family(BESIDE, publish=())
    family.fail(command(family, "x", family.run_id))
    retry(family, family.run_id)
    family.cluster.advance(60_000)
    family.turns()
    assert [word.error and word.error.code for word in family.words()] == ["unknown_workflow", "unknown_workflow"]
    assert family.ends(family.run_id) == ["failed", "failed"]


class CodeFamily(Family):
    """A parent whose code has called for the child."""

    def __init__(self) -> None:
        super().__init__(step_block("c"), publish=(TWO,))

    def publish(self, plan: Plan) -> str:
        """The step `c` has a journal."""
        steps = tuple(replace(each, journaled=True) if each.name == "c" else each for each in plan.document.steps)
        return super().publish(Plan(replace(plan.document, steps=steps), "digest"))

    def kid_of(self, run_id: str) -> str:
        """Behind the call for it."""
        if run_id not in {each.run_id for each in self.told(self.names.run_events, RunEvent) if each.journal}:
            self.call(run_id)
        return super().kid_of(run_id)

    def call(self, run_id: str) -> None:
        """The code comes by its call for a child."""
        called = ChildCall(workflow="other", version="1")
        entry = replace(wait("child", name="other"), child=called, writes=(text("topic", "kafka"),))
        sent = command(self, "c", run_id)
        self.answer(sent, StepJournaled(identity=sent.identity, holder="w", entry=entry))


@pytest.mark.parametrize("how", ["it failed", "it was cut off"])
def test_a_child_of_code_goes_on_under_its_old_keys_with_the_code(how: str) -> None:
    family = CodeFamily()
    kid = family.kid
    family.work("a", kid)
    former = command(family, "b", kid)
    if how == "it failed":
        family.fail(former)
    for life in (1, 2):
        family.fail(command(family, "c", family.run_id))
        assert family.ends(family.run_id) == ["failed"] * life
        assert family.ends(kid)[-1] == ("failed" if (how, life) == ("it failed", 1) else "cancelled")
        retry(family, family.run_id, life)
        assert len(family.ends(kid)) == life, "nobody has told it yet"
        family.call(family.run_id)
        family.loop.close()
        family.loop = family.boot()
        family.turns(40)
        family.call(family.run_id)
    again = command(family, "b", kid)
    assert (again.idempotency_key, again.identity.incarnation) == (former.idempotency_key, former.identity.incarnation)
    family.succeed(again)
    assert family.words()[-1].status == "succeeded"
    assert family.kinds(family.run_id)[-1] == "child_ended"
    assert family.kinds(kid).count("run_retried") == 2
    family.succeed(command(family, "c", family.run_id))
    family.work("z", family.run_id)
    assert family.ends(family.run_id)[-1] == "succeeded"
    assert [event.path for event in history(family, kid) if event.kind == "step_succeeded"] == ["a", "b"]
    assert replay(history(family, kid), TWO).head.status == "succeeded"


def test_a_child_itself_is_refused_and_says_whom_to_retry() -> None:
    family = Family(child())
    family.fail(command(family, "b", family.kid))
    retry(family, family.kid)
    (refused,) = family.told(family.names.run_completions, RequestRejected)
    assert refused.code == "retry_of_a_child"
    assert f"logkeel run retry {family.run_id}" in refused.reason
