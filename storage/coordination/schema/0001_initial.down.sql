DROP TABLE outbox_cursors;
DROP TABLE events;
DROP TABLE intents;
DROP TABLE workflow_results;
DROP TABLE agent_assignments;
DROP TABLE workflow_mappings;
DROP TABLE meta;
