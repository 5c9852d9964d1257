-- Lists and sums that stay fast at a million recordings (M5): every filter of
-- a list that narrows it has an index in the order of the list's pages, and
-- what lists and the disk space add up is kept beside the rows.

-- A segment says whose it is, so that indexes can begin with that. The key
-- holds it to its session's row.
ALTER TABLE segments ADD team_id bigint, ADD endpoint_id bigint, ADD person_id bigint;
UPDATE segments g
SET team_id = s.team_id, endpoint_id = s.endpoint_id, person_id = s.person_id
FROM sessions s WHERE s.id = g.session_id;
ALTER TABLE sessions ADD CONSTRAINT sessions_owners
    UNIQUE (id, team_id, endpoint_id, person_id);
ALTER TABLE segments
    ALTER team_id SET NOT NULL, ALTER endpoint_id SET NOT NULL,
    ALTER person_id SET NOT NULL,
    DROP CONSTRAINT segments_session_id_fkey,
    ADD CONSTRAINT segments_session_id_fkey FOREIGN KEY (session_id)
        REFERENCES sessions ON UPDATE RESTRICT ON DELETE RESTRICT,
    ADD CONSTRAINT segments_owners
        FOREIGN KEY (session_id, team_id, endpoint_id, person_id)
        REFERENCES sessions (id, team_id, endpoint_id, person_id)
        ON UPDATE CASCADE ON DELETE RESTRICT;

-- Only for statements that do not say it themselves.
CREATE FUNCTION segment_owners() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT s.team_id, s.endpoint_id, s.person_id
    INTO NEW.team_id, NEW.endpoint_id, NEW.person_id
    FROM sessions s WHERE s.id = NEW.session_id;
    RETURN NEW;
END $$;
CREATE TRIGGER segment_owners BEFORE INSERT ON segments
    FOR EACH ROW WHEN (NEW.team_id IS NULL) EXECUTE FUNCTION segment_owners();

-- A team and a value that many of its rows have, as one key: with two columns
-- the planner would sometimes take the index of the whole team, by what it
-- knows of all teams together, and look through all rows of one team.
CREATE FUNCTION team_key(team bigint, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT team::text || ' ' || value
$$;

-- Pages of recordings, by what they are filtered by.
DROP INDEX segments_page;
CREATE INDEX segments_page ON segments (team_id, started_at DESC, id DESC);
CREATE INDEX segments_endpoint_page ON segments (endpoint_id, started_at DESC, id DESC);
CREATE INDEX segments_person_page ON segments (person_id, started_at DESC, id DESC);
CREATE INDEX segments_status_page ON segments (team_key(team_id, status), started_at DESC, id DESC);
CREATE INDEX segments_locked_page ON segments (team_id, started_at DESC, id DESC) WHERE locked;
CREATE INDEX segments_session_page ON segments (session_id, started_at DESC, id DESC);

-- ---- sums of a session's segments, and the disk space by endpoint ----

ALTER TABLE sessions
    ADD n_segments integer NOT NULL DEFAULT 0,
    ADD n_failed   integer NOT NULL DEFAULT 0, -- T5: 'missing', 'encoding_failed', 'corrupted'
    ADD n_busy     integer NOT NULL DEFAULT 0, -- T5: on their way to 'available'
    ADD bytes      bigint  NOT NULL DEFAULT 0;

-- M5: segments that take space, by endpoint. Rows follow from segments, by
-- triggers.
CREATE TABLE disk_use (
    endpoint_id bigint PRIMARY KEY REFERENCES endpoints ON DELETE CASCADE,
    team_id     bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    recordings  bigint NOT NULL,
    bytes       bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX disk_use_team ON disk_use (team_id);

CREATE FUNCTION segment_is_failed(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT status IN ('missing', 'encoding_failed', 'corrupted')
$$;
CREATE FUNCTION segment_is_busy(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT status IN ('recording', 'transfer', 'downloaded', 'encoding')
$$;
-- Its file lies in the store or in a spool.
CREATE FUNCTION segment_takes_space(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT status NOT IN ('missing', 'expired', 'deleted')
$$;

-- One segment that came (sign 1) or went (-1).
CREATE TYPE segment_change AS (
    session_id uuid, team_id bigint, endpoint_id bigint, sign integer, status text,
    bytes bigint);

CREATE FUNCTION segments_add(changes segment_change[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions s
    SET n_segments = s.n_segments + d.n, n_failed = s.n_failed + d.failed,
        n_busy = s.n_busy + d.busy, bytes = s.bytes + d.bytes
    FROM (SELECT c.session_id, sum(c.sign) AS n,
                 sum(c.sign) FILTER (WHERE segment_is_failed(c.status)) AS failed,
                 sum(c.sign) FILTER (WHERE segment_is_busy(c.status)) AS busy,
                 sum(c.sign * c.bytes) AS bytes
          FROM unnest(changes) c GROUP BY c.session_id) x,
         LATERAL (SELECT x.n, coalesce(x.failed, 0) AS failed, coalesce(x.busy, 0) AS busy,
                         coalesce(x.bytes, 0) AS bytes) d
    WHERE s.id = x.session_id AND (d.n, d.failed, d.busy, d.bytes) <> (0, 0, 0, 0);
    -- in one order, so that two of these do not wait for each other
    INSERT INTO disk_use AS u (endpoint_id, team_id, recordings, bytes)
    SELECT c.endpoint_id, c.team_id, sum(c.sign), coalesce(sum(c.sign * c.bytes), 0)
    FROM unnest(changes) c WHERE segment_takes_space(c.status)
    GROUP BY c.endpoint_id, c.team_id
    HAVING sum(c.sign) <> 0 OR sum(c.sign * c.bytes) <> 0
    ORDER BY c.endpoint_id
    ON CONFLICT (endpoint_id) DO UPDATE
    SET recordings = u.recordings + excluded.recordings, bytes = u.bytes + excluded.bytes;
END $$;

CREATE FUNCTION segments_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changes segment_change[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        changes := ARRAY(SELECT (n.session_id, n.team_id, n.endpoint_id, 1, n.status,
                                 n.bytes)::segment_change FROM new_rows n);
    ELSIF TG_OP = 'DELETE' THEN
        changes := ARRAY(SELECT (o.session_id, o.team_id, o.endpoint_id, -1, o.status,
                                 o.bytes)::segment_change FROM old_rows o);
    ELSE
        changes := ARRAY(
            SELECT unnest(ARRAY[
                (o.session_id, o.team_id, o.endpoint_id, -1, o.status, o.bytes)::segment_change,
                (n.session_id, n.team_id, n.endpoint_id, 1, n.status, n.bytes)::segment_change])
            FROM old_rows o JOIN new_rows n USING (id)
            WHERE (o.session_id, o.endpoint_id, o.status, o.bytes)
                IS DISTINCT FROM (n.session_id, n.endpoint_id, n.status, n.bytes));
    END IF;
    IF cardinality(changes) > 0 THEN
        PERFORM segments_add(changes);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segments_came AFTER INSERT ON segments REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION segments_changed();
CREATE TRIGGER segments_went AFTER DELETE ON segments REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION segments_changed();
CREATE TRIGGER segments_changed AFTER UPDATE ON segments
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION segments_changed();

-- As before, but not for the sums: the segment makes that event.
DROP TRIGGER session_event ON sessions;
CREATE CONSTRAINT TRIGGER session_event AFTER UPDATE ON sessions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW
        AND (OLD.n_segments, OLD.n_failed, OLD.n_busy, OLD.bytes)
            = (NEW.n_segments, NEW.n_failed, NEW.n_busy, NEW.bytes))
    EXECUTE FUNCTION event_of_session();

-- Makes all sums anew: for rows that came without triggers.
CREATE FUNCTION segments_recount() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions s
    SET n_segments = x.n, n_failed = x.failed, n_busy = x.busy, bytes = x.bytes
    FROM (SELECT s.id, count(g.id) AS n,
                 count(g.id) FILTER (WHERE segment_is_failed(g.status)) AS failed,
                 count(g.id) FILTER (WHERE segment_is_busy(g.status)) AS busy,
                 coalesce(sum(g.bytes), 0) AS bytes
          FROM sessions s LEFT JOIN segments g ON g.session_id = s.id GROUP BY s.id) x
    WHERE s.id = x.id AND (s.n_segments, s.n_failed, s.n_busy, s.bytes)
        <> (x.n, x.failed, x.busy, x.bytes);
    DELETE FROM disk_use;
    INSERT INTO disk_use (endpoint_id, team_id, recordings, bytes)
    SELECT endpoint_id, team_id, count(*), coalesce(sum(bytes), 0)
    FROM segments WHERE segment_takes_space(status) GROUP BY endpoint_id, team_id;
END $$;
SELECT segments_recount();

-- ---- pages of sessions, by what they are filtered by ----

-- T5: the Recording column.
ALTER TABLE sessions ADD recording_state text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN n_segments = 0 THEN
             CASE WHEN NOT recorded THEN 'off'
                  WHEN ended_at IS NULL THEN 'under_way' ELSE 'none' END
         WHEN n_failed > 0 THEN 'failed'
         WHEN n_busy > 0 THEN 'under_way'
         ELSE 'uploaded' END) STORED;
DROP INDEX sessions_team;
DROP INDEX sessions_endpoint;
CREATE INDEX sessions_endpoint_page ON sessions (endpoint_id, started_at DESC, id DESC);
CREATE INDEX sessions_person_page ON sessions (person_id, started_at DESC, id DESC);
CREATE INDEX sessions_active_page ON sessions (team_id, started_at DESC, id DESC)
    WHERE ended_at IS NULL;
CREATE INDEX sessions_access_page ON sessions (team_key(team_id, access), started_at DESC, id DESC);
CREATE INDEX sessions_recording_page
    ON sessions (team_key(team_id, recording_state), started_at DESC, id DESC);

-- By name also those that were removed.
DROP INDEX endpoints_team;
CREATE INDEX endpoints_team ON endpoints (team_id, name);

-- ---- pages of the audit log ----

DROP INDEX audit_team;
CREATE INDEX audit_actor_page ON audit (team_key(team_id, actor), at DESC, id DESC);
CREATE INDEX audit_action_page ON audit (team_key(team_id, action), at DESC, id DESC);
CREATE INDEX audit_object_page ON audit (team_key(team_id, object), at DESC, id DESC);
