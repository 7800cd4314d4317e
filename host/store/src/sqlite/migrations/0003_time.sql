-- What schedules need beyond their next instant: which zone and which calendars move them, what was passed over and why.

ALTER TABLE events ADD COLUMN given INTEGER NOT NULL DEFAULT 0;  -- occurrences of the schedule that ended, for max_runs
ALTER TABLE events ADD COLUMN tz TEXT;                           -- the zone of its schedule, unless it is UTC
UPDATE events SET tz = schedule ->> '$.tz' WHERE state < 2 AND schedule ->> '$.tz' <> 'UTC';
-- Which open events follow this zone? Costs an insert nothing unless it names a zone.
CREATE INDEX events_of_zone ON events (tz) WHERE tz IS NOT NULL AND state < 2;

ALTER TABLE occurrences ADD COLUMN counted_to INTEGER;           -- instants up to here are accounted for, if further than scheduled_for

-- Occurrences that were not run, by reason. What was skipped before this table is in events.skipped alone.
CREATE TABLE skips (
    event    INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    n        INTEGER NOT NULL,
    noted_at INTEGER NOT NULL,  -- when the last of them was noted
    PRIMARY KEY (event, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE calendars (
    name       TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which open events does this calendar move? Rows of ended events go with them.
CREATE TABLE calendar_uses (
    calendar TEXT NOT NULL,
    event    INTEGER NOT NULL,
    PRIMARY KEY (calendar, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX calendars_of_event ON calendar_uses (event);

-- The rules by which events of a zone are planned. `reached`: a pass that re-plans them is on its way, and has come to this event.
CREATE TABLE zones (
    tz      TEXT PRIMARY KEY,
    rules   TEXT NOT NULL,
    reached INTEGER,
    looked  INTEGER NOT NULL,
    moved   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
