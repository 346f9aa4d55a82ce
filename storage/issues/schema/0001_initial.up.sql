-- The working copy of the issue graph. One row per issue, kept as the very line that is published:
-- composing the file is then a join of these lines in the order of their ids, and no two forms of
-- one record can disagree. The other columns repeat values of the line, for indexes.
CREATE TABLE issues (
    id         TEXT PRIMARY KEY,
    line       TEXT NOT NULL,
    title      TEXT NOT NULL,
    status     TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    issue_type TEXT NOT NULL,
    assignee   TEXT NOT NULL,
    updated_us INTEGER NOT NULL      -- microseconds since 1970: texts of times do not sort
) STRICT;

CREATE INDEX issues_by_status ON issues (status, updated_us);
CREATE INDEX issues_by_time ON issues (updated_us);

-- Every change in commit order; also the outbox of this database. `base` is the line before the
-- change (null: there was none) and is emptied once a flush has passed: see queries.published_line.
CREATE TABLE journal (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    issue_id TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('created', 'changed', 'adopted', 'removed')),
    detail   TEXT NOT NULL,
    base     TEXT,
    at       TEXT NOT NULL
) STRICT;

CREATE INDEX journal_by_issue ON journal (issue_id, seq);

-- How far the feeds whose events change issues have been applied: exactly once, by position.
CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: what the published file is known to be.
CREATE TABLE publication (
    only            INTEGER PRIMARY KEY CHECK (only = 1),
    flushed_seq     INTEGER NOT NULL DEFAULT 0,
    flushed_sha256  TEXT,
    intended_seq    INTEGER NOT NULL DEFAULT 0,
    intended_sha256 TEXT,
    adopted_sha256  TEXT
) STRICT;

INSERT INTO publication (only) VALUES (1);
