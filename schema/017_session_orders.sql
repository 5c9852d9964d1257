-- Orders to running sessions that their relay has not carried out yet. NOTIFY
-- reaches a relay that is connected and nobody else; an order that was given
-- while the relay had no database waits here until it is back (T5, X4).
CREATE TABLE session_orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    command text NOT NULL,
    value text NOT NULL,
    given_by text NOT NULL,
    is_own boolean NOT NULL, -- the technician of the session gave it
    given_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX session_orders_session ON session_orders (session_id, id);

-- As before, and the order is kept until the relay has carried it out. NOTIFY
-- only says that there is one; the rest of its text is for relays of before.
CREATE OR REPLACE FUNCTION session_command(who bigint, s uuid, what text, value text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    se sessions; r record; n text; refusal text;
    actor text := current_setting('relaycam.actor', true);
BEGIN
    value := coalesce(value, '');
    SELECT * INTO se FROM sessions WHERE id = s;
    IF NOT FOUND OR se.ended_at IS NOT NULL THEN
        RETURN 'there is no such active session';
    END IF;
    refusal := session_value_refusal(what, value);
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;
    n := 'administrator';
    IF who IS NOT NULL THEN
        SELECT name INTO n FROM people WHERE id = who;
        SELECT * INTO r FROM endpoint_rights_of(who, se.endpoint_id);
        IF NOT FOUND OR NOT (r.manage OR who = se.person_id AND r.control)
           OR what = 'recording' AND NOT r.record
           OR what = 'warn' AND NOT r.manage THEN
            INSERT INTO audit (team_id, actor, action, object, detail)
            VALUES (se.team_id, coalesce(n, 'nobody'),
                    'session_command_refused', s::text,
                    jsonb_build_object('command', what, 'value', value,
                                       'why', 'you may not do that'));
            RETURN 'you may not do that';
        END IF;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (se.team_id, coalesce(actor, n), 'session_command', s::text,
            jsonb_strip_nulls(jsonb_build_object(
                'command', what, 'value', value, 'system_account',
                current_setting('relaycam.system_account', true))));
    INSERT INTO session_orders (session_id, command, value, given_by, is_own)
    VALUES (s, what, value, coalesce(actor, n), coalesce(who = se.person_id, false));
    PERFORM pg_notify('relaycam_session', json_build_object(
        'session', s, 'command', what, 'value', value, 'by',
        coalesce(actor, n), 'own', coalesce(who = se.person_id, false))::text);
    RETURN NULL;
END $$;
