-- What an attempt leaves behind for the next decision: when the first was due, what went wrong as a word, and when it became a dead letter.

ALTER TABLE runs ADD COLUMN error_code TEXT;             -- of a run that failed or was interrupted
ALTER TABLE occurrences ADD COLUMN first_due INTEGER;    -- when its first attempt was due, once there was one
ALTER TABLE occurrences ADD COLUMN dead_at INTEGER;      -- since when it is a dead letter
ALTER TABLE occurrences ADD COLUMN dead_code TEXT;       -- the word of the attempt that made it one
UPDATE occurrences SET dead_at = coalesce((SELECT max(r.finished_at) FROM runs r WHERE r.event = occurrences.event AND r.n = occurrences.n),
                                          due_at) WHERE state = 3;
-- Which are the dead letters? No other row is in it, so that neither a claim nor a settlement that goes well writes it.
CREATE INDEX occurrences_dead ON occurrences (event, n) WHERE state = 3;

ALTER TABLE event_types ADD COLUMN time_limit TEXT;      -- how long a run of it may take, and then to stop, as JSON; NULL: its plugin said nothing
