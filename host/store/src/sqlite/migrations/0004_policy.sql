-- What an event asks about its runs: overlap, time limit, uniqueness, shared limit, as JSON; NULL if it asks nothing.
ALTER TABLE events ADD COLUMN policy TEXT;
