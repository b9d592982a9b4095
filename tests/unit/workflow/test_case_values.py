"""A case is the very value that its field has, or it is refused: True is not 1, and an Enum's member is its value."""

import enum
from typing import Annotated, Any, Literal

import pytest

from logkeel.definitions import BranchBlock, HumanBlock, LoopBlock, decode_document
from logkeel.records import Control as ControlValue
from logkeel.workflow import NONE, Control, State, Workflow, branch, human, leave, loop
from logkeel.workflow.case_values import control_value
from logkeel.workflow.state import shape_of


class Tier(enum.Enum):
    GOLD = "gold-plated"
    BASE = "plain"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Case(State):
    tier: Tier = Tier.BASE
    level: Level = Level.LOW
    size: Literal["s", "1"] | None = None
    ready: bool = False
    rounds: Annotated[int, Control] = 0
    score: Annotated[float, Control] = 0.0
    order: Annotated[str, Control] = ""
    tags: dict[str, int] | None = None
    decision: Literal["respond"] | None = None


FIELDS = {name: field.definition for name, field in shape_of(Case).fields.items()}


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("tier", Tier.GOLD, "gold-plated"),
        ("tier", "plain", "plain"),
        ("level", Level.HIGH, 2),
        ("level", 2, 2),
        ("level", "2", 2),
        ("size", "1", "1"),
        ("size", None, None),
        ("ready", True, True),
        ("ready", "false", False),
        ("rounds", 3, 3),
        ("rounds", "-3", -3),
        ("score", 1, 1.0),
        ("score", "0.5", 0.5),
        ("order", "7", "7"),
    ],
)
def test_what_is_written_becomes_the_value_of_the_field(field: str, written: Any, meant: ControlValue) -> None:
    found = control_value(FIELDS[field], written)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("tier", "GOLD"),
        ("tier", Level.LOW),
        ("level", True),
        ("level", 3),
        ("size", 1),
        ("ready", 1),
        ("ready", None),
        ("rounds", True),
        ("rounds", "one"),
        ("rounds", float("inf")),
        ("rounds", 1.5),
        ("score", "nan"),
        ("score", 10**400),
        ("order", 7),
    ],
)
def test_what_the_field_can_never_have_is_refused(field: str, written: Any) -> None:
    with pytest.raises(ValueError, match="use "):
        control_value(FIELDS[field], written)


def test_definitions_have_the_values_of_enums_and_the_schema_of_answers() -> None:
    wf = Workflow("case", state=Case)

    @wf.step(writes=lambda s: s.level)
    def rise() -> Level:
        return Level.HIGH

    @wf.step(effect=NONE)
    def look() -> None: ...

    wf.flow(
        branch("tier", {Tier.GOLD: look, Tier.BASE: ()}),
        loop(rise, leave("level", Level.HIGH), max_rounds=2),
        human("tag", writes="decision", allow=("respond",), answer="tags", timeout=None),
    )
    document = decode_document(wf.definition().document)
    assert document == wf.document()
    tiers, rises, asks = wf.document().flow.blocks  # type: ignore[union-attr]  # a sequence
    assert isinstance(tiers, BranchBlock)
    assert [case.value for case in tiers.cases] == ["gold-plated", "plain"]
    assert isinstance(rises, LoopBlock)
    assert rises.body.blocks[1].value == 2  # type: ignore[union-attr]  # a sequence with a way out
    assert isinstance(asks, HumanBlock)
    assert asks.answer_schema == (
        '{"anyOf":[{"additionalProperties":{"type":"integer"},"type":"object"},{"type":"null"}]}'
    )
