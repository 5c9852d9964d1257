-- Webhooks in the API: they can be changed and switched off, deliveries have a
-- history from which they can be sent again, and the outbox of each is bounded.

ALTER TABLE webhooks ADD enabled boolean NOT NULL DEFAULT true;

-- What came of the last try of one that waits; tries counts it already.
ALTER TABLE webhook_deliveries
    ADD last_at     timestamptz,
    ADD last_status integer,  -- HTTP; NULL: no answer
    ADD last_error  text;

-- Deliveries that ended, the newest of each webhook: webhook_tidy().
CREATE TABLE webhook_history (
    id          uuid PRIMARY KEY,
    webhook_id  bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event       text NOT NULL,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered   boolean NOT NULL, -- false: given up
    tries       integer NOT NULL,
    last_status integer,
    last_error  text
);
CREATE INDEX webhook_history_newest ON webhook_history (webhook_id, created_at DESC, id);

-- Events that found a full outbox, until webhook_tidy() counts them in n_lost. A
-- transaction that tells an event must not wait for another one, so rows are
-- merged where no other has them; there are no more of them than transactions at a time.
CREATE TABLE webhook_overflow (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    n          bigint NOT NULL
);
CREATE INDEX webhook_overflow_webhook ON webhook_overflow (webhook_id);

-- Deliveries of a webhook that may wait.
CREATE FUNCTION webhook_waiting_max() RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT 10000
$$;

CREATE FUNCTION webhook_is_full(hook bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) >= webhook_waiting_max()
    FROM (SELECT FROM webhook_deliveries WHERE webhook_id = hook LIMIT webhook_waiting_max()) x
$$;

CREATE FUNCTION webhook_overflowed(hook bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_overflow SET n = n + 1
    WHERE id = (SELECT id FROM webhook_overflow WHERE webhook_id = hook LIMIT 1
                FOR UPDATE SKIP LOCKED);
    IF NOT FOUND THEN
        INSERT INTO webhook_overflow (webhook_id, n) VALUES (hook, 1);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION webhook_add(team bigint, what text, data jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    hook bigint;
BEGIN
    FOR hook IN SELECT w.id FROM webhooks w WHERE w.team_id = team AND w.enabled
                AND what = ANY (w.events)
    LOOP
        IF webhook_is_full(hook) THEN
            PERFORM webhook_overflowed(hook);
        ELSE
            INSERT INTO webhook_deliveries (webhook_id, event, body)
            VALUES (hook, what, webhook_body(what, data));
        END IF;
    END LOOP;
END $$;

-- ---- for the consoles that send ----

-- The webhook before its deliveries, as its removal takes them: two that each
-- have what the other waits for would both be deadlocked.
CREATE FUNCTION webhook_of_delivery(its_id uuid) RETURNS bigint LANGUAGE sql AS $$
    SELECT id FROM webhooks
    WHERE id = (SELECT webhook_id FROM webhook_deliveries WHERE id = its_id) FOR NO KEY UPDATE
$$;

CREATE FUNCTION webhook_delivered(its_id uuid, status integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hook bigint := webhook_of_delivery(its_id); d webhook_deliveries;
BEGIN
    DELETE FROM webhook_deliveries WHERE id = its_id AND webhook_id = hook RETURNING * INTO d;
    IF NOT FOUND THEN
        RETURN; -- another console, which took it for lost, was the first
    END IF;
    INSERT INTO webhook_history (id, webhook_id, event, body, created_at, delivered, tries,
                                 last_status)
    VALUES (d.id, hook, d.event, d.body, d.created_at, true, d.tries, status)
    ON CONFLICT (id) DO NOTHING;
    UPDATE webhooks SET last_at = clock_timestamp(), last_status = status, last_error = NULL
    WHERE id = hook;
END $$;

-- pause_s: after the first try; it doubles up to an hour, and scatters.
CREATE FUNCTION webhook_failed(its_id uuid, status integer, why text, pause_s integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hook bigint := webhook_of_delivery(its_id);
BEGIN
    UPDATE webhook_deliveries
    SET next_at = clock_timestamp() +
            least(interval '1 hour', make_interval(secs => pause_s) * 2 ^ least(tries - 1, 12))
            * (0.8 + 0.4 * random()),
        last_at = clock_timestamp(), last_status = status, last_error = why
    WHERE id = its_id AND webhook_id = hook;
    IF FOUND THEN
        UPDATE webhooks SET last_at = clock_timestamp(), last_status = status, last_error = why
        WHERE id = hook;
    END IF;
END $$;

-- What was lost is counted, and said in the audit log.
CREATE FUNCTION webhook_lost(hook bigint, lost bigint, why text) RETURNS void LANGUAGE sql AS $$
    WITH w AS (UPDATE webhooks SET n_lost = n_lost + lost WHERE id = hook AND lost > 0
               RETURNING team_id, url)
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT team_id, 'console', 'webhook_given_up', url,
           jsonb_build_object('deliveries', lost, 'reason', why) FROM w
$$;

-- Gives up what waits for three days, counts what found a full outbox, and keeps
-- of the history the newest 100 of each webhook, for 7 days.
CREATE FUNCTION webhook_tidy() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hook bigint; lost bigint;
BEGIN
    FOR hook IN SELECT id FROM webhooks ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        WITH d AS (DELETE FROM webhook_deliveries
                   WHERE webhook_id = hook AND created_at < now() - interval '3 days'
                   RETURNING *),
             h AS (INSERT INTO webhook_history (id, webhook_id, event, body, created_at, delivered,
                                                tries, last_status, last_error)
                   SELECT id, hook, event, body, created_at, false, tries, last_status, last_error
                   FROM d ORDER BY created_at DESC LIMIT 100 ON CONFLICT (id) DO NOTHING)
        SELECT count(*) INTO lost FROM d;
        PERFORM webhook_lost(hook, lost, 'they were tried for 3 days');
        WITH o AS (DELETE FROM webhook_overflow WHERE id IN (
                       SELECT id FROM webhook_overflow WHERE webhook_id = hook
                       FOR UPDATE SKIP LOCKED) RETURNING n)
        SELECT coalesce(sum(n), 0) INTO lost FROM o;
        PERFORM webhook_lost(hook, lost, format('%s waited already', webhook_waiting_max()));
        DELETE FROM webhook_history WHERE id IN (
            SELECT id FROM webhook_history WHERE webhook_id = hook
            ORDER BY created_at DESC, id OFFSET 100);
    END LOOP;
    DELETE FROM webhook_history WHERE ended_at < now() - interval '7 days';
END $$;

-- ---- for the API ----

CREATE FUNCTION webhook_json(w webhooks) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', w.id::text, 'url', w.url, 'events', to_jsonb(w.events),
        'enabled', w.enabled, 'created_at', utc_text(w.created_at),
        'last_at', utc_text(w.last_at), 'last_status', w.last_status,
        'last_error', w.last_error,
        'waiting', (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id),
        'lost', w.n_lost)
$$;

CREATE FUNCTION console_webhooks(team bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('items', coalesce(jsonb_agg(webhook_json(w) ORDER BY w.id), '[]'),
        'event_names', to_jsonb(webhook_event_names()))
    FROM webhooks w WHERE w.team_id = team
$$;

-- state: waiting (tried again at next_at), delivered, given_up.
CREATE FUNCTION webhook_delivery_json(d webhook_deliveries) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', d.id, 'event', d.event, 'state', 'waiting', 'tries', d.tries,
        'created_at', utc_text(d.created_at), 'last_at', utc_text(d.last_at),
        'last_status', d.last_status, 'last_error', d.last_error, 'next_at', utc_text(d.next_at))
$$;

CREATE FUNCTION webhook_delivery_json(h webhook_history) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', h.id, 'event', h.event,
        'state', CASE WHEN h.delivered THEN 'delivered' ELSE 'given_up' END, 'tries', h.tries,
        'created_at', utc_text(h.created_at), 'last_at', utc_text(h.ended_at),
        'last_status', h.last_status, 'last_error', h.last_error, 'next_at', NULL)
$$;

-- The newest 100, whatever became of them; NULL: the team has no such webhook.
CREATE FUNCTION console_webhook_deliveries(team bigint, hook bigint) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('items', coalesce((
        SELECT jsonb_agg(x.row ORDER BY x.created_at DESC, x.id) FROM (
            SELECT y.* FROM (
                (SELECT d.created_at, d.id, webhook_delivery_json(d) AS row
                 FROM webhook_deliveries d WHERE d.webhook_id = w.id
                 ORDER BY d.created_at DESC, d.id LIMIT 100)
                UNION ALL
                (SELECT h.created_at, h.id, webhook_delivery_json(h)
                 FROM webhook_history h WHERE h.webhook_id = w.id
                 ORDER BY h.created_at DESC, h.id LIMIT 100)) y
            ORDER BY y.created_at DESC, y.id LIMIT 100) x), '[]'))
    FROM webhooks w WHERE w.id = hook AND w.team_id = team
$$;
-- 10,000 may wait, and they are listed by their age
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (webhook_id, created_at DESC, id);

CREATE FUNCTION console_webhook_events(body jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN body ? 'events'
        THEN ARRAY(SELECT DISTINCT e FROM jsonb_array_elements_text(body->'events') e ORDER BY 1) END
$$;

CREATE FUNCTION console_webhook_refusal(events text[]) RETURNS console_result
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN NOT events <@ webhook_event_names() OR cardinality(events) = 0
        THEN ('invalid', '/events', 'One or more of ' ||
              array_to_string(webhook_event_names(), ', ') || ' are expected.', NULL)::console_result
        END
$$;

CREATE FUNCTION console_webhook_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; events text[] := console_webhook_events(body);
    refusal console_result := console_webhook_refusal(events);
    made record; w webhooks;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF refusal.problem IS NOT NULL THEN
        RETURN refusal;
    END IF;
    made := webhook_new(me.team_id, me.name, origin, body->>'url', events,
                        decode(body->>'sealed', 'hex'));
    IF made.id IS NULL THEN
        RETURN CASE WHEN (SELECT count(*) FROM webhooks x WHERE x.team_id = me.team_id) >= 10
            THEN ('not-done', NULL, 'A team has 10 webhooks at most; remove one.', NULL)::console_result
            ELSE ('invalid', '/url', made.problem, NULL)::console_result END;
    END IF;
    SELECT * INTO w FROM webhooks x WHERE x.id = made.id;
    RETURN (NULL, NULL, NULL, webhook_json(w))::console_result;
END $$;

-- Changes one, for who; NULL: that stays. Says what is wrong, or that there is none
-- of that team: hook is NULL.
CREATE FUNCTION webhook_set(team bigint, who text, origin jsonb, its_id bigint, its_url text,
                            its_events text[], on_or_off boolean, OUT hook webhooks,
                            OUT problem text)
LANGUAGE plpgsql AS $$
DECLARE
    was webhooks;
BEGIN
    SELECT * INTO was FROM webhooks w WHERE w.id = its_id AND w.team_id = team FOR NO KEY UPDATE;
    UPDATE webhooks w SET url = coalesce(its_url, w.url), events = coalesce(its_events, w.events),
        enabled = coalesce(on_or_off, w.enabled)
    WHERE w.id = was.id RETURNING * INTO hook;
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT team, who, 'webhook_set', hook.url, origin || jsonb_build_object('id', hook.id,
           'setting', a.key, 'before', b.value, 'after', a.value)
    FROM jsonb_each(jsonb_build_object('url', was.url, 'events', was.events,
                                       'enabled', was.enabled)) b
    JOIN jsonb_each(jsonb_build_object('url', hook.url, 'events', hook.events,
                                       'enabled', hook.enabled)) a USING (key)
    WHERE b.value IS DISTINCT FROM a.value ORDER BY a.key;
EXCEPTION WHEN check_violation THEN
    hook := was;
    problem := 'the address is https://HOST[:PORT]/PATH without a name or password, at most 1000 '
               'characters long';
END $$;

CREATE FUNCTION console_webhook_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; events text[] := console_webhook_events(body);
    refusal console_result := console_webhook_refusal(events); done record;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    IF refusal.problem IS NOT NULL THEN
        RETURN refusal;
    END IF;
    done := webhook_set(me.team_id, me.name, origin, (body->>'id')::bigint, body->>'url', events,
                        (body->>'enabled')::boolean);
    RETURN CASE
        WHEN (done.hook).id IS NULL THEN ('not-found', NULL, NULL, NULL)::console_result
        WHEN done.problem IS NOT NULL THEN ('invalid', '/url', done.problem, NULL)::console_result
        ELSE (NULL, NULL, NULL, webhook_json(done.hook))::console_result END;
END $$;

CREATE FUNCTION console_webhook_remove(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE sql AS $$
    SELECT CASE WHEN webhook_remove(p.team_id, p.name, origin, (body->>'id')::bigint)
        THEN (NULL, NULL, NULL, NULL)::console_result
        ELSE ('not-found', NULL, NULL, NULL)::console_result END
    FROM people p WHERE p.id = who
$$;

CREATE FUNCTION console_webhook_test(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; w webhooks; d webhook_deliveries;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO w FROM webhooks x WHERE x.id = (body->>'id')::bigint AND x.team_id = me.team_id
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF NOT w.enabled THEN
        RETURN ('not-done', NULL, 'It is switched off; switch it on first.', NULL)::console_result;
    ELSIF webhook_is_full(w.id) THEN
        RETURN ('busy', NULL, 'As many deliveries as may be are waiting.', NULL)::console_result;
    END IF;
    INSERT INTO webhook_deliveries (webhook_id, event, body)
    VALUES (w.id, 'webhook.test', webhook_body('webhook.test', jsonb_build_object('id', w.id)))
    RETURNING * INTO d;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (w.team_id, me.name, 'webhook_test', w.url, origin || jsonb_build_object('id', w.id));
    RETURN (NULL, NULL, NULL, webhook_delivery_json(d))::console_result;
END $$;

-- One that waits is sent at once; one that ended is sent again, by the same id, so
-- that its receiver knows it.
CREATE FUNCTION console_webhook_retry(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; w webhooks; h webhook_history; d webhook_deliveries;
    wanted uuid := (body->>'delivery')::uuid;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT * INTO w FROM webhooks x WHERE x.id = (body->>'id')::bigint AND x.team_id = me.team_id
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF NOT w.enabled THEN
        RETURN ('not-done', NULL, 'It is switched off; switch it on first.', NULL)::console_result;
    END IF;
    UPDATE webhook_deliveries SET next_at = clock_timestamp()
    WHERE id = wanted AND webhook_id = w.id RETURNING * INTO d;
    IF NOT FOUND THEN
        IF webhook_is_full(w.id) THEN
            RETURN ('busy', NULL, 'As many deliveries as may be are waiting.',
                    NULL)::console_result;
        END IF;
        DELETE FROM webhook_history WHERE id = wanted AND webhook_id = w.id
        RETURNING * INTO h;
        IF NOT FOUND THEN
            RETURN ('not-found', NULL, NULL, NULL)::console_result;
        END IF;
        INSERT INTO webhook_deliveries (id, webhook_id, event, body)
        VALUES (h.id, w.id, h.event, h.body) RETURNING * INTO d;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (w.team_id, me.name, 'webhook_retry', w.url,
            origin || jsonb_build_object('id', w.id, 'delivery', d.id));
    RETURN (NULL, NULL, NULL, webhook_delivery_json(d))::console_result;
END $$;

-- The same for the command line; it refuses as the API does.
CREATE OR REPLACE FUNCTION webhook_test(team bigint, its_id bigint) RETURNS boolean LANGUAGE sql AS $$
    WITH d AS (INSERT INTO webhook_deliveries (webhook_id, event, body)
               SELECT id, 'webhook.test', webhook_body('webhook.test', jsonb_build_object('id', id))
               FROM webhooks WHERE id = its_id AND team_id = team AND enabled
                   AND NOT webhook_is_full(id) RETURNING 1)
    SELECT EXISTS (SELECT FROM d)
$$;
