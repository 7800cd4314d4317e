-- Limits that an operator set, and what is taken of them. Without a row here nothing else of this is asked or written.

CREATE TABLE limits (
    id          INTEGER PRIMARY KEY,
    scope       INTEGER NOT NULL,  -- 0 type, 1 plugin, 2 key
    name        TEXT NOT NULL,
    concurrency INTEGER,
    rate_count  INTEGER,
    rate_per    INTEGER,           -- microseconds
    burst       INTEGER,
    full_at     INTEGER,           -- nanoseconds: when the bucket is full again; NULL = it is
    taken       INTEGER NOT NULL,  -- rows of slots, kept by the triggers below
    set_at      INTEGER NOT NULL,
    set_by      TEXT NOT NULL,
    UNIQUE (scope, name)
) STRICT;

-- Which claimed occurrence takes a place of which limit. Triggers on `occurrences`, made while a concurrency limit exists, take these away.
CREATE TABLE slots (
    event    INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    limit_id INTEGER NOT NULL,
    PRIMARY KEY (event, n, limit_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER slots_taken AFTER INSERT ON slots BEGIN
    UPDATE limits SET taken = taken + 1 WHERE id = new.limit_id;
END;
CREATE TRIGGER slots_freed AFTER DELETE ON slots BEGIN
    UPDATE limits SET taken = taken - 1 WHERE id = old.limit_id;
END;

ALTER TABLE occurrences ADD COLUMN gate INTEGER;  -- of a row in state 5: the key limit that it waits behind
-- What waits behind a key limit, of one type? Only rows in state 5 are in it.
CREATE INDEX occurrences_gated ON occurrences (type, gate, lane, due_at) WHERE state = 5;
