-- Relaycam schema, version 1. Times are UTC (T7). Forward only: never edit
-- a migration that was released, add the next number.

CREATE TABLE teams (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    title       text NOT NULL DEFAULT '',
    time_zone   text NOT NULL DEFAULT 'UTC',                          -- T7
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- One row a team and kind of access: T2, T3.
CREATE TABLE access_settings (
    team_id        bigint NOT NULL REFERENCES teams ON DELETE CASCADE,
    access         text   NOT NULL CHECK (access IN ('attended', 'unattended')),
    recording      boolean NOT NULL DEFAULT false,                    -- T2: off
    playback_role  text   NOT NULL DEFAULT 'owner'
                   CHECK (playback_role IN ('owner', 'admin', 'member')), -- T3
    on_record_failure text NOT NULL DEFAULT 'end'
                   CHECK (on_record_failure IN ('end', 'continue')),  -- C6
    frame_rate     integer NOT NULL DEFAULT 10 CHECK (frame_rate BETWEEN 1 AND 60),
    max_session_s  integer NOT NULL DEFAULT 86400 CHECK (max_session_s BETWEEN 1 AND 86400), -- T9
    segment_bytes  bigint NOT NULL DEFAULT 536870912
                   CHECK (segment_bytes BETWEEN 1048576 AND 536870912),   -- T10
    retention_days integer NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 1 AND 36500),   -- T12
    PRIMARY KEY (team_id, access)
);

CREATE TABLE people (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id        bigint NOT NULL REFERENCES teams ON DELETE RESTRICT,
    name           text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    title          text NOT NULL DEFAULT '',
    role           text NOT NULL DEFAULT 'member'
                   CHECK (role IN ('owner', 'admin', 'member')),
    password_hash  text,                       -- Argon2id string; NULL: no login
    disabled       boolean NOT NULL DEFAULT false,
    failed_logins  integer NOT NULL DEFAULT 0, -- in a row; slows down the next try
    last_failed_at timestamptz,
    last_login_at  timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX people_team ON people (team_id);

CREATE TABLE endpoints (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id        bigint NOT NULL REFERENCES teams ON DELETE RESTRICT,
    name           text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    title          text NOT NULL DEFAULT '',
    access         text NOT NULL DEFAULT 'unattended'
                   CHECK (access IN ('attended', 'unattended')),
    kind           text NOT NULL DEFAULT 'direct' CHECK (kind IN ('direct')),
    host           text,
    port           integer CHECK (port BETWEEN 1 AND 65535),
    username       text,            -- for VeNCrypt Plain; NULL: none
    secret_sealed  bytea,           -- password, secretbox; only the relay opens it
    tls_ca_pem     text,            -- certificate(s) the endpoint must chain to
    tls_pin_sha256 bytea CHECK (octet_length(tls_pin_sha256) = 32), -- of its certificate
    allow_clear    boolean NOT NULL DEFAULT false, -- VNCAuth or None without TLS
    created_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz,
    CHECK (kind <> 'direct' OR (host IS NOT NULL AND port IS NOT NULL))
);
CREATE UNIQUE INDEX endpoints_name ON endpoints (team_id, name) WHERE deleted_at IS NULL;

-- What a member may do with one endpoint. Owners and admins of the team have
-- all rights without a row.
CREATE TABLE endpoint_rights (
    person_id   bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    endpoint_id bigint NOT NULL REFERENCES endpoints ON DELETE CASCADE,
    control     boolean NOT NULL DEFAULT false,  -- may connect
    record      boolean NOT NULL DEFAULT false,  -- may start and stop (C1)
    manage      boolean NOT NULL DEFAULT false,  -- may manage access (M7)
    PRIMARY KEY (person_id, endpoint_id)
);

-- The one place where rights on an endpoint are decided (M7, C1, T3).
CREATE FUNCTION endpoint_rights_of(p bigint, e bigint)
RETURNS TABLE (control boolean, record boolean, manage boolean, playback boolean)
LANGUAGE sql STABLE AS $$
    SELECT pe.role <> 'member' OR coalesce(r.control, false),
           pe.role <> 'member' OR coalesce(r.record, false),
           pe.role <> 'member' OR coalesce(r.manage, false),
           (pe.role <> 'member' OR coalesce(r.control, false)) AND
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

CREATE TABLE nodes (
    id           uuid PRIMARY KEY,
    program      text NOT NULL CHECK (program IN ('relay', 'storage', 'console')),
    host         text NOT NULL,
    version      text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    stopped_at   timestamptz
);

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    team_id      bigint NOT NULL REFERENCES teams ON DELETE RESTRICT,
    endpoint_id  bigint NOT NULL REFERENCES endpoints ON DELETE RESTRICT,
    person_id    bigint NOT NULL REFERENCES people ON DELETE RESTRICT,
    node_id      uuid REFERENCES nodes,
    access       text NOT NULL CHECK (access IN ('attended', 'unattended')),
    recorded     boolean NOT NULL,              -- by policy at its start (T2)
    client_addr  text NOT NULL,
    viewer       text NOT NULL DEFAULT '',
    desktop_name text NOT NULL DEFAULT '',
    started_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,                          -- a sentence for people
    end_code     text CHECK (end_code IN ('normal', 'endpoint', 'max_duration',
                                          'command', 'error', 'node_lost')),
    CHECK ((ended_at IS NULL) = (end_code IS NULL))
);
CREATE INDEX sessions_active ON sessions (started_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_team ON sessions (team_id, started_at DESC, id);
CREATE INDEX sessions_endpoint ON sessions (endpoint_id, started_at DESC);

CREATE TABLE segments (
    id            uuid PRIMARY KEY,
    session_id    uuid NOT NULL REFERENCES sessions ON DELETE RESTRICT,
    seq           integer NOT NULL CHECK (seq >= 1),      -- in the session, from 1
    status        text NOT NULL CHECK (status IN ('recording', 'transfer',
                  'downloaded', 'encoding', 'available', 'missing',
                  'encoding_failed', 'corrupted', 'expired', 'deleted')), -- M1
    progress      integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    status_detail text NOT NULL DEFAULT '',
    split_reason  text NOT NULL CHECK (split_reason IN ('start', 'size',
                  'monitor', 'frame_rate', 'orientation', 'resolution',
                  'manual', 'recorder_restart')),         -- T10
    monitor       integer NOT NULL DEFAULT 1,
    monitor_name  text NOT NULL DEFAULT '',
    frame_rate    integer NOT NULL,
    width         integer NOT NULL CHECK (width BETWEEN 1 AND 16384),
    height        integer NOT NULL CHECK (height BETWEEN 1 AND 16384),
    codec         text NOT NULL,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    start_mono_ns bigint NOT NULL,
    end_mono_ns   bigint,
    first_frame   bigint,                                  -- X2
    last_frame    bigint,
    frames        bigint,
    duration_ms   bigint,
    bytes         bigint,
    sha256        bytea CHECK (octet_length(sha256) = 32),
    recovered     boolean NOT NULL DEFAULT false, -- finalised after a crash
    store         text CHECK (store IN ('folder', 's3')),
    object_key    text UNIQUE,
    stored_at     timestamptz,
    expires_at    timestamptz,                             -- T12
    locked        boolean NOT NULL DEFAULT false,          -- M6
    notes         text NOT NULL DEFAULT '',
    UNIQUE (session_id, seq)
);
CREATE INDEX segments_status ON segments (status) WHERE status IN ('recording', 'transfer', 'downloaded', 'encoding');
CREATE INDEX segments_expiry ON segments (expires_at) WHERE status = 'available' AND NOT locked;
CREATE INDEX segments_gone ON segments (status, expires_at)
    WHERE status IN ('missing', 'corrupted', 'deleted') AND store IS NOT NULL;

-- Uploads under way, so that a restart resumes at the part (M2).
CREATE TABLE uploads (
    segment_id  uuid PRIMARY KEY REFERENCES segments ON DELETE CASCADE,
    store       text NOT NULL,
    object_key  text NOT NULL,
    upload_id   text NOT NULL,
    part_bytes  bigint NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    last_error  text NOT NULL DEFAULT ''
);
CREATE TABLE upload_parts (
    segment_id uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    part       integer NOT NULL CHECK (part BETWEEN 1 AND 10000),
    bytes      bigint NOT NULL,
    etag       text NOT NULL,
    sha256     bytea NOT NULL,
    PRIMARY KEY (segment_id, part)
);

-- Who did what (X7). Rows are added, never changed.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    team_id    bigint,
    actor      text NOT NULL,      -- person's login, or program@host
    action     text NOT NULL,      -- login_failed, session_start, link, lock, ...
    object     text NOT NULL DEFAULT '',
    detail     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_team ON audit (team_id, at DESC);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows cannot be changed';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- Failed logins by address, so that guessing is slowed down across names.
CREATE TABLE login_failures (
    client_addr text PRIMARY KEY,
    failed      integer NOT NULL DEFAULT 0,
    last_at     timestamptz NOT NULL DEFAULT now()
);

-- New teams get both settings rows, recording off.
CREATE FUNCTION team_defaults() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO access_settings (team_id, access)
    VALUES (NEW.id, 'attended'), (NEW.id, 'unattended');
    RETURN NULL;
END $$;
CREATE TRIGGER team_defaults AFTER INSERT ON teams
    FOR EACH ROW EXECUTE FUNCTION team_defaults();

-- Programs LISTEN on these: session ids and segment ids as payload.
CREATE FUNCTION notify_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('relaycam_segment', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER segment_changed AFTER INSERT OR UPDATE OF status ON segments
    FOR EACH ROW EXECUTE FUNCTION notify_segment();
