-- console_events() as before, in time that grows with events times people: the
-- planner knows nothing of how many rows arrays have, and joined rights to listeners
-- row by row.

-- Logins and tokens that are good now, as console_enter() has them.
CREATE VIEW credentials AS
    SELECT hash, false AS is_token, person_id FROM logins
    WHERE expires_at > now() AND NOT is_limited
    UNION ALL
    SELECT hash, true, person_id FROM api_tokens WHERE expires_at > now();

CREATE OR REPLACE FUNCTION console_events(hashes bytea[], are_tokens boolean[], after bigint[],
                                          at_most integer)
RETURNS TABLE (id bigint, name text, object text, listeners integer[])
LANGUAGE sql STABLE AS $$
    WITH top AS MATERIALIZED (
        SELECT coalesce(max(x.id), 0) AS id FROM events x
    ), l AS MATERIALIZED (
        SELECT x.n::integer AS n, x.after, p.id AS person_id, p.team_id, CASE
            WHEN p.id IS NULL THEN 'closed'
            WHEN x.after IS NULL THEN 'ready'
            WHEN x.after NOT BETWEEN top.id - events_kept() AND top.id THEN 'reset'
            ELSE 'position' END AS what
        FROM top
        CROSS JOIN unnest(hashes, are_tokens, after) WITH ORDINALITY x (hash, is_token, after, n)
        LEFT JOIN credentials c ON c.hash = x.hash AND c.is_token = x.is_token
        LEFT JOIN people p ON p.id = c.person_id AND NOT p.disabled
    ), p AS MATERIALIZED ( -- the listeners of a person in arrays
        SELECT l.person_id, l.team_id, array_agg(l.n) AS ns, array_agg(l.after) AS afters,
               min(l.after) AS after
        FROM l WHERE l.what = 'position' GROUP BY l.person_id, l.team_id
    ), e AS MATERIALIZED (
        SELECT x.* FROM events x
        WHERE x.id > (SELECT min(p.after) FROM p)
        ORDER BY x.id LIMIT at_most
    ), news AS MATERIALIZED (
        SELECT e.*, e.name LIKE '%changed' AND lead(e.id) OVER w IS NOT NULL AS is_superseded
        FROM e WINDOW w AS (PARTITION BY e.name, e.object ORDER BY e.id)
    ), seen AS MATERIALIZED (
        SELECT news.id, news.name, news.object, p.ns, p.afters
        FROM news
        JOIN p ON p.team_id = news.team_id AND p.after < news.id
        LEFT JOIN LATERAL endpoint_rights_of(p.person_id, news.endpoint_id) r ON true
        WHERE NOT news.is_superseded AND CASE
            WHEN news.name = 'access' THEN coalesce(news.person_id = p.person_id, true)
            WHEN news.name LIKE 'session%' THEN coalesce(r.control, false)
                OR news.person_id = p.person_id
            WHEN news.name LIKE 'recording%' THEN r.playback
            ELSE r.control END
    )
    SELECT seen.id, seen.name, seen.object, array_agg(u.n)
    FROM seen CROSS JOIN LATERAL unnest(seen.ns, seen.afters) u (n, after)
    WHERE u.after < seen.id
    GROUP BY seen.id, seen.name, seen.object
    UNION ALL
    SELECT top.id, l.what, '', array_agg(l.n) FROM l, top
    WHERE l.what <> 'position' GROUP BY top.id, l.what
    UNION ALL
    SELECT CASE WHEN (SELECT count(*) FROM e) < at_most THEN top.id
                ELSE (SELECT max(e.id) FROM e) END, 'position', top.id::text, NULL
    FROM top
$$;
