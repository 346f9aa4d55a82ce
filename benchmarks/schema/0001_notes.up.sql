-- One row per measured write, nothing else: what is measured is the way to the disk.
CREATE TABLE notes (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
