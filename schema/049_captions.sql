-- What any player shows beside a downloaded recording (WebVTT): what it is, why it
-- was begun and ended, gaps (X2), and when something happened in it (X5).

CREATE FUNCTION vtt_time(ms bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(ms / 3600000, 'FM9900') || ':' || to_char(ms / 60000 % 60, 'FM00') || ':'
           || to_char(ms / 1000 % 60, 'FM00') || '.' || to_char(ms % 1000, 'FM000')
$$;

-- Names are what people typed: one line without markup.
CREATE FUNCTION vtt_text(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(replace(replace(regexp_replace(t,
        U&'[\0001-\001F\007F-\009F\2028-\202E\2066-\2069]', '', 'g'),
        '&', '&amp;'), '<', '&lt;'), '>', '&gt;')
$$;

CREATE FUNCTION segment_why_text(why text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE why
        WHEN 'start' THEN 'the session began'
        WHEN 'size' THEN 'the file had its full size'
        WHEN 'monitor' THEN 'another monitor was chosen'
        WHEN 'frame_rate' THEN 'the frame rate was changed'
        WHEN 'orientation' THEN 'the screen was turned'
        WHEN 'resolution' THEN 'the resolution changed'
        WHEN 'manual' THEN 'by hand'
        WHEN 'recorder_restart' THEN 'another recorder took over'
        WHEN 'normal' THEN 'the technician left'
        WHEN 'endpoint' THEN 'the endpoint left'
        WHEN 'max_duration' THEN 'the session had lasted as long as it may'
        WHEN 'command' THEN 'the session was ended by command'
        WHEN 'error' THEN 'an error ended the session'
        WHEN 'nospace' THEN 'too little disk space'
        WHEN 'crash' THEN 'the recorder was lost'
        WHEN 'node_lost' THEN 'the node was lost'
        WHEN 'segment_lost' THEN 'a file never arrived'
        ELSE why END
$$;

-- Stretches with something in them, of a segment's activity: changed share in
-- thousandths and events, four bytes a second. Pauses up to five seconds join.
CREATE FUNCTION activity_runs(activity bytea)
RETURNS TABLE (from_s integer, to_s integer, changed integer, events bigint)
LANGUAGE sql IMMUTABLE AS $$
    WITH s AS (SELECT i, get_byte(activity, 4 * i) * 256 + get_byte(activity, 4 * i + 1) AS c,
                      get_byte(activity, 4 * i + 2) * 256 + get_byte(activity, 4 * i + 3) AS e
               FROM generate_series(0, octet_length(activity) / 4 - 1) i),
    busy AS (SELECT *, CASE WHEN i - lag(i) OVER (ORDER BY i) <= 6 THEN 0 ELSE 1 END AS is_first
             FROM s WHERE c > 0 OR e > 0),
    run AS (SELECT *, sum(is_first) OVER (ORDER BY i) AS n FROM busy)
    SELECT min(i), max(i) + 1, max(c), sum(e) FROM run GROUP BY n ORDER BY 1
$$;

-- NULL: there is no such segment, or it has not ended.
CREATE FUNCTION segment_captions(segment uuid) RETURNS text LANGUAGE sql STABLE AS $$
    WITH g AS (
        SELECT g.*, greatest(g.duration_ms, 1) AS ms, t.name AS team, t.time_zone AS zone,
               e.name AS endpoint, p.name AS person
        FROM segments g JOIN teams t ON t.id = g.team_id JOIN endpoints e ON e.id = g.endpoint_id
             JOIN people p ON p.id = g.person_id
        WHERE g.id = segment AND g.duration_ms IS NOT NULL),
    cue AS (
        SELECT 0 AS at, 1 AS rank, least(ms, 5000) AS until, vtt_text(endpoint) || ', recorded '
               || to_char(started_at AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI:SS') || ' ' || zone
               || ' (' || to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
               || ' UTC). Technician ' || vtt_text(person) || ', monitor ' || monitor
               || ', file ' || seq || ' of session ' || session_id || '. Begun because: '
               || segment_why_text(split_reason) || '.' AS line FROM g
        UNION ALL
        SELECT 0, 2, least(g.ms, 5000), 'Nothing was recorded for ' || x.ms
               || ' ms before this: ' || segment_why_text(x.why) || '.'
        FROM g JOIN gaps x ON x.session_id = g.session_id AND x.before_seq = g.seq
        UNION ALL
        SELECT r.from_s * 1000::bigint, 3, least(r.to_s * 1000::bigint, g.ms),
               'Activity: up to ' || ceil(r.changed / 10.0) || ' % of the screen changed, '
               || r.events || ' key and pointer events.'
        FROM g, activity_runs(g.activity) r WHERE r.from_s * 1000::bigint < g.ms
        UNION ALL
        SELECT greatest(ms - 5000, 0), 4, ms, 'Ends here: ' || segment_why_text(end_why)
               || '.' FROM g WHERE end_why IS NOT NULL
        UNION ALL
        SELECT greatest(g.ms - 5000, 0), 5, g.ms, 'Nothing was recorded for ' || x.ms
               || ' ms after this: ' || segment_why_text(x.why) || '.'
        FROM g JOIN gaps x ON x.session_id = g.session_id AND x.after_seq = g.seq)
    SELECT E'WEBVTT\n' || coalesce((SELECT string_agg(E'\n' || vtt_time(at) || ' --> '
               || vtt_time(until) || E'\n' || line || E'\n', '' ORDER BY at, rank)
               FROM cue WHERE until > at), '')
    FROM g
$$;
