-- Who works on what, and issues that stay on this machine. Both are local truth: the published file
-- holds none of it, and other clones see of a claim only what its issue says.

-- One claim of an issue. `token` is the fence: whoever writes with an older one has lost the claim.
-- `request` names the command that made it, so that a repeated one is known. A lease that has run
-- out stays until somebody takes it over or its issue ends it. Times are UTC with six digits of a
-- second, so that they compare as texts.
CREATE TABLE leases (
    issue_id   TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    home       TEXT NOT NULL,
    token      INTEGER NOT NULL UNIQUE,
    request    TEXT NOT NULL,
    claimed_at TEXT NOT NULL CHECK (claimed_at GLOB '????-??-??T??:??:??.??????Z'),
    expires_at TEXT NOT NULL CHECK (expires_at GLOB '????-??-??T??:??:??.??????Z')
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_by_expiry ON leases (expires_at);

-- One row: the last token given out, to whichever issue.
CREATE TABLE fence (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO fence (only, last) VALUES (1, 0);

-- 1: a wisp, made here and never published. What came from the file stays in it, whatever it says
-- of itself, because other clones have it, too.
ALTER TABLE issues ADD COLUMN local INTEGER NOT NULL DEFAULT 0 CHECK (local IN (0, 1));

CREATE INDEX issues_local ON issues (id) WHERE local = 1;

-- An issue that ends, is given back, goes to somebody else or to another home ends its lease, by
-- whichever road that came: a command, or a file that somebody else wrote.
CREATE TRIGGER lease_of_changed AFTER UPDATE ON issues
BEGIN
    DELETE FROM leases WHERE issue_id = new.id AND (
        holder <> new.assignee
        OR new.status IN ('open', 'deferred', 'closed', 'tombstone', 'deleted')
        OR coalesce(json_extract(new.line, '$.metadata.beadflow.home'), home) <> home);
END;

CREATE TRIGGER lease_of_removed AFTER DELETE ON issues
BEGIN
    DELETE FROM leases WHERE issue_id = old.id;
END;
