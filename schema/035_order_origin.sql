-- X7: orders to sessions say from where and by which door they came.

-- As in 017, with the setting relaycam.origin in the audit entries: an object with
-- client and door, which console_session_command() sets.
CREATE OR REPLACE FUNCTION session_command(who bigint, s uuid, what text, value text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    se sessions; r record; n text; refusal text;
    actor text := current_setting('relaycam.actor', true);
    origin jsonb := coalesce(nullif(current_setting('relaycam.origin', true), ''), '{}');
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
                    origin || jsonb_build_object('command', what, 'value', value,
                                                 'why', 'you may not do that'));
            RETURN 'you may not do that';
        END IF;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (se.team_id, coalesce(actor, n), 'session_command', s::text,
            origin || jsonb_strip_nulls(jsonb_build_object(
                'command', what, 'value', value, 'system_account',
                current_setting('relaycam.system_account', true))));
    INSERT INTO session_orders (session_id, command, value, given_by, is_own)
    VALUES (s, what, value, coalesce(actor, n), coalesce(who = se.person_id, false));
    PERFORM pg_notify('relaycam_session', json_build_object(
        'session', s, 'command', what, 'value', value, 'by',
        coalesce(actor, n), 'own', coalesce(who = se.person_id, false))::text);
    RETURN NULL;
END $$;

CREATE FUNCTION console_session_command(who bigint, s uuid, what text, value text, origin jsonb)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('relaycam.origin', origin::text, true);
    RETURN session_command(who, s, what, value);
END $$;
