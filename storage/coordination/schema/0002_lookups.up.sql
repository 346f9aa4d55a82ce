-- Who handed a workflow on to this assignment; null for the first one.
ALTER TABLE agent_assignments ADD COLUMN handoff_from TEXT;

-- Lists by status, by type and by both, newest first, without sorting and without reading the rest.
-- They end in the key of a page's cursor. The rows themselves carry documents, so they are not
-- repeated in the index.
CREATE INDEX workflow_mappings_of_status
    ON workflow_mappings (status, created_at DESC, tempolite_workflow_id DESC);
CREATE INDEX workflow_mappings_of_type
    ON workflow_mappings (workflow_type, created_at DESC, tempolite_workflow_id DESC);
CREATE INDEX workflow_mappings_of_type_and_status
    ON workflow_mappings (workflow_type, status, created_at DESC, tempolite_workflow_id DESC);

-- Covering: who works on a workflow, who is assigned, who waits; no row of the table is read.
-- (The status is in them because SQLite asks for it although the index has no other.)
CREATE INDEX agent_assignments_agent
    ON agent_assignments (workflow_id, step_number DESC, agent_id);
DROP INDEX agent_assignments_assigned;
CREATE INDEX agent_assignments_assigned
    ON agent_assignments (id, workflow_id, agent_type, agent_id, status) WHERE status = 'assigned';
DROP INDEX agent_assignments_queued;
CREATE INDEX agent_assignments_queued
    ON agent_assignments (agent_type, id, workflow_id, status) WHERE status = 'queued';

-- A workflow's results in the order in which they were stored.
CREATE INDEX workflow_results_of_workflow ON workflow_results (workflow_id, id);
