"""Limits and windows of the run processor, each with its derivation."""

from dataclasses import dataclass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`dedupe_ms` is at least the retention of `run-requests` (P26). `keep_finished_ms` counts from a run's end (P28).
    `keep_conversations_ms` counts from the end of the last turn.

    `redispatch_after_ms` is below the retention of the command topics (6 days), so that what may run twice is sent anew
    in time (P25). `forgotten_after_ms` is above retention and one segment (6 + 1 days): what may not run twice is in
    doubt then, and not before. `unpark_requests` and `unpark_bytes` bound what of the requests that wait for a workflow
    is handled in one transaction. `remind_holders_ms`: how often those who hold slots of limits for so long are told;
    long enough to cost nothing, short enough for a slot that was lost with a partition. `traces_causes`: commands say
    which execution led to them, for the links of traces; without it, only who started the run, if the start said so.
    """

    dedupe_ms: int = 7 * DAY_MS
    keep_finished_ms: int = 7 * DAY_MS
    keep_conversations_ms: int = 365 * DAY_MS
    park_ms: int = 60_000
    sweep_every_ms: int = 60_000
    sweep_again_ms: int = 100
    sweep_rows: int = 1_000
    unpark_requests: int = 1_000
    unpark_bytes: int = 4 * 1024 * 1024
    redispatch_after_ms: int = 3 * DAY_MS
    forgotten_after_ms: int = 8 * DAY_MS
    remind_holders_ms: int = 10 * 60_000
    max_id_characters: int = 512
    traces_causes: bool = False
