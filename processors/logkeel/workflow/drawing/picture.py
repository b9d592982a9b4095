"""A flow as a picture of boxes, for pages that draw it without any library. Pure.

Blocks that enclose others are frames around them, so no arrow crosses anything: what follows stands below, what may run
side by side or instead stands beside. Lengths are in units of the picture; a character is `CHARACTER` wide.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from msgspec import UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    HumanBlock,
    LeaveBlock,
    ParallelBlock,
    RescueBlock,
    SequenceBlock,
    StepBlock,
    WithinBlock,
    WorkflowDocument,
    inner_blocks,
)
from logkeel.workflow.drawing.wording import words_for

CHARACTER: Final = 8
LINE: Final = 18
PADDING: Final = 12
GAP: Final = 26
"""Between a box and what follows it: room for an arrow."""

COLUMNS: Final = 28
"""Characters of a line in a box."""

MAX_LINES: Final = 3

Shape = Literal["step", "human", "wait", "leave", "frame", "label", "edge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box. `path`: of the block in the definition, "" of one that is no block; `lines`: its words; `depth`: frames
    around it.
    """

    path: str
    shape: Shape
    lines: tuple[str, ...]
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Arrow:
    """Straight down from (`x`, `y`) to `end`."""

    x: int
    y: int
    end: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Frames come before what is inside of them."""

    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    arrows: tuple[Arrow, ...] = ()


def as_picture(document: WorkflowDocument) -> Picture:
    """The flow from top to bottom."""
    begin = _box("", "edge", f"{document.name}@{document.version}")
    return _stacked([begin, *_parts(document.flow, ""), _box("", "edge", "end")])


def _parts(block: Block, around: str) -> list[Picture]:
    """What follows one another in a block; `around`: the path of what encloses it."""
    if isinstance(block, SequenceBlock):
        return [part for inner in block.blocks for part in _parts(inner, around)]
    path = f"{around}/{block.id}" if around else block.id
    if not inner_blocks(block):
        return [_box(path, _shape(block), words_for(block))]
    return [_framed(path, words_for(block), _inside(block, path))]


def _inside(block: Block, path: str) -> Picture:
    match block:
        case ParallelBlock():
            return _beside([_flow(branch, path) for branch in block.branches])
        case BranchBlock():
            ways = [_labelled(str(case.value), case.block, path) for case in block.cases]
            if not isinstance(block.otherwise, UnsetType):
                ways.append(_labelled("otherwise", block.otherwise, path))
            return _beside(ways)
        case RescueBlock():
            rescued = [_labelled(f"on {handler.on}", handler.block, path) for handler in block.handlers]
            return _beside([_flow(block.body, path), *rescued])
        case WithinBlock() if not isinstance(block.on_timeout, UnsetType):
            late = _labelled("when its time is over", block.on_timeout, path)
            return _beside([_flow(block.body, path), late])
        case _:
            return _beside([_flow(inner, path) for inner in inner_blocks(block)])


def _shape(block: Block) -> Shape:
    match block:
        case StepBlock():
            return "step"
        case HumanBlock():
            return "human"
        case LeaveBlock():
            return "leave"
        case _:
            return "wait"


def _flow(block: Block, around: str) -> Picture:
    return _stacked(_parts(block, around) or [_box("", "label", "nothing")])


def _labelled(label: str, block: Block, around: str) -> Picture:
    return _stacked([_box("", "label", label), *(_parts(block, around) or [_box("", "label", "nothing")])])


def _box(path: str, shape: Shape, words: str) -> Picture:
    lines = _wrapped(words)
    # A second word line is kept free where a run's state is written in.
    room = len(lines) + (1 if path else 0)
    width = max(*(len(line) for line in lines), 14 if path else 6) * CHARACTER + 2 * PADDING
    height = room * LINE + (2 * PADDING if shape != "label" else 0)
    box = Box(path=path, shape=shape, lines=lines, width=width, height=height)
    return Picture(width, height, (box,))


def _framed(path: str, words: str, inner: Picture) -> Picture:
    lines = _wrapped(words)
    head = (len(lines) + 1) * LINE + PADDING
    width = max(inner.width, max(len(line) for line in lines) * CHARACTER, 14 * CHARACTER) + 2 * PADDING
    height = head + inner.height + PADDING
    frame = Box(path=path, shape="frame", lines=lines, width=width, height=height)
    deeper = tuple(replace(each, depth=each.depth + 1) for each in inner.boxes)
    boxes, arrows = _moved(replace(inner, boxes=deeper), (width - inner.width) // 2, head)
    return Picture(width, height, (frame, *boxes), arrows)


def _stacked(parts: Sequence[Picture]) -> Picture:
    """One below the other, with an arrow from each to the next."""
    width = max(part.width for part in parts)
    boxes, arrows, y = list[Box](), list[Arrow](), 0
    for number, part in enumerate(parts):
        if number:
            arrows.append(Arrow(width // 2, y, y + GAP))
            y += GAP
        moved, inner = _moved(part, (width - part.width) // 2, y)
        boxes += moved
        arrows += inner
        y += part.height
    return Picture(width, y, tuple(boxes), tuple(arrows))


def _beside(parts: Sequence[Picture]) -> Picture:
    """One beside the other."""
    boxes, arrows, x = list[Box](), list[Arrow](), 0
    for number, part in enumerate(parts):
        x += PADDING if number else 0
        moved, inner = _moved(part, x, 0)
        boxes += moved
        arrows += inner
        x += part.width
    return Picture(x, max(part.height for part in parts), tuple(boxes), tuple(arrows))


def _moved(part: Picture, x: int, y: int) -> tuple[tuple[Box, ...], tuple[Arrow, ...]]:
    boxes = tuple(replace(each, x=each.x + x, y=each.y + y) for each in part.boxes)
    arrows = tuple(Arrow(each.x + x, each.y + y, each.end + y) for each in part.arrows)
    return boxes, arrows


def _wrapped(words: str) -> tuple[str, ...]:
    lines = textwrap.wrap(words, COLUMNS) or [""]
    return tuple(lines) if len(lines) <= MAX_LINES else (*lines[: MAX_LINES - 1], f"{lines[MAX_LINES - 1][:-1]}…")
