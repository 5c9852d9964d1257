-- The gap behind a recording that was cut off, of a session whose relay was
-- lost (X2). The session ends with the last heartbeat, but its relay may have
-- forwarded pictures until it was found gone.

ALTER TABLE sessions
    -- when the relay was found gone; NULL: it was not, or before this version
    ADD lost_at timestamptz;

-- As in 006, with lost_at.
CREATE OR REPLACE FUNCTION gaps_of(s uuid)
RETURNS TABLE (after_seq integer, before_seq integer, from_mono_ns bigint,
               to_mono_ns bigint, from_at timestamptz, to_at timestamptz, why text)
LANGUAGE sql STABLE AS $$
    WITH p AS (
        SELECT g.*, coalesce(g.end_mono_ns, lead(g.gap_start_mono_ns) OVER w) AS from_ns,
               lead(g.seq) OVER w AS next_seq,
               lead(g.start_mono_ns) OVER w AS next_ns,
               lead(g.started_at) OVER w AS next_at,
               lead(g.split_reason) OVER w AS next_reason,
               lead(g.is_capture) OVER w AS next_is_capture
        FROM segments g WHERE g.session_id = s
        WINDOW w AS (ORDER BY g.seq)
    ), e AS ( -- the last segment, and the end of the session
        SELECT p.*, se.end_code, se.ended_at AS session_end,
               coalesce(se.ended_mono_ns,
                   p.end_mono_ns + (extract(epoch FROM
                       -- a file closed at the session's end has all of it
                       CASE WHEN NOT p.recovered AND p.end_why IN
                                ('normal', 'endpoint', 'max_duration', 'command', 'error')
                            THEN se.ended_at ELSE coalesce(se.lost_at, se.ended_at) END
                       - p.ended_at) * 1000000000)::bigint) AS to_ns
        FROM p JOIN sessions se ON se.id = s
        WHERE p.next_seq IS NULL AND se.ended_at IS NOT NULL
    ), t AS ( -- where it did not end with the session
        SELECT * FROM e
        WHERE recovered OR end_code = 'node_lost'
           OR end_why NOT IN ('normal', 'endpoint', 'max_duration', 'command', 'error')
           -- of the session, or of the recorder alone
           OR end_why = 'error' AND (end_code <> 'error' OR to_ns - end_mono_ns > 5000000000)
    )
    SELECT 0, p.seq, p.gap_start_mono_ns, p.start_mono_ns,
           mono_to_wall(p.started_at, p.start_mono_ns, p.gap_start_mono_ns), p.started_at,
           'recorder_restart'
    FROM p WHERE p.seq = 1 AND p.start_mono_ns - p.gap_start_mono_ns >= 500000
    UNION ALL
    SELECT p.seq, p.next_seq, p.from_ns, p.next_ns,
           mono_to_wall(p.started_at, p.start_mono_ns, p.from_ns), p.next_at,
           -- how many segments a capture makes is not known before
           CASE WHEN p.next_seq > p.seq + 1 AND NOT (p.is_capture OR p.next_is_capture)
                    THEN 'segment_lost'
                WHEN p.end_why = 'nospace' THEN 'nospace'
                WHEN p.next_reason IN ('recorder_restart', 'manual') THEN p.next_reason
                WHEN p.recovered THEN 'crash'
                ELSE 'unexplained' END
    FROM p WHERE p.next_ns - p.from_ns >= 500000
    UNION ALL
    SELECT t.seq, NULL, t.end_mono_ns, t.to_ns, t.ended_at,
           mono_to_wall(t.started_at, t.start_mono_ns, t.to_ns),
           CASE WHEN t.end_why IN ('manual', 'nospace') THEN t.end_why
                WHEN t.end_code = 'node_lost' THEN 'node_lost'
                WHEN t.recovered OR t.end_why IN ('error', 'crash') THEN 'crash'
                ELSE 'segment_lost' END
    FROM t WHERE t.to_ns - t.end_mono_ns >= 500000
$$;

DROP TRIGGER gaps_session_ended ON sessions;
CREATE TRIGGER gaps_session_ended AFTER UPDATE ON sessions FOR EACH ROW
    WHEN ((OLD.ended_at, OLD.end_code, OLD.ended_mono_ns, OLD.lost_at)
        IS DISTINCT FROM (NEW.ended_at, NEW.end_code, NEW.ended_mono_ns, NEW.lost_at))
    EXECUTE FUNCTION gaps_of_session();
