-- People and one-time tickets at the console. As in "relaycam user" and
-- "relaycam ticket": the same checks, the same audit entries.

CREATE INDEX people_page ON people (team_id, created_at DESC, id DESC);

-- A person as the API shows them.
CREATE FUNCTION console_user(p people) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.id::text, 'name', p.name, 'title', p.title,
        'role', p.role, 'disabled', p.disabled,
        'has_password', p.password_hash IS NOT NULL,
        'failed_logins', p.failed_logins, 'last_login_at', utc_text(p.last_login_at),
        'created_at', utc_text(p.created_at))
$$;

-- Owners alone make, change and unmake owners: an admin who gave an owner
-- another password would be one. The refusal is in the audit log.
CREATE FUNCTION console_owner_refusal(me people, origin jsonb, what text)
RETURNS console_result LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'refused', what,
            origin || jsonb_build_object('request', 'change an owner'));
    RETURN ('forbidden', NULL, 'Only an owner may make or change an owner.',
            NULL)::console_result;
END $$;

CREATE FUNCTION console_user_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; p people; its_role text := coalesce(body->>'role', 'member');
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF its_role = 'owner' AND me.role <> 'owner' THEN
        RETURN console_owner_refusal(me, origin, body->>'name');
    END IF;
    INSERT INTO people (team_id, name, title, role, password_hash)
    VALUES (me.team_id, body->>'name', coalesce(body->>'title', ''), its_role,
            body->>'password_hash')
    ON CONFLICT (name) DO NOTHING RETURNING * INTO p;
    IF p.id IS NULL THEN
        RETURN ('exists', NULL, 'That name is taken; names are shared by all teams.',
                NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'user_add', p.name,
            origin || jsonb_build_object('role', p.role));
    RETURN (NULL, NULL, NULL, console_user(p))::console_result;
END $$;

-- A team keeps an owner who can log in. The team's row is locked, so that two
-- requests do not both take one away.
CREATE FUNCTION console_user_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; was people; p people;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    PERFORM FROM teams WHERE id = me.team_id FOR UPDATE;
    -- who waited for the lock may be less by now
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO was FROM people
    WHERE id = (body->>'id')::bigint AND team_id = me.team_id FOR UPDATE;
    IF was.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF me.disabled OR me.role = 'member' THEN
        RETURN ('forbidden', NULL, 'You may not do that.', NULL)::console_result;
    ELSIF me.role <> 'owner' AND 'owner' IN (was.role, body->>'role') THEN
        RETURN console_owner_refusal(me, origin, was.name);
    END IF;
    p := was;
    p.title := coalesce(body->>'title', was.title);
    p.role := coalesce(body->>'role', was.role);
    p.disabled := coalesce((body->>'disabled')::boolean, was.disabled);
    p.password_hash := coalesce(body->>'password_hash', was.password_hash);
    IF was.role = 'owner' AND (p.role <> 'owner' OR p.disabled) AND NOT EXISTS (
            SELECT FROM people o WHERE o.team_id = me.team_id AND o.role = 'owner'
            AND NOT o.disabled AND o.id <> was.id) THEN
        RETURN ('not-done', NULL, format('%s is the team''s only owner; make somebody '
                'else owner first.', was.name), NULL)::console_result;
    END IF;
    IF body ? 'password_hash' THEN
        p.last_failed_at := NULL;
    END IF;
    IF body ? 'password_hash' OR p.disabled <> was.disabled THEN
        p.failed_logins := 0;
    END IF;
    UPDATE people SET title = p.title, role = p.role, disabled = p.disabled,
        password_hash = p.password_hash, failed_logins = p.failed_logins,
        last_failed_at = p.last_failed_at
    WHERE id = p.id;
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT me.team_id, me.name, c.action, p.name, origin || c.detail
    FROM (VALUES
        ('user_set', p.role <> was.role OR p.title <> was.title,
         jsonb_build_object('role_before', was.role, 'role', p.role)),
        (CASE WHEN p.disabled THEN 'user_disable' ELSE 'user_enable' END,
         p.disabled <> was.disabled, '{}'),
        ('user_passwd', body ? 'password_hash', '{}')) c (action, is_done, detail)
    WHERE c.is_done;
    RETURN (NULL, NULL, NULL, console_user(p))::console_result;
END $$;

-- A one-time login of the person's own. body: endpoint, display, monitor,
-- seconds, hash.
CREATE FUNCTION console_ticket_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; e endpoints; refusal text;
    seconds integer := coalesce((body->>'seconds')::integer, 60);
    rest text := coalesce('/' || (body->>'display'), '') ||
                 coalesce('+' || (body->>'monitor'), '');
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO e FROM endpoints
    WHERE team_id = me.team_id AND name = body->>'endpoint' AND deleted_at IS NULL;
    IF e.id IS NULL THEN
        RETURN ('invalid', '/endpoint', 'There is no endpoint of that name.',
                NULL)::console_result;
    END IF;
    refusal := ticket_new(me.id, e.id, rest, seconds, decode(body->>'hash', 'hex'));
    IF refusal IS NOT NULL THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (me.team_id, me.name, 'refused', e.name,
                origin || '{"request": "make a one-time ticket"}');
        RETURN ('forbidden', NULL, 'You may not connect to that endpoint.',
                NULL)::console_result;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'ticket', e.name,
            origin || jsonb_build_object('user', me.name, 'kind', 'ticket',
                                         'target', rest, 'port', 0, 'seconds', seconds));
    RETURN (NULL, NULL, NULL, jsonb_build_object('kind', 'ticket', 'user',
        me.name || '@' || e.name || rest, 'endpoint', e.name, 'expires_at',
        utc_text(now() + seconds * interval '1 second')))::console_result;
END $$;
