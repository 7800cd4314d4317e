-- What stays of runs when they are pruned, how long they are kept, and conditions that somebody wants to hear of. No index on runs: what
-- asks about them here goes by their number, which is the order of settlement.

-- Sums over the runs of a type that ended within one hour. Written once a transaction, type and hour; never pruned.
CREATE TABLE type_stats (
    type  INTEGER NOT NULL,
    hour  INTEGER NOT NULL,  -- hours since 1970
    tally TEXT NOT NULL,
    PRIMARY KEY (type, hour)
) STRICT, WITHOUT ROWID;

-- What was said about how long runs are kept; what is not here has the defaults.
CREATE TABLE retention (
    event_type TEXT PRIMARY KEY,  -- '' is for all types
    rule       TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    name       TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,  -- raised by every verb and every move: who looked at an older one changes nothing
    event      INTEGER,           -- about which event,
    type       INTEGER,           -- or about all events of which type
    spares_us  INTEGER,           -- runs of the event that ended so long ago or later must not be pruned yet
    definition TEXT NOT NULL,
    standing   TEXT NOT NULL,     -- how it stands: raised since when, told when
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
