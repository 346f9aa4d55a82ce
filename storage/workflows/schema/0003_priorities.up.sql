-- A workflow's priority, 0 (first) to 4, and that of each of its tasks: what is most urgent is handed
-- out first.
ALTER TABLE instances ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
DROP INDEX tasks_ready;
-- Covering: who waits, and for what first, without a row of the table.
CREATE INDEX tasks_ready ON tasks (agent_type, workflow_id, priority, created_at, next_at, op, state)
    WHERE state = 'ready';
