"""A flow as an indented outline. Pure."""

from collections.abc import Iterator

from msgspec import UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    RescueBlock,
    SequenceBlock,
    WithinBlock,
    WorkflowDocument,
    inner_blocks,
)
from logkeel.workflow.drawing.wording import words_for

INDENT = "  "


def as_text(document: WorkflowDocument) -> str:
    """The outline, a line per block, each behind what encloses it."""
    return "\n".join([f"{document.name}@{document.version}", *_lines(document.flow, 1)]) + "\n"


def _lines(block: Block, depth: int) -> Iterator[str]:
    if isinstance(block, SequenceBlock):
        for inner in block.blocks:
            yield from _lines(inner, depth)
        return
    yield INDENT * depth + words_for(block)
    for label, inner in _labelled(block):
        if label:
            yield f"{INDENT * (depth + 1)}{label}:"
        yield from _lines(inner, depth + (2 if label else 1))


def _labelled(block: Block) -> Iterator[tuple[str, Block]]:
    """What is inside of a block, and when it runs, where that is not always."""
    match block:
        case BranchBlock():
            yield from ((str(case.value), case.block) for case in block.cases)
            if not isinstance(block.otherwise, UnsetType):
                yield "otherwise", block.otherwise
        case RescueBlock():
            yield "", block.body
            yield from ((f"on {handler.on}", handler.block) for handler in block.handlers)
        case WithinBlock():
            yield "", block.body
            if not isinstance(block.on_timeout, UnsetType):
                yield "when its time is over", block.on_timeout
        case _:
            yield from (("", inner) for inner in inner_blocks(block))
