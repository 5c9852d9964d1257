-- Reviews of recordings (M5, X7): who looked at one and said so, with a remark,
-- and which ones nobody but their technician has opened. The audit log has every
-- link and every opening besides; here is what lists are filtered by.
ALTER TABLE segments
    ADD reviewed_by   text,        -- login name
    ADD reviewed_at   timestamptz,
    ADD review_remark text NOT NULL DEFAULT '' CHECK (octet_length(review_remark) <= 500),
    ADD watched_at    timestamptz, -- first opened by somebody else than the technician
    ADD CHECK ((reviewed_by IS NULL) = (reviewed_at IS NULL)),
    ADD CHECK (reviewed_at IS NOT NULL OR review_remark = '');
ALTER TABLE segments ADD review text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN reviewed_at IS NOT NULL THEN 'reviewed'
         WHEN status = 'available' THEN 'open'
         ELSE 'none' END) STORED;
CREATE INDEX segments_review_page
    ON segments (team_key(team_id, review), started_at DESC, id DESC);
CREATE INDEX segments_unwatched_page ON segments (team_id, started_at DESC, id DESC)
    WHERE watched_at IS NULL AND status = 'available';

-- The store opens files in a folder and says so. Links to an S3 server are opened
-- there: of these, the making of the link is all that is known.
CREATE FUNCTION opening_is_known(action text, store text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT action = 'link_opened' OR action = 'link' AND store = 's3'
$$;

UPDATE segments g SET watched_at = w.at
FROM (SELECT g.id, min(a.at) AS at
      FROM audit a
      JOIN segments g ON g.id::text = a.object AND g.team_id = a.team_id
      JOIN people p ON p.id = g.person_id AND p.name <> a.actor
      WHERE a.action IN ('link', 'link_opened')
        AND opening_is_known(a.action, g.store)
      GROUP BY g.id) w
WHERE g.id = w.id;

-- As its owner from the beginning: grants.sql comes after all migrations, and
-- programs that run meanwhile make links and note openings.
CREATE FUNCTION recording_watched() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE segments g SET watched_at = NEW.at
    FROM people p
    WHERE g.id = NEW.object::uuid AND g.team_id = NEW.team_id AND g.watched_at IS NULL
      AND p.id = g.person_id AND p.name <> NEW.actor
      AND opening_is_known(NEW.action, g.store);
    RETURN NULL;
END $$;
CREATE TRIGGER recording_watched AFTER INSERT ON audit
    FOR EACH ROW WHEN (NEW.action IN ('link', 'link_opened') AND NEW.object
        ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')
    EXECUTE FUNCTION recording_watched();

-- As before; and marks of reviews are news.
DROP TRIGGER segment_event ON segments;
CREATE CONSTRAINT TRIGGER segment_event AFTER UPDATE ON segments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (
        (OLD.status, OLD.progress, OLD.status_detail, OLD.locked, OLD.notes, OLD.ended_at,
         OLD.bytes, OLD.stored_at, OLD.expires_at, OLD.frames, OLD.recovered, OLD.seq,
         OLD.reviewed_by, OLD.reviewed_at, OLD.review_remark, OLD.watched_at)
        IS DISTINCT FROM
        (NEW.status, NEW.progress, NEW.status_detail, NEW.locked, NEW.notes, NEW.ended_at,
         NEW.bytes, NEW.stored_at, NEW.expires_at, NEW.frames, NEW.recovered, NEW.seq,
         NEW.reviewed_by, NEW.reviewed_at, NEW.review_remark, NEW.watched_at))
    EXECUTE FUNCTION event_of_segment();

-- What console_review() and console_review_undo() need: the recording of body->>'id',
-- locked, if the person may play it and it is not one of their own sessions.
CREATE FUNCTION review_begin(me people, origin jsonb, body jsonb, OUT g segments,
                             OUT refusal console_result)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT x.* INTO g FROM segments x
    WHERE x.id = (body->>'id')::uuid AND x.team_id = me.team_id FOR UPDATE;
    IF g.id IS NULL THEN
        refusal := ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF me.disabled OR NOT EXISTS (SELECT FROM endpoint_rights_of(me.id, g.endpoint_id) r
                                     WHERE r.playback) THEN
        refusal := ('forbidden', NULL, 'You may not play that recording.',
                    NULL)::console_result;
    ELSIF g.person_id = me.id THEN
        refusal := ('forbidden', NULL, 'The technician of a session cannot review it.',
                    NULL)::console_result;
    END IF;
    IF refusal.problem = 'forbidden' THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (me.team_id, me.name, 'refused', g.id::text,
                origin || '{"request": "review a recording"}');
    END IF;
END $$;

CREATE FUNCTION console_review(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; b record; remark text := coalesce(body->>'remark', '');
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO b FROM review_begin(me, origin, body);
    IF (b.refusal).problem IS NOT NULL THEN
        RETURN b.refusal;
    ELSIF (b.g).reviewed_at IS NOT NULL THEN
        RETURN ('not-done', NULL, format('%s has reviewed it already.', (b.g).reviewed_by),
                NULL)::console_result;
    ELSIF (b.g).status <> 'available' THEN
        RETURN ('not-done', NULL, 'Only a recording in storage can be reviewed.',
                NULL)::console_result;
    END IF;
    UPDATE segments SET reviewed_by = me.name, reviewed_at = now(), review_remark = remark
    WHERE id = (b.g).id;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'review', (b.g).id::text, origin || CASE remark
            WHEN '' THEN '{}' ELSE jsonb_build_object('value', remark) END);
    RETURN (NULL, NULL, NULL, '{}')::console_result;
END $$;

-- By the person who reviewed it, or an admin or owner.
CREATE FUNCTION console_review_undo(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; b record;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO b FROM review_begin(me, origin, body);
    IF (b.refusal).problem IS NOT NULL THEN
        RETURN b.refusal;
    ELSIF (b.g).reviewed_at IS NULL THEN
        RETURN ('not-done', NULL, 'It is not marked as reviewed.', NULL)::console_result;
    ELSIF (b.g).reviewed_by <> me.name AND me.role = 'member' THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (me.team_id, me.name, 'refused', (b.g).id::text,
                origin || '{"request": "take back a review"}');
        RETURN ('forbidden', NULL, format('Only %s, an admin or an owner takes that back.',
                (b.g).reviewed_by), NULL)::console_result;
    END IF;
    UPDATE segments SET reviewed_by = NULL, reviewed_at = NULL, review_remark = ''
    WHERE id = (b.g).id;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'review_undo', (b.g).id::text, origin ||
            jsonb_build_object('reviewed_by', (b.g).reviewed_by, 'reviewed_at',
                               utc_text((b.g).reviewed_at), 'value', (b.g).review_remark));
    RETURN (NULL, NULL, NULL, '{}')::console_result;
END $$;
