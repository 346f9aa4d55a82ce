-- The bridge: which workflow is which issue, who works on it, what came of it, and what happened.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE workflow_mappings (
    beads_issue_id        TEXT PRIMARY KEY,
    tempolite_workflow_id TEXT NOT NULL UNIQUE,
    workflow_type         TEXT NOT NULL,
    workflow_version      INTEGER NOT NULL,
    title                 TEXT NOT NULL,
    status                TEXT NOT NULL,
    priority              INTEGER NOT NULL,
    agent_type            TEXT,
    metadata              TEXT NOT NULL,
    error_code            TEXT,
    error_message         TEXT,
    created_at            TEXT NOT NULL,
    started_at            TEXT,
    completed_at          TEXT,
    idempotency_key       TEXT UNIQUE,
    request_sha256        TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX workflow_mappings_newest
    ON workflow_mappings (created_at DESC, tempolite_workflow_id DESC);

CREATE TABLE agent_assignments (
    id           INTEGER PRIMARY KEY,
    workflow_id  TEXT NOT NULL,
    agent_type   TEXT NOT NULL,
    agent_id     TEXT,
    step_number  INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('queued', 'assigned', 'completed')),
    created_at   TEXT NOT NULL,
    assigned_at  TEXT,
    completed_at TEXT,
    UNIQUE (workflow_id, step_number)
);

CREATE INDEX agent_assignments_assigned ON agent_assignments (id) WHERE status = 'assigned';
CREATE INDEX agent_assignments_queued ON agent_assignments (agent_type, id)
    WHERE status = 'queued';

CREATE TABLE workflow_results (
    id               INTEGER PRIMARY KEY,
    workflow_id      TEXT NOT NULL,
    step             TEXT NOT NULL,
    result_type      TEXT NOT NULL,
    agent_type       TEXT,
    agent_id         TEXT,
    result_data      TEXT NOT NULL,
    confidence_score REAL,
    created_at       TEXT NOT NULL,
    UNIQUE (workflow_id, step)
);

-- A start that is decided but not yet made in all three databases. Intents only roll forward.
CREATE TABLE intents (
    workflow_id TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('start')),
    payload     TEXT NOT NULL,
    created_at  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    type        TEXT NOT NULL,
    workflow_id TEXT,
    issue_id    TEXT,
    at          TEXT NOT NULL,
    data        TEXT NOT NULL
);

CREATE INDEX events_of_workflow ON events (workflow_id, seq) WHERE workflow_id IS NOT NULL;

CREATE TABLE outbox_cursors (
    source   TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
