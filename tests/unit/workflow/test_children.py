"""Child runs as authors write them: what they become, what mistakes are told, how they run."""

import pytest
from examples.agents.deep_research import research
from msgspec import UNSET

from logkeel.definitions import ChildBlock, Mapped, SequenceBlock
from logkeel.errors import DefinitionError, RunFailed
from logkeel.workflow import Fail, State, Workflow, child, inline, parallel, rescue
from logkeel.workflow.blocks import FlowBlock


class Inner(State):
    """What a child knows."""

    topic: str
    draft: str | None = None
    ready: bool = False


class Outer(State):
    """What its parent knows."""

    topic: str
    subject: str | None = None
    draft: str | None = None
    other: str | None = None
    ready: bool | None = None


def author() -> Workflow[Inner]:
    """A child of one step; it fails for some topics."""
    workflow = Workflow("author", state=Inner, returns="draft")

    @workflow.step(writes=lambda s: s.draft)
    def write(topic: str) -> str:
        if topic == "nothing":
            raise Fail("no_topic")
        return f"about {topic}"

    workflow.flow(write)
    return workflow


def house(*blocks: FlowBlock, **limits: int) -> Workflow[Outer]:
    """A parent with this flow."""
    workflow = Workflow("house", state=Outer, returns="draft", **limits)  # type: ignore[arg-type]  # by keyword
    workflow.flow(*blocks)
    return workflow


def block_of(workflow: Workflow[Outer]) -> ChildBlock:
    """Its first block."""
    flow = workflow.document().flow
    assert isinstance(flow, SequenceBlock)
    assert isinstance(flow.blocks[0], ChildBlock)
    return flow.blocks[0]


def test_a_child_becomes_a_block_that_names_workflow_and_version() -> None:
    made = house(child(author()))
    topic = (Mapped(inner="topic", outer="topic"),)
    expected = ChildBlock(
        id="author", workflow="author", version="1", inputs=topic, returns="draft", writes="draft", leaf=True
    )
    assert block_of(made) == expected
    assert made.document().steps == ()
    assert list(made.children) == ["author"]
    assert "await a run of author@1" in made.draw()


def test_limits_stand_in_the_definition_and_only_if_they_are_said() -> None:
    document = house(child(author()), max_depth=3).document()
    assert (document.max_depth, document.max_descendants) == (3, UNSET)
    with pytest.raises(DefinitionError, match="max_descendants=-1 is no limit"):
        house(child(author()), max_descendants=-1)


def test_a_workflow_may_start_itself_and_is_no_leaf_then() -> None:
    assert list(research.children) == ["deep_research"]
    found = [each for each in research.draw().splitlines() if "await a run" in each]
    assert len(found) == 1
    assert "deep_research@1" in found[0]


def test_children_of_inner_workflows_and_of_children_are_known() -> None:
    middle = Workflow("middle", state=Outer, returns="draft")
    middle.flow(child(author()))
    outer = Workflow("outer", state=Outer, returns="draft")
    outer.flow(inline(middle, writes="draft"))
    top = Workflow("top", state=Outer, returns="draft")
    top.flow(child(outer))
    assert sorted(top.children) == ["author", "outer"]


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (lambda: child(author(), detach=True, writes="draft"), "nobody waits for the run of 'author', and its result"),
        (lambda: child(author(), detach=True, on_cancel="abandon"), "so no cancel reaches it"),
        (
            lambda: child(author(), on_cancel="never"),  # type: ignore[arg-type]  # the mistake
            "on_cancel='never' is unknown",
        ),
        (lambda: child(author(), inputs={}), "workflow 'author' needs 'topic', which it is not given"),
        (lambda: child(author(), inputs={"topic": "subject"}), "begins with 'subject', which nothing on its way"),
        (lambda: child(author(), inputs={"topic": "ready"}), "field 'topic' inside is a payload"),
        (lambda: child(author(), writes="nowhere"), "'nowhere' is no field of the state"),
        (lambda: (child(author(), name="a"), child(author(), name="b")), "two workflows are called 'author'"),
    ],
)
def test_what_is_wrong_with_a_child_is_told(block: "object", what: str) -> None:
    with pytest.raises(DefinitionError, match=what) as caught:
        house(block())  # type: ignore[operator]  # a function
    assert all(problem["place"].startswith("flow/") and problem["remedy"] for problem in caught.value.problems)


@pytest.mark.parametrize("call", [child, inline])
def test_branches_do_not_write_one_field_by_two_workflows(call: "object") -> None:
    writer = author()
    both = parallel(call(writer, name="a"), call(writer, name="b"))  # type: ignore[operator]  # a function
    with pytest.raises(DefinitionError, match="branches 'a' and 'b' both write 'draft'"):
        house(both)


async def test_a_child_runs_and_its_result_is_the_parents() -> None:
    assert await house(child(author())).try_out(topic="kafka") == "about kafka"


async def test_a_child_that_fails_fails_its_parent_unless_that_is_caught() -> None:
    with pytest.raises(RunFailed, match="no_topic"):
        await house(child(author())).try_out(topic="nothing")
    caught = rescue(child(author()), on={"child_failed": ()})
    assert await house(caught).try_out(topic="nothing") is None


async def test_nobody_waits_for_a_detached_child() -> None:
    assert await house(child(author(), detach=True)).try_out(topic="nothing") is None


async def test_deep_research_goes_as_deep_as_it_may() -> None:
    answer = await research.try_out(question="logs")
    assert answer.count("a source on") == 8, "two parts, each of two, each looked up in two"
    assert answer.startswith("logs [logs: what? [logs: what?: what? [a source on logs: what?: what?: what?;")
