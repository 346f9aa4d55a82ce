-- Keys, tokens and the audit log have no place in what was before, and are lost.
DROP TABLE audit_head;
DROP TABLE audit;
DROP TABLE refresh_tokens;
DROP TABLE token_families;
DROP TABLE api_keys;
DROP INDEX events_counted;
DROP INDEX agent_assignments_ended;
DROP INDEX workflow_mappings_ended;
