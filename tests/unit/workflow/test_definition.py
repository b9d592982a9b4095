"""A workflow becomes a definition, or one error that says what, where and what to do."""

from typing import Literal

import pytest

from logkeel.definitions import ParallelBlock, SequenceBlock, StepBlock, decode_document, digest_of
from logkeel.errors import DefinitionError, InvalidInput
from logkeel.records import FieldValue
from logkeel.workflow import CHECKED, NONE, ONCE, Happened, Retry, State, Timeout, Workflow, parallel


class Report(State):
    topic: str
    left: list[str] = []  # noqa: RUF012  # pydantic copies defaults
    right: list[str] = []  # noqa: RUF012  # pydantic copies defaults
    text: str | None = None
    verdict: Literal["good", "poor"] | None = None


def workflow() -> Workflow[Report]:
    return Workflow("report", state=Report, returns="text")


def test_a_flow_compiles_to_blocks_with_ids_of_their_own() -> None:
    wf = workflow()

    @wf.step(writes=lambda s: s.left)
    def one(topic: str) -> list[str]:
        return [topic]

    @wf.step(writes=lambda s: s.right)
    async def two(topic: str) -> list[str]:
        return [topic]

    @wf.step(writes=lambda s: (s.verdict, s.text))
    def judge(left: list[str], right: list[str]) -> tuple[Literal["good", "poor"], str]:
        return "good", " ".join(left + right)

    wf.flow(parallel(one, two), judge, judge)
    definition = wf.definition()
    document = decode_document(definition.document)
    assert document == wf.document()
    assert definition.digest == digest_of(definition.document)
    branches = (StepBlock(id="one", step="one"), StepBlock(id="two", step="two"))
    blocks = (
        ParallelBlock(id="parallel", branches=branches),
        StepBlock(id="judge", step="judge"),
        StepBlock(id="judge-2", step="judge"),
    )
    assert document.flow == SequenceBlock(id="sequence", blocks=blocks)
    assert judge(["a"], ["b"]) == ("good", "a b")
    verdict, text = wf.bind("judge").encode_result(("good", "a"))
    assert (verdict.is_control, verdict.control) == (True, "good")
    assert text.payload is not None
    values = [FieldValue(field="text", revision=3, payload=text.payload)]
    assert wf.result(values) == "a"


def test_what_is_wrong_with_a_flow_is_told_at_once() -> None:
    wf = workflow()

    @wf.step(writes=lambda s: s.left)
    def one(text: str) -> list[str]:
        return [text]

    @wf.step(writes=lambda s: s.left)
    def two(topic: str) -> list[str]:
        return [topic]

    @wf.step(effect=CHECKED)
    def send(topic: str) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        wf.flow(parallel(one, two))
    assert [problem["what"] for problem in caught.value.problems] == [
        "step 'send' is not in the flow",
        "step 'send' is CHECKED but has no check",
        "branches 'one' and 'two' both write 'left'",
        "step 'one' reads 'text' before any step on its way has written it",
    ]


def test_a_step_that_only_acts_says_what_a_second_time_would_mean() -> None:
    wf = workflow()
    with pytest.raises(DefinitionError, match="writes nothing and declares no effect"):

        @wf.step()  # type: ignore[call-overload,untyped-decorator]  # checkers find it too
        def act(topic: str) -> None: ...

    with pytest.raises(DefinitionError, match="ONCE, but its retry repeats more than NotDone"):

        @wf.step(effect=ONCE, retry=Retry())
        def pay(topic: str) -> None: ...

    with pytest.raises(DefinitionError, match="CHECKED and has no time-out"):

        @wf.step(effect=CHECKED, timeout=None)
        def send(topic: str) -> None: ...

    with pytest.raises(DefinitionError, match="'nothing', which matches nothing"):

        @wf.step(effect=NONE)
        def look(nothing: str) -> None: ...


def test_a_checks_answer_is_no_yes_or_the_result() -> None:
    wf = workflow()

    @wf.step(effect=CHECKED, writes=lambda s: s.text)
    def send(topic: str) -> str | None:
        return topic

    @send.check
    def was_sent(topic: str) -> Happened[str | None] | None:
        return Happened(topic)

    wf.flow(send)
    check = wf.bind("send").check
    assert check is not None
    assert check.encode_answer(None) is None
    assert check.encode_answer(False) is None
    assert check.encode_answer(Happened("x")) == wf.bind("send").encode_result("x")


def test_an_input_is_refused_with_every_reason() -> None:
    with pytest.raises(InvalidInput) as caught:
        workflow().encode_input({"other": 1, "left": "x"})
    assert caught.value.problems == [
        "other: is no field of the state",
        "topic: is required",
        "left: Input should be a valid list",
    ]


def test_a_retry_of_what_is_not_done_is_in_the_definition_and_leaves_others_as_they_were() -> None:
    def report(retry: Retry | None) -> Workflow[Report]:
        wf = workflow()

        @wf.step(writes=lambda s: s.text, retry=retry)
        def one(topic: str) -> str:
            return topic

        wf.flow(one)
        return wf

    plain, careful = report(Retry()).definition(), report(Retry(on="not_done")).definition()
    assert plain.digest == report(None).definition().digest
    assert b'"on"' not in plain.document
    assert b'"on":"not_done"' in careful.document
    assert decode_document(careful.document).steps[0].retry.on == "not_done"


def test_time_outs_are_in_the_definition() -> None:
    wf = workflow()

    @wf.step(writes=lambda s: s.text, timeout=Timeout(None, schedule_to_start="5m", heartbeat="30s"))
    def one(topic: str) -> str:
        return topic

    @wf.step(writes=lambda s: s.left)
    def two(topic: str) -> list[str]:
        return [topic]

    found = [
        (d.timeout_ms, d.schedule_to_start_ms, d.heartbeat_timeout_ms) for d in (one.definition(), two.definition())
    ]
    assert found == [(None, 300_000, 30_000), (60_000, None, 10_000)]


@pytest.mark.parametrize(
    "given", [{"attempt": "0s"}, {"schedule_to_start": 0}, {"heartbeat": "4s"}, {"heartbeat": "soon"}]
)
def test_a_time_out_that_makes_no_sense_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"0 lets nothing|at least 5s|no.* duration"):
        Timeout(**given)
    with pytest.raises(DefinitionError, match="the time-out of step 'one'"):

        @workflow().step(writes=lambda s: s.text, timeout="0s")
        def one(topic: str) -> str:
            return topic
