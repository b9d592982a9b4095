"""A request that begins a run from the history of another one. It is on `run-requests`."""

import msgspec

from logkeel.records.values import FieldWrite, Origin


class ForkRun(msgspec.Struct, frozen=True, kw_only=True):
    """Start a new run `run_id` from the history of another one: its first events, up to the end of a turn.

    `history`: these events as they stand on `run-events`, in order from the first one. `edits` are written to the state
    before the new run goes on. `version` None: that of the history. Of a turn, `kept` is what the turns before it had
    left, and `routing_key` the id of the new conversation, whose first turn the new run is.
    """

    run_id: str
    workflow: str
    origin: Origin
    request_id: str | None = None
    version: str | None = None
    routing_key: str | None = None
    history: tuple[bytes, ...] = ()
    edits: tuple[FieldWrite, ...] = ()
    reason: str | None = None
    requested_by: str | None = None
    kept: tuple[FieldWrite, ...] = ()
