"""Questions, answers and signals through the client, against a whole engine on the simulated cluster."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from pydantic import BaseModel
from tests.unit.payloads.chains import chain
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.client import Answer, AsyncClient, Client
from logkeel.client.answers import DELEGATE, NOTHING
from logkeel.client.building import plain_result
from logkeel.definitions import Block, HumanBlock, ParallelBlock, SignalBlock
from logkeel.errors import InvalidInput, RunNotFound
from logkeel.payloads import PLAIN
from logkeel.records import AnswerQuestion, FieldWrite, Payload, RunEvent
from logkeel.simulation import SimulatedClient

HOUR_MS = 3_600_000
a = step_block("a")


def question(name: str = "approve", **details: object) -> HumanBlock:
    known: dict[str, object] = {
        "question": "Go?",
        "writes": "decision",
        "allow": ("approve", "edit", "reject"),
        "answer": "letter",
        "shows": ("topic", "letter"),
        "assignee": "editors",
        "timeout_ms": 48 * HOUR_MS,
    }
    return HumanBlock(id=name, **{**known, **details})  # type: ignore[arg-type]  # by keyword


def running(*blocks: Block) -> Engine:
    """An engine with a run of these blocks."""
    engine = Engine()
    engine.publish(plan_with(flow_of(*blocks)))
    engine.ask(a_start())
    return engine


@pytest.fixture
def engine() -> Engine:
    return running(question(), a)


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with Client(SimulatedClient(engine.cluster), prefix="app") as client:
        yield client


def events(engine: Engine, kind: str) -> list[RunEvent]:
    return [each for each in engine.told(engine.names.run_events, RunEvent) if each.kind == kind]


def test_an_open_question_is_found_shown_and_answered_by_what_it_says(engine: Engine, client: Client) -> None:
    (found,) = client.questions()
    assert (found.run_id, found.path, found.question.question, found.question.assignee) == (
        "r",
        "approve",
        "Go?",
        "editors",
    )
    assert plain_result(found.shown) == {"topic": "kafka", "letter": None}
    approval = Answer(
        run_id=found.run_id,
        path=found.path,
        verb="approve",
        answered_by="ada",
        comment="well done",
        question=found.question.number,
        incarnation=found.incarnation,
    )
    request_id = client.answer(approval)
    engine.turns()
    (answered,) = events(engine, "question_answered")
    assert (answered.name, answered.actor, answered.reason) == ("approve", "ada", "well done")
    assert answered.request_id == request_id
    assert client.questions() == []
    assert client.questions("r", assignee="editors") == []


def test_a_typed_value_is_the_answer(engine: Engine, client: Client) -> None:
    class Letter(BaseModel):
        text: str
        copies: int

    client.answer(Answer(run_id="r", path="approve", verb="edit", value=[Letter(text="Dear Ada", copies=2)]))
    engine.turns()
    (answered,) = events(engine, "question_answered")
    assert answered.writes[1].payload == Payload(encoding="json", data=b'[{"text":"Dear Ada","copies":2}]')


def test_the_same_answer_sent_again_is_one_and_one_to_an_older_question_is_refused(
    engine: Engine, client: Client
) -> None:
    (found,) = client.questions("r")
    for _ in range(2):
        client.answer(Answer(run_id="r", path="approve", verb="approve"), request_id="x")
        engine.turns()
    assert (len(events(engine, "question_answered")), engine.rejections()) == (1, [])
    late = Answer(run_id="r", path="approve", verb="reject", question=found.question.number)
    client.answer(late, request_id="y")
    engine.turns()
    assert engine.rejections() == ["question_not_open"]


def test_a_question_is_handed_on_and_asked_of_somebody_else(engine: Engine, client: Client) -> None:
    client.answer(Answer(run_id="r", path="approve", verb=DELEGATE, assignee="bob", answered_by="ada"))
    engine.turns()
    assert client.questions(assignee="editors") == []
    (found,) = client.questions(assignee="bob")
    assert (found.question.reassigned_by, found.question.escalated) == ("ada", False)


def test_several_questions_of_one_run_are_answered_one_by_one() -> None:
    engine = running(ParallelBlock(id="both", branches=(question("one"), question("two"))), a)
    with Client(SimulatedClient(engine.cluster), prefix="app") as client:
        assert [each.path for each in client.questions("r")] == ["both/one", "both/two"]
        client.answer(Answer(run_id="r", path="both/two", verb="approve"))
        engine.turns()
        assert [each.path for each in client.questions("r")] == ["both/one"]


def test_a_signal_says_which_of_several_it_is_for_and_counts_once() -> None:
    engine = running(a, SignalBlock(id="wait", name="paid", correlate="order", writes="letter"))
    with Client(SimulatedClient(engine.cluster), prefix="app") as client:
        for _ in range(2):
            client.signal("r", "paid", {"cents": 7}, correlation="o-7", request_id="s")
            engine.turns()
    (received,) = events(engine, "signal_received")
    assert received.attributes == {"correlation": "o-7"}


def test_an_unknown_run_has_no_questions(client: Client) -> None:
    with pytest.raises(RunNotFound):
        client.questions("nobody")


async def test_coroutines_ask_and_answer_too(engine: Engine) -> None:
    async with AsyncClient(SimulatedClient(engine.cluster), prefix="app") as client:
        (found,) = await client.questions(assignee="editors")
        await client.answer(Answer(run_id="r", path=found.path, verb=DELEGATE, assignee="bob"))
        await client.answer(Answer(run_id="r", path=found.path, verb="reject", answered_by="bob"))
        await client.signal("r", "hurry")
        engine.turns()
        assert await client.questions("r") == []
    (answered,) = events(engine, "question_answered")
    assert (answered.name, answered.actor) == ("reject", "bob")


def test_an_answer_without_a_value_has_no_payload_and_null_is_a_value() -> None:
    def built(value: object) -> AnswerQuestion:
        return Answer(run_id="r", path="p", verb="edit", value=value).request("q", None)

    assert built(NOTHING) == AnswerQuestion(run_id="r", path="p", verb="edit", request_id="q")
    assert built(None).payload == Payload(encoding="json", data=b"null")
    with pytest.raises(InvalidInput, match="p: is not JSON"):
        built(object())


def test_values_that_a_human_is_to_see_are_opened_by_who_has_the_key(engine: Engine) -> None:
    sealing = chain()
    sealed = sealing.wrap(Payload(encoding="json", data=b'"secret"'), "topic")
    request = a_start("s", request_id="s")
    engine.ask(replace(request, inputs=(FieldWrite(field="topic", payload=sealed),)))
    for known, seen in ((sealing, "secret"), (PLAIN, sealed.data)):
        with Client(SimulatedClient(engine.cluster), prefix="app", payloads=known) as client:
            (found,) = client.questions("s")
            assert plain_result(found.shown)["topic"] == seen
