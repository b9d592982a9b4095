"""Values that several records share. Frozen; each mirrors an Avro record of the same name.

Times are milliseconds since the epoch (`_ms`), durations carry their unit in the name. Payload bytes are opaque to the
engine; only `Control` values are looked at (ARCHITECTURE section 6).
"""

from typing import Literal, TypeAlias

import msgspec

Control: TypeAlias = bool | int | float | str | None
"""A control value: what branches, loops and numeric reducers look at. Avro union null|boolean|long|double|string."""

Operation: TypeAlias = Literal["replace", "append", "put", "remove", "add", "max", "min", "union"]

Effect: TypeAlias = Literal["NONE", "IDEMPOTENT", "KEYED", "CHECKED", "ONCE"]


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """A payload kept elsewhere (claim check)."""

    uri: str
    size_bytes: int
    sha256: str


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """An encoded value. `encoding` names the chain, outermost last, e.g. "json" or "json+zstd+aesgcm:key-1"."""

    encoding: str
    data: bytes | None = None
    blob: Blob | None = None


class FieldWrite(msgspec.Struct, frozen=True, kw_only=True):
    """One write to one state field. A control field carries `control` (and `is_control`), any other field `payload`.

    Fields that are kept element by element have a write for every element; `replace` without a payload empties them.
    """

    field: str
    operation: Operation = "replace"
    element_key: str | None = None
    payload: Payload | None = None
    is_control: bool = False
    control: Control = None


class ElementValue(msgspec.Struct, frozen=True, kw_only=True):
    """One element of a field that is kept element by element. `key` None: of a list."""

    payload: Payload
    key: str | None = None


class FieldValue(msgspec.Struct, frozen=True, kw_only=True):
    """A field as a step reads it: its value and the revision of the run that wrote it last.

    A field that is kept element by element has `elements`, in their order, and nothing else. `generation`: it is a list
    that only grows as long as this stays the same, so a worker may keep it for the next command. Before `elements` come
    the first `base_count` of it then, which the worker has said it keeps; they take at most `base_bytes`.
    """

    field: str
    revision: int
    payload: Payload | None = None
    is_control: bool = False
    control: Control = None
    elements: tuple[ElementValue, ...] = ()
    generation: int | None = None
    base_count: int = 0
    base_bytes: int = 0


class FieldReference(msgspec.Struct, frozen=True, kw_only=True):
    """A field read by a step, by reference: which revision of it.

    `kept_count`: the worker keeps so many elements of the list that began with `generation`.
    """

    field: str
    revision: int
    generation: int | None = None
    kept_count: int = 0


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong. `code` is stable, `kind` says how the engine reacts."""

    code: str
    message: str
    kind: Literal["retryable", "fatal", "not_done", "timeout", "in_doubt", "cancelled", "invalid_input", "worker_lost"]
    type_name: str | None = None
    stack: str | None = None
    retry_after_ms: int | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run came from: the run and revision that started or was forked into it."""

    run_id: str
    incarnation: str
    revision: int


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a child run and all below it may use of a budget of its parent. `asks`: a human may give more."""

    unit: str
    limit: int
    asks: bool = False


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a child run answers to, and what the child may do (P29).

    `number` is the revision at which it was started; with run, incarnation and path it says which wait its end is for.
    `depth`: how many runs are above it. `max_depth`, `max_descendants`, `budget`: of it and everything below it.
    `again`: it had been started before, so it is told to go on (decision 0035).
    """

    run_id: str
    incarnation: str
    path: str
    number: int
    depth: int
    max_depth: int
    max_descendants: int
    home_partition: int = 0
    detached: bool = False
    budget: tuple[Allowance, ...] = ()
    again: bool = False


class TraceContext(msgspec.Struct, frozen=True, kw_only=True):
    """W3C Trace Context of the cause."""

    traceparent: str
    tracestate: str | None = None


class StepErrorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt of a run, shortened."""

    path: str
    attempt: int
    code: str
    message: str


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has behind it, for a step that asks. At most `MAX_RUN_SUMMARY_BYTES`; the oldest is left out first.

    `completed_steps` (paths) and `errors` are in the order of the history.
    """

    schema_version: int
    attempts: int
    completed_steps: tuple[str, ...] = ()
    errors: tuple[StepErrorSummary, ...] = ()
    omitted_steps: int = 0
    omitted_errors: int = 0


class StepIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which execution of which step (P30, P32). `dispatch` is the fence, `attempt` is what counts against max_attempts.

    `path` is the step path: block path, loop round and element key; it names the step occurrence within the run.
    """

    run_id: str
    incarnation: str
    path: str
    step: str
    attempt: int
    dispatch: int
