-- The older schema would publish wisps, so they go; that they went is in the journal.
INSERT INTO journal (issue_id, kind, detail, base, at)
    SELECT id, 'removed',
        json_object('fields', json_array(), 'status', NULL, 'status_before', status,
                    'title', title, 'workflow_id', NULL),
        NULL, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    FROM issues WHERE local = 1;
DROP TRIGGER lease_of_removed;
DROP TRIGGER lease_of_changed;
DELETE FROM issues WHERE local = 1;
DROP INDEX issues_local;
ALTER TABLE issues DROP COLUMN local;
DROP TABLE fence;
DROP TABLE leases;
