"""Workflow definitions as data, shared by the author's model and the run core."""

from logkeel.definitions.model import (
    VIEW_FIELDS,
    Block,
    ControlType,
    FieldDefinition,
    ParallelBlock,
    RetryPolicy,
    SequenceBlock,
    StepBlock,
    StepDefinition,
    WorkflowDocument,
    WriteDefinition,
    decode_document,
    digest_of,
    encode_document,
)

__all__ = [
    "Block",
    "ControlType",
    "FieldDefinition",
    "ParallelBlock",
    "RetryPolicy",
    "SequenceBlock",
    "StepBlock",
    "StepDefinition",
    "VIEW_FIELDS",
    "WorkflowDocument",
    "WriteDefinition",
    "decode_document",
    "digest_of",
    "encode_document",
]
