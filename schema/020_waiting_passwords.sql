-- A one-time password whose viewer never came must not keep its owner from
-- the next one: with every port taken, the oldest waiting password of the
-- same person goes. Others' are left alone; then the refusal says when a port
-- is free.
CREATE OR REPLACE FUNCTION ticket_new_vnc(p bigint, e bigint, what text, seconds integer,
                                          sealed bytea, ports integer[],
                                          OUT refusal text, OUT taken integer)
LANGUAGE plpgsql AS $$
BEGIN
    refusal := ticket_refusal(p, e);
    IF refusal IS NULL THEN
        SELECT format('team %s does not allow viewers without VeNCrypt for '
                      '%s access (setting %s.vnc_auth)',
                      t.name, a.access, a.access)
        INTO refusal
        FROM endpoints en
        JOIN teams t ON t.id = en.team_id
        JOIN access_settings a ON a.team_id = t.id AND a.access = en.access
        WHERE en.id = e AND NOT a.vnc_auth;
    END IF;
    IF refusal IS NULL AND seconds NOT BETWEEN 1 AND 3600 THEN
        refusal := 'a ticket is valid for 1 to 3600 seconds';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    -- one at a time, so that no two find the same port ("rcam", "tick")
    PERFORM pg_advisory_xact_lock(1919115629, 1953063787);
    DELETE FROM tickets WHERE expires_at < now() - interval '1 day'
        OR kind = 'vnc_auth' AND used_at IS NULL AND expires_at <= now();
    SELECT min(x) INTO taken FROM unnest(ports) x
    WHERE x NOT IN (SELECT port FROM tickets
                    WHERE kind = 'vnc_auth' AND used_at IS NULL);
    IF taken IS NULL THEN
        DELETE FROM tickets WHERE used_at IS NULL AND id = (
            SELECT id FROM tickets
            WHERE kind = 'vnc_auth' AND used_at IS NULL AND person_id = p
              AND port = ANY (ports)
            ORDER BY created_at, id LIMIT 1)
        RETURNING port INTO taken;
    END IF;
    IF taken IS NULL THEN
        SELECT format('all session ports wait for viewers of other people; '
                      'one is free in %s s at the latest (or set more [relay] '
                      'session_ports)',
                      ceil(extract(epoch FROM min(expires_at) - now())))
        INTO refusal FROM tickets
        WHERE kind = 'vnc_auth' AND used_at IS NULL AND port = ANY (ports);
        RETURN;
    END IF;
    INSERT INTO tickets (kind, secret_sealed, port, person_id, endpoint_id,
                         target, expires_at)
    VALUES ('vnc_auth', sealed, taken, p, e, what,
            now() + seconds * interval '1 second');
END $$;
