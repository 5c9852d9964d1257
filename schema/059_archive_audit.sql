-- A ZIP's link that is opened again from the same address adds no lines to the
-- audit log: the first opening has listed every recording. It is the same with a
-- link to one recording (docs/relaycam-storage.md).

-- Whether this opening gets its lines: the first one from that address, of 16
-- addresses at most. Of all lines of the link, those of one recording are read.
CREATE FUNCTION archive_is_news(archive uuid, address text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT count(*) < 16 AND coalesce(bool_and(x.client IS DISTINCT FROM address), true)
    FROM (SELECT DISTINCT u.detail->>'client' AS client
          FROM archives a
          JOIN archive_files f ON f.archive_id = a.id
          JOIN segments g ON g.id = f.segment_id
          JOIN audit u ON team_key(u.team_id, u.object) = team_key(g.team_id, g.id::text)
                      AND u.at >= a.made_at
          WHERE a.id = archive AND u.action = 'link_opened'
            AND f.position = (SELECT min(m.position) FROM archive_files m WHERE m.archive_id = a.id)
            AND u.detail->>'archive' = a.id::text) x
$$;

CREATE OR REPLACE FUNCTION archive_open(archive uuid, p bigint, who text, origin jsonb, node uuid)
RETURNS TABLE (refusal text, object_key text, bytes bigint, ended_s bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT why INTO refusal FROM (
        SELECT f.position, CASE
            WHEN file_refusal(g.object_key, p) IS NOT NULL THEN file_refusal(g.object_key, p)
            WHEN g.status NOT IN ('available', 'transfer')
                THEN format('recording %s is %s', g.id, g.status)
            WHEN g.status = 'transfer' AND g.spool_node IS DISTINCT FROM node
                THEN format('recording %s is still on another node', g.id) END AS why
        FROM archive_files f JOIN segments g ON g.id = f.segment_id
        WHERE f.archive_id = archive) x
    WHERE why IS NOT NULL ORDER BY position LIMIT 1;
    IF refusal IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    PERFORM FROM archives a WHERE a.id = archive FOR UPDATE; -- two at a time: one is the first
    IF archive_is_news(archive, origin->>'client') THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        SELECT g.team_id, coalesce((SELECT pe.name FROM people pe WHERE pe.id = p), who),
               'link_opened', g.id::text,
               origin || jsonb_build_object('archive', archive, 'object_key', g.object_key)
        FROM archive_files f JOIN segments g ON g.id = f.segment_id
        WHERE f.archive_id = archive;
    END IF;
    RETURN QUERY
    SELECT NULL::text, g.object_key, g.bytes,
           extract(epoch FROM coalesce(g.ended_at, g.started_at))::bigint
    FROM archive_files f JOIN segments g ON g.id = f.segment_id
    WHERE f.archive_id = archive ORDER BY f.position;
END $$;
