"""The boxes of a flow: every block once, none over another, frames around what they enclose."""

from collections.abc import Iterator

from hypothesis import given, settings
from tests.unit.runs.test_block_laws import plans
from tests.unit.workflow.pictured import order

from logkeel.definitions import Block, SequenceBlock, inner_blocks
from logkeel.runs.core.plan import Plan
from logkeel.workflow.drawing import as_picture
from logkeel.workflow.drawing.picture import CHARACTER, Box, Picture


def paths_of(block: Block, around: str = "") -> Iterator[str]:
    path = around if isinstance(block, SequenceBlock) else f"{around}/{block.id}".lstrip("/")
    if not isinstance(block, SequenceBlock):
        yield path
    for inner in inner_blocks(block):
        yield from paths_of(inner, path)


def check(picture: Picture) -> None:
    for number, box in enumerate(picture.boxes):
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
        assert all(len(line) * CHARACTER <= box.width for line in box.lines)
        for other in picture.boxes[:number]:
            assert apart(box, other) or (encloses(other, box) and box.depth > other.depth), (box, other)
    assert all(arrow.end > arrow.y for arrow in picture.arrows)


def apart(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def encloses(frame: Box, inner: Box) -> bool:
    across = frame.x <= inner.x and inner.x + inner.width <= frame.x + frame.width
    return frame.shape == "frame" and across and frame.y < inner.y and inner.y + inner.height <= frame.y + frame.height


def test_a_block_of_every_kind_is_drawn() -> None:
    document = order.document()
    picture = as_picture(document)
    check(picture)
    assert [box.path for box in picture.boxes if box.path] == list(paths_of(document.flow))
    assert {box.shape for box in picture.boxes} == {"step", "human", "wait", "leave", "frame", "label", "edge"}


@settings(max_examples=60, deadline=None)
@given(plan=plans())
def test_boxes_stand_apart_and_steps_are_found_by_the_paths_that_runs_have(plan: Plan) -> None:
    picture = as_picture(plan.document)
    check(picture)
    steps = [box.path for box in picture.boxes if box.shape == "step"]
    assert sorted(steps) == sorted(plan.steps)
