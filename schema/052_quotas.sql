-- Quotas: how many bytes a team's recordings may take. From quota_warn_percent
-- of it on, people are warned; once it is used up, no new recording begins. One
-- that runs goes on to its end.

ALTER TABLE teams
    ADD quota_bytes bigint CHECK (quota_bytes > 0),   -- NULL: none
    ADD quota_warn_percent integer NOT NULL DEFAULT 80
        CHECK (quota_warn_percent BETWEEN 1 AND 100);

-- used_bytes: of the recordings that there are, wherever their files are.
-- state: none, ok, warning or full; percent: NULL without a quota.
CREATE FUNCTION team_quota(team bigint, OUT quota_bytes bigint, OUT warn_percent integer,
                           OUT used_bytes bigint, OUT percent integer, OUT state text)
LANGUAGE sql STABLE AS $$
    SELECT t.quota_bytes, t.quota_warn_percent, u.bytes,
           least(u.bytes * 100 / t.quota_bytes, 1000000)::integer,
           CASE WHEN t.quota_bytes IS NULL THEN 'none'
                WHEN u.bytes >= t.quota_bytes THEN 'full'
                WHEN u.bytes >= t.quota_bytes / 100.0 * t.quota_warn_percent THEN 'warning'
                ELSE 'ok' END
    FROM teams t, LATERAL (SELECT coalesce(sum(d.bytes), 0)::bigint AS bytes
                           FROM disk_use d WHERE d.team_id = t.id) u
    WHERE t.id = team
$$;

-- Why no new recording of this team begins; NULL: it may.
CREATE FUNCTION quota_refusal(team bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('team %s has used up its quota for recordings (%s of %s)',
                  t.name, pg_size_pretty(q.used_bytes), pg_size_pretty(q.quota_bytes))
    FROM teams t, LATERAL team_quota(t.id) q
    WHERE t.id = team AND q.state = 'full'
$$;

CREATE OR REPLACE FUNCTION console_settings(team bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('time_zone', t.time_zone, 'quota_bytes', t.quota_bytes,
                              'quota_warn_percent', t.quota_warn_percent) ||
           (SELECT jsonb_object_agg(a.access, to_jsonb(a) - 'team_id' - 'access')
            FROM access_settings a WHERE a.team_id = t.id)
    FROM teams t WHERE t.id = team
$$;

-- One audit entry for each of the team's own settings that changes; NULL takes the
-- quota away.
CREATE FUNCTION team_quota_set(team bigint, who text, origin jsonb, body jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    was teams; bytes bigint; warn integer;
BEGIN
    SELECT * INTO was FROM teams WHERE id = team FOR UPDATE;
    bytes := CASE WHEN body ? 'quota_bytes' THEN (body->>'quota_bytes')::bigint
             ELSE was.quota_bytes END;
    warn := coalesce((body->>'quota_warn_percent')::integer, was.quota_warn_percent);
    UPDATE teams SET quota_bytes = bytes, quota_warn_percent = warn WHERE id = team;
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT team, who, 'settings_set', x.key,
           origin || jsonb_build_object('before', x.before, 'after', x.after)
    FROM (VALUES ('quota_bytes', was.quota_bytes::text, bytes::text),
                 ('quota_warn_percent', was.quota_warn_percent::text, warn::text))
         AS x (key, before, after)
    WHERE x.before IS DISTINCT FROM x.after;
END $$;

ALTER FUNCTION console_settings_set(bigint, jsonb, jsonb) RENAME TO console_access_set;
CREATE FUNCTION console_settings_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; done console_result;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    done := console_access_set(who, origin, body - 'quota_bytes' - 'quota_warn_percent');
    IF done.problem IS NOT NULL THEN
        RETURN done;
    END IF;
    IF body ?| ARRAY['quota_bytes', 'quota_warn_percent'] THEN
        PERFORM team_quota_set(me.team_id, me.name, origin, body);
    END IF;
    RETURN (NULL, NULL, NULL, console_settings(me.team_id))::console_result;
END $$;
