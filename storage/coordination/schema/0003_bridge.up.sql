-- Agents that can be registered and drained, assignments that pass from one agent to the next,
-- intents of more than one kind, results in versions, and artifacts. SQLite can neither widen a
-- check nor drop a constraint, so tables are made anew.

-- Agents of the settings have a row once something is said of them; those that were registered by
-- request have one as long as they are. `lease_expires_at` is until when one that gives no sign of
-- life counts as there.
CREATE TABLE agents (
    agent_id         TEXT PRIMARY KEY,
    agent_type       TEXT NOT NULL,
    origin           TEXT NOT NULL CHECK (origin IN ('settings', 'request')),
    status           TEXT NOT NULL CHECK (status IN ('active', 'draining', 'lost', 'unregistered')),
    config           TEXT NOT NULL,
    max_workload     INTEGER CHECK (max_workload >= 0),
    reason           TEXT NOT NULL DEFAULT '',
    registered_at    TEXT NOT NULL,
    drained_at       TEXT,
    seen_at          TEXT,
    lease_expires_at TEXT
) WITHOUT ROWID;

-- One row for each time a workflow is with an agent. `id` rises and is never given out again: it is
-- the fence of the assignment. The last one of a workflow is open, or none is.
CREATE TABLE agent_assignments_new (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_id  TEXT NOT NULL,
    agent_type   TEXT NOT NULL,
    agent_id     TEXT,
    step_number  INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('queued', 'assigned', 'completed', 'reassigned')),
    priority     INTEGER NOT NULL DEFAULT 2,
    handoff_from TEXT,
    assigned_by  TEXT NOT NULL DEFAULT 'beadflow',
    reason       TEXT NOT NULL DEFAULT '',
    created_at   TEXT NOT NULL,
    assigned_at  TEXT,
    completed_at TEXT
);

INSERT INTO agent_assignments_new
    (id, workflow_id, agent_type, agent_id, step_number, status, priority, handoff_from, created_at,
     assigned_at, completed_at)
    SELECT a.id, a.workflow_id, a.agent_type, a.agent_id, a.step_number, a.status,
           coalesce((SELECT m.priority FROM workflow_mappings m
                     WHERE m.tempolite_workflow_id = a.workflow_id), 2),
           a.handoff_from, a.created_at, a.assigned_at, a.completed_at
    FROM agent_assignments a;
DROP TABLE agent_assignments;
ALTER TABLE agent_assignments_new RENAME TO agent_assignments;

CREATE UNIQUE INDEX agent_assignments_open ON agent_assignments (workflow_id)
    WHERE status IN ('queued', 'assigned');
CREATE INDEX agent_assignments_of_workflow ON agent_assignments (workflow_id, id DESC, agent_id, agent_type, status);
CREATE INDEX agent_assignments_of_agent ON agent_assignments (agent_id, id DESC)
    WHERE agent_id IS NOT NULL;
-- Covering, as before: no row of the table is read.
CREATE INDEX agent_assignments_assigned
    ON agent_assignments (id, workflow_id, agent_type, agent_id, status) WHERE status = 'assigned';
CREATE INDEX agent_assignments_queued
    ON agent_assignments (agent_type, priority, id, workflow_id, status) WHERE status = 'queued';

-- What is decided in this database and not made yet in the others; intents only roll forward. A
-- start's id is that of its workflow.
CREATE TABLE intents_new (
    id          TEXT PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('start', 'handoff', 'update')),
    payload     TEXT NOT NULL,
    created_at  TEXT NOT NULL
) WITHOUT ROWID;

INSERT INTO intents_new (id, workflow_id, kind, payload, created_at)
    SELECT workflow_id, workflow_id, kind, payload, created_at FROM intents;
DROP TABLE intents;
ALTER TABLE intents_new RENAME TO intents;
CREATE INDEX intents_of_workflow ON intents (workflow_id);

-- Requests other than starts that came with a key, and what they came to (JSON), so that a repeated
-- one is answered and not done.
CREATE TABLE idempotency_keys (
    key            TEXT PRIMARY KEY,
    request_sha256 TEXT NOT NULL,
    answer         TEXT NOT NULL,
    at             TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

-- A step that is done once more has one result more: its version is how many there are up to it.
CREATE TABLE workflow_results_new (
    id               INTEGER PRIMARY KEY,
    workflow_id      TEXT NOT NULL,
    step             TEXT NOT NULL,
    result_type      TEXT NOT NULL,
    agent_type       TEXT,
    agent_id         TEXT,
    result_data      TEXT NOT NULL,
    confidence_score REAL,
    created_at       TEXT NOT NULL
);

INSERT INTO workflow_results_new
    SELECT * FROM workflow_results;
DROP TABLE workflow_results;
ALTER TABLE workflow_results_new RENAME TO workflow_results;
CREATE INDEX workflow_results_of_workflow ON workflow_results (workflow_id, id);
CREATE INDEX workflow_results_of_step ON workflow_results (workflow_id, step, id);
CREATE INDEX workflow_results_by_time ON workflow_results (created_at, id);
CREATE INDEX workflow_results_of_type ON workflow_results (result_type, created_at, id);
CREATE INDEX workflow_results_of_agent ON workflow_results (agent_id, created_at, id)
    WHERE agent_id IS NOT NULL;
CREATE INDEX workflow_results_of_agent_type ON workflow_results (agent_type, created_at, id)
    WHERE agent_type IS NOT NULL;

-- Files that came of workflows. The contents lie beside the database, once each, named by their hash.
CREATE TABLE artifacts (
    id          INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    step        TEXT,
    agent_type  TEXT,
    agent_id    TEXT,
    media_type  TEXT NOT NULL,
    size        INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    UNIQUE (workflow_id, name, version)
);

CREATE INDEX artifacts_of_content ON artifacts (sha256);

ALTER TABLE workflow_mappings ADD COLUMN updated_at TEXT;
