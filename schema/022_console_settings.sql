-- Changes at the console: who makes them (the person's number), from where and
-- by which door (origin), and what is to change (body). Each function checks,
-- changes and audits, and answers with a console_result.

-- problem: NULL, or a word of the API's problem documents; pointer: to the
-- member of the body that is wrong; answer: what is there afterwards.
CREATE TYPE console_result AS (problem text, pointer text, detail text, answer jsonb);

-- A team's settings, as the API shows them.
CREATE FUNCTION console_settings(team bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('time_zone', t.time_zone) ||
           (SELECT jsonb_object_agg(a.access, to_jsonb(a) - 'team_id' - 'access')
            FROM access_settings a WHERE a.team_id = t.id)
    FROM teams t WHERE t.id = team
$$;

-- T2, T3, T7. One audit entry for each setting that changes, with its value
-- before and after, as "relaycam settings set" writes it.
CREATE FUNCTION console_settings_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; team teams; was access_settings; now_is access_settings;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO team FROM teams WHERE id = me.team_id FOR UPDATE;
    IF body ? 'time_zone' AND NOT EXISTS (
            SELECT FROM pg_timezone_names WHERE name = body->>'time_zone') THEN
        RETURN ('invalid', '/time_zone', 'There is no such time zone; use a '
                'name such as Europe/Berlin or UTC.', NULL)::console_result;
    END IF;
    IF body->>'time_zone' <> team.time_zone THEN
        UPDATE teams SET time_zone = body->>'time_zone' WHERE id = team.id;
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (team.id, me.name, 'team_set', team.name, origin ||
                jsonb_build_object('title', team.title, 'time_zone', body->>'time_zone',
                                   'before', team.time_zone, 'after', body->>'time_zone'));
    END IF;
    FOR was IN SELECT * FROM access_settings WHERE team_id = team.id
               ORDER BY access FOR UPDATE
    LOOP
        now_is := jsonb_populate_record(was, coalesce(body -> was.access, '{}'));
        UPDATE access_settings SET
            recording = now_is.recording, playback_role = now_is.playback_role,
            on_record_failure = now_is.on_record_failure,
            manual_recording = now_is.manual_recording, consent = now_is.consent,
            consent_seconds = now_is.consent_seconds, vnc_auth = now_is.vnc_auth,
            clipboard = now_is.clipboard, frame_rate = now_is.frame_rate,
            min_visible_ms = now_is.min_visible_ms, quality = now_is.quality,
            max_session_s = now_is.max_session_s, warn_seconds = now_is.warn_seconds,
            segment_bytes = now_is.segment_bytes, retention_days = now_is.retention_days
        WHERE team_id = was.team_id AND access = was.access AND was IS DISTINCT FROM now_is;
        INSERT INTO audit (team_id, actor, action, object, detail)
        SELECT team.id, me.name, 'settings_set', was.access || '.' || b.key,
               origin || jsonb_build_object(
                   'before', CASE b.value WHEN 'true' THEN 't' WHEN 'false' THEN 'f'
                                          ELSE b.value END,
                   'after', CASE a.value WHEN 'true' THEN 't' WHEN 'false' THEN 'f'
                                         ELSE a.value END)
        FROM jsonb_each_text(to_jsonb(was)) b
        JOIN jsonb_each_text(to_jsonb(now_is)) a USING (key)
        WHERE b.value IS DISTINCT FROM a.value ORDER BY b.key;
    END LOOP;
    RETURN (NULL, NULL, NULL, console_settings(team.id))::console_result;
END $$;
