-- What each program's role may do (X7): "relaycam migrate" runs this after
-- the migrations, each time, so it is the whole truth: what is not listed is
-- revoked. A table without a line is out of reach of every program, and a
-- test fails for it. Roles that do not exist are skipped.
--
-- On audit, programs have INSERT of what an entry says and nothing else: not
-- its number, not its time, not who wrote it (db_role).

DO $grants$
DECLARE
    space text := current_schema();
    programs text[] := ARRAY(SELECT rolname FROM pg_roles WHERE rolname IN (
        'relaycam_relay', 'relaycam_storage', 'relaycam_console', 'relaycam_admin'));
    r text;
    g record;
BEGIN
    FOREACH r IN ARRAY programs || 'public'::text LOOP
        FOR g IN SELECT c.oid::regclass AS name,
                        CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
                 FROM pg_class c
                 WHERE c.relnamespace = space::regnamespace
                   AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
                   AND pg_has_role(c.relowner, 'USAGE')
        LOOP
            EXECUTE format('REVOKE ALL ON %s %s FROM %s', g.kind, g.name, r);
        END LOOP;
    END LOOP;

    FOR g IN SELECT * FROM (VALUES
        ('schema_migrations', 'relay',   'SELECT'),
        ('schema_migrations', 'storage', 'SELECT'),
        ('schema_migrations', 'console', 'SELECT'),
        ('schema_migrations', 'admin',   'SELECT'),

        ('teams',             'relay',   'SELECT'),
        ('teams',             'console', 'SELECT, INSERT, UPDATE'),
        ('teams',             'admin',   'SELECT, INSERT, UPDATE'),

        ('access_settings',   'relay',   'SELECT'),
        ('access_settings',   'console', 'SELECT, UPDATE'),
        ('access_settings',   'admin',   'SELECT, UPDATE'),
        ('access_settings',   'storage', 'SELECT (team_id, access, retention_days)'),

        -- T12: written by the trigger of access_settings and retention_apply() alone
        ('retention_changes', 'storage', 'SELECT'),
        ('retention_changes', 'console', 'SELECT'),
        ('retention_changes', 'admin',   'SELECT'),

        ('people',            'relay',   'SELECT, UPDATE (failed_logins, last_failed_at, last_login_at)'),
        ('people',            'console', 'SELECT, INSERT, UPDATE'),
        ('people',            'admin',   'SELECT, INSERT, UPDATE'),

        -- the relay makes endpoints of session codes, notes where agents and
        -- parked servers are, enrols them, and pins certificates on first use
        ('endpoints',         'relay',   'SELECT, INSERT, UPDATE (agent_version, agent_host, '
                                         'agent_displays, agent_node, agent_channel, agent_seen_at, '
                                         'agent_cert_sha256, tls_pin_sha256, parked_node, parked_at, '
                                         'deleted_at)'),
        -- C7: whose captures they are
        ('endpoints',         'storage', 'SELECT (id, agent_cert_sha256, deleted_at)'),
        ('endpoints',         'console', 'SELECT, INSERT, UPDATE'),
        ('endpoints',         'admin',   'SELECT, INSERT, UPDATE'),

        ('endpoint_tests',    'relay',   'SELECT, UPDATE (node_id, ended_at, ok, detail)'),
        ('endpoint_tests',    'console', 'SELECT, INSERT, UPDATE'),
        ('endpoint_tests',    'admin',   'SELECT'),

        ('endpoint_rights',   'relay',   'SELECT'),
        ('endpoint_rights',   'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('endpoint_rights',   'admin',   'SELECT, INSERT, UPDATE, DELETE'),

        ('enrol_tokens',      'relay',   'SELECT, UPDATE (used_at)'),
        ('enrol_tokens',      'console', 'SELECT, INSERT, DELETE'),
        ('enrol_tokens',      'admin',   'SELECT, INSERT, DELETE'),

        ('tickets',           'relay',   'SELECT, UPDATE (used_at, used_by)'),
        ('tickets',           'console', 'SELECT, INSERT, DELETE'),
        ('tickets',           'admin',   'SELECT, INSERT, DELETE'),

        ('attended_codes',    'relay',   'SELECT, INSERT, DELETE'),
        ('attended_codes',    'console', 'SELECT'),
        ('attended_codes',    'admin',   'SELECT'),

        ('login_failures',    'relay',   'SELECT, INSERT, UPDATE, DELETE'),
        ('login_failures',    'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('login_failures',    'admin',   'SELECT, DELETE'),

        ('known_logins',      'relay',   'SELECT, INSERT, UPDATE, DELETE'),
        ('known_logins',      'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('known_logins',      'admin',   'SELECT, DELETE'),

        ('logins',            'console', 'SELECT, INSERT, UPDATE (is_limited, is_one_factor, confirmed_at), DELETE'),
        ('logins',            'admin',   'SELECT (person_id, created_at, expires_at, is_limited, is_one_factor, confirmed_at)'),
        ('totp',              'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('totp',              'admin',   'SELECT, DELETE'),
        ('recovery_codes',    'console', 'SELECT, INSERT, UPDATE (used_at), DELETE'),
        ('recovery_codes',    'admin',   'SELECT'),
        ('passkeys',          'console', 'SELECT, INSERT, UPDATE (name, sign_count, last_used_at), DELETE'),
        ('passkeys',          'admin',   'SELECT, DELETE'),
        ('passkey_challenges', 'console', 'SELECT, INSERT, DELETE'),
        ('first_run_links',   'console', 'SELECT, UPDATE (used_at)'),
        ('first_run_links',   'admin',   'SELECT, INSERT, DELETE'),
        ('api_tokens',        'console', 'SELECT, INSERT, UPDATE (last_used_at), DELETE'),
        ('api_tokens',        'admin',   'SELECT (id, person_id, created_at, expires_at)'),

        ('single_sign_on',    'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('single_sign_on',    'admin',   'SELECT, INSERT, UPDATE, DELETE'),
        ('identities',        'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('identities',        'admin',   'SELECT, INSERT, UPDATE, DELETE'),
        ('single_sign_on_documents', 'console', 'SELECT, INSERT, UPDATE'),
        ('single_sign_on_states',    'console', 'SELECT, INSERT, DELETE'),

        -- event_add() writes it for all
        ('events',            'console', 'SELECT'),
        ('events',            'admin',   'SELECT'),
        ('credentials',       'console', 'SELECT'),
        ('idempotency_keys',  'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('idempotency_keys',  'admin',   'SELECT'),
        ('idempotency_keys',  'admin',   'SELECT'),

        -- deliveries are made by the triggers of sessions and segments
        ('webhooks',          'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('webhooks',          'admin',   'SELECT, INSERT, UPDATE, DELETE'),
        ('webhook_deliveries', 'console', 'SELECT, INSERT, UPDATE, DELETE'),
        ('webhook_deliveries', 'admin',  'SELECT, INSERT, DELETE'),
        ('webhook_history',   'console', 'SELECT, INSERT, DELETE'),
        ('webhook_history',   'admin',   'SELECT'),
        ('webhook_overflow',  'console', 'SELECT, UPDATE, DELETE'),
        ('webhook_overflow',  'admin',   'SELECT'),

        ('nodes',             'relay',   'SELECT, INSERT, UPDATE'),
        ('nodes',             'storage', 'SELECT, INSERT, UPDATE'),
        ('nodes',             'console', 'SELECT, INSERT, UPDATE'),
        ('nodes',             'admin',   'SELECT'),

        -- storage makes the row of a session whose relay never could, and
        -- ends that one
        ('sessions',          'relay',   'SELECT, INSERT, UPDATE'),
        ('sessions',          'storage', 'SELECT, INSERT, UPDATE (ended_at, end_code, end_reason, '
                                         'ended_mono_ns)'),
        ('sessions',          'console', 'SELECT'),
        ('sessions',          'admin',   'SELECT'),

        ('session_orders',    'relay',   'SELECT, DELETE'),
        ('session_orders',    'console', 'SELECT, INSERT (session_id, command, value, given_by, is_own)'),
        ('session_orders',    'admin',   'SELECT, INSERT (session_id, command, value, given_by, is_own)'),

        ('segments',          'relay',   'SELECT'),
        ('segments',          'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('segments',          'console', 'SELECT, UPDATE (status, status_detail, locked, notes, '
                                         'reviewed_by, reviewed_at, review_remark)'),
        ('segments',          'admin',   'SELECT, UPDATE (status, status_detail, locked, notes, '
                                         'encode_failures, reviewed_by, reviewed_at, review_remark)'),

        ('segment_moves',     'relay',   'SELECT'),
        ('segment_moves',     'storage', 'SELECT'),
        ('segment_moves',     'console', 'SELECT'),
        ('segment_moves',     'admin',   'SELECT'),

        ('recording_notes',   'console', 'SELECT, INSERT'),
        ('recording_notes',   'admin',   'SELECT'),
        ('clips',             'storage', 'SELECT'),
        ('clips',             'console', 'SELECT, INSERT (segment_id, from_ms, to_ms, reason, author)'),
        ('clips',             'admin',   'SELECT, INSERT (segment_id, from_ms, to_ms, reason, author)'),

        -- M6: archive_open() reads them for storage
        ('archives',          'storage', 'SELECT'),
        ('archives',          'console', 'SELECT, INSERT (team_id, author), DELETE'),
        ('archives',          'admin',   'SELECT, INSERT (team_id, author), DELETE'),
        ('archive_files',     'storage', 'SELECT'),
        ('archive_files',     'console', 'SELECT, INSERT'),
        ('archive_files',     'admin',   'SELECT, INSERT'),
        ('downloads',         'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('downloads',         'console', 'SELECT'),
        ('downloads',         'admin',   'SELECT'),

        -- M5: follows from segments, by segments_changed alone
        ('disk_use',          'relay',   'SELECT'),
        ('disk_use',          'console', 'SELECT'),
        ('disk_use',          'admin',   'SELECT'),

        -- X2: follows from segments and sessions, by gaps_update alone
        ('gaps',              'console', 'SELECT'),
        ('gaps',              'admin',   'SELECT'),
        ('timeline',          'console', 'SELECT'),
        ('timeline',          'admin',   'SELECT'),

        -- M8: what "relaycam storage init" found
        ('folder_store',      'storage', 'SELECT, INSERT'),
        ('folder_store',      'admin',   'SELECT, INSERT, UPDATE (id)'),
        ('store_abilities',   'storage', 'SELECT'),
        ('store_abilities',   'admin',   'SELECT, INSERT, UPDATE'),

        ('uploads',           'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('uploads',           'console', 'SELECT'),
        ('uploads',           'admin',   'SELECT'),
        ('upload_parts',      'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('upload_parts',      'console', 'SELECT'),
        ('upload_parts',      'admin',   'SELECT'),

        -- C7: the relay orders, storage says what came
        ('device_captures',   'relay',   'SELECT, INSERT (id, session_id, endpoint_id, meta, is_copy), '
                                         'UPDATE (failed_why)'),
        ('device_captures',   'storage', 'SELECT, UPDATE (received_at, bytes, sha256)'),
        ('device_captures',   'console', 'SELECT'),
        ('device_captures',   'admin',   'SELECT'),
        ('capture_key',       'relay',   'SELECT'),
        ('capture_key',       'storage', 'SELECT, INSERT'),
        ('capture_key',       'admin',   'SELECT, DELETE'),

        ('storage_checks',    'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('storage_checks',    'console', 'SELECT'),
        ('storage_checks',    'admin',   'SELECT, INSERT (store, asked_by, is_full)'),
        ('unknown_files',     'storage', 'SELECT, INSERT, UPDATE, DELETE'),
        ('unknown_files',     'console', 'SELECT'),
        ('unknown_files',     'admin',   'SELECT'),
        ('storage_findings',  'storage', 'SELECT'),
        ('storage_findings',  'console', 'SELECT'),
        ('storage_findings',  'admin',   'SELECT'),

        ('evidence_keys',     'storage', 'SELECT, INSERT'),
        ('evidence_keys',     'console', 'SELECT'),
        ('evidence_keys',     'admin',   'SELECT'),
        ('evidence',          'storage', 'SELECT, INSERT, UPDATE'),
        ('evidence',          'console', 'SELECT'),
        ('evidence',          'admin',   'SELECT'),
        ('capture_heads',     'storage', 'SELECT, INSERT, UPDATE'),
        ('capture_heads',     'console', 'SELECT'),
        ('capture_heads',     'admin',   'SELECT'),

        ('audit',             'relay',   'INSERT (team_id, actor, action, object, detail)'),
        ('audit',             'storage', 'INSERT (team_id, actor, action, object, detail)'),
        ('audit',             'console', 'SELECT, INSERT (team_id, actor, action, object, detail)'),
        ('audit',             'admin',   'SELECT, INSERT (team_id, actor, action, object, detail)')
        ) AS v (tab, program, what)
        WHERE 'relaycam_' || program = ANY (programs)
    LOOP
        EXECUTE format('GRANT %s ON %I.%I TO %I', g.what, space, g.tab,
                       'relaycam_' || g.program);
    END LOOP;

    -- What only these functions do to tables that their callers cannot
    -- write: the gap ledger, sums of segments, a new team's settings, all that a
    -- removed endpoint had, the logins of a person whose password changed, events, which recordings
    -- were watched, and the rows of recordings that a device captures.
    FOR g IN SELECT * FROM (VALUES
        ('gaps_update(uuid)'), ('retention_changed()'),
        ('retention_apply(interval, integer, text)'), ('segments_changed()'), ('team_defaults()'), ('endpoint_removed()'),
        ('logins_end()'), ('event_of_session()'), ('event_of_segment()'),
        ('event_of_endpoint()'), ('event_of_endpoint_test()'), ('event_of_access()'), ('recording_watched()'), ('file_refusal(text, bigint)'),
        ('file_opened(text, bigint, text, text, jsonb)'),
        ('archive_open(uuid, bigint, text, jsonb, uuid)'), ('event_of_download()'),
        ('webhook_of_session()'), ('webhook_of_segment()'),
        ('upload_forgotten()'), ('device_capture_ordered()'), ('device_capture_failed()'),
        ('device_capture_session_ended()')) AS v (name)
    LOOP
        EXECUTE format('ALTER FUNCTION %I.%s SECURITY DEFINER SET search_path = %I, pg_temp',
                       space, g.name, space);
        EXECUTE format('REVOKE ALL ON FUNCTION %I.%s FROM PUBLIC', space, g.name);
        FOREACH r IN ARRAY programs LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%s TO %I', space, g.name, r);
        END LOOP;
    END LOOP;
END
$grants$;
