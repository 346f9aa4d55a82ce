-- Who may come in, and who did what. Nothing here opens anything: secrets are kept as their SHA-256.
CREATE TABLE api_keys (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    roles         TEXT NOT NULL,
    scopes        TEXT,
    secret_sha256 TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    created_by    TEXT NOT NULL,
    expires_at    TEXT,
    last_used_at  TEXT,
    revoked_at    TEXT,
    revoked_by    TEXT
) WITHOUT ROWID;

CREATE INDEX api_keys_newest ON api_keys (created_at DESC, id DESC);
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at DESC, id DESC);

-- All tokens that go back to one exchange of a key: they end together.
CREATE TABLE token_families (
    id         TEXT PRIMARY KEY,
    key_id     TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    scopes     TEXT,
    token_s    INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    revoked_by TEXT,
    reason     TEXT
) WITHOUT ROWID;

CREATE INDEX token_families_of_key ON token_families (key_id);
CREATE INDEX token_families_of_user ON token_families (user_id);
CREATE INDEX token_families_by_end ON token_families (expires_at);

-- One row for each pair of tokens: the access token by its jti, the refresh token by its hash.
CREATE TABLE refresh_tokens (
    sha256      TEXT PRIMARY KEY,
    family_id   TEXT NOT NULL,
    jti         TEXT NOT NULL UNIQUE,
    created_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    replaced_by TEXT,
    replaced_at TEXT
) WITHOUT ROWID;

CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

-- The audit log: each record carries the hash of the one before. It is only ever added to.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    at       TEXT NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    target   TEXT NOT NULL,
    outcome  TEXT NOT NULL CHECK (outcome IN ('allowed', 'refused', 'done')),
    address  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash     TEXT NOT NULL
);

CREATE INDEX audit_of_actor ON audit (actor, seq);
CREATE INDEX audit_of_action ON audit (action, seq);
CREATE INDEX audit_of_outcome ON audit (outcome, seq);

-- Where the log ends, so that it cannot be cut short unnoticed.
CREATE TABLE audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '');

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is not changed'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is not shortened'); END;
CREATE TRIGGER audit_goes_on BEFORE INSERT ON audit
WHEN (NEW.seq, NEW.previous) IS NOT (SELECT seq + 1, hash FROM audit_head)
BEGIN SELECT raise(ABORT, 'the audit log goes on where it ends'); END;
CREATE TRIGGER audit_has_gone_on AFTER INSERT ON audit
BEGIN UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash; END;
CREATE TRIGGER audit_head_is_kept BEFORE DELETE ON audit_head
BEGIN SELECT raise(ABORT, 'the audit log is not shortened'); END;
CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
WHEN NEW.seq <> OLD.seq + 1
BEGIN SELECT raise(ABORT, 'the audit log goes on where it ends'); END;

-- What analytics walks over. All grow at their end only, and the first is covering, since a row of
-- its table carries documents.
CREATE INDEX workflow_mappings_ended
    ON workflow_mappings (completed_at, created_at, started_at, workflow_type, status, priority)
    WHERE completed_at IS NOT NULL;
CREATE INDEX agent_assignments_ended ON agent_assignments (completed_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX events_counted ON events (type, at)
    WHERE type IN ('agent_handoff', 'step_completed', 'step_failed', 'step_retried', 'usage_recorded');
