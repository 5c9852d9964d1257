-- A person who is disabled, a right that is taken back, an endpoint that is
-- removed or shut out: running sessions end, and say why.

ALTER TABLE sessions
    DROP CONSTRAINT sessions_end_code_check,
    ADD CONSTRAINT sessions_end_code_check CHECK (end_code IN ('normal',
        'endpoint', 'max_duration', 'command', 'error', 'node_lost',
        'revoked'));

-- May a session of person p at endpoint e, reached by way (sessions.path),
-- begin and continue? NULL, or why not, for the technician. The endpoint of a
-- session code goes when its code closes, which the running session survives;
-- an administrator may remove it while the code is still there.
CREATE FUNCTION session_refusal(p bigint, e bigint, way text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN pe.id IS NULL OR en.id IS NULL
            THEN 'person or endpoint are not there any more'
        WHEN pe.disabled
            THEN format('%s was disabled by an administrator', pe.name)
        WHEN en.deleted_at IS NOT NULL AND (en.kind <> 'attended' OR EXISTS (
                 SELECT 1 FROM attended_codes c WHERE c.code = en.name))
            THEN format('endpoint %s was removed', en.name)
        WHEN en.deleted_at IS NOT NULL
            THEN NULL
        WHEN en.kind <> way
            THEN format('endpoint %s is reached in another way now', en.name)
        WHEN way = 'agent' AND en.agent_cert_sha256 IS NULL
             OR way = 'reverse' AND num_nonnulls(en.reverse_cert_sha256,
                                                 en.reverse_secret_sha256) = 0
            THEN format('endpoint %s was shut out', en.name)
        WHEN NOT EXISTS (SELECT 1 FROM endpoint_rights_of(p, e) r
                         WHERE r.control)
            THEN format('the right of %s to connect to endpoint %s was taken back',
                        pe.name, en.name)
        END
    FROM (SELECT 1) one
    LEFT JOIN people pe ON pe.id = p
    LEFT JOIN endpoints en ON en.id = e
$$;

-- Relays ask session_refusal() about their sessions when they are told.
CREATE FUNCTION notify_access() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('relaycam_access', '');
    RETURN NULL;
END $$;
CREATE TRIGGER person_access AFTER UPDATE ON people FOR EACH ROW
    WHEN ((OLD.disabled, OLD.role, OLD.team_id)
        IS DISTINCT FROM (NEW.disabled, NEW.role, NEW.team_id))
    EXECUTE FUNCTION notify_access();
CREATE TRIGGER right_access AFTER INSERT OR UPDATE OR DELETE ON endpoint_rights
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access();
CREATE TRIGGER endpoint_access AFTER UPDATE ON endpoints FOR EACH ROW
    WHEN ((OLD.kind, OLD.team_id, OLD.deleted_at, OLD.agent_cert_sha256,
           OLD.reverse_cert_sha256, OLD.reverse_secret_sha256)
        IS DISTINCT FROM (NEW.kind, NEW.team_id, NEW.deleted_at,
           NEW.agent_cert_sha256, NEW.reverse_cert_sha256,
           NEW.reverse_secret_sha256))
    EXECUTE FUNCTION notify_access();
