-- Faults in the keeping of recordings: what a change of retention would do is
-- said five times sooner, and what is noted of an upload goes with the recording.

-- T12: as in 042, with what is the same for all rows computed once, and each
-- row's time once (OFFSET 0 keeps the planner from writing it into each use):
-- retention_moved(was, retention_end(ended, stored, days, day), now(), day).
CREATE OR REPLACE FUNCTION retention_ends(team bigint, its_access text, wanted_days integer)
RETURNS TABLE (bytes bigint, locked boolean, was timestamptz, becomes timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT g.bytes, g.locked, g.expires_at,
           greatest(g.ended_at + k.kept, g.stored_at + k.late, least(g.expires_at, k.grace))
    FROM (SELECT wanted_days * interval '24 hours' AS kept,
                 least(wanted_days, 7) * interval '24 hours' AS late,
                 now() + interval '24 hours' AS grace OFFSET 0) k,
         segments g JOIN sessions s ON s.id = g.session_id
    WHERE g.team_id = team AND g.store IS NOT NULL AND s.access = its_access
      AND g.status IN ('available', 'missing', 'corrupted') AND g.expires_at IS NOT NULL
      AND g.ended_at IS NOT NULL
    OFFSET 0
$$;

CREATE OR REPLACE FUNCTION retention_preview(team bigint, its_access text, wanted_days integer)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH x AS (
        SELECT e.bytes, e.becomes, e.locked,
               CASE WHEN e.becomes > e.was THEN 'longer'
                    WHEN e.becomes = e.was THEN 'same'
                    WHEN e.becomes <= now() + interval '24 hours' THEN 'first_day'
                    ELSE 'later' END AS what
        FROM retention_ends(team, its_access, wanted_days) e OFFSET 0),
    n AS (SELECT what, locked, count(*) AS recordings, sum(bytes) AS bytes, min(becomes) AS first
          FROM x GROUP BY what, locked),
    shown AS (SELECT jsonb_object_agg(w.what, jsonb_build_object(
                  'recordings', coalesce(n.recordings, 0), 'bytes', coalesce(n.bytes, 0),
                  'from', utc_text(n.first))) AS parts
              FROM (VALUES ('first_day'), ('later')) w (what)
              LEFT JOIN n ON n.what = w.what AND NOT n.locked)
    SELECT jsonb_build_object('access', its_access, 'retention_days', wanted_days,
        'retention_days_now', a.retention_days,
        'longer', (SELECT coalesce(sum(recordings), 0) FROM n WHERE what = 'longer' AND NOT locked),
        'locked', (SELECT coalesce(sum(recordings), 0) FROM n
                   WHERE what IN ('first_day', 'later') AND locked)) || shown.parts
    FROM shown, access_settings a WHERE a.team_id = team AND a.access = its_access
$$;

-- What an upload had sent is of no use once its recording is deleted; a server
-- with the lifecycle rule of "relaycam storage init" ends it.
CREATE FUNCTION upload_forgotten() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM uploads WHERE segment_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER upload_forgotten AFTER UPDATE OF status ON segments FOR EACH ROW
    WHEN (NEW.status IN ('deleted', 'expired') AND OLD.status <> NEW.status)
    EXECUTE FUNCTION upload_forgotten();
DELETE FROM uploads u USING segments g
WHERE g.id = u.segment_id AND g.status IN ('deleted', 'expired');
