-- Any viewer, any endpoint: agents, attended codes, endpoints that dial in,
-- one-time tickets, consent, recording by hand.

-- C1, C5: recording = true records everything; otherwise manual_recording
-- lets people with the right start and stop by hand. C2: consent.
ALTER TABLE access_settings
    ADD manual_recording boolean NOT NULL DEFAULT false,
    ADD consent          text NOT NULL DEFAULT 'off' CHECK (consent IN ('off', 'ask')),
    ADD consent_seconds  integer NOT NULL DEFAULT 30 CHECK (consent_seconds BETWEEN 5 AND 300),
    ADD vnc_auth         boolean NOT NULL DEFAULT false, -- viewers without VeNCrypt, by one-time password
    ADD quality          text NOT NULL DEFAULT 'text' CHECK (quality IN ('text', 'small', 'lossless')),
    ADD warn_seconds     integer NOT NULL DEFAULT 300 CHECK (warn_seconds BETWEEN 0 AND 86400); -- T9
UPDATE access_settings SET consent = 'ask' WHERE access = 'attended';

CREATE OR REPLACE FUNCTION team_defaults() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO access_settings (team_id, access, consent)
    VALUES (NEW.id, 'attended', 'ask'), (NEW.id, 'unattended', 'off');
    RETURN NULL;
END $$;

-- direct: the relay dials host:port. agent: relaycam-agent dials in.
-- reverse: an unmodified VNC server dials in (port 5500). attended: made
-- for one occasion by a session code, gone when the code closes.
ALTER TABLE endpoints
    DROP CONSTRAINT endpoints_kind_check,
    ADD CONSTRAINT endpoints_kind_check CHECK (kind IN ('direct', 'agent', 'reverse', 'attended')),
    ADD consent text CHECK (consent IN ('off', 'ask')), -- NULL: as the team's setting
    ADD agent_cert_sha256   bytea CHECK (octet_length(agent_cert_sha256) = 32),
    ADD agent_version       text,
    ADD agent_host          text,
    ADD agent_displays      text[],          -- names, the first is the default
    ADD agent_node          uuid REFERENCES nodes, -- holds its control channel; NULL: not connected
    ADD agent_channel       uuid,            -- which connection of its that is
    ADD agent_seen_at       timestamptz,
    ADD reverse_secret_sha256 bytea CHECK (octet_length(reverse_secret_sha256) = 32), -- of the secret in "ID:NAME-SECRET", upper case
    ADD reverse_cert_sha256   bytea CHECK (octet_length(reverse_cert_sha256) = 32),
    ADD parked_node         uuid REFERENCES nodes, -- where its connection waits; NULL: none
    ADD parked_at           timestamptz;
CREATE UNIQUE INDEX endpoints_agent_cert ON endpoints (agent_cert_sha256) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX endpoints_reverse_secret ON endpoints (reverse_secret_sha256) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX endpoints_reverse_cert ON endpoints (reverse_cert_sha256) WHERE deleted_at IS NULL;

-- Who removes an endpoint removes what lets it in, and what lets people in.
CREATE FUNCTION endpoint_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.secret_sealed := NULL;
    NEW.agent_cert_sha256 := NULL;
    NEW.agent_node := NULL;
    NEW.agent_channel := NULL;
    NEW.reverse_secret_sha256 := NULL;
    NEW.reverse_cert_sha256 := NULL;
    NEW.parked_node := NULL;
    DELETE FROM endpoint_rights WHERE endpoint_id = NEW.id;
    DELETE FROM enrol_tokens WHERE endpoint_id = NEW.id AND used_at IS NULL;
    DELETE FROM tickets WHERE endpoint_id = NEW.id AND used_at IS NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER endpoint_removed BEFORE UPDATE OF deleted_at ON endpoints
    FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION endpoint_removed();

-- Relays hang up on an endpoint whose way in changed: its id as payload.
CREATE FUNCTION notify_endpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('relaycam_endpoint', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER endpoint_changed AFTER UPDATE ON endpoints FOR EACH ROW
    WHEN (OLD.kind <> NEW.kind
        OR OLD.agent_cert_sha256 IS DISTINCT FROM NEW.agent_cert_sha256
        OR OLD.reverse_secret_sha256 IS DISTINCT FROM NEW.reverse_secret_sha256
        OR OLD.reverse_cert_sha256 IS DISTINCT FROM NEW.reverse_cert_sha256)
    EXECUTE FUNCTION notify_endpoint();

-- What "relaycam-agent enroll" shows once. The token itself is not stored.
CREATE TABLE enrol_tokens (
    hash        bytea PRIMARY KEY CHECK (octet_length(hash) = 32), -- SHA-256 of the token
    endpoint_id bigint NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    created_by  text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);

-- One-time logins: kind 'ticket' is a password for VeNCrypt and the browser,
-- 'vnc_auth' an 8-character password on a port of its own.
CREATE TABLE tickets (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text NOT NULL DEFAULT 'ticket' CHECK (kind IN ('ticket', 'vnc_auth')),
    hash          bytea UNIQUE CHECK (octet_length(hash) = 32), -- SHA-256 of the ticket
    secret_sealed bytea,                -- vnc_auth: the password, for the relay only
    port          integer CHECK (port BETWEEN 1 AND 65535), -- vnc_auth
    person_id     bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    endpoint_id   bigint NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    target        text NOT NULL DEFAULT '' -- "/display", "+2": what follows the endpoint's name
                  CHECK (target ~ '^(/[a-z0-9._-]{1,63})?([+][0-9]{1,2})?$'),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz,
    used_by       text NOT NULL DEFAULT '', -- the viewer's address
    CHECK ((kind = 'ticket') = (hash IS NOT NULL)),
    CHECK ((kind = 'vnc_auth') = (secret_sealed IS NOT NULL AND port IS NOT NULL))
);
CREATE UNIQUE INDEX tickets_port ON tickets (port) WHERE kind = 'vnc_auth' AND used_at IS NULL;
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- What was used stays used, whoever writes.
CREATE FUNCTION is_used_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was used once cannot be changed (%)', TG_TABLE_NAME;
END $$;
CREATE TRIGGER tickets_used_once BEFORE UPDATE ON tickets
    FOR EACH ROW WHEN (OLD.used_at IS NOT NULL)
    EXECUTE FUNCTION is_used_once();
CREATE TRIGGER enrol_tokens_used_once BEFORE UPDATE ON enrol_tokens
    FOR EACH ROW WHEN (OLD.used_at IS NOT NULL)
    EXECUTE FUNCTION is_used_once();

-- Attended access: nine digits that are valid until closed, at most 24 h.
CREATE TABLE attended_codes (
    code        text PRIMARY KEY CHECK (code ~ '^[0-9]{9}$'),
    node_id     uuid NOT NULL REFERENCES nodes,
    host        text NOT NULL DEFAULT '',
    version     text NOT NULL DEFAULT '',
    secret_sealed bytea,                -- of its VNC server, for the relay only
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    CHECK (expires_at <= created_at + interval '24 hours')
);

ALTER TABLE sessions
    ADD path       text NOT NULL DEFAULT 'direct'
        CHECK (path IN ('direct', 'agent', 'reverse', 'attended')),
    ADD door       text NOT NULL DEFAULT 'vnc' CHECK (door IN ('vnc', 'vnc_auth', 'browser')),
    ADD view_only  boolean NOT NULL DEFAULT false, -- C3, as it is now
    ADD consent    text CHECK (consent IN ('full', 'view')), -- C2: what the end user allowed; NULL: not asked
    ADD monitor    integer NOT NULL DEFAULT 0,     -- 0: all
    ADD frame_rate integer,                        -- chosen by the technician; NULL: as it comes
    ADD recording  boolean NOT NULL DEFAULT false; -- now

-- Rights, with the attended code as a right of its own: who knows it was
-- told it by the end user.
CREATE OR REPLACE FUNCTION endpoint_rights_of(p bigint, e bigint)
RETURNS TABLE (control boolean, record boolean, manage boolean, playback boolean)
LANGUAGE sql STABLE AS $$
    SELECT pe.role <> 'member' OR coalesce(r.control, false) OR en.kind = 'attended',
           pe.role <> 'member' OR coalesce(r.record, false),
           pe.role <> 'member' OR coalesce(r.manage, false),
           (pe.role <> 'member' OR coalesce(r.control, false) OR en.kind = 'attended') AND
           CASE a.playback_role
               WHEN 'owner' THEN pe.role = 'owner'
               WHEN 'admin' THEN pe.role IN ('owner', 'admin')
               ELSE true END
    FROM people pe
    JOIN endpoints en ON en.id = e AND en.team_id = pe.team_id
    JOIN access_settings a ON a.team_id = en.team_id AND a.access = en.access
    LEFT JOIN endpoint_rights r ON r.person_id = pe.id AND r.endpoint_id = en.id
    WHERE pe.id = p AND NOT pe.disabled
$$;

-- May person p have a ticket for endpoint e? NULL, or why not.
CREATE FUNCTION ticket_refusal(p bigint, e bigint) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT 1 FROM endpoints
                         WHERE id = e AND deleted_at IS NULL)
            THEN 'there is no such endpoint'
        WHEN NOT EXISTS (SELECT 1 FROM endpoint_rights_of(p, e) r
                         WHERE r.control)
            THEN (SELECT name FROM people WHERE id = p) ||
                 ' may not connect to ' ||
                 (SELECT name FROM endpoints WHERE id = e)
        END
$$;

-- The two places where one-time logins are made; both answer NULL, or why
-- not. seconds: how long it is valid, an hour at most.
CREATE FUNCTION ticket_new(p bigint, e bigint, what text, seconds integer,
                           ticket_hash bytea)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    refusal text := ticket_refusal(p, e);
BEGIN
    IF refusal IS NULL AND seconds NOT BETWEEN 1 AND 3600 THEN
        refusal := 'a ticket is valid for 1 to 3600 seconds';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;
    DELETE FROM tickets WHERE expires_at < now() - interval '1 day';
    INSERT INTO tickets (kind, hash, person_id, endpoint_id, target, expires_at)
    VALUES ('ticket', ticket_hash, p, e, what,
            now() + seconds * interval '1 second');
    RETURN NULL;
END $$;

-- The same for viewers without VeNCrypt: it takes the first free one of
-- ports, the relay's session_ports.
CREATE FUNCTION ticket_new_vnc(p bigint, e bigint, what text, seconds integer,
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
        refusal := 'all session ports wait for their viewers; try again in '
                   'a minute';
        RETURN;
    END IF;
    INSERT INTO tickets (kind, secret_sealed, port, person_id, endpoint_id,
                         target, expires_at)
    VALUES ('vnc_auth', sealed, taken, p, e, what,
            now() + seconds * interval '1 second');
END $$;

-- What a command's value has to be: NULL when it is, or what would be right.
CREATE FUNCTION session_value_refusal(what text, value text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE what
        WHEN 'monitor' THEN CASE WHEN value !~ '^([0-9]|[1-5][0-9]|6[0-4])$'
            THEN 'a monitor is a number: 1 is the first, 0 all of them' END
        WHEN 'frame_rate' THEN CASE WHEN value !~ '^([0-9]|[1-5][0-9]|60)$'
            THEN 'a frame rate is 1 to 60 pictures a second, or 0: as they come' END
        WHEN 'recording' THEN CASE WHEN value NOT IN ('start', 'stop')
            THEN 'a recording can be told to start or to stop' END
        WHEN 'view_only' THEN CASE WHEN value NOT IN ('on', 'off')
            THEN 'view only is on or off' END
        WHEN 'warn' THEN CASE WHEN value = '' OR length(value) > 500 OR value ~ '[[:cntrl:]]'
            THEN 'a warning is one line of 1 to 500 characters' END
        WHEN 'end' THEN CASE WHEN length(value) > 500 OR value ~ '[[:cntrl:]]'
            THEN 'a reason is one line of at most 500 characters' END
        ELSE 'there is no such command'
    END
$$;

-- A command to a running session: the one place that decides who may give
-- it. who: NULL for an administrator on this machine, whom the audit log
-- knows by the settings relaycam.actor and relaycam.system_account. Answers
-- NULL, or why not. The relay that carries the session listens on relaycam_session.
--   end         why, may be ''
--   monitor     0 all, 1 the first, ...
--   frame_rate  pictures a second; 0: as they come
--   recording   start | stop
--   view_only   on | off
--   warn        text for the technician
CREATE FUNCTION session_command(who bigint, s uuid, what text, value text)
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
                    jsonb_build_object('command', what, 'value', value));
            RETURN 'you may not do that';
        END IF;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (se.team_id, coalesce(actor, n), 'session_command', s::text,
            jsonb_strip_nulls(jsonb_build_object(
                'command', what, 'value', value, 'system_account',
                current_setting('relaycam.system_account', true))));
    PERFORM pg_notify('relaycam_session', json_build_object(
        'session', s, 'command', what, 'value', value, 'by', n)::text);
    RETURN NULL;
END $$;
