-- Clips of recordings (M5, X3): who had which range cut out, and why. The
-- storage daemon makes a clip's file from the recording when a link to it is
-- opened, so it lives as long as that.
CREATE TABLE clips (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    segment_id uuid NOT NULL REFERENCES segments ON DELETE CASCADE,
    from_ms    integer NOT NULL,           -- of the recording, as asked for
    to_ms      integer NOT NULL,
    reason     text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1000),
    author     text NOT NULL CHECK (octet_length(author) BETWEEN 1 AND 255),
    made_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (0 <= from_ms AND from_ms < to_ms AND to_ms <= 86400000)
);
CREATE INDEX clips_segment ON clips (segment_id, made_at);

-- Key of a clip's file, beside that of its recording.
CREATE FUNCTION clip_key(object_key text, clip uuid) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(object_key, '\.webm$', '.clip-' || clip || '.webm')
$$;

-- Key of the recording that a file belongs to: its own, or a clip's.
CREATE FUNCTION recording_key(key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(key, '\.clip-[0-9a-f-]{36}\.(webm|json)$', '.webm')
$$;

-- A new clip of recording g in the name of `who`. The answer has its key, and
-- a storage daemon's files_url for where links lead to the S3 server.
CREATE FUNCTION clip_new(g uuid, who text, origin jsonb, first_ms integer,
                         last_ms integer, why text)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    r segments; c clips; team bigint;
BEGIN
    SELECT x.* INTO r FROM segments x WHERE x.id = g;
    IF r.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF r.status <> 'available' THEN
        RETURN ('not-done', NULL, 'There are clips of stored recordings only; this one is '
                || r.status || '.', NULL)::console_result;
    ELSIF NOT EXISTS (SELECT 1 FROM evidence e WHERE e.segment_id = r.id
                      AND e.object_key IS NOT NULL AND e.root IS NOT NULL) THEN
        RETURN ('not-done', NULL, 'This recording has no manifest that a clip could be '
                'tied to.', NULL)::console_result;
    ELSIF first_ms >= r.duration_ms THEN
        RETURN ('invalid', '/from_ms', format('The recording ends at %s.', r.duration_ms),
                NULL)::console_result;
    ELSIF last_ms <= first_ms THEN
        RETURN ('invalid', '/to_ms', 'The range ends before it begins.',
                NULL)::console_result;
    ELSIF (SELECT count(*) FROM clips x WHERE x.segment_id = r.id) >= 1000 THEN
        RETURN ('not-done', NULL, 'A recording has at most 1000 clips.',
                NULL)::console_result;
    END IF;
    INSERT INTO clips (segment_id, from_ms, to_ms, reason, author)
    VALUES (r.id, first_ms, least(last_ms, r.duration_ms, 86400000), why,
            coalesce(origin->>'system_account' || ', ', '') || who)
    RETURNING * INTO c;
    SELECT s.team_id INTO team FROM sessions s WHERE s.id = r.session_id;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (team, who, 'clip', r.id::text, origin || jsonb_build_object(
            'clip', c.id, 'from_ms', c.from_ms, 'to_ms', c.to_ms, 'reason', c.reason));
    RETURN (NULL, NULL, NULL, jsonb_build_object(
        'id', c.id, 'recording', r.id, 'from_ms', c.from_ms, 'to_ms', c.to_ms,
        'reason', c.reason, 'person', c.author, 'made_at', utc_text(c.made_at),
        'key', clip_key(r.object_key, c.id),
        'files_url', (SELECT n.files_url FROM nodes n WHERE n.program = 'storage'
                      AND n.files_url IS NOT NULL AND n.stopped_at IS NULL
                      ORDER BY n.heartbeat_at DESC LIMIT 1)))::console_result;
END $$;

CREATE FUNCTION console_clip_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF NOT EXISTS (SELECT 1 FROM segments x JOIN sessions s ON s.id = x.session_id
                   WHERE x.id = (body->>'id')::uuid AND s.team_id = me.team_id) THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    END IF;
    RETURN clip_new((body->>'id')::uuid, me.name, origin, (body->>'from_ms')::integer,
                    (body->>'to_ms')::integer, body->>'reason');
END $$;

-- 019: a clip's link is as good as one to its recording, and audited alike. As
-- their owner, as they were: a storage that runs meanwhile calls them.
CREATE OR REPLACE FUNCTION file_refusal(key text, p bigint) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT CASE
        WHEN g.id IS NULL
            THEN 'this recording is not there any more'
        WHEN g.status IN ('deleted', 'expired')
            THEN format('this recording is %s', g.status)
        WHEN p IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM endpoint_rights_of(p, s.endpoint_id) r
                WHERE r.playback)
            THEN 'the right to watch it was taken back'
        END
    FROM (SELECT recording_key(key) AS key) k
    LEFT JOIN segments g ON g.object_key = k.key OR g.poster_key = k.key
                         OR g.capture_key = k.key
    LEFT JOIN sessions s ON s.id = g.session_id
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION file_opened(key text, p bigint, who text, what text, detail jsonb)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT s.team_id, coalesce(pe.name, who), what, g.id::text,
           detail || jsonb_build_object('object_key', key)
    FROM segments g
    JOIN sessions s ON s.id = g.session_id
    LEFT JOIN people pe ON pe.id = p
    WHERE g.object_key = recording_key(key) OR g.capture_key = recording_key(key)
    LIMIT 1
$$;
