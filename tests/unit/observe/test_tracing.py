"""Traces: one tree per execution with its calls and tokens, the same spans whoever repeats them, to the right door."""

import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from examples.agents.deep_research import research as deep_research
from examples.agents.react import agent
from examples.research import agent as research_agent
from examples.research import outside
from examples.research.agent import research
from examples.research.model import Answer
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, messaging_attributes
from tests.unit.observe.application import WatchedApplication
from tests.unit.observe.receiver import Receiver, receiving
from tests.unit.steps.commands import SOURCE, command

from logkeel.log import OutputRecord, TopicPartition
from logkeel.observe.switches import Wanted, wanted
from logkeel.observe.tracing import StepTracing, make_provider
from logkeel.records import AnswerQuestion, StartRun
from logkeel.records.tracing import parse_traceparent, span_id_of
from logkeel.steps.attempt import new_attempt
from logkeel.steps.machine.messages import StartStep
from logkeel.wire import encode
from logkeel.workflow import State, Workflow

KEYS = base64.b64encode(b"pk-lf-1?>:sk-lf-2~~").decode()
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{it.port}")
        yield it


def run(
    workflow: "Workflow[Any]",
    inputs: dict[str, Any],
    *,
    resources: dict[Any, Any] | None = None,
    verb: str | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> list[tuple[tuple[str, bytes], ...]]:
    """One run with its traces sent; the headers of its completion."""
    provider = make_provider({"service.name": "logkeel-worker"})
    tracing = StepTracing(provider, "memory.workers.default")
    with WatchedApplication([workflow], observers=(tracing,), resources=resources) as application:
        start = StartRun(workflow=workflow.name, run_id="r", inputs=workflow.encode_input(inputs))
        producer = application.client.producer()
        producer.produce(OutputRecord(application.names.run_requests, b"r", encode(start), 0, headers))
        producer.flush(1.0)
        if verb is not None:
            assert application.run_until(lambda: _waits(application))
            path = next(event.path for event in application.history("r") if event.kind == "question_asked")
            application.send(AnswerQuestion(run_id="r", path=path or "", verb=verb), key="r")
        assert application.run_until(lambda: application.outcome("r") is not None)
        reader = application.client.reader("read_committed")
        reader.assign({TopicPartition(application.names.run_completions, 0): 0})
        found = [record.headers for record in reader.fetch(100, 0.0).records]
    provider.shutdown()
    return found


def _waits(application: WatchedApplication) -> bool:
    return any(event.kind == "step_suspended" for event in application.history("r")[-1:])


def given(value: Any) -> Any:
    """An opener of this resource."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        yield value

    return opened


class _Model:
    async def answer(self, question: str, evidence: Sequence[Any]) -> Answer:
        return Answer([("Keels help", 1)], input_tokens=120, output_tokens=15)


class _Catalogue:
    async def post(self, path: str, json: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        return httpx.Response(201, request=httpx.Request("POST", f"http://catalogue{path}"))


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (
            "/api/public/otel",
            f"Authorization=Basic%20{KEYS},x-langfuse-ingestion-version=4",
            {"authorization": f"Basic {KEYS}", "x-langfuse-ingestion-version": "4"},
        ),
        (
            "/otel",
            "x-api-key=lsv2-1,Langsmith-Project=research",
            {"x-api-key": "lsv2-1", "langsmith-project": "research"},
        ),
    ],
    ids=["langfuse", "langsmith"],
)
def test_the_research_example_is_one_tree_per_execution_with_tokens(
    path: str,
    headers: str,
    expected: dict[str, str],
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}{path}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    monkeypatch.setattr(research_agent, "standard_library", list)
    monkeypatch.setattr(research_agent, "installed_distributions", list)
    monkeypatch.setattr(outside, "send_mail", lambda message: None)
    (tmp_path / "keel.md").write_text("A keel keeps a ship upright.")
    run(
        research,
        {"question": "what does a keel do?", "corpus": str(tmp_path)},
        resources={"open_model": given(_Model()), "open_shelf": given(tmp_path), "open_catalogue": given(_Catalogue())},
    )
    assert {where for where, _ in receiver.requests} == {f"{path}/v1/traces"}
    assert all(expected.items() <= got.items() for _, got in receiver.requests)
    spans = receiver.spans
    steps = ["search_library", "search_packages", "search_documents", "merge", "analyse", "write", "store"]
    assert Counter(span.name for span in spans) == Counter(
        f"invoke_agent {step}" for step in [*steps, "register", "notify"]
    )
    assert {span.parent for span in spans} == {""}
    assert len({span.trace for span in spans}) == 1
    assert len({span.span for span in spans}) == len(spans)
    named = {span.attributes["gen_ai.agent.name"]: span for span in spans}
    analysed = named["analyse"].attributes
    assert (analysed["gen_ai.usage.input_tokens"], analysed["gen_ai.usage.output_tokens"]) == (120, 15)
    assert analysed["gen_ai.operation.name"] == "invoke_agent"
    assert analysed["gen_ai.workflow.name"] == "research"
    assert analysed["gen_ai.conversation.id"] == analysed["session.id"] == "r"
    assert analysed["messaging.destination.name"] == "memory.step-commands.default"
    assert analysed["messaging.consumer.group.name"] == "memory.workers.default"
    assert named["analyse"].resource["service.name"] == "logkeel-worker"
    # Each is linked to the execution that led to it; the first ones to nothing, for nobody traced the request.
    assert named["write"].links == ((spans[0].trace, named["analyse"].span),)
    assert named["merge"].links[0][1] in {named[each].span for each in steps[:3]}
    assert [named[each].links for each in steps[:3]] == [(), (), ()]


def test_calls_are_children_of_the_execution_that_made_them_and_replays_are_no_spans(receiver: Receiver) -> None:
    run(agent, {"question": "what is a log?"}, verb="approve")
    executions = [span for span in receiver.spans if span.name.startswith("invoke_agent")]
    calls = [span for span in receiver.spans if span.name.startswith("execute_tool")]
    assert [span.attributes["logkeel.step.outcome"] for span in executions] == ["suspended", "succeeded"]
    assert len({span.span for span in receiver.spans}) == len(receiver.spans)
    # Three replies and three tools, although the code ran twice.
    assert Counter(span.name for span in calls) == {
        "execute_tool model": 3,
        "execute_tool tool:search": 1,
        "execute_tool tool:count": 1,
        "execute_tool tool:send": 1,
    }
    of = {span.span: span for span in executions}
    assert all(span.parent in of and span.trace == of[span.parent].trace for span in calls)
    before, after = executions
    assert [span.name for span in calls if span.parent == after.span] == [
        "execute_tool tool:send",
        "execute_tool model",
    ]
    assert (before.trace, before.span) in after.links


def test_child_runs_are_in_the_trace_of_their_parent(receiver: Receiver) -> None:
    run(deep_research, {"question": "why do logs win"})
    spans = {(span.attributes["session.id"], span.attributes["gen_ai.agent.name"]): span for span in receiver.spans}
    assert len({span.trace for span in receiver.spans}) == 1
    runs = {name for name, _ in spans}
    assert len(runs) > 2
    split = spans["r", "split"]
    children = [span for (name, step), span in spans.items() if step == "split" and name != "r"]
    assert (split.trace, split.span) in {link for child in children for link in child.links}


def test_the_trace_of_who_starts_a_run_goes_through_it_and_out_again(receiver: Receiver) -> None:
    headers = (("traceparent", CALLER.encode()), ("tracestate", b"vendor=1"))
    (completion,) = run(single, {"word": "hello"}, headers=headers)
    (span,) = receiver.spans
    assert span.trace == "0af7651916cd43dd8448eb211c80319c"
    assert span.links == (("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"),)
    assert ("traceparent", CALLER.encode()) in completion
    assert ("tracestate", b"vendor=1") in completion


class Word(State):
    """One field."""

    word: str
    echo: str | None = None


single = Workflow("single", state=Word, returns="echo")


@single.step(writes=lambda s: s.echo, timeout="5s")
async def echo(word: str) -> str:
    seen.append(trace.get_current_span().get_span_context().span_id)
    with trace.get_tracer("author", tracer_provider=provider_of_author[0]).start_as_current_span("chat model"):
        if word == "fail":
            raise LookupError("the secret is 42")
    return word


single.flow(echo)
seen: list[int] = []
provider_of_author: list[Any] = [None]


def test_what_a_step_traces_itself_hangs_below_it_and_errors_tell_no_secrets(receiver: Receiver) -> None:
    seen.clear()
    provider_of_author[0] = make_provider({"service.name": "author"})
    run(single, {"word": "hello"})
    provider_of_author[0].shutdown()
    provider_of_author[0] = None
    spans = {span.name: span for span in receiver.spans}
    assert spans["chat model"].parent == spans["invoke_agent echo"].span == f"{seen[0]:016x}"
    assert spans["chat model"].trace == spans["invoke_agent echo"].trace
    receiver.spans.clear()
    run(single, {"word": "fail"})
    failures = [span for span in receiver.spans if span.failed]
    assert [span.attributes["error.type"] for span in failures] == ["LookupError"] * len(failures) != []
    assert len({span.span for span in failures}) == len(failures)
    assert not any("secret" in repr(span) for span in failures)
    first, second = failures[:2]
    assert (first.trace, first.span) in second.links


def test_an_execution_that_is_repeated_is_the_same_span(receiver: Receiver) -> None:
    it = command(1)
    for _ in range(2):
        provider = make_provider({"service.name": "logkeel-worker"})
        tracing = StepTracing(provider, "workers")
        attempt = new_attempt(StartStep(SOURCE, 7, it, claimed=False), claimed_at_s=0.0, now_ms=1, now_s=0.0)
        tracing.began(attempt)
        tracing.ended(attempt, None, 2)  # put back: never sent
        again = new_attempt(StartStep(SOURCE, 7, it, claimed=False), claimed_at_s=0.0, now_ms=1, now_s=0.0)
        tracing.began(again)
        tracing.ended(again, SimpleNamespace(), 2)  # type: ignore[arg-type]
        provider.shutdown()
    assert [span.span for span in receiver.spans] == [span_id_of(it.identity)] * 2


def test_attribute_names_are_those_that_were_published(receiver: Receiver) -> None:
    run(agent, {"question": "what is a log?"}, verb="reject")
    published = {
        value
        for module in (gen_ai_attributes, messaging_attributes)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    } | {"error.type", "session.id"}
    sent = {name for span in receiver.spans for name in span.attributes if not name.startswith("logkeel.")}
    assert sent <= published
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
    assert {span.attributes["gen_ai.operation.name"] for span in receiver.spans} <= operations


@pytest.mark.parametrize(
    ("environment", "traces", "refused"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False, False),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, False, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False, True),
    ],
)
def test_the_variables_of_opentelemetry_alone_decide(environment: dict[str, str], traces: bool, refused: bool) -> None:
    asked = wanted(environment)
    assert (asked.traces, asked.refusal is not None) == (traces, refused)
    assert isinstance(asked, Wanted)


@pytest.mark.parametrize(
    "header", ["", "00-0-0-01", CALLER.upper(), CALLER.replace("00-", "ff-", 1), CALLER[:3] + "0" * 32 + CALLER[35:]]
)
def test_what_is_no_traceparent_is_none(header: str) -> None:
    assert parse_traceparent(header) is None


def test_flags_say_whether_somebody_keeps_the_trace() -> None:
    kept, dropped = parse_traceparent(CALLER), parse_traceparent(CALLER[:-1] + "0")
    assert kept is not None
    assert dropped is not None
    assert (kept.sampled, dropped.sampled) == (True, False)
