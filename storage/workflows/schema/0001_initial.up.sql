-- The engine's own database. `history` is the truth of every workflow and the outbox of this file:
-- its `position` is the order of commits, because one writer makes them.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE instances (
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

CREATE INDEX instances_live ON instances (created_at)
    WHERE status IN ('queued', 'running', 'stalled');

CREATE TABLE history (
    position    INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    op          TEXT NOT NULL DEFAULT '',
    name        TEXT NOT NULL DEFAULT '',
    payload     TEXT NOT NULL,
    at          TEXT NOT NULL
);

CREATE UNIQUE INDEX history_of_workflow ON history (workflow_id, seq);

-- Activities for agents. A row is here before its agent hears of it.
CREATE TABLE tasks (
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

-- One index for each question; SQLite uses a partial one only where the query repeats its words.
CREATE INDEX tasks_open ON tasks (created_at) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_ready ON tasks (agent_type, created_at) WHERE state = 'ready';
CREATE INDEX tasks_ended ON tasks (workflow_id, op) WHERE state IN ('done', 'failed');
