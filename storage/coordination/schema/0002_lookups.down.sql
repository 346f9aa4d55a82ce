DROP INDEX workflow_results_of_workflow;
DROP INDEX agent_assignments_queued;
CREATE INDEX agent_assignments_queued ON agent_assignments (agent_type, id)
    WHERE status = 'queued';
DROP INDEX agent_assignments_assigned;
CREATE INDEX agent_assignments_assigned ON agent_assignments (id) WHERE status = 'assigned';
DROP INDEX agent_assignments_agent;
DROP INDEX workflow_mappings_of_type_and_status;
DROP INDEX workflow_mappings_of_type;
DROP INDEX workflow_mappings_of_status;
ALTER TABLE agent_assignments DROP COLUMN handoff_from;
