"""The tables of the read model, and the views that are documented for SQL. Pure.

`run_rows.number` is a run's number within this file: it keeps the keys of all other tables short. A run whose id begins
a younger life gets a new one. `facets` has a row for everything that runs are found by, in the order of pages: the
youngest run first. Change any of this, or what `rows` writes, and `VERSION` moves on: files of another version are
thrown away and made again from the log.
"""

from typing import Final

VERSION: Final = 1
"""As `PRAGMA user_version`."""

PAGE_BYTES: Final = 8_192

TABLES: Final = """
CREATE TABLE positions (topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition))
    WITHOUT ROWID;
CREATE TABLE topics (topic TEXT PRIMARY KEY, topic_id TEXT) WITHOUT ROWID;
CREATE TABLE done (what TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE run_rows (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, incarnation TEXT, workflow TEXT, version TEXT,
    definition_digest TEXT, schema_version INTEGER, routing_key TEXT, conversation_id TEXT, parent_run_id TEXT,
    status TEXT, revision INTEGER, started_at_ms INTEGER, updated_at_ms INTEGER, finished_at_ms INTEGER,
    deadline_ms INTEGER, paused_at_ms INTEGER, error_code TEXT, error_message TEXT, retries INTEGER, complete INTEGER,
    current_step TEXT, current_path TEXT, current_since_ms INTEGER, waiting_for TEXT, attributes TEXT, detail BLOB);
CREATE INDEX runs_by_start ON run_rows (started_at_ms, number);

CREATE TABLE event_rows (
    number INTEGER PRIMARY KEY, run INTEGER, revision INTEGER, kind TEXT, at_ms INTEGER, path TEXT, step TEXT,
    attempt INTEGER, reason TEXT, error_code TEXT, error_message TEXT, request_id TEXT, partition INTEGER,
    log_offset INTEGER, record BLOB);
CREATE UNIQUE INDEX events_by_run ON event_rows (run, revision);
CREATE INDEX events_by_request ON event_rows (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX events_by_place ON event_rows (partition, log_offset);

CREATE TABLE snapshots (run INTEGER PRIMARY KEY, revision INTEGER, view BLOB);

CREATE TABLE step_rows (
    run INTEGER, path TEXT, step TEXT, phase TEXT, is_open INTEGER, since_ms INTEGER, attempt INTEGER, dispatch INTEGER,
    first_dispatched_ms INTEGER, holder TEXT, started_at_ms INTEGER, finished_at_ms INTEGER, due_ms INTEGER,
    reason TEXT, error_code TEXT, error_message TEXT, PRIMARY KEY (run, path)) WITHOUT ROWID;

CREATE TABLE wait_rows (
    run INTEGER, path TEXT, kind TEXT, number INTEGER, since_ms INTEGER, due_ms INTEGER, name TEXT, correlation TEXT,
    question TEXT, assignee TEXT, PRIMARY KEY (run, path)) WITHOUT ROWID;
CREATE INDEX waits_by_kind ON wait_rows (kind, since_ms, run, path);

CREATE TABLE facets (
    facet TEXT, value TEXT, started_at_ms INTEGER, run INTEGER, PRIMARY KEY (facet, value, started_at_ms, run))
    WITHOUT ROWID;
CREATE TABLE counts (workflow TEXT, status TEXT, runs INTEGER, PRIMARY KEY (workflow, status)) WITHOUT ROWID;

CREATE TABLE ends (run_id TEXT PRIMARY KEY, incarnation TEXT, retries INTEGER, log_offset INTEGER, record BLOB);
CREATE TABLE rejections (
    request_id TEXT PRIMARY KEY, run_id TEXT, code TEXT, reason TEXT, rejected_at_ms INTEGER);
"""

VIEWS: Final = """
CREATE VIEW runs AS SELECT
    run_id, workflow, version, status, current_step, current_path, current_since_ms, waiting_for, revision,
    started_at_ms, updated_at_ms, finished_at_ms, deadline_ms, paused_at_ms, error_code, error_message, retries,
    attributes, conversation_id, parent_run_id, incarnation, complete FROM run_rows;

CREATE VIEW steps AS SELECT
    run_id, path, step, phase, is_open, since_ms, attempt, dispatch, first_dispatched_ms, holder, s.started_at_ms,
    s.finished_at_ms, due_ms, reason, s.error_code, s.error_message
    FROM step_rows s JOIN run_rows r ON r.number = s.run;

CREATE VIEW events AS SELECT
    run_id, e.revision, kind, at_ms, path, step, attempt, reason, e.error_code, e.error_message, request_id, partition,
    log_offset FROM event_rows e JOIN run_rows r ON r.number = e.run;

CREATE VIEW waits AS SELECT
    run_id, path, kind, w.number, since_ms, due_ms, name, correlation, question, assignee
    FROM wait_rows w JOIN run_rows r ON r.number = w.run;
"""

DOCUMENTED_VIEWS: Final = ("runs", "steps", "events", "waits")
