-- What a plugin was and did: logs of its runs, its crashes, when and where its generations served; and the arguments that a new one
-- has to accept. As in 0001, each index names the question it answers.

-- What a run said. Beside the runs, so that listing them reads none of it; a run that said nothing costs nothing.
CREATE TABLE run_logs (
    run INTEGER PRIMARY KEY,  -- runs.id
    log TEXT NOT NULL         -- [dropped, [[at, level, target, message, spans], …]]
) STRICT;

CREATE TABLE crashes (
    id         INTEGER PRIMARY KEY,
    plugin     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    placement  TEXT NOT NULL,
    cause      TEXT NOT NULL
) STRICT;
-- How often did this plugin crash since then?
CREATE INDEX crashes_of_plugin ON crashes (plugin, at);

ALTER TABLE generations ADD COLUMN placement TEXT;
ALTER TABLE generations ADD COLUMN published_at INTEGER;
-- What ran, or was published last, had been published; when was not kept. Loading takes moments, so that its creation says it nearly.
UPDATE generations SET placement = (SELECT b.placement FROM builds b
                                    WHERE b.generation = generations.number AND b.plugin = generations.plugin ORDER BY b.id DESC LIMIT 1);
UPDATE generations SET published_at = created_at
    WHERE placement IS NOT NULL
       OR EXISTS (SELECT 1 FROM plugins p WHERE p.name = generations.plugin AND p.generation = generations.number);
-- Which builds of this plugin served, newest first?
CREATE INDEX generations_of_plugin ON generations (plugin);

-- Which arguments does a new generation of this type's owner have to accept? Ended events are out of it. Ids rise, so that an insert
-- appends to its type's end.
CREATE INDEX events_open ON events (type) WHERE state < 2;

-- What was done to this plugin, to this event? The number comes with every entry, so that pages by number need no sorting.
CREATE INDEX audit_of_subject ON audit (subject);
