-- The older program knows neither pause nor cancel: a paused workflow runs, a cancelled or
-- terminated one has failed. Signals that nobody has consumed are lost with their table.
DROP TABLE segments;
DROP TABLE heartbeats;
DROP TABLE inbox;

CREATE TABLE instances_old (
    workflow_id TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    status      TEXT NOT NULL
                CHECK (status IN ('queued', 'running', 'stalled', 'completed', 'failed', 'dead_letter')),
    input       TEXT NOT NULL,
    recoveries  INTEGER NOT NULL DEFAULT 0,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO instances_old
    SELECT workflow_id, name, version,
        CASE status WHEN 'paused' THEN 'running' WHEN 'cancelled' THEN 'failed'
                    WHEN 'terminated' THEN 'failed' ELSE status END,
        input, recoveries, created_at, updated_at
    FROM instances;
DROP TABLE instances;
ALTER TABLE instances_old RENAME TO instances;
CREATE INDEX instances_live ON instances (created_at)
    WHERE status IN ('queued', 'running', 'stalled');

CREATE TABLE tasks_old (
    workflow_id TEXT NOT NULL,
    op          TEXT NOT NULL,
    agent_type  TEXT NOT NULL,
    activity    TEXT NOT NULL,
    input       TEXT NOT NULL,
    policy      TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'failed', 'consumed')),
    attempt     INTEGER NOT NULL DEFAULT 0,
    fence       INTEGER NOT NULL DEFAULT 0,
    agent_id    TEXT,
    outcome     TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (workflow_id, op)
) WITHOUT ROWID;
INSERT INTO tasks_old
    SELECT workflow_id, op, agent_type, activity, input, policy,
        CASE state WHEN 'cancelled' THEN 'consumed' ELSE state END,
        attempt, fence, agent_id, outcome, created_at, updated_at
    FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_old RENAME TO tasks;
CREATE INDEX tasks_open ON tasks (created_at) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_ready ON tasks (agent_type, created_at) WHERE state = 'ready';
CREATE INDEX tasks_ended ON tasks (workflow_id, op) WHERE state IN ('done', 'failed');
