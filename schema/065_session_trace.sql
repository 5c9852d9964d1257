-- The trace (W3C Trace Context) of the request that began a session in a
-- browser, when it named one. Others belong to a trace whose id is the session's,
-- without dashes.
ALTER TABLE sessions ADD trace_id text CHECK (trace_id ~ '^[0-9a-f]{32}$');

-- Of what a webhook tells; NULL where it is about no session.
CREATE FUNCTION webhook_trace(event text, body text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT s.trace_id FROM sessions s WHERE s.id = x.id::uuid),
                    replace(x.id, '-', ''))
    FROM (SELECT body::jsonb->'data'->>CASE WHEN event LIKE 'session.%' THEN 'id'
                                            ELSE 'session_id' END AS id) x
$$;
