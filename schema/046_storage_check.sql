-- Reconciliation: the store, the rows and the spools are compared every night
-- and by "relaycam storage check". What has a row says in its row how it is
-- (status, poster_fault, manifest_fault); what has none is in unknown_files.

-- Each comparison: a row is one, its order and its lease. A storage daemon that
-- stops beating loses it, and another one continues behind done_to.
CREATE TABLE storage_checks (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    store        text NOT NULL CHECK (store IN ('folder', 's3')),
    asked_by     text NOT NULL DEFAULT '',   -- '': its time had come
    is_full      boolean NOT NULL DEFAULT false, -- all bytes are hashed anew
    asked_at     timestamptz NOT NULL DEFAULT now(),
    run_by       text NOT NULL DEFAULT '',   -- the id of its daemon's node
    started_at   timestamptz,
    heartbeat_at timestamptz,
    ended_at     timestamptz,
    error        text NOT NULL DEFAULT '',
    phase        text NOT NULL DEFAULT 'waiting'
                 CHECK (phase IN ('waiting', 'store', 'hash', 'done')),
    done_to      text NOT NULL DEFAULT '',   -- the last key of the store that was compared
    n_rows       bigint NOT NULL DEFAULT 0,  -- stored recordings when it began
    n_listed     bigint NOT NULL DEFAULT 0,  -- objects found in the store
    n_differ     bigint NOT NULL DEFAULT 0,  -- recordings that were looked at for it
    n_to_hash    bigint NOT NULL DEFAULT 0,
    n_hashed     bigint NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (phase <> 'done'))
);
CREATE UNIQUE INDEX storage_checks_open ON storage_checks (store) WHERE ended_at IS NULL;

-- Files without a row: objects of the store, and what lies in a node's spool.
-- place: 'folder', 's3', or 'spool@' and the node's host.
CREATE TABLE unknown_files (
    place      text NOT NULL,
    name       text NOT NULL,
    bytes      bigint NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (place, name)
);

ALTER TABLE segments ADD hashed_at timestamptz; -- when the stored bytes were last hashed
CREATE INDEX segments_hashed ON segments (hashed_at NULLS FIRST, id)
    WHERE store IS NOT NULL AND status IN ('available', 'missing', 'corrupted');
-- In the order in which stores list their objects.
CREATE INDEX segments_store_key ON segments (object_key COLLATE "C") WHERE store IS NOT NULL;
CREATE INDEX segments_poster_key ON segments (poster_key COLLATE "C") WHERE poster_key IS NOT NULL;
CREATE INDEX evidence_store_key ON evidence (object_key COLLATE "C");
CREATE INDEX segments_wrong ON segments (status) WHERE status IN ('missing', 'corrupted');
CREATE INDEX segments_poster_fault ON segments (id) WHERE poster_fault IS NOT NULL;
CREATE INDEX evidence_manifest_fault ON evidence (segment_id) WHERE manifest_fault IS NOT NULL;

-- The comparison that is to be made now, or no row: one that was asked for, one
-- whose daemon is gone, or a new one when the last is `every` ago.
CREATE FUNCTION storage_check_take(its_store text, node text, every interval, stale interval)
RETURNS SETOF storage_checks LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_checks (store)
    SELECT its_store WHERE NOT EXISTS (
        SELECT FROM storage_checks c WHERE c.store = its_store
            AND (c.ended_at IS NULL OR c.ended_at > now() - every))
    ON CONFLICT DO NOTHING;
    DELETE FROM storage_checks WHERE ended_at IS NOT NULL AND id <= (
        SELECT id FROM storage_checks ORDER BY id DESC OFFSET 1000 LIMIT 1);
    RETURN QUERY UPDATE storage_checks c
    SET run_by = node, error = '', started_at = coalesce(c.started_at, now()), heartbeat_at = now(),
        phase = CASE WHEN c.phase = 'waiting' THEN 'store' ELSE c.phase END,
        n_rows = (SELECT count(*) FROM segments g WHERE g.store = its_store
                  AND g.status IN ('available', 'missing', 'corrupted'))
    WHERE c.id = (SELECT x.id FROM storage_checks x WHERE x.store = its_store
                  AND x.ended_at IS NULL AND (x.heartbeat_at IS NULL OR x.run_by = node
                      OR x.heartbeat_at < now() - stale)
                  LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING c.*;
END $$;

-- All that is not as it should be, and what can be done about it.
CREATE VIEW storage_findings AS
SELECT CASE WHEN g.status = 'missing' THEN 'missing'
            WHEN g.status_detail LIKE 'size differs%' THEN 'wrong_size'
            ELSE 'wrong_checksum' END AS kind,
       coalesce(g.store, 'spool') AS place, g.object_key AS name, g.id AS segment_id,
       g.bytes, g.status_detail AS detail,
       CASE WHEN g.status = 'missing' THEN 'put the file back, or delete the recording'
            ELSE 'put the right file back, or delete the recording' END AS action
FROM segments g WHERE g.status IN ('missing', 'corrupted')
UNION ALL
SELECT CASE g.poster_fault WHEN 'missing' THEN 'missing' ELSE 'wrong_checksum' END,
       g.store, g.poster_key, g.id, g.poster_bytes, 'the poster; the recording is there',
       'put the file back'
FROM segments g WHERE g.poster_fault IS NOT NULL
UNION ALL
SELECT CASE e.manifest_fault WHEN 'missing' THEN 'missing' ELSE 'wrong_checksum' END,
       g.store, e.object_key, g.id, e.manifest_bytes,
       'the signed manifest; the recording is there', 'put the file back'
FROM evidence e JOIN segments g ON g.id = e.segment_id WHERE e.manifest_fault IS NOT NULL
UNION ALL
SELECT 'unknown', u.place, u.name, NULL, u.bytes, 'no recording has this file',
       'find out whose it is; then remove it by hand'
FROM unknown_files u;
