-- A workflow's priority, 0 (first) to 4, and that of each of its tasks: what is most urgent is handed
-- out first.
ALTER TABLE instances ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (agent_type, priority, created_at) WHERE state = 'ready';
