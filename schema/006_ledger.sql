-- Gaps at both ends of a session (X2); posters and signed manifests that the
-- walk through the store can compare (X3, X5).

-- The session's end in its own clock, that of its segments; NULL: its relay
-- could not tell.
ALTER TABLE sessions ADD ended_mono_ns bigint;

ALTER TABLE segments
    -- X1: its file is a capture still, there is nothing to watch
    ADD is_capture    boolean NOT NULL DEFAULT false,
    -- the key it had then, when encoding gave it another: links to it work
    ADD capture_key   text,
    ADD end_why       text, -- `end` of docs/spool.md; NULL: not closed, or older
    ADD poster_bytes  bigint,
    ADD poster_sha256 bytea CHECK (octet_length(poster_sha256) = 32),
    -- what the last walk found; NULL: it is as it was stored
    ADD poster_fault  text CHECK (poster_fault IN ('missing', 'corrupted')),
    ADD CONSTRAINT segments_poster_check CHECK (poster_key IS NOT NULL
        OR num_nonnulls(poster_bytes, poster_sha256, poster_fault) = 0);

CREATE INDEX segments_capture_key ON segments (capture_key) WHERE capture_key IS NOT NULL;

ALTER TABLE evidence
    ADD manifest_bytes  bigint,
    ADD manifest_sha256 bytea CHECK (octet_length(manifest_sha256) = 32),
    ADD manifest_fault  text CHECK (manifest_fault IN ('missing', 'corrupted'));

-- after_seq 0: before the first segment.
ALTER TABLE gaps DROP CONSTRAINT gaps_why_check;
ALTER TABLE gaps ADD CONSTRAINT gaps_why_check CHECK (why IN (
    'recorder_restart', -- the recorder died, another took its place
    'crash',            -- it died, and nobody went on
    'node_lost',        -- the whole node was lost
    'manual',           -- stopped by hand
    'nospace',          -- too little disk space (C6)
    'segment_lost',     -- a segment never arrived
    'unexplained'));

-- As in 003, and: what lies before the first segment when its recorder
-- replaced a dead one, and behind the last one when the session went on
-- without a recording.
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
                   p.end_mono_ns + (extract(epoch FROM se.ended_at - p.ended_at) * 1000000000)::bigint) AS to_ns
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

DROP TRIGGER gaps_segment_changed ON segments;
CREATE TRIGGER gaps_segment_changed AFTER UPDATE ON segments FOR EACH ROW
    WHEN ((OLD.seq, OLD.start_mono_ns, OLD.end_mono_ns, OLD.recovered,
           OLD.gap_start_mono_ns, OLD.split_reason, OLD.end_why,
           OLD.is_capture)
        IS DISTINCT FROM (NEW.seq, NEW.start_mono_ns, NEW.end_mono_ns,
           NEW.recovered, NEW.gap_start_mono_ns, NEW.split_reason, NEW.end_why,
           NEW.is_capture))
    EXECUTE FUNCTION gaps_of_segment();
DROP TRIGGER gaps_session_ended ON sessions;
CREATE TRIGGER gaps_session_ended AFTER UPDATE ON sessions FOR EACH ROW
    WHEN ((OLD.ended_at, OLD.end_code, OLD.ended_mono_ns)
        IS DISTINCT FROM (NEW.ended_at, NEW.end_code, NEW.ended_mono_ns))
    EXECUTE FUNCTION gaps_of_session();

-- What was recorded before this version.
SELECT gaps_update(s) FROM (
    SELECT session_id FROM gaps
    UNION SELECT session_id FROM segments WHERE seq = 1 AND gap_start_mono_ns IS NOT NULL) x (s);

-- Relays of before left it set.
UPDATE sessions SET recording = false WHERE recording AND ended_at IS NOT NULL;
