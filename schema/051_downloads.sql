-- Downloads (M6): several recordings as one ZIP, which a storage daemon makes
-- while it is sent, and how far the downloads are that run (M1: downloading).

-- A ZIP that somebody asked for, and what is in it. Lives for a day.
CREATE TABLE archives (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    team_id   bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    author    text NOT NULL CHECK (octet_length(author) BETWEEN 1 AND 255),
    made_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX archives_team ON archives (team_id);
CREATE INDEX archives_made ON archives (made_at);

CREATE TABLE archive_files (
    archive_id uuid NOT NULL REFERENCES archives ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position BETWEEN 1 AND 1000),
    segment_id uuid NOT NULL REFERENCES segments ON DELETE CASCADE,
    PRIMARY KEY (archive_id, position)
);
CREATE INDEX archive_files_segment ON archive_files (segment_id);

-- Downloads that run, of a recording or of a ZIP. A storage daemon writes all of
-- its own every few seconds; one that it does not write any more has ended.
CREATE TABLE downloads (
    node_id    uuid NOT NULL REFERENCES nodes ON DELETE CASCADE,
    number     bigint NOT NULL,            -- of this daemon's downloads
    segment_id uuid REFERENCES segments ON DELETE CASCADE,
    archive_id uuid REFERENCES archives ON DELETE CASCADE,
    bytes      bigint NOT NULL,            -- in all
    bytes_sent bigint NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, number),
    CHECK (num_nonnulls(segment_id, archive_id) = 1),
    CHECK (0 <= bytes_sent AND bytes_sent <= bytes)
);
CREATE INDEX downloads_segment ON downloads (segment_id);
CREATE INDEX downloads_archive ON downloads (archive_id);

-- How far the download of recording g is that is furthest, in percent; NULL:
-- nobody downloads it. A dead daemon's rows count for half a minute.
CREATE FUNCTION downloading(g uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT max(100 * d.bytes_sent / greatest(d.bytes, 1))::integer
    FROM (SELECT x.bytes_sent, x.bytes, x.seen_at FROM downloads x WHERE x.segment_id = g
          UNION ALL
          SELECT x.bytes_sent, x.bytes, x.seen_at FROM archive_files f
          JOIN downloads x ON x.archive_id = f.archive_id WHERE f.segment_id = g) d
    WHERE d.seen_at > now() - interval '30 s'
$$;

-- Status of a recording as people see it: one that is stored and sent to
-- somebody at the moment is `downloading`.
CREATE FUNCTION shown_status(g segments) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN g.status = 'available' AND downloading(g.id) IS NOT NULL
                THEN 'downloading' ELSE g.status END
$$;
CREATE FUNCTION shown_progress(g segments) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN g.status = 'available' THEN coalesce(downloading(g.id), g.progress)
                ELSE g.progress END
$$;

-- All downloads of a daemon that run now: [{number, key or archive, bytes,
-- bytes_sent}]. Others of it have ended.
CREATE FUNCTION downloads_note(node uuid, running jsonb) RETURNS void LANGUAGE sql AS $$
    DELETE FROM downloads d WHERE d.node_id = node AND d.number NOT IN (
        SELECT (r->>'number')::bigint FROM jsonb_array_elements(running) r);
    INSERT INTO downloads (node_id, number, segment_id, archive_id, bytes, bytes_sent)
    SELECT node, r.number, g.id, a.id, r.bytes, least(r.bytes_sent, r.bytes)
    FROM jsonb_to_recordset(running)
         AS r (number bigint, key text, archive uuid, bytes bigint, bytes_sent bigint)
    LEFT JOIN segments g ON g.object_key = r.key
    LEFT JOIN archives a ON a.id = r.archive
    WHERE num_nonnulls(g.id, a.id) = 1 AND EXISTS (SELECT 1 FROM nodes WHERE id = node)
    ON CONFLICT (node_id, number)
    DO UPDATE SET bytes_sent = excluded.bytes_sent, seen_at = now();
$$;

-- A new ZIP of recordings `chosen`, or of session `whole`, in the name of `who`;
-- of a person p, of those that they may play. What is not stored yet, or is on
-- another node than the rest, is left out, and the answer says so.
CREATE FUNCTION archive_new(team bigint, p bigint, who text, origin jsonb, chosen uuid[],
                            whole uuid)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    a archives; found uuid[]; fits uuid[]; home uuid;
BEGIN
    DELETE FROM archives WHERE id IN (
        SELECT x.id FROM archives x WHERE x.made_at < now() - interval '1 day'
        ORDER BY x.made_at LIMIT 10);
    SELECT array_agg(g.id) INTO found FROM (
        SELECT x.id FROM segments x
        WHERE (x.id = ANY (chosen) OR x.session_id = whole) AND x.team_id = team
          AND (p IS NULL OR EXISTS (SELECT FROM endpoint_rights_of(p, x.endpoint_id) r
                                    WHERE r.playback))
        LIMIT 1001) g;
    IF found IS NULL
        OR cardinality(found) < (SELECT count(DISTINCT c) FROM unnest(chosen) c) THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF cardinality(found) > 1000 THEN
        RETURN ('not-done', NULL, 'A ZIP has at most 1000 recordings.', NULL)::console_result;
    END IF;
    SELECT g.spool_node INTO home FROM segments g
    WHERE g.id = ANY (found) AND g.status = 'transfer' ORDER BY g.started_at LIMIT 1;
    SELECT array_agg(g.id) INTO fits FROM segments g
    WHERE g.id = ANY (found) AND g.object_key IS NOT NULL AND g.bytes > 0
      AND (g.status = 'available' OR g.status = 'transfer' AND g.spool_node = home);
    IF fits IS NULL THEN
        RETURN ('not-done', NULL, 'None of these recordings is stored.', NULL)::console_result;
    END IF;
    INSERT INTO archives (team_id, author) VALUES (team, who) RETURNING * INTO a;
    INSERT INTO archive_files (archive_id, position, segment_id)
    SELECT a.id, row_number() OVER (ORDER BY s.started_at, s.id, g.monitor, g.started_at, g.seq),
           g.id
    FROM segments g JOIN sessions s ON s.id = g.session_id WHERE g.id = ANY (fits);
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT team, who, 'download', g.id::text,
           origin || jsonb_build_object('archive', a.id, 'object_key', g.object_key)
    FROM segments g WHERE g.id = ANY (fits);
    RETURN (NULL, NULL, NULL, jsonb_build_object(
        'id', a.id, 'files', cardinality(fits),
        'bytes', (SELECT sum(g.bytes) FROM segments g WHERE g.id = ANY (fits)),
        'left_out', (SELECT coalesce(jsonb_agg(
                jsonb_build_object('id', g.id, 'status', g.status) ORDER BY g.started_at), '[]')
            FROM segments g WHERE g.id = ANY (found) AND NOT g.id = ANY (fits)),
        'node_url', (SELECT n.files_url FROM nodes n WHERE n.id = home),
        'files_url', (SELECT n.files_url FROM nodes n WHERE n.program = 'storage'
                      AND n.files_url IS NOT NULL AND n.stopped_at IS NULL
                      ORDER BY n.heartbeat_at DESC LIMIT 1)))::console_result;
END $$;

CREATE FUNCTION console_archive_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; chosen uuid[]; whole uuid;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF (body ? 'recordings') = (body ? 'session') THEN
        RETURN ('invalid', '/recordings', 'Either recordings or a session are expected.',
                NULL)::console_result;
    END IF;
    BEGIN
        SELECT array_agg(x::uuid) INTO chosen
        FROM jsonb_array_elements_text(body->'recordings') x;
        whole := (body->>'session')::uuid;
    EXCEPTION WHEN invalid_text_representation THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END;
    IF whole IS NULL AND chosen IS NULL THEN
        RETURN ('invalid', '/recordings', 'At least one recording is expected.',
                NULL)::console_result;
    END IF;
    RETURN archive_new(me.team_id, me.id, me.name, origin, chosen, whole);
END $$;

-- What a ZIP is made of on storage node `node`, in order, for whoever has a link
-- to it (p: whose link, NULL for nobody's); where anything of it may not be
-- sent, refusal says why in the first row, and nothing is. Each recording gets its line
-- in the audit log.
CREATE FUNCTION archive_open(archive uuid, p bigint, who text, origin jsonb, node uuid)
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
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT g.team_id, coalesce((SELECT pe.name FROM people pe WHERE pe.id = p), who),
           'link_opened', g.id::text,
           origin || jsonb_build_object('archive', archive, 'object_key', g.object_key)
    FROM archive_files f JOIN segments g ON g.id = f.segment_id
    WHERE f.archive_id = archive;
    RETURN QUERY
    SELECT NULL::text, g.object_key, g.bytes,
           extract(epoch FROM coalesce(g.ended_at, g.started_at))::bigint
    FROM archive_files f JOIN segments g ON g.id = f.segment_id
    WHERE f.archive_id = archive ORDER BY f.position;
END $$;

-- A download that begins or ends is news of its recordings.
CREATE FUNCTION event_of_download() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    d downloads := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    PERFORM event_add('recording_changed', g.team_id, g.endpoint_id, g.person_id, g.id::text)
    FROM segments g
    WHERE g.id = d.segment_id
       OR g.id IN (SELECT f.segment_id FROM archive_files f WHERE f.archive_id = d.archive_id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER download_event AFTER INSERT OR DELETE ON downloads
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION event_of_download();
