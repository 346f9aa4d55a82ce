DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (agent_type, created_at) WHERE state = 'ready';
ALTER TABLE tasks DROP COLUMN priority;
ALTER TABLE instances DROP COLUMN priority;
