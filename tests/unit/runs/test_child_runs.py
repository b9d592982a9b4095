"""Child runs on the log: an engine on the simulated cluster, over two partitions (P29)."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.scripts import flow_of, plan_of, step_block, text

from logkeel.definitions import Block, ChildBlock, FieldDefinition, Handler, Mapped, RescueBlock
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import CancelRun, ChildCompleted, RunCompleted, RunEvent, StartRun
from logkeel.runs.core.plan import Plan
from logkeel.wire import encode

CHILD = plan_of(flow_of(step_block("b")))


def named(plan: Plan, name: str) -> Plan:
    """The same as another workflow."""
    return Plan(replace(plan.document, name=name), "digest")


def parent(*blocks: Block) -> Plan:
    """A workflow with these blocks behind each other; `b` is what a child returns."""
    document = plan_of(flow_of(*blocks, step_block("z"))).document
    return Plan(replace(document, fields=(*document.fields, FieldDefinition(name="b"))), "digest")


def child(**details: object) -> ChildBlock:
    """A child that runs the step `b`."""
    known: dict[str, object] = {"inputs": (Mapped(inner="topic", outer="topic"),), "returns": "b", "writes": "b"}
    return ChildBlock(id="kid", workflow="other", version="1", **{**known, **details})  # type: ignore[arg-type]  # by keyword


class Family(Engine):
    """Parent and child on two partitions, each at home on another one."""

    def __init__(self, *blocks: Block, publish: Sequence[Plan] = (named(CHILD, "other"),)) -> None:
        super().__init__(partitions=2)
        self.publish(parent(*blocks))
        for plan in publish:
            self.publish(plan)
        self.run_id = next(name for name in map(str, range(100)) if self._apart(name))
        self.ask(a_start(self.run_id))

    def _apart(self, run_id: str) -> bool:
        """Tried out, since a child's id depends on the position of its parent's start."""
        self.ask(a_start(run_id, request_id=run_id))
        kid = self.kid_of(run_id)
        if partition_for(kid.encode(), 2) != partition_for(run_id.encode(), 2):
            return True
        self.ask(CancelRun(run_id=run_id))
        return False

    def kid_of(self, run_id: str) -> str:
        """The run id of the child of this run."""
        events = self.told(self.names.run_events, RunEvent)
        return next(each.name or "" for each in events if each.kind == "child_started" and each.run_id == run_id)

    @property
    def kid(self) -> str:
        """The child's run id."""
        return self.kid_of(self.run_id)

    def kinds(self, run_id: str) -> list[str]:
        """The history of one run."""
        return [event.kind for event in self.told(self.names.run_events, RunEvent) if event.run_id == run_id]

    def ends(self, run_id: str) -> list[str]:
        """How it was announced to have ended."""
        return [each.status for each in self.told(self.names.run_completions, RunCompleted) if each.run_id == run_id]

    def words(self) -> list[ChildCompleted]:
        """What this parent was told."""
        words = self.told(self.names.step_results, ChildCompleted)
        return [each for each in words if each.run_id == self.run_id]

    def work(self, step: str, run_id: str) -> None:
        """A worker runs a step."""
        self.succeed(
            next(each for each in self.commands() if each.identity.step == step and each.identity.run_id == run_id)
        )


def test_a_child_on_another_partition_is_asked_for_and_answers() -> None:
    """P29: ask on run-requests at its home, answer on step-results at the asker's."""
    family = Family(child())
    assert family.kinds(family.kid) == ["run_started", "step_dispatched"]
    family.work("b", family.kid)
    (word,) = family.words()
    assert (word.status, word.child_run_id, word.path) == ("succeeded", family.kid, "kid")
    assert family.kinds(family.run_id) == ["run_started", "child_started", "child_ended", "step_dispatched"]
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["succeeded"]
    places = {(record.partition, record.key) for record in family.records(family.names.step_results) if record.key}
    assert (partition_for(family.run_id.encode(), 2), family.run_id.encode()) in places


def test_a_childs_start_or_end_that_comes_twice_counts_once() -> None:
    """P29, P26: the child has the identity that its start says, the parent takes one answer for one wait."""
    family = Family(child())
    requests = family.told(family.names.run_requests, StartRun)
    again = next(each for each in requests if each.run_id == family.kid)
    family.ask(again)
    assert family.kinds(family.kid) == ["run_started", "step_dispatched"]
    family.work("b", family.kid)
    family.ask(replace(again, request_id="another"))
    assert len(family.words()) == 2, "a finished child says so once more"
    home = partition_for(family.run_id.encode(), 2)
    family.producer.produce(OutputRecord(family.names.step_results, b"r", encode(family.words()[0]), home))
    family.turns()
    assert family.kinds(family.run_id).count("child_ended") == 1


def test_who_cancels_the_parent_cancels_the_child() -> None:
    family = Family(child())
    family.ask(CancelRun(run_id=family.run_id, reason="enough"))
    assert family.ends(family.run_id) == ["cancelled"]
    assert family.ends(family.kid) == ["cancelled"]
    assert family.words()[0].status == "cancelled"
    assert family.kinds(family.run_id)[-1] == "run_completed", "the word of a child comes too late and changes nothing"


@pytest.mark.parametrize("details", [{"on_cancel": "abandon"}, {"detach": True, "returns": None, "writes": None}])
def test_an_abandoned_or_detached_child_goes_on(details: dict[str, object]) -> None:
    family = Family(child(**details))
    family.ask(CancelRun(run_id=family.run_id))
    family.work("b", family.kid)
    assert family.ends(family.kid) == ["succeeded"]
    assert family.ends(family.run_id) == ["cancelled"]
    assert len(family.words()) == (0 if details.get("detach") else 1)


def test_a_child_that_cannot_be_started_is_a_failure_of_its_block() -> None:
    """P28: a start that is refused is told to whoever waits for the run."""
    caught = RescueBlock(id="r", body=child(), handlers=(Handler(on="child_failed", block=step_block("a")),))
    family = Family(caught, publish=())
    assert family.kinds(family.run_id) == ["run_started", "child_started"]
    family.cluster.advance(60_000)
    family.turns()
    assert family.kinds(family.run_id)[2:] == ["child_ended", "block_rescued", "step_dispatched"]
    (word,) = family.words()
    assert word.error is not None
    assert (word.child_incarnation, word.error.code) == (None, "unknown_workflow")


def test_a_childs_run_id_that_is_taken_is_a_failure_and_no_confusion() -> None:
    family = Family(child())
    stranger = replace(a_start(family.kid, topic="another", request_id="x"), workflow="other")
    family.ask(stranger)
    assert "run_id_taken" in family.rejections()
    assert family.kinds(family.kid) == ["run_started", "step_dispatched"]


def test_the_engine_dies_between_parent_and_child_and_both_go_on() -> None:
    family = Family(child())
    family.loop.close()
    family.cluster.advance(11_000)
    family.loop = family.boot()
    family.turns()
    family.work("b", family.kid)
    family.loop.close()
    family.cluster.advance(11_000)
    family.loop = family.boot()
    family.turns()
    family.work("z", family.run_id)
    assert family.ends(family.run_id) == ["succeeded"]
    assert family.ends(family.kid) == ["succeeded"]


def test_a_recursion_without_end_ends_at_its_depth() -> None:
    endless = replace(child(), workflow="work", returns=None, writes=None)
    engine = Engine(partitions=2)
    document = plan_of(flow_of(step_block("z"), endless)).document
    engine.publish(Plan(replace(document, max_depth=3), "digest"))
    engine.ask(a_start())
    for _ in range(6):
        for command in engine.commands():
            engine.succeed(command)
    ends = engine.completions()
    assert len(ends) == 4
    assert {each.status for each in ends} == {"failed"}
    deepest = next(each for each in ends if each.error and each.error.code == "child_too_deep")
    assert deepest.origin is not None
    assert all(each.error and each.error.code == "child_failed" for each in ends if each is not deepest)


def test_control_fields_and_defaults_reach_the_child() -> None:
    family = Family(child())
    request = next(each for each in family.told(family.names.run_requests, StartRun) if each.run_id == family.kid)
    assert request.inputs == (text("topic", "kafka"),)
    assert request.parent is not None
    assert request.parent.home_partition == partition_for(family.run_id.encode(), 2)
