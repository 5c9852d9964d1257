-- One timeline a monitor, with every gap stated (X2); activity and posters
-- (X5); watching what is still being written (X1).

-- Where a storage daemon serves signed files; NULL: it serves none.
ALTER TABLE nodes ADD files_url text;

ALTER TABLE segments
    -- X1: the node whose spool has the files; NULL once they are stored
    ADD spool_node        uuid REFERENCES nodes,
    -- X2: the last moment that a recorder which died had recorded
    ADD gap_start_mono_ns bigint,
    -- X5: four bytes a second from the segment's start, two big-endian
    -- numbers: thousandths of the screen that changed, input events
    ADD activity          bytea CHECK (octet_length(activity) % 4 = 0),
    -- X5: key of a JPEG picture in the same store; NULL: none
    ADD poster_key        text UNIQUE;
CREATE INDEX segments_spool ON segments (spool_node) WHERE spool_node IS NOT NULL;

-- X2: what nobody recorded, in the session's own clock. Rows follow from
-- segments and sessions, by triggers; nobody writes here by hand.
CREATE TABLE gaps (
    session_id   uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    after_seq    integer NOT NULL,       -- segment before the gap
    before_seq   integer,                -- segment behind it; NULL: the session's end
    from_mono_ns bigint NOT NULL,
    to_mono_ns   bigint NOT NULL,
    from_at      timestamptz NOT NULL,
    to_at        timestamptz NOT NULL,
    ms           bigint GENERATED ALWAYS AS
                 ((to_mono_ns - from_mono_ns + 500000) / 1000000) STORED,
    why          text NOT NULL CHECK (why IN (
                     'recorder_restart', -- the recorder died, another took its place
                     'crash',            -- it died, and nobody went on
                     'node_lost',        -- the whole node was lost
                     'manual',           -- stopped and started by hand
                     'segment_lost',     -- a segment in between never arrived
                     'unexplained')),
    PRIMARY KEY (session_id, after_seq),
    CHECK (to_mono_ns > from_mono_ns),
    CHECK (before_seq > after_seq)
);

-- A moment of the session's clock as wall time, from a segment's start.
CREATE FUNCTION mono_to_wall(at timestamptz, at_mono_ns bigint, mono_ns bigint)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT at + ((mono_ns - at_mono_ns) / 1000) * interval '1 us'
$$;

-- The gaps that the rows of session s say. Less than half a millisecond is
-- the rounding of frame times, no gap.
CREATE FUNCTION gaps_of(s uuid)
RETURNS TABLE (after_seq integer, before_seq integer, from_mono_ns bigint,
               to_mono_ns bigint, from_at timestamptz, to_at timestamptz, why text)
LANGUAGE sql STABLE AS $$
    WITH p AS (
        SELECT g.*, coalesce(g.end_mono_ns, lead(g.gap_start_mono_ns) OVER w) AS from_ns,
               lead(g.seq) OVER w AS next_seq,
               lead(g.start_mono_ns) OVER w AS next_ns,
               lead(g.started_at) OVER w AS next_at,
               lead(g.split_reason) OVER w AS next_reason
        FROM segments g WHERE g.session_id = s
        WINDOW w AS (ORDER BY g.seq)
    ), t AS ( -- the end of the session, where the last segment was cut off
        SELECT p.*, se.end_code, se.ended_at AS session_end,
               p.end_mono_ns + (extract(epoch FROM se.ended_at - p.ended_at) * 1000000000)::bigint AS to_ns
        FROM p JOIN sessions se ON se.id = s
        WHERE p.next_seq IS NULL AND (p.recovered OR se.end_code = 'node_lost')
    )
    SELECT p.seq, p.next_seq, p.from_ns, p.next_ns,
           mono_to_wall(p.started_at, p.start_mono_ns, p.from_ns), p.next_at,
           CASE WHEN p.next_seq > p.seq + 1 THEN 'segment_lost'
                WHEN p.next_reason IN ('recorder_restart', 'manual') THEN p.next_reason
                WHEN p.recovered THEN 'crash'
                ELSE 'unexplained' END
    FROM p WHERE p.next_ns - p.from_ns >= 500000
    UNION ALL
    SELECT t.seq, NULL, t.end_mono_ns, t.to_ns, t.ended_at, t.session_end,
           CASE WHEN t.end_code = 'node_lost' THEN 'node_lost' ELSE 'crash' END
    FROM t WHERE t.to_ns - t.end_mono_ns >= 500000
$$;

-- Makes the ledger say what gaps_of says.
CREATE FUNCTION gaps_update(s uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- one writer a session
    PERFORM 1 FROM sessions WHERE id = s FOR NO KEY UPDATE;
    DELETE FROM gaps g WHERE g.session_id = s
        AND NOT EXISTS (SELECT 1 FROM gaps_of(s) x WHERE x.after_seq = g.after_seq);
    INSERT INTO gaps AS g (session_id, after_seq, before_seq, from_mono_ns,
                           to_mono_ns, from_at, to_at, why)
    SELECT s, x.* FROM gaps_of(s) x
    ON CONFLICT (session_id, after_seq) DO UPDATE SET
        before_seq = excluded.before_seq, from_mono_ns = excluded.from_mono_ns,
        to_mono_ns = excluded.to_mono_ns, from_at = excluded.from_at,
        to_at = excluded.to_at, why = excluded.why
    WHERE (g.before_seq, g.from_mono_ns, g.to_mono_ns, g.from_at, g.to_at, g.why)
        IS DISTINCT FROM (excluded.before_seq, excluded.from_mono_ns,
            excluded.to_mono_ns, excluded.from_at, excluded.to_at, excluded.why);
END $$;

CREATE FUNCTION gaps_of_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gaps_update(NEW.session_id);
    RETURN NULL;
END $$;
CREATE TRIGGER gaps_new_segment AFTER INSERT ON segments
    FOR EACH ROW EXECUTE FUNCTION gaps_of_segment();
CREATE TRIGGER gaps_segment_changed AFTER UPDATE ON segments FOR EACH ROW
    WHEN ((OLD.seq, OLD.start_mono_ns, OLD.end_mono_ns, OLD.recovered,
           OLD.gap_start_mono_ns, OLD.split_reason)
        IS DISTINCT FROM (NEW.seq, NEW.start_mono_ns, NEW.end_mono_ns,
           NEW.recovered, NEW.gap_start_mono_ns, NEW.split_reason))
    EXECUTE FUNCTION gaps_of_segment();

CREATE FUNCTION gaps_of_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gaps_update(NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER gaps_session_ended AFTER UPDATE ON sessions FOR EACH ROW
    WHEN ((OLD.ended_at, OLD.end_code) IS DISTINCT FROM (NEW.ended_at, NEW.end_code))
    EXECUTE FUNCTION gaps_of_session();

-- What was recorded before this version.
SELECT gaps_update(session_id) FROM segments
GROUP BY session_id HAVING count(*) > 1 OR bool_or(recovered);

-- X2, T11: per session and monitor, everything in order: segments, gaps, and
-- the times when another monitor was shown (kind 'elsewhere'). A gap stands
-- on the timelines of the monitors before and behind it. end_mono_ns is NULL
-- while a segment is being written.
CREATE VIEW timeline AS
    WITH items AS (
        SELECT session_id, monitor, 'segment' AS kind, seq, id AS segment_id,
               start_mono_ns, end_mono_ns, started_at, ended_at,
               first_frame, last_frame, frames, split_reason AS why, status
        FROM segments
        UNION
        SELECT g.session_id, s.monitor, 'gap', g.after_seq, NULL,
               g.from_mono_ns, g.to_mono_ns, g.from_at, g.to_at,
               NULL, NULL, NULL, g.why, NULL
        FROM gaps g JOIN segments s ON s.session_id = g.session_id
            AND s.seq IN (g.after_seq, g.before_seq)
    ), around AS (
        SELECT i.*, lag(end_mono_ns) OVER w AS before_ns,
               lag(ended_at) OVER w AS before_at, lag(seq) OVER w AS before_seq
        FROM items i
        WINDOW w AS (PARTITION BY session_id, monitor
                     ORDER BY start_mono_ns, seq, kind DESC)
    )
    SELECT session_id, monitor, kind, seq, segment_id, start_mono_ns,
           end_mono_ns, started_at, ended_at,
           (end_mono_ns - start_mono_ns + 500000) / 1000000 AS ms,
           first_frame, last_frame, frames, why, status
    FROM around
    UNION ALL
    SELECT session_id, monitor, 'elsewhere', before_seq, NULL, before_ns,
           start_mono_ns, before_at, started_at,
           (start_mono_ns - before_ns + 500000) / 1000000,
           NULL, NULL, NULL, 'monitor', NULL
    FROM around WHERE start_mono_ns - before_ns >= 500000;

-- Invariants of check.sql that belong to this:
--   gaps are exactly what gaps_of says of their session;
--   no gap is 'unexplained' or 'segment_lost' once all segments are there;
--   neighbours without a gap between them touch: |start - end before| < 0.5 ms;
--   spool_node is NULL where status is available or expired;
--   octet_length(activity) / 4 is at most duration in seconds, rounded up.
