-- T6, X7: storage lets a client that opened a link continue after the link
-- has died, as long as nothing was taken back, and writes who opened what.

-- Why the file with this key is not served by a grant any more; NULL: it is.
-- p: the person whose link it was; NULL: a link of nobody's.
CREATE FUNCTION file_refusal(key text, p bigint) RETURNS text
LANGUAGE sql STABLE AS $$
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
    FROM (SELECT 1) one
    LEFT JOIN segments g ON g.object_key = key OR g.poster_key = key
                         OR g.capture_key = key
    LEFT JOIN sessions s ON s.id = g.session_id
    LIMIT 1
$$;

-- A line in the audit log, in the name of the person whose link it was.
CREATE FUNCTION file_opened(key text, p bigint, who text, what text, detail jsonb)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT s.team_id, coalesce(pe.name, who), what, g.id::text,
           detail || jsonb_build_object('object_key', key)
    FROM segments g
    JOIN sessions s ON s.id = g.session_id
    LEFT JOIN people pe ON pe.id = p
    WHERE g.object_key = key OR g.capture_key = key
    LIMIT 1
$$;
