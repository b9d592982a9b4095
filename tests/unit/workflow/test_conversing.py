"""Conversations as authors write them: what they become, what mistakes are told, how turns run."""

from collections.abc import Mapping
from typing import Any

import pytest
from examples.agents.support_chat import support

from logkeel.definitions import Conversation
from logkeel.errors import DefinitionError
from logkeel.records import RunCompleted, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import State, Workflow, child, inline, wait_signal


class Talk(State):
    """What a turn knows."""

    who: str
    said: str
    notes: list[str] = []  # noqa: RUF012  # pydantic copies defaults
    answer: str | None = None
    friendly: bool = False


class Two(Talk):
    """One required field more."""

    tone: str


class Around(State):
    """Around a turn."""

    who: str
    said: str


def talk(state: type[Any] = Talk, *, waits: bool = False, **options: Any) -> Workflow[Any]:
    """A workflow of one step with these options."""
    workflow = Workflow("talk", state=state, returns="answer", **options)

    @workflow.step(writes=lambda s: s.answer)
    def reply(said: str) -> str:
        return said

    workflow.flow(reply, *([wait_signal("said", writes="answer")] if waits else []))
    return workflow


def test_it_stands_in_the_definition_and_nowhere_else() -> None:
    document = talk(conversation="who", keep=["notes"]).document()
    assert document.conversation == Conversation(field="who", keep=("notes",))
    plain = talk().definition().document
    assert b"conversation" not in plain
    assert b"max_depth" not in plain
    assert talk(conversation="who").conversation_id({"who": "ann", "said": "hi"}) == "ann"
    assert talk().conversation_id({"who": "ann"}) is None


def test_what_joins_is_the_one_other_field_that_every_turn_brings() -> None:
    conversation = talk(waits=True, conversation="who", on_busy="join").document().conversation
    assert isinstance(conversation, Conversation)
    assert conversation.joins == "said"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"keep": ["notes"]}, "keep= belongs to conversations"),
        ({"on_busy": "queue"}, "on_busy= belongs to conversations"),
        ({"conversation": "whose"}, "conversation='whose' is no field"),
        ({"conversation": "answer"}, "field 'answer' does not say whose turn"),
        ({"conversation": "who", "keep": ["note"]}, "keep= names 'note', which is no field"),
        ({"conversation": "who", "keep": ["said"]}, "field 'said' is kept, and every turn has to be given it"),
        ({"conversation": "who", "keep": ["answer"]}, "field 'answer' is kept and returned"),
        ({"conversation": "who", "keep": ["notes", "notes"]}, "keep= names a field twice"),
        ({"conversation": "who", "on_busy": "wait"}, "on_busy='wait' is unknown"),
        ({"conversation": "who", "on_busy": "join"}, "signals called 'said', and nothing in the flow waits for one"),
        ({"conversation": "who", "on_busy": "join", "state": Two}, "does not say which field that is"),
        ({"conversations": "who"}, "no option 'conversations'"),
    ],
)
def test_what_is_wrong_with_a_conversation_is_told(options: Mapping[str, Any], what: str) -> None:
    with pytest.raises(DefinitionError, match=what) as caught:
        talk(**options)
    assert all(problem["place"] and problem["remedy"] for problem in caught.value.problems)


@pytest.mark.parametrize("call", [child, inline])
def test_a_turn_is_no_part_of_another_run(call: Any) -> None:
    outer = Workflow("outer", state=Around)
    with pytest.raises(DefinitionError, match="turns of a conversation, and cannot be a part of another run"):
        outer.flow(call(talk(conversation="who")))


async def test_one_turn_can_be_tried_out() -> None:
    assert await support.try_out(customer="ann", message="hello") == "You said 'hello'."


def test_every_turn_of_support_knows_what_was_said_before() -> None:
    asked = [("ann", "hello"), ("bob", "good day"), ("ann", "it rains"), ("ann", "still")]
    with MemoryApplication([support], partitions=3) as application:
        for number, (customer, message) in enumerate(asked):
            start = StartRun(
                workflow="support_chat",
                run_id=f"t{number}",
                conversation_id=customer,
                inputs=support.encode_input({"customer": customer, "message": message}),
            )
            application.send(start, key=customer)
        application.run_until(lambda: all(application.outcome(f"t{number}") for number in range(4)))
        outcomes = [application.outcome(f"t{number}") for number in range(4)]
    results = [support.result(each.result) for each in outcomes if isinstance(each, RunCompleted)]
    assert results == [
        "You said 'hello'.",
        "You said 'good day'.",
        "You said 'it rains', and before that 'hello'.",
        "You said 'still', and before that 'it rains'.",
    ]
