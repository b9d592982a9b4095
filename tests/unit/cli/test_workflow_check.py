"""`logkeel workflow check`: what differs and for whom, and the ten questions before production."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from tests.unit.cli.terminal import Terminal
from tests.unit.runs.engine import a_start
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.cli.applications import load_workflows
from logkeel.cli.definition_changes import changes
from logkeel.cli.production import points
from logkeel.definitions import FieldDefinition, HumanBlock, StepDefinition, WorkflowDocument
from logkeel.runs.core.plan import Plan
from logkeel.workflow import NONE, ONCE, Retry, State, Workflow, parallel

a, b, c = (step_block(name) for name in "abc")
OLD = replace(plan_with(flow_of(a, b), returns=("a",)).document, version="1")
NEW = replace(OLD, version="2")


def found(new: WorkflowDocument, migrations: frozenset[int] = frozenset()) -> dict[str, str]:
    """Verdict by place."""
    return {change.place: change.verdict for change in changes(OLD, new, migrations)}


def with_field(field: FieldDefinition) -> WorkflowDocument:
    """NEW with this field instead of the one of that name, or besides."""
    return replace(NEW, fields=(*(each for each in NEW.fields if each.name != field.name), field))


def with_step(**more: Any) -> WorkflowDocument:
    """NEW with another step `a`."""
    return replace(NEW, steps=tuple(replace(step, **more) if step.name == "a" else step for step in NEW.steps))


def test_nothing_differs() -> None:
    assert changes(OLD, OLD) == []


def test_the_same_label_with_other_content_breaks() -> None:
    (change,) = changes(OLD, replace(OLD, run_timeout_ms=5))[:1]
    assert (change.place, change.verdict) == ("version", "breaks")
    assert 'version="…"' in change.remedy


@pytest.mark.parametrize(
    ("new", "place", "verdict"),
    [
        (replace(NEW, run_timeout_ms=5), "run_timeout", "fine"),
        (replace(NEW, returns=("a", "b")), "returns", "fine"),
        (replace(NEW, returns=("b",)), "returns", "breaks"),
        (replace(NEW, schema_version=2), "schema_version", "note"),
        (replace(NEW, schema_version=0), "schema_version", "breaks"),
        (with_field(FieldDefinition(name="more")), "field more", "fine"),
        (with_field(FieldDefinition(name="more")), "schema_version", "note"),
        (with_field(FieldDefinition(name="more", required=True)), "field more", "breaks"),
        (replace(NEW, fields=OLD.fields[1:]), "field topic", "breaks"),
        (replace(NEW, fields=OLD.fields[:-1]), "field b", "note"),
        (with_field(FieldDefinition(name="topic")), "field topic", "fine"),
        (with_field(FieldDefinition(name="a", control_type="string")), "field a", "breaks"),
        (with_step(queue="gpu"), "step a", "note"),
        (with_step(effect="ONCE"), "step a", "note"),
        (with_step(timeout_ms=1), "step a", "fine"),
        (replace(NEW, flow=flow_of(b)), "flow", "note"),
        (replace(NEW, flow=flow_of(b, a)), "flow", "fine"),
        (replace(NEW, steps=(*OLD.steps, StepDefinition(name="c", effect="NONE"))), "step c", "fine"),
        (replace(NEW, steps=OLD.steps[1:], flow=flow_of(b)), "step a", "note"),
    ],
)
def test_each_change_is_judged(new: WorkflowDocument, place: str, verdict: str) -> None:
    assert found(new)[place] == verdict
    for change in changes(OLD, new):
        assert change.reason


def test_choices_may_grow_and_not_shrink() -> None:
    old = with_field(FieldDefinition(name="verdict", control_type="string", choices=("yes", "no")))
    more = replace(old, version="3", fields=(*old.fields[:-1], replace(old.fields[-1], choices=("yes", "no", "?"))))
    assert [change.verdict for change in changes(old, more)] == ["fine"]
    assert [change.verdict for change in changes(more, replace(old, version="4"))] == ["breaks"]


def test_a_migration_makes_a_new_schema_fine() -> None:
    assert found(replace(NEW, schema_version=2), frozenset({1}))["schema_version"] == "fine"


class Draft(State):
    """A state without schema version."""

    topic: str
    text: str | None = None
    other: str | None = None
    decision: Literal["approve", "reject"] = "reject"


def test_ten_questions_are_answered_for_this_workflow() -> None:
    workflow = Workflow("draft", state=Draft, returns="text")

    @workflow.step(writes=lambda s: s.text, timeout=None, retry=Retry(max_attempts=1))
    async def write(topic: str) -> str:
        return topic

    @workflow.step(writes=lambda s: s.other)
    async def check(topic: str) -> str:
        return topic

    workflow.flow(parallel(write, check))
    answers = {point.question: point for point in points(workflow, replication_factor=1, environment={})}
    assert len(answers) == 10
    wrong = {question.rstrip("?").split()[-1] for question, point in answers.items() if point.answer == "no"}
    assert wrong == {"3)", "policies", "version", "on", "time-out"}
    assert all(point.remedy for point in answers.values() if point.answer == "no")
    assert "step write has no time-out" in {point.why for point in answers.values()}
    assert "no human is asked" in {point.why for point in answers.values()}


class Ready(State):
    """A state with one."""

    schema_version: int = 1
    topic: str
    text: str | None = None


def ready() -> Workflow[Ready]:
    """A workflow that lacks nothing."""
    workflow = Workflow("ready", state=Ready, returns="text")

    @workflow.step(writes=lambda s: s.text)
    async def write(topic: str) -> str:
        return topic

    @workflow.step(effect=ONCE)
    async def send(text: str | None) -> None:
        """Goes out."""

    workflow.flow(write, send)
    return workflow


def test_a_workflow_that_is_ready() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
    answers = points(ready(), replication_factor=3, environment=environment)
    assert [point.answer for point in answers] == ["yes"] * 10


def test_an_effect_of_none_is_doubted_where_nothing_is_written() -> None:
    workflow = Workflow("ready", state=Ready)

    @workflow.step(effect=NONE)
    async def send(topic: str) -> None:
        """Goes out, without saying so."""

    workflow.flow(send)
    point = points(workflow, replication_factor=3, environment={})[2]
    assert (point.answer, "send" in point.why) == ("no", True)


def test_a_question_for_ever_is_a_no() -> None:
    class Asking:
        """As much of a workflow as the questions look at."""

        name = "asking"
        shape = ready().shape

        @staticmethod
        def document() -> WorkflowDocument:
            block = HumanBlock(id="ok", question="?", writes="decision")
            return replace(ready().document(), flow=flow_of(block))

    point = points(Asking(), replication_factor=3, environment={})[9]  # type: ignore[arg-type]  # enough of one
    assert (point.answer, point.why) == ("no", "question ok waits for ever")


APPLICATION = """
from logkeel.workflow import State, Workflow

class Work(State):
    schema_version: int = {schema}
    topic: str
    a: str | None = None
    b: str | None = None

work = Workflow("work", state=Work, returns="b", version="{version}")

@work.step(writes=lambda s: s.a)
async def a(topic: str) -> str:
    return topic

@work.step(writes=lambda s: s.b)
async def b({reads}: str | None) -> str:
    return "done"

work.flow(a, b)
{more}
"""


def application(folder: Path, *, version: str = "1", schema: int = 1, reads: str = "topic", more: str = "") -> str:
    """The workflow in a file; answers what to call it."""
    path = folder / f"app_{version}_{schema}_{len(more)}.py"
    path.write_text(APPLICATION.format(version=version, schema=schema, reads=reads, more=more))
    return f"{path}:work"


@pytest.fixture
def logkeel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_the_command_compares_with_what_is_published(logkeel: Terminal, tmp_path: Path) -> None:
    first = application(tmp_path)
    (workflow,) = load_workflows(first)
    assert "not published yet" in logkeel("workflow", "check", first).err
    logkeel.engine.publish(Plan(workflow.document(), workflow.definition().digest))
    logkeel.engine.ask(a_start())
    same = logkeel("workflow", "check", first)
    assert (same.code, same.out.splitlines()[0]) == (0, "no change")
    assert "1 run is under way in version 1" in same.out
    changed = logkeel("workflow", "check", application(tmp_path, reads="a", more="# changed"))
    assert changed.code == 1
    assert "a published version never changes its content" in changed.out
    told = logkeel("workflow", "check", application(tmp_path, version="2", reads="a"), "-o", "json").value
    assert told["published"] == "work@1"
    assert told["in_flight"] == {"1": 1}
    assert [change["verdict"] for change in told["changes"]] == ["fine"]
    asked = json.loads(logkeel("workflow", "check", first, "--production", "-o", "json").out)
    assert [point["answer"] for point in asked["points"]].count("no") == 2
