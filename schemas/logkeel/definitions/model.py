"""A workflow as data: the document that is published, pinned by digest and walked by the run core.

The engine and the author's model share only this. A definition is immutable: its digest is the SHA-256 of its canonical
JSON (sorted keys, no white space, UTF-8), the version label being part of it.

Blocks form a tree; in a scope exactly one thing is active, and parallelism exists only inside blocks that join at
their end (`blocks.py`).
"""

import hashlib
from typing import Final, Literal

import msgspec

from logkeel.definitions.blocks import Block
from logkeel.definitions.budgets import BudgetDefinition
from logkeel.definitions.conversation import Conversation
from logkeel.definitions.fields import FieldDefinition
from logkeel.definitions.limits import LimitDefinition
from logkeel.records import Effect, Operation


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential backoff with full jitter: uniform in [0, min(maximum, initial * factor ** (attempt - 1))].

    `on`: "not_done" repeats only attempts that surely had no effect; unset: any. It is unset rather than "any" by
    default, so that the digests of definitions that do not use it stay as they were.
    """

    max_attempts: int = 3
    initial_ms: int = 500
    factor: float = 2.0
    maximum_ms: int = 60_000
    give_up_after_ms: int | None = None
    on: Literal["not_done"] | msgspec.UnsetType = msgspec.UNSET


class WriteDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A field a step writes, and how."""

    field: str
    operation: Operation = "replace"


class StepDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A step: what it reads and writes, what a second execution would mean, and its limits.

    `timeout_ms` bounds one attempt from the worker's own start of it (P25); None: no limit. `key_valid_for_ms` belongs
    to KEYED, `settle_ms` to CHECKED (P35). `run_summary`: its commands carry what the run has behind it; unset rather
    than False by default, for the digests of definitions that do not use it. So is `journaled`: code inside the step is
    durable, and the step starts only after a committed claim (P31). `limits`: what it waits for before it is sent.
    `updates`: what code inside writes before it ends. `restarts`: fields it reads that it may write to begin anew with.
    `uses`: how much of each unit one attempt uses at most, for the budgets of whatever run it is in.
    """

    name: str
    effect: Effect
    queue: str = "default"
    reads: tuple[str, ...] = ()
    writes: tuple[WriteDefinition, ...] = ()
    timeout_ms: int | None = 60_000
    heartbeat_timeout_ms: int = 10_000
    schedule_to_start_ms: int | None = None
    retry: RetryPolicy = RetryPolicy()
    key_valid_for_ms: int | None = None
    settle_ms: int = 5_000
    run_summary: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    journaled: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    limits: tuple[LimitDefinition, ...] | msgspec.UnsetType = msgspec.UNSET
    updates: tuple[WriteDefinition, ...] | msgspec.UnsetType = msgspec.UNSET
    restarts: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    uses: dict[str, int] | msgspec.UnsetType = msgspec.UNSET

    @property
    def changes(self) -> tuple[WriteDefinition, ...]:
        """All that it may write, at its end or before."""
        updates = () if isinstance(self.updates, msgspec.UnsetType) else self.updates
        restarts = () if isinstance(self.restarts, msgspec.UnsetType) else self.restarts
        return (*self.writes, *updates, *(WriteDefinition(field=field) for field in restarts))


VIEW_FIELDS: Final = ("schema_version", "completed_steps", "error_log")
"""Fields of a state class that the engine fills from what it knows of the run. They are never among `fields`."""


class WorkflowDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The whole definition. `steps` is sorted by name; `fields` keeps the order of the state class.

    `returns` names fields, and fields of `VIEW_FIELDS`. `max_depth`: how many generations of child runs there may be
    below a run, `max_descendants`: how many child runs in all; unset: what the engine says. Children inherit both.
    `limits`: what a run waits for before its flow begins. `budgets`: what its steps may use up.
    """

    name: str
    version: str
    schema_version: int
    fields: tuple[FieldDefinition, ...]
    steps: tuple[StepDefinition, ...]
    flow: Block
    returns: tuple[str, ...] = ()
    run_timeout_ms: int | None = None
    max_depth: int | msgspec.UnsetType = msgspec.UNSET
    max_descendants: int | msgspec.UnsetType = msgspec.UNSET
    conversation: Conversation | msgspec.UnsetType = msgspec.UNSET
    limits: tuple[LimitDefinition, ...] | msgspec.UnsetType = msgspec.UNSET
    budgets: tuple[BudgetDefinition, ...] | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(WorkflowDocument)


def encode_document(document: WorkflowDocument) -> bytes:
    """The canonical JSON of `document`."""
    return _ENCODER.encode(document)


def decode_document(data: bytes) -> WorkflowDocument:
    """The document in `data`. Raises `msgspec.ValidationError` on anything else."""
    return _DECODER.decode(data)


def digest_of(data: bytes) -> str:
    """The content digest of canonical JSON: lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()
