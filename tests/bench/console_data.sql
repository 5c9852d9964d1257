-- A million recordings of 200,000 sessions at 10,000 endpoints of 200 teams,
-- and a million entries of the audit log, for tests/bench/run console and for
-- tests of the plans. Made inside PostgreSQL, the same each time but for the
-- day: hash numbers decide, and `now` is the end. As a superuser; psql or a
-- client gives :sessions (200000) and what follows from it.
--
-- Team 1 has half of everything, the other teams share the rest evenly. Some
-- endpoints are used far more often than others. Sessions are spread over 400
-- days; recordings older than 90 days are expired but for those that are
-- locked. `relaycam check` finds nothing in it.

SET session_replication_role = replica; -- triggers would do a row at a time

-- A number from 0 to 1 that follows from n and what it is for.
CREATE FUNCTION pg_temp.part(n bigint, what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8extended(n, hashtext(what)) & 4294967295) / 4294967296.0
$$;
CREATE FUNCTION pg_temp.uuid_of(n bigint, what text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(what || n)::uuid
$$;
CREATE TEMP TABLE size AS SELECT :sessions::bigint AS sessions,
    greatest(:sessions / 20, 20) AS endpoints, least(greatest(:sessions / 1000, 10), 200) AS teams,
    date_trunc('hour', now()) AS until, interval '400 days' AS days;

INSERT INTO teams (name, title) SELECT 'bulk' || i, 'Team ' || i
FROM size, generate_series(1, teams) i;
INSERT INTO access_settings (team_id, access, consent)
SELECT t.id, a.access, a.consent
FROM teams t, (VALUES ('attended', 'ask'), ('unattended', 'off')) a (access, consent)
WHERE t.name LIKE 'bulk%';
CREATE TEMP TABLE bulk AS SELECT id, substr(name, 5)::int AS n FROM teams WHERE name LIKE 'bulk%';
CREATE UNIQUE INDEX ON bulk (n);

-- people: an owner, an admin and eight members a team; 90 more in team 1
INSERT INTO people (team_id, name, title, role)
SELECT b.id, format('bulk%s-%s%s', b.n, r.role, r.i), initcap(r.role) || ' ' || r.i, r.role
FROM bulk b, LATERAL (
    SELECT 'owner' AS role, 1 AS i UNION ALL SELECT 'admin', 1
    UNION ALL SELECT 'member', i FROM generate_series(1, CASE b.n WHEN 1 THEN 98 ELSE 8 END) i) r;

INSERT INTO endpoints (team_id, name, title, host, port, access)
SELECT b.id, 'pc-' || i, 'Room ' || i % 500, '10.0.0.' || i % 250, 5900,
       CASE WHEN pg_temp.part(i, 'access') < 0.05 THEN 'attended' ELSE 'unattended' END
FROM size, generate_series(1, endpoints) i
JOIN bulk b ON b.n = CASE WHEN i * 2 <= (SELECT endpoints FROM size) THEN 1
                          ELSE 2 + i % ((SELECT teams FROM size) - 1) END;
CREATE TEMP TABLE place AS
SELECT e.id, e.team_id, e.access, b.n AS team, row_number() OVER (PARTITION BY e.team_id ORDER BY e.id) AS i,
       count(*) OVER (PARTITION BY e.team_id) AS n
FROM endpoints e JOIN bulk b ON b.id = e.team_id;
CREATE UNIQUE INDEX ON place (team, i);
CREATE TEMP TABLE person AS
SELECT p.id, b.n AS team, row_number() OVER (PARTITION BY b.n ORDER BY p.id) AS i,
       count(*) OVER (PARTITION BY b.n) AS n
FROM people p JOIN bulk b ON b.id = p.team_id WHERE p.role = 'member';
CREATE UNIQUE INDEX ON person (team, i);

-- rights: each member on ten endpoints; in team 1 the first on half of all,
-- the second on none
INSERT INTO endpoint_rights (person_id, endpoint_id, control, manage)
SELECT p.id, e.id, true, false
FROM person p JOIN place e ON e.team = p.team
    AND CASE WHEN p.team = 1 AND p.i = 1 THEN e.i % 2 = 0
             WHEN p.team = 1 AND p.i = 2 THEN false
             ELSE (e.i + p.i * 10) % e.n < 10 END;
UPDATE access_settings SET playback_role = 'member', recording = true
WHERE team_id IN (SELECT id FROM bulk);

-- sessions in order of time, as they come; one to nine recordings each, five
-- on average: the last one makes up for what is missing
CREATE TEMP TABLE plan AS
SELECT i, pg_temp.uuid_of(i, 'session') AS id, 1 + i % 9 AS n, t.team, ceil(power(pg_temp.part(i, 'endpoint'), 2) * c.endpoints)::bigint AS endpoint,
       ceil(pg_temp.part(i, 'person') * c.people)::bigint AS person,
       z.until - z.days * (1 - i / z.sessions::float8) AS at,
       interval '1 second' * (300 + floor(pg_temp.part(i, 'length') * 1800)) AS length
FROM size z CROSS JOIN generate_series(1, z.sessions) i
CROSS JOIN LATERAL (SELECT CASE WHEN pg_temp.part(i, 'team') < 0.5 THEN 1
    ELSE 2 + floor(pg_temp.part(i, 'other') * (z.teams - 1))::int END AS team) t
JOIN (SELECT p.team, max(p.n) AS endpoints, (SELECT max(n) FROM person q WHERE q.team = p.team) AS people
      FROM place p GROUP BY p.team) c ON c.team = t.team;
UPDATE plan SET n = sessions * 5 - (SELECT sum(n) FROM plan WHERE i < sessions)
FROM size WHERE i = sessions;
CREATE UNIQUE INDEX ON plan (i);
ANALYZE plan, place, person, size;
INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, recorded, client_addr,
    viewer, desktop_name, started_at, ended_at, end_code, end_reason, recording)
SELECT plan.id, e.team_id, e.id, p.id, e.access, true,
       '192.0.2.' || plan.i % 250,
       (ARRAY['TigerVNC', 'RealVNC', 'browser', 'gvncviewer'])[1 + plan.i % 4],
       'desktop ' || plan.i, at, ended, CASE WHEN ended IS NOT NULL THEN 'normal' END,
       CASE WHEN ended IS NOT NULL THEN 'the technician left' END, ended IS NULL
FROM plan
JOIN place e ON e.team = plan.team AND e.i = plan.endpoint
JOIN person p ON p.team = plan.team AND p.i = plan.person
CROSS JOIN LATERAL (SELECT CASE WHEN at < (SELECT until FROM size) - interval '6 hours'
                                  OR plan.i % 3 > 0 THEN at + length END AS ended) x
ORDER BY plan.i;

INSERT INTO segments (id, session_id, team_id, endpoint_id, person_id, seq, status,
    status_detail, split_reason, monitor, frame_rate, width, height, codec, started_at,
    ended_at, start_mono_ns, end_mono_ns, first_frame, last_frame, frames, duration_ms,
    bytes, sha256, store, object_key, stored_at, expires_at, locked, end_why,
    reviewed_by, reviewed_at, watched_at)
SELECT x.id, s.id, s.team_id, s.endpoint_id, s.person_id, k, x.status,
       CASE x.status WHEN 'deleted' THEN 'not needed' ELSE '' END,
       CASE k WHEN 1 THEN 'start' ELSE 'size' END, 1, 10, 1920, 1080, 'vp9',
       plan.at + (k - 1) * y.part,
       CASE WHEN NOT y.is_open THEN plan.at + k * y.part END,
       (k - 1) * y.ns, CASE WHEN NOT y.is_open THEN k * y.ns END,
       CASE WHEN NOT y.is_open THEN (k - 1) * 600 + 1 END,
       CASE WHEN NOT y.is_open THEN k * 600 END, CASE WHEN NOT y.is_open THEN 600 END,
       CASE WHEN NOT y.is_open THEN y.ns / 1000000 END,
       CASE WHEN NOT y.is_open THEN (1000000 + pg_temp.part(i * 16 + k, 'bytes') ^ 3 * 500000000)::bigint END,
       CASE WHEN NOT y.is_open THEN sha256(x.id::text::bytea) END,
       CASE WHEN x.is_stored THEN 'folder' END, 'bulk/' || x.id || '.webm',
       CASE WHEN x.is_stored THEN plan.at + y.part * k END,
       CASE WHEN x.is_stored THEN plan.at + y.part * k + interval '90 days' END,
       x.is_locked, CASE WHEN NOT y.is_open THEN CASE WHEN k = y.n THEN 'normal' ELSE 'split' END END,
       CASE WHEN x.is_stored AND y.review < 0.1 THEN 'auditor' END,
       CASE WHEN x.is_stored AND y.review < 0.1 THEN plan.at + interval '1 day' END,
       CASE WHEN x.is_stored AND y.review < 0.3 THEN plan.at + interval '1 hour' END
FROM plan JOIN sessions s ON s.id = plan.id
CROSS JOIN size z
CROSS JOIN LATERAL generate_series(1, plan.n) k
CROSS JOIN LATERAL (SELECT plan.n, plan.length / plan.n AS part,
    (extract(epoch FROM plan.length) * 1000000000 / plan.n)::bigint AS ns,
    s.ended_at IS NULL AND k = plan.n AS is_open,
    pg_temp.part(i * 16 + k, 'review') AS review) y
CROSS JOIN LATERAL (SELECT pg_temp.uuid_of(i * 16 + k, 'segment') AS id,
    pg_temp.part(i * 16 + k, 'status') AS luck) w
CROSS JOIN LATERAL (SELECT w.id, w.luck < 0.01 AND NOT y.is_open AS is_locked,
    CASE WHEN y.is_open THEN 'recording'
         WHEN w.luck < 0.01 THEN 'available'
         WHEN w.luck < 0.015 THEN 'deleted'
         WHEN w.luck < 0.017 THEN 'missing'
         WHEN w.luck < 0.018 THEN 'corrupted'
         WHEN w.luck < 0.0185 THEN 'encoding_failed'
         WHEN plan.at < z.until - interval '90 days' THEN 'expired'
         ELSE 'available' END AS status) v
CROSS JOIN LATERAL (SELECT v.id, v.status, v.is_locked,
    v.status IN ('available', 'expired', 'deleted', 'corrupted') AS is_stored) x
ORDER BY plan.i, k;

-- five entries a session: two of its own, three of people who watched
INSERT INTO audit (at, team_id, actor, action, object, detail)
SELECT s.started_at + k * interval '1 minute', s.team_id, p.name,
       CASE k WHEN 0 THEN 'session_start' WHEN 1 THEN 'session_end'
              ELSE (ARRAY['link', 'link', 'watch', 'download', 'lock'])[1 + floor(pg_temp.part(i * 8 + k, 'action') * 5)::int] END,
       CASE WHEN k < 2 THEN s.id ELSE pg_temp.uuid_of(i * 16 + 1, 'segment') END::text,
       jsonb_build_object('client', s.client_addr, 'door', 'console')
FROM plan JOIN sessions s ON s.id = plan.id
JOIN people p ON p.id = s.person_id
CROSS JOIN generate_series(0, 4) k
ORDER BY plan.i, k;

SET session_replication_role = origin;
SELECT segments_recount();
DROP TABLE size, bulk, place, person, plan;
