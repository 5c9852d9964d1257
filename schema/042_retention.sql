-- T12: a recording is kept for the days that its team chose for that kind of
-- access, counted from its end. A change holds for what is stored already, too:
-- storage moves the times of expiry in small batches, and before the change
-- retention_preview() says what will be deleted by it, and when.

-- When a recording is deleted. What reached the store long after its end is
-- still kept for a week. day: 24 hours, or less in tests.
CREATE FUNCTION retention_end(ended timestamptz, stored timestamptz, days integer, day interval)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(ended + days * day, stored + least(days, 7) * day)
$$;

-- The same after a change: nothing is deleted within the first day of it that
-- would have stayed before, so that a wrong number can be taken back.
CREATE FUNCTION retention_moved(was timestamptz, wanted timestamptz, changed timestamptz, day interval)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(wanted, least(was, changed + day))
$$;

-- Changes that are not applied to all stored recordings yet.
CREATE TABLE retention_changes (
    team_id    bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    access     text NOT NULL CHECK (access IN ('attended', 'unattended')),
    days       integer NOT NULL CHECK (days BETWEEN 1 AND 36500),
    changed_at timestamptz NOT NULL DEFAULT now(),
    done_to    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    moved      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, access)
);

CREATE INDEX segments_kept ON segments (team_id, id) WHERE store IS NOT NULL;

-- For the sweep: the oldest first, in the order of an index.
DROP INDEX segments_expiry;
CREATE INDEX segments_expiry ON segments (expires_at, id) WHERE status = 'available' AND NOT locked;

CREATE FUNCTION retention_changed() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO retention_changes AS c (team_id, access, days)
    VALUES (NEW.team_id, NEW.access, NEW.retention_days)
    ON CONFLICT (team_id, access) DO UPDATE SET days = excluded.days,
        changed_at = excluded.changed_at, done_to = excluded.done_to, moved = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER retention_changed AFTER UPDATE ON access_settings FOR EACH ROW
    WHEN (OLD.retention_days <> NEW.retention_days) EXECUTE FUNCTION retention_changed();

-- What is stored of one kind of access, and the day on which it is deleted
-- with the days of now and with others.
CREATE FUNCTION retention_ends(team bigint, its_access text, wanted_days integer)
RETURNS TABLE (bytes bigint, locked boolean, was timestamptz, becomes timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT g.bytes, g.locked, g.expires_at,
           retention_moved(g.expires_at,
               retention_end(g.ended_at, g.stored_at, wanted_days, interval '24 hours'),
               now(), interval '24 hours')
    FROM segments g JOIN sessions s ON s.id = g.session_id
    WHERE g.team_id = team AND g.store IS NOT NULL AND s.access = its_access
      AND g.status IN ('available', 'missing', 'corrupted') AND g.expires_at IS NOT NULL
      AND g.ended_at IS NOT NULL
$$;

-- What a change would do. "first_day": what goes as soon as the first day of
-- grace is over, though it would have stayed longer; "later": what goes earlier
-- than now, after that; "longer": what stays longer.
CREATE FUNCTION retention_preview(team bigint, its_access text, wanted_days integer)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    WITH e AS (SELECT *, becomes <= now() + interval '24 hours' AND becomes < was AS is_first
               FROM retention_ends(team, its_access, wanted_days))
    SELECT jsonb_build_object('access', its_access,
        'retention_days', wanted_days, 'retention_days_now', a.retention_days,
        'first_day', (SELECT jsonb_build_object('recordings', count(*),
                'bytes', coalesce(sum(bytes), 0), 'from', utc_text(min(becomes)))
            FROM e WHERE is_first AND NOT locked),
        'later', (SELECT jsonb_build_object('recordings', count(*),
                'bytes', coalesce(sum(bytes), 0), 'from', utc_text(min(becomes)))
            FROM e WHERE becomes < was AND NOT is_first AND NOT locked),
        'longer', (SELECT count(*) FROM e WHERE becomes > was AND NOT locked),
        'locked', (SELECT count(*) FROM e WHERE becomes < was AND locked))
    FROM access_settings a WHERE a.team_id = team AND a.access = its_access
$$;

-- Applies the oldest change to the next `most` recordings. Returns how many were
-- looked at, NULL when no change is left that is not another storage's.
CREATE FUNCTION retention_apply(day interval, most integer, actor text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    c retention_changes; seen bigint; n bigint; last uuid;
BEGIN
    SELECT * INTO c FROM retention_changes ORDER BY changed_at, team_id, access LIMIT 1
        FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    WITH page AS (
        SELECT g.id, g.expires_at AS was, s.access, retention_moved(g.expires_at,
                   retention_end(g.ended_at, g.stored_at, c.days, day), c.changed_at, day) AS becomes
        FROM segments g JOIN sessions s ON s.id = g.session_id
        WHERE g.team_id = c.team_id AND g.store IS NOT NULL AND g.id > c.done_to
        ORDER BY g.id LIMIT most),
    moved AS (
        UPDATE segments g SET expires_at = p.becomes FROM page p
        WHERE g.id = p.id AND p.access = c.access AND p.becomes <> p.was
          AND g.status IN ('available', 'missing', 'corrupted') RETURNING 1)
    SELECT (SELECT count(*) FROM page), (SELECT max(id::text)::uuid FROM page),
           (SELECT count(*) FROM moved) INTO seen, last, n;
    IF seen < most THEN
        DELETE FROM retention_changes WHERE team_id = c.team_id AND access = c.access;
        INSERT INTO audit (team_id, actor, action, object, detail)
        SELECT c.team_id, retention_apply.actor, 'retention_applied', t.name,
               jsonb_build_object('access', c.access, 'retention_days', c.days,
                                  'recordings', c.moved + n)
        FROM teams t WHERE t.id = c.team_id;
        PERFORM event_add('access', c.team_id, NULL, NULL, '');
    ELSE
        UPDATE retention_changes SET done_to = last, moved = c.moved + n
        WHERE team_id = c.team_id AND access = c.access;
    END IF;
    RETURN seen;
END $$;

-- A million times of expiry that move are one event (above), not two million.
DROP TRIGGER segment_event ON segments;
CREATE CONSTRAINT TRIGGER segment_event AFTER UPDATE ON segments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        (OLD.status, OLD.progress, OLD.status_detail, OLD.locked, OLD.notes, OLD.ended_at,
         OLD.bytes, OLD.stored_at, OLD.frames, OLD.recovered, OLD.seq,
         OLD.reviewed_by, OLD.reviewed_at, OLD.review_remark, OLD.watched_at)
        IS DISTINCT FROM
        (NEW.status, NEW.progress, NEW.status_detail, NEW.locked, NEW.notes, NEW.ended_at,
         NEW.bytes, NEW.stored_at, NEW.frames, NEW.recovered, NEW.seq,
         NEW.reviewed_by, NEW.reviewed_at, NEW.review_remark, NEW.watched_at))
    EXECUTE FUNCTION event_of_segment();
