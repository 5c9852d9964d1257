-- Any viewer, any endpoint: agents, attended codes, endpoints that dial in,
-- one-time tickets, consent, recording by hand.

-- C1, C5: recording = true records everything; otherwise manual_recording
-- lets people with the right start and stop by hand. C2: consent.
ALTER TABLE access_settings
    ADD manual_recording boolean NOT NULL DEFAULT false,
    ADD consent          text NOT NULL DEFAULT 'off' CHECK (consent IN ('off', 'ask')),
    ADD consent_seconds  integer NOT NULL DEFAULT 30 CHECK (consent_seconds BETWEEN 5 AND 300),
    ADD vnc_auth         boolean NOT NULL DEFAULT false, -- viewers without VeNCrypt, by one-time password
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
    ADD agent_seen_at       timestamptz,
    ADD reverse_secret_sha256 bytea CHECK (octet_length(reverse_secret_sha256) = 32), -- of "ID:name-secret"
    ADD reverse_cert_sha256   bytea CHECK (octet_length(reverse_cert_sha256) = 32),
    ADD parked_node         uuid REFERENCES nodes, -- where its connection waits; NULL: none
    ADD parked_at           timestamptz;
CREATE UNIQUE INDEX endpoints_agent_cert ON endpoints (agent_cert_sha256) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX endpoints_reverse_cert ON endpoints (reverse_cert_sha256) WHERE deleted_at IS NULL;

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
    target        text NOT NULL DEFAULT '', -- "", "/display", "+2": what follows the endpoint's name
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz,
    used_by       text NOT NULL DEFAULT '', -- the viewer's address
    CHECK ((kind = 'ticket') = (hash IS NOT NULL)),
    CHECK ((kind = 'vnc_auth') = (secret_sealed IS NOT NULL AND port IS NOT NULL))
);
CREATE UNIQUE INDEX tickets_port ON tickets (port) WHERE kind = 'vnc_auth' AND used_at IS NULL;

-- Attended access: nine digits that are valid until closed, at most 24 h.
CREATE TABLE attended_codes (
    code        text PRIMARY KEY CHECK (code ~ '^[0-9]{9}$'),
    node_id     uuid NOT NULL REFERENCES nodes,
    host        text NOT NULL DEFAULT '',
    version     text NOT NULL DEFAULT '',
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

-- A command to a running session: the one place that decides who may give
-- it. who: NULL for an administrator on this machine (ctl). Answers NULL, or
-- why not. The relay that carries the session listens on relaycam_session.
CREATE FUNCTION session_command(who bigint, s uuid, what text, value text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    se sessions; r record; n text;
BEGIN
    SELECT * INTO se FROM sessions WHERE id = s;
    IF NOT FOUND OR se.ended_at IS NOT NULL THEN
        RETURN 'there is no such active session';
    END IF;
    IF what NOT IN ('end', 'monitor', 'frame_rate', 'recording', 'view_only', 'warn') THEN
        RETURN 'there is no such command';
    END IF;
    n := 'administrator';
    IF who IS NOT NULL THEN
        SELECT name INTO n FROM people WHERE id = who;
        SELECT * INTO r FROM endpoint_rights_of(who, se.endpoint_id);
        IF NOT FOUND OR NOT (r.manage OR who = se.person_id AND r.control)
           OR what = 'recording' AND NOT r.record
           OR what = 'warn' AND NOT r.manage THEN
            INSERT INTO audit (team_id, actor, action, object, detail)
            VALUES (se.team_id, n, 'session_command_refused', s::text,
                    jsonb_build_object('command', what, 'value', value));
            RETURN 'you may not do that';
        END IF;
    END IF;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (se.team_id, n, 'session_command', s::text,
            jsonb_build_object('command', what, 'value', value));
    PERFORM pg_notify('relaycam_session', json_build_object(
        'session', s, 'command', what, 'value', value, 'by', n)::text);
    RETURN NULL;
END $$;
