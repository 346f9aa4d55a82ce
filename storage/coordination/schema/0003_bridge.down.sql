-- Back to one assignment a step and one result a step: the last ones stay. What has no place is lost:
-- registered agents, artifacts, keys of requests, and intents that are no starts.
ALTER TABLE workflow_mappings DROP COLUMN updated_at;
DROP TABLE artifacts;

CREATE TABLE workflow_results_old (
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
INSERT INTO workflow_results_old
    SELECT * FROM workflow_results
    WHERE id IN (SELECT max(id) FROM workflow_results GROUP BY workflow_id, step);
DROP TABLE workflow_results;
ALTER TABLE workflow_results_old RENAME TO workflow_results;
CREATE INDEX workflow_results_of_workflow ON workflow_results (workflow_id, id);

DROP TABLE idempotency_keys;

CREATE TABLE intents_old (
    workflow_id TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('start')),
    payload     TEXT NOT NULL,
    created_at  TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO intents_old SELECT workflow_id, kind, payload, created_at FROM intents WHERE kind = 'start';
DROP TABLE intents;
ALTER TABLE intents_old RENAME TO intents;

CREATE TABLE agent_assignments_old (
    id           INTEGER PRIMARY KEY,
    workflow_id  TEXT NOT NULL,
    agent_type   TEXT NOT NULL,
    agent_id     TEXT,
    step_number  INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('queued', 'assigned', 'completed')),
    created_at   TEXT NOT NULL,
    assigned_at  TEXT,
    completed_at TEXT,
    handoff_from TEXT,
    UNIQUE (workflow_id, step_number)
);
INSERT INTO agent_assignments_old
    (id, workflow_id, agent_type, agent_id, step_number, status, created_at, assigned_at,
     completed_at, handoff_from)
    SELECT id, workflow_id, agent_type, agent_id, step_number,
           CASE status WHEN 'reassigned' THEN 'completed' ELSE status END,
           created_at, assigned_at, completed_at, handoff_from
    FROM agent_assignments
    WHERE id IN (SELECT max(id) FROM agent_assignments GROUP BY workflow_id, step_number);
DROP TABLE agent_assignments;
ALTER TABLE agent_assignments_old RENAME TO agent_assignments;
CREATE INDEX agent_assignments_agent
    ON agent_assignments (workflow_id, step_number DESC, agent_id);
CREATE INDEX agent_assignments_assigned
    ON agent_assignments (id, workflow_id, agent_type, agent_id, status) WHERE status = 'assigned';
CREATE INDEX agent_assignments_queued
    ON agent_assignments (agent_type, id, workflow_id, status) WHERE status = 'queued';

DROP TABLE agents;
