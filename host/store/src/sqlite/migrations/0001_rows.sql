-- The rows of Sexton. Times are microseconds since 1970 in UTC; enumerations are the numbers of codec.rs; JSON is text.
-- An index costs every insert: each one below names the question it answers.

CREATE TABLE store (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    epoch         INTEGER NOT NULL,  -- raised at each attach of any host; the high bits of every token
    state_version INTEGER NOT NULL   -- last version given to a key of plugin_state; never given twice, so no ABA
) STRICT;
INSERT INTO store (one, epoch, state_version) VALUES (1, 0, 0);

CREATE TABLE hosts (
    id          INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 255),
    name        TEXT NOT NULL UNIQUE,
    epoch       INTEGER NOT NULL,
    attached_at INTEGER NOT NULL
) STRICT;

CREATE TABLE event_types (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    owner         TEXT,               -- plugin, 'host', or NULL once released
    args_schema   TEXT NOT NULL,
    schema_digest TEXT NOT NULL,
    retry         TEXT,
    first_seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE plugins (
    name       TEXT PRIMARY KEY,
    generation INTEGER,               -- last published
    verdict    TEXT,                  -- with the four below: the decision in force
    against    TEXT,
    serve      TEXT,
    decided_by TEXT,
    decided_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused, not even after a row is gone
    plugin     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    type        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    last_n      INTEGER NOT NULL,     -- greatest ordinal ever given
    skipped     INTEGER NOT NULL,
    priority    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    finished_at INTEGER,
    schedule    TEXT NOT NULL,
    args        TEXT NOT NULL,
    key         TEXT,
    description TEXT,
    bot         TEXT,
    resources   TEXT,
    labels      TEXT,
    retry       TEXT,
    created_by  TEXT NOT NULL,
    reason      TEXT,
    standing_of TEXT
) STRICT;
-- A key is unique per type among open events (scheduled, paused).
CREATE UNIQUE INDEX events_open_key ON events (type, key) WHERE key IS NOT NULL AND state < 2;
-- What did this plugin declare under this key?
CREATE INDEX events_standing ON events (standing_of, type, key) WHERE standing_of IS NOT NULL;

CREATE TABLE occurrences (
    event          INTEGER NOT NULL,
    n              INTEGER NOT NULL,
    type           INTEGER NOT NULL,
    lane           INTEGER NOT NULL,  -- the event's priority, clamped
    state          INTEGER NOT NULL,  -- 0 waiting, 1 claimed, 2 held (event paused), 3 dead letter
    due_at         INTEGER NOT NULL,
    scheduled_for  INTEGER NOT NULL,
    cause          INTEGER NOT NULL,
    by_schedule    INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    interruptions  INTEGER NOT NULL,
    host           INTEGER,
    token          INTEGER,
    resources_done TEXT,
    dead           TEXT,              -- why it is a dead letter
    PRIMARY KEY (event, n)
) STRICT, WITHOUT ROWID;
-- What is due next of a type? Paused, claimed and dead rows are out of it.
CREATE INDEX occurrences_due ON occurrences (type, lane, due_at) WHERE state = 0;

-- Which code ran: one row per build and place, so that a run says it in one number.
CREATE TABLE builds (
    id         INTEGER PRIMARY KEY,
    plugin     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    placement  TEXT NOT NULL,
    UNIQUE (generation, plugin, digest, placement)
) STRICT;

CREATE TABLE runs (
    id            INTEGER PRIMARY KEY,
    event         INTEGER NOT NULL,
    n             INTEGER NOT NULL,
    type          INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    outcome       INTEGER NOT NULL,
    scheduled_for INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER NOT NULL,
    build         INTEGER NOT NULL,
    host          INTEGER NOT NULL,
    error         TEXT,
    output        TEXT,
    resources     TEXT
) STRICT;
-- The runs of one event; also: has this event any left?
CREATE INDEX runs_of_event ON runs (event);
-- What did not go well? Costs a run that succeeded nothing.
CREATE INDEX runs_not_succeeded ON runs (outcome) WHERE outcome <> 0;

-- Kept in the same transaction as what they count, so that `status` scans nothing.
CREATE TABLE counters (
    type INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (type, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_state (
    plugin  TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    verb    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
