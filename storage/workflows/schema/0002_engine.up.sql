-- Pause, cancel and terminate; workflows that wait as rows; children; runs that follow one another.
-- SQLite cannot widen a check, so both tables are made anew.
CREATE TABLE instances_new (
    workflow_id     TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    version         INTEGER NOT NULL,
    status          TEXT NOT NULL
                    CHECK (status IN ('queued', 'running', 'paused', 'stalled', 'completed', 'failed',
                                      'cancelled', 'terminated', 'dead_letter')),
    input           TEXT NOT NULL,
    recoveries      INTEGER NOT NULL DEFAULT 0,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    parked          INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1)),
    wake_at         TEXT,
    run             INTEGER NOT NULL DEFAULT 1,
    run_seq         INTEGER NOT NULL DEFAULT 1,
    parent_id       TEXT,
    parent_op       TEXT,
    on_parent_close TEXT CHECK (on_parent_close IN ('terminate', 'cancel', 'abandon'))
) WITHOUT ROWID;

INSERT INTO instances_new
    (workflow_id, name, version, status, input, recoveries, created_at, updated_at)
    SELECT workflow_id, name, version, status, input, recoveries, created_at, updated_at
    FROM instances;
DROP TABLE instances;
ALTER TABLE instances_new RENAME TO instances;

-- One index for each question; SQLite uses a partial one only where the query repeats its words.
CREATE INDEX instances_live ON instances (created_at)
    WHERE status IN ('queued', 'running', 'stalled') AND parked = 0;
CREATE INDEX instances_asleep ON instances (wake_at)
    WHERE status = 'running' AND parked = 1 AND wake_at IS NOT NULL;
CREATE INDEX instances_children ON instances (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE tasks_new (
    workflow_id TEXT NOT NULL,
    op          TEXT NOT NULL,
    agent_type  TEXT NOT NULL,
    activity    TEXT NOT NULL,
    input       TEXT NOT NULL,
    policy      TEXT NOT NULL,
    state       TEXT NOT NULL
                CHECK (state IN ('ready', 'running', 'done', 'failed', 'consumed', 'cancelled')),
    attempt     INTEGER NOT NULL DEFAULT 0,
    fence       INTEGER NOT NULL DEFAULT 0,
    agent_id    TEXT,
    outcome     TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    next_at     TEXT,
    start_by    TEXT,
    close_by    TEXT,
    PRIMARY KEY (workflow_id, op)
) WITHOUT ROWID;

INSERT INTO tasks_new
    (workflow_id, op, agent_type, activity, input, policy, state, attempt, fence, agent_id, outcome,
     created_at, updated_at)
    SELECT workflow_id, op, agent_type, activity, input, policy, state, attempt, fence, agent_id,
           outcome, created_at, updated_at
    FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;
CREATE INDEX tasks_open ON tasks (created_at) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_ready ON tasks (agent_type, created_at) WHERE state = 'ready';
CREATE INDEX tasks_ended ON tasks (workflow_id, op) WHERE state IN ('done', 'failed');
CREATE INDEX tasks_retried ON tasks (next_at) WHERE state = 'ready' AND next_at IS NOT NULL;
CREATE INDEX tasks_start_by ON tasks (start_by)
    WHERE state = 'ready' AND attempt = 0 AND start_by IS NOT NULL;
CREATE INDEX tasks_close_by ON tasks (close_by) WHERE state = 'ready' AND close_by IS NOT NULL;

-- Signals. A row is here before its sender hears that it was taken; one that was consumed stays
-- without its value, so that the same message is known when it comes again.
CREATE TABLE inbox (
    position    INTEGER PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    payload     TEXT NOT NULL,
    at          TEXT NOT NULL,
    consumed_by TEXT
);
CREATE UNIQUE INDEX inbox_messages ON inbox (workflow_id, message_id);
CREATE INDEX inbox_waiting ON inbox (workflow_id, position) WHERE consumed_by IS NULL;

-- What the last attempt of an activity said of how far it was; gone once the activity has ended.
CREATE TABLE heartbeats (
    workflow_id TEXT NOT NULL,
    op          TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    details     TEXT NOT NULL,
    at          TEXT NOT NULL,
    PRIMARY KEY (workflow_id, op)
) WITHOUT ROWID;

-- Checkpoints: the events first_seq..last_seq of one history in one row, so that a long history is
-- read as a few rows and a short tail. Never changed; the events themselves stay.
CREATE TABLE segments (
    workflow_id TEXT NOT NULL,
    first_seq   INTEGER NOT NULL,
    last_seq    INTEGER NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (workflow_id, first_seq)
) WITHOUT ROWID;
