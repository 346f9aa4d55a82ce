-- Without the column. SQLite drops one only where every view of the file can be read, and a user's may
-- not be: so both tables are made anew.

CREATE TABLE instances_old (
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

INSERT INTO instances_old (workflow_id, name, version, status, input, recoveries, created_at,
    updated_at, parked, wake_at, run, run_seq, parent_id, parent_op, on_parent_close)
    SELECT workflow_id, name, version, status, input, recoveries, created_at, updated_at,
        parked, wake_at, run, run_seq, parent_id, parent_op, on_parent_close FROM instances;
DROP TABLE instances;
ALTER TABLE instances_old RENAME TO instances;

CREATE INDEX instances_live ON instances (created_at)
    WHERE status IN ('queued', 'running', 'stalled') AND parked = 0;
CREATE INDEX instances_asleep ON instances (wake_at)
    WHERE status = 'running' AND parked = 1 AND wake_at IS NOT NULL;
CREATE INDEX instances_children ON instances (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE tasks_old (
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

INSERT INTO tasks_old (workflow_id, op, agent_type, activity, input, policy, state, attempt,
    fence, agent_id, outcome, created_at, updated_at, next_at, start_by, close_by)
    SELECT workflow_id, op, agent_type, activity, input, policy, state, attempt, fence,
        agent_id, outcome, created_at, updated_at, next_at, start_by, close_by FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_old RENAME TO tasks;

CREATE INDEX tasks_open ON tasks (created_at) WHERE state IN ('ready', 'running');
CREATE INDEX tasks_ready ON tasks (agent_type, created_at) WHERE state = 'ready';
CREATE INDEX tasks_ended ON tasks (workflow_id, op) WHERE state IN ('done', 'failed');
CREATE INDEX tasks_retried ON tasks (next_at) WHERE state = 'ready' AND next_at IS NOT NULL;
CREATE INDEX tasks_start_by ON tasks (start_by)
    WHERE state = 'ready' AND attempt = 0 AND start_by IS NOT NULL;
CREATE INDEX tasks_close_by ON tasks (close_by) WHERE state = 'ready' AND close_by IS NOT NULL;
