"""Ten questions before production, answered for one workflow with yes or no, and why. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from logkeel.definitions import HumanBlock, SignalBlock, WorkflowDocument, all_blocks
from logkeel.workflow import Workflow

REPLICAS = 3
"""One broker may be lost while another one is being restarted."""


@dataclass(frozen=True, slots=True)
class Point:
    """One question. `remedy` is empty if the answer is yes."""

    question: str
    answer: Literal["yes", "no"]
    why: str
    remedy: str = ""


def points(workflow: "Workflow[Any]", *, replication_factor: int | None, environment: Mapping[str, str]) -> list[Point]:
    """The ten of them. `replication_factor`: of the application's topics; None: not seen."""
    document = workflow.document()
    return [
        _replicated(replication_factor),
        _point("are run ids logged?", [], "every record, error and log line of a step names its run", ""),
        _effects(document),
        _retries(document),
        _schema_version(workflow),
        _point("is each step tracked?", [], "the history has an event for each dispatch, end and failure", ""),
        _point("do parallel branches write separate fields?", [], "the flow was checked when it was defined", ""),
        _observed(environment),
        _timeouts(document),
        _silent_humans(document),
    ]


def _point(question: str, wrong: list[str], fine: str, remedy: str) -> Point:
    if wrong:
        return Point(question, "no", "; ".join(wrong), remedy)
    return Point(question, "yes", fine)


def _replicated(replication_factor: int | None) -> Point:
    question = f"does the log outlive a broker (replication factor {REPLICAS})?"
    if replication_factor is None:
        return Point(question, "no", "the topics cannot be seen from here", "name the cluster: --bootstrap-servers …")
    wrong = [f"topics have replication factor {replication_factor}"] if replication_factor < REPLICAS else []
    fine = f"topics have replication factor {replication_factor}"
    return _point(question, wrong, fine, f"logkeel topics apply --replication-factor {REPLICAS}, on new topics")


def _effects(document: WorkflowDocument) -> Point:
    kinds = sorted({step.effect for step in document.steps})
    wrong = [
        f"step {step.name} writes nothing, so it is there for its effect, but says {step.effect}"
        for step in document.steps
        if not step.writes and step.effect == "NONE"
    ]
    remedy = "say what a second execution means: effect=KEYED, CHECKED, ONCE or IDEMPOTENT"
    return _point("are effects declared?", wrong, f"steps say {', '.join(kinds)}", remedy)


def _retries(document: WorkflowDocument) -> Point:
    wrong = [
        f"step {step.name} has one attempt"
        for step in document.steps
        if step.retry.max_attempts < 2 and step.effect != "ONCE"
    ]
    fine = "each step has more than one attempt, or must not be repeated"
    return _point("are there retry policies?", wrong, fine, "retry=Retry(max_attempts=3)")


def _schema_version(workflow: "Workflow[Any]") -> Point:
    declared = "schema_version" in workflow.shape.view_fields
    wrong = [] if declared else [f"the state class of {workflow.name} does not declare schema_version"]
    fine = f"the state has schema version {workflow.shape.schema_version}"
    return _point("has the state a schema version?", wrong, fine, "add: schema_version: int = 1")


def _observed(environment: Mapping[str, str]) -> Point:
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    wrong = [] if environment.get(name) else [f"{name} is not set here, so no traces or metrics leave the process"]
    remedy = f"set {name} where engines and workers run"
    return _point("is observability on?", wrong, f"{name} is {environment.get(name)}", remedy)


def _timeouts(document: WorkflowDocument) -> Point:
    wrong = [f"step {step.name} has no time-out" for step in document.steps if step.timeout_ms is None]
    wrong += [
        f"wait {block.id} has none"
        for block in all_blocks(document.flow)
        if isinstance(block, SignalBlock) and block.timeout_ms is None
    ]
    return _point("does everything that waits have a time-out?", wrong, "steps and signals have", "timeout=…")


def _silent_humans(document: WorkflowDocument) -> Point:
    humans = [block for block in all_blocks(document.flow) if isinstance(block, HumanBlock)]
    wrong = [f"question {block.id} waits for ever" for block in humans if block.timeout_ms is None]
    fine = "each question has a time-out and what follows it" if humans else "no human is asked"
    return _point("is there an answer for silent humans?", wrong, fine, 'timeout="48h", on_timeout="reject"')
