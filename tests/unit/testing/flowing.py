"""Workflows with a flow made of a definition's blocks."""

from typing import Any

from logkeel.definitions import Block, SequenceBlock, StepBlock
from logkeel.workflow import Workflow


def with_flow(workflow: "Workflow[Any]", *blocks: Block) -> "Workflow[Any]":
    """Give the workflow this flow."""
    workflow._flow = SequenceBlock(id="sequence", blocks=blocks)
    return workflow


def step(name: str) -> StepBlock:
    """The step as a block."""
    return StepBlock(id=name, step=name)
