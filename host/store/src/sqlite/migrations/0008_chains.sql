-- Which event follows which, and what makes an event the same as another. As in 0001, each index names the question it answers.

CREATE TABLE links (
    follower  INTEGER NOT NULL,
    upstream  INTEGER NOT NULL,
    on_       INTEGER NOT NULL,  -- the end that counts: 0 success, 1 failure, 2 any
    satisfied INTEGER NOT NULL,  -- such an end came since the follower was set off last
    open      INTEGER NOT NULL,  -- the follower is scheduled or paused
    PRIMARY KEY (follower, upstream)
) STRICT, WITHOUT ROWID;
-- Who follows this event? Asked only if the event says that somebody does.
CREATE INDEX links_of_upstream ON links (upstream) WHERE open = 1;
ALTER TABLE events ADD COLUMN followed INTEGER NOT NULL DEFAULT 0;  -- some event follows it, or did

ALTER TABLE events ADD COLUMN unique_digest TEXT;  -- of what its uniqueness goes by, if it asked for that
-- Is there one that is the same, in this state? Costs an insert nothing unless it asks.
CREATE INDEX events_unique ON events (unique_digest, state) WHERE unique_digest IS NOT NULL;
