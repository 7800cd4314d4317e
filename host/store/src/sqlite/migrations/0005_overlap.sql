-- What waits behind an earlier occurrence of its event. A row that waits so has state 4, out of the due order; its end lets the next go.
ALTER TABLE occurrences ADD COLUMN queued_at INTEGER;  -- since when it waits, or waited, behind another: it is not skipped for a third
-- Its successor was stored when it began: the policy lets that one start beside it, or in its place.
ALTER TABLE occurrences ADD COLUMN followed INTEGER NOT NULL DEFAULT 0;
