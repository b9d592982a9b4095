"""Fields of elements as the read model shows them."""

from typing import Any

import msgspec
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import EachBlock
from logkeel.projection.documents import value_of
from logkeel.projection.projection import fold
from logkeel.records import FieldWrite


def shown(flow: Flow) -> dict[str, Any]:
    return {name: value_of(field) for name, field in fold(flow.history).fields.items()}


def test_an_element_has_fields_of_its_own_until_it_ends_and_what_is_collected_is_shown() -> None:
    block = EachBlock(
        id="docs", items="docs", body=step_block("a"), item="doc", value="a", collect="results", failed="failed"
    )
    body = flow_of(step_block("b"), step_block("a"))
    flow = Flow(plan_with(flow_of(msgspec.structs.replace(block, body=body))), ("x", "y"))
    one = FieldWrite(field="total", operation="add", is_control=True, control=2)
    flow.succeed("docs[0]/b", writes=(one,))
    flow.succeed("docs[1]/b", writes=(one,))
    fields = shown(flow)
    assert fields["docs"] == ["x", "y"]
    assert fields["docs[0]/b"] == "by docs[0]/b"
    assert fields["total"] == 4, "numbers get out of an element"
    flow.succeed("docs[1]/a")
    flow.fail("docs[0]/a")
    fields = shown(flow)
    assert fields["results"] == {"1": "by docs[1]/a"}
    assert fields["failed"]["0"]["code"] == "boom"
    assert not [name for name in fields if "/" in name]


def test_removed_elements_are_gone() -> None:
    flow = Flow(plan_with(flow_of(step_block("a"))))
    (payload,) = [write.payload for write in flow.history[0].writes if write.field == "topic"]
    puts = tuple(FieldWrite(field="results", operation="put", element_key=key, payload=payload) for key in "xy")
    flow.succeed("a", writes=(*puts, FieldWrite(field="results", operation="remove", element_key="x")))
    assert shown(flow)["results"] == {"y": "kafka"}
