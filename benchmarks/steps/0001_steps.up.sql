-- What most commands of the engine come to: a row is added to a run's history, and the run moves on.
CREATE TABLE runs (
    id   INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE steps (
    position INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    text     TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX steps_of_run ON steps (run, seq);
