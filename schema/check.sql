-- Invariants of the database, one query each. A query returns one row for
-- each violation (name of the rule, the object, what is wrong) and no row
-- when all is well. "relaycam check" runs them in one snapshot; so does
-- psql -f schema/check.sql. Nothing here writes.

-- X2: a segment's frames are all there.
SELECT 'segment_frames' AS name, id::text AS object,
       format('frames %s to %s are not %s', first_frame, last_frame, frames) AS detail
FROM segments
WHERE num_nulls(first_frame, last_frame, frames) NOT IN (0, 3)
   OR frames <> last_frame - first_frame + 1
   OR frames < 0 OR first_frame < 1;

-- X2: frames run through a session without holes. Only neighbours that were
-- both closed in order can be compared; a recorder that died may have lost
-- its last frames.
SELECT 'session_frames' AS name, session_id::text AS object,
       format('segment %s begins with frame %s after frame %s', seq, first_frame, before) AS detail
FROM (SELECT session_id, seq, first_frame,
             lag(last_frame) OVER w AS before,
             lag(recovered) OVER w AS before_recovered,
             lag(seq) OVER w AS before_seq
      FROM segments WINDOW w AS (PARTITION BY session_id ORDER BY seq)) s
WHERE seq = before_seq + 1 AND NOT before_recovered AND first_frame <> before + 1;

-- T10: segments are numbered 1, 2, 3, ... A capture behind another one that
-- is not encoded yet has a provisional number until it knows its own.
SELECT 'segment_seq' AS name, session_id::text AS object,
       format('%s segments, numbered %s to %s', count(*), min(seq), max(seq)) AS detail
FROM segments
WHERE NOT is_provisional
GROUP BY session_id
HAVING min(seq) <> 1 OR max(seq) <> count(*);

-- The first segment starts the recording, no other does.
SELECT 'segment_start' AS name, id::text AS object,
       format('segment %s has split reason %s', seq, split_reason) AS detail
FROM segments
WHERE seq > 1 AND split_reason = 'start'
   OR seq = 1 AND split_reason NOT IN ('start', 'manual', 'recorder_restart');

-- Segments of a session follow one another in time.
SELECT 'segment_order' AS name, session_id::text AS object,
       format('segment %s starts before segment %s ends', seq, seq - 1) AS detail
FROM (SELECT session_id, seq, start_mono_ns,
             lag(end_mono_ns) OVER w AS before_end, lag(seq) OVER w AS before_seq
      FROM segments WINDOW w AS (PARTITION BY session_id ORDER BY seq)) s
WHERE seq = before_seq + 1 AND start_mono_ns < before_end;

-- A segment ends after it starts.
SELECT 'segment_times' AS name, id::text AS object,
       'ends before it starts' AS detail
FROM segments
WHERE end_mono_ns < start_mono_ns OR duration_ms < 0;

-- M1: what is available can be found and verified.
SELECT 'available_complete' AS name, id::text AS object,
       'lacks ' || concat_ws(', ',
           CASE WHEN sha256 IS NULL THEN 'sha256' END,
           CASE WHEN bytes IS NULL THEN 'bytes' END,
           CASE WHEN store IS NULL THEN 'store' END,
           CASE WHEN object_key IS NULL THEN 'object_key' END,
           CASE WHEN stored_at IS NULL THEN 'stored_at' END,
           CASE WHEN frames IS NULL THEN 'frames' END,
           CASE WHEN ended_at IS NULL THEN 'ended_at' END,
           CASE WHEN expires_at IS NULL THEN 'expires_at' END) AS detail
FROM segments
WHERE status = 'available'
  AND num_nulls(sha256, bytes, store, object_key, stored_at, frames, ended_at, expires_at) > 0;

-- T10: no file is larger than its team allows (and 512 MiB at most).
SELECT 'segment_bytes' AS name, g.id::text AS object,
       format('%s bytes', g.bytes) AS detail
FROM segments g
WHERE g.bytes > 536870912 OR g.bytes < 0;

-- T12: what is past its time and not locked goes within a day.
SELECT 'overdue' AS name, id::text AS object,
       format('expired at %s and is still available', expires_at) AS detail
FROM segments
WHERE status = 'available' AND NOT locked AND expires_at < now() - interval '1 day';

-- M6: a locked segment is never expired or deleted.
SELECT 'locked_gone' AS name, id::text AS object,
       format('is locked, yet %s', status) AS detail
FROM segments
WHERE locked AND status IN ('expired', 'deleted');

-- X4: a session that has ended leaves nothing recording.
SELECT 'recording_after_end' AS name, g.id::text AS object,
       format('still recording, session %s ended at %s', s.id, s.ended_at) AS detail
FROM segments g JOIN sessions s ON s.id = g.session_id
WHERE g.status = 'recording' AND s.ended_at < now() - interval '5 minutes';

-- T1, X4: a session that had to be recorded has a recording, or an end that
-- says why not, or a device that still has it, for a month at most (C7).
SELECT 'not_recorded' AS name, s.id::text AS object,
       'was to be recorded, ended as normal and has no segment' AS detail
FROM sessions s
WHERE s.recorded AND s.end_code = 'normal'
  AND s.ended_at < now() - interval '5 minutes'
  AND s.ended_at > s.started_at + interval '10 seconds'
  AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.session_id = s.id)
  AND NOT EXISTS (SELECT 1 FROM device_captures d WHERE d.session_id = s.id
                  AND d.received_at IS NULL AND d.ordered_at > now() - interval '30 days');

-- Sessions end after they start; T9: after 24 hours at most.
SELECT 'session_length' AS name, id::text AS object,
       format('from %s to %s', started_at, ended_at) AS detail
FROM sessions
WHERE ended_at < started_at
   OR coalesce(ended_at, now()) > started_at + interval '24 hours 5 minutes';

-- Ended sessions say why.
SELECT 'session_reason' AS name, id::text AS object,
       'ended without a sentence that says why' AS detail
FROM sessions
WHERE ended_at IS NOT NULL AND coalesce(end_reason, '') = '';

-- Sessions of a node that is gone are closed.
SELECT 'orphan_session' AS name, s.id::text AS object,
       format('is active on node %s, last heard of at %s', n.host, n.heartbeat_at) AS detail
FROM sessions s JOIN nodes n ON n.id = s.node_id
WHERE s.ended_at IS NULL
  AND (n.heartbeat_at < now() - interval '10 minutes'
       OR n.stopped_at < now() - interval '10 minutes');

-- A session belongs to one team, with its endpoint and its technician.
SELECT 'session_team' AS name, s.id::text AS object,
       'session, endpoint and technician are not of one team' AS detail
FROM sessions s
JOIN endpoints e ON e.id = s.endpoint_id
JOIN people p ON p.id = s.person_id
WHERE e.team_id <> s.team_id OR p.team_id <> s.team_id;

-- Rights stay within a team.
SELECT 'right_team' AS name, format('%s at %s', p.name, e.name) AS object,
       'the person and the endpoint are of different teams' AS detail
FROM endpoint_rights r
JOIN people p ON p.id = r.person_id
JOIN endpoints e ON e.id = r.endpoint_id
WHERE p.team_id <> e.team_id;

-- A team with people has an owner who can log in.
SELECT 'team_owner' AS name, t.name AS object,
       'has people but no owner who is enabled' AS detail
FROM teams t
WHERE EXISTS (SELECT 1 FROM people p WHERE p.team_id = t.id)
  AND NOT EXISTS (SELECT 1 FROM people p
                  WHERE p.team_id = t.id AND p.role = 'owner' AND NOT p.disabled);

-- T2, T3: each team has both rows of settings.
SELECT 'access_settings' AS name, t.name AS object,
       format('has %s of 2 rows of settings', count(a.access)) AS detail
FROM teams t LEFT JOIN access_settings a ON a.team_id = t.id
GROUP BY t.id, t.name
HAVING count(a.access) <> 2;

-- T7: time zones can be computed with.
SELECT 'time_zone' AS name, t.name AS object,
       format('time zone "%s" is not known', t.time_zone) AS detail
FROM teams t
WHERE NOT EXISTS (SELECT 1 FROM pg_timezone_names z WHERE z.name = t.time_zone);

-- An upload is of a segment that still has to be stored.
SELECT 'stale_upload' AS name, u.segment_id::text AS object,
       format('has an upload under way, yet is %s', g.status) AS detail
FROM uploads u JOIN segments g ON g.id = u.segment_id
WHERE g.status IN ('available', 'expired', 'deleted')
  AND u.started_at < now() - interval '5 minutes';

-- All parts but the last have the full size. Several are sent at a time, so
-- that they are noted in any order. What was sent while a file grew ends with a
-- shorter part, which stays until the rest is sent.
SELECT 'upload_parts' AS name, u.segment_id::text AS object,
       format('%s parts, numbered to %s, not all of them of %s bytes', count(*),
              max(p.part), u.part_bytes) AS detail
FROM uploads u JOIN upload_parts p ON p.segment_id = u.segment_id
GROUP BY u.segment_id, u.part_bytes, u.is_early
HAVING (NOT u.is_early AND
        min(p.part) FILTER (WHERE p.bytes <> u.part_bytes) < max(p.part))
    OR bool_or(p.bytes > u.part_bytes);

-- X7: who made a session is in the audit log.
SELECT 'session_audit' AS name, s.id::text AS object,
       'has no session_start in the audit log' AS detail
FROM sessions s
WHERE NOT EXISTS (SELECT 1 FROM audit a
                  WHERE a.action = 'session_start' AND a.object = s.id::text);

-- X7: the audit log cannot be edited.
SELECT 'audit_guard' AS name, 'audit' AS object,
       'the trigger that keeps audit rows unchanged is missing or off' AS detail
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = 'audit'::regclass
                    AND tgname = 'audit_append_only' AND tgenabled IN ('O', 'A'));

-- M7: who may not connect is not connected.
SELECT 'session_revoked' AS name, s.id::text AS object,
       format('runs although %s', session_refusal(s.person_id, s.endpoint_id, s.path)) AS detail
FROM sessions s JOIN nodes n ON n.id = s.node_id
WHERE s.ended_at IS NULL AND n.stopped_at IS NULL
  AND n.heartbeat_at > now() - interval '1 minute'
  AND s.started_at < now() - interval '2 minutes'
  AND session_refusal(s.person_id, s.endpoint_id, s.path) IS NOT NULL;

-- The triggers that tell relays so are there.
SELECT 'access_notices' AS name, w.tbl AS object,
       format('the trigger %s that tells relays of rights taken back is missing or off', w.trg) AS detail
FROM (VALUES ('people', 'person_access'), ('endpoint_rights', 'right_access'),
             ('endpoints', 'endpoint_access')) w (tbl, trg)
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = w.tbl::regclass
                    AND tgname = w.trg AND tgenabled IN ('O', 'A'));

-- X7: nor by the programs' own database roles.
SELECT 'audit_reach' AS name, r.rolname AS object,
       'the role can change or remove audit rows; run "relaycam migrate"' AS detail
FROM pg_roles r JOIN pg_class t ON t.oid = 'audit'::regclass
WHERE r.rolname IN ('relaycam_relay', 'relaycam_storage', 'relaycam_console', 'relaycam_admin')
  AND (has_any_column_privilege(r.oid, t.oid, 'UPDATE')
       OR has_table_privilege(r.oid, t.oid, 'DELETE, TRUNCATE, TRIGGER')
       OR pg_has_role(r.oid, t.relowner, 'MEMBER'));

-- T3, M7: deleted endpoints keep nobody's rights, no password, no way in.
SELECT 'removed_endpoint' AS name, e.name AS object,
       'is removed but still has a password, a way in, or rights' AS detail
FROM endpoints e
WHERE e.deleted_at IS NOT NULL
  AND (num_nonnulls(e.secret_sealed, e.agent_cert_sha256, e.agent_node,
                    e.reverse_secret_sha256, e.reverse_cert_sha256,
                    e.parked_node) > 0
       OR EXISTS (SELECT 1 FROM endpoint_rights r WHERE r.endpoint_id = e.id));

-- An endpoint has what belongs to its kind, and nothing of another.
SELECT 'endpoint_kind' AS name, e.name AS object,
       format('is of kind %s and has what belongs to another kind', e.kind) AS detail
FROM endpoints e
WHERE e.kind <> 'agent' AND e.agent_cert_sha256 IS NOT NULL
   OR e.kind NOT IN ('agent', 'attended') AND e.agent_node IS NOT NULL
   OR e.kind <> 'reverse' AND num_nonnulls(e.reverse_secret_sha256,
          e.reverse_cert_sha256, e.parked_node) > 0
   OR e.kind = 'attended' AND e.access <> 'attended';

-- A CA vouches for many: it goes with a host, a name or a pin.
SELECT 'endpoint_trust' AS name, e.name AS object,
       'has a CA, but neither a host nor a name for its certificate nor a pin' AS detail
FROM endpoints e
WHERE e.deleted_at IS NULL AND e.tls_ca_pem IS NOT NULL
  AND num_nonnulls(e.host, e.tls_name, e.tls_pin_sha256) = 0;

-- Attended access is for one occasion: a code lives 24 hours at most.
SELECT 'attended_age' AS name, e.name AS object,
       format('a session code''s endpoint, made at %s, is still there', e.created_at) AS detail
FROM endpoints e
WHERE e.kind = 'attended' AND e.deleted_at IS NULL
  AND e.created_at < now() - interval '24 hours 5 minutes'
  AND NOT EXISTS (SELECT 1 FROM sessions s
                  WHERE s.endpoint_id = e.id AND s.ended_at IS NULL);

-- Connections of endpoints are held by relays that live.
SELECT 'endpoint_node' AS name, x.object,
       format('is said to be connected to node %s, which is gone', x.node) AS detail
FROM (SELECT name AS object, agent_node AS node FROM endpoints
      UNION ALL
      SELECT name, parked_node FROM endpoints
      UNION ALL
      SELECT code, node_id FROM attended_codes WHERE expires_at > now()) x
JOIN nodes n ON n.id = x.node
WHERE coalesce(n.stopped_at, n.heartbeat_at) < now() - interval '5 minutes';

-- Tickets and tokens are used once.
SELECT 'used_once' AS name, w.tbl AS object,
       'the trigger that keeps used ones used is missing or off' AS detail
FROM (VALUES ('tickets'), ('enrol_tokens')) w (tbl)
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = w.tbl::regclass
                    AND tgname = w.tbl || '_used_once' AND tgenabled IN ('O', 'A'));

-- A ticket was used while it was valid, and that is an hour at most.
SELECT 'ticket_times' AS name, 'ticket ' || id AS object,
       format('made %s, valid until %s, used %s', created_at, expires_at,
              coalesce(used_at::text, 'never')) AS detail
FROM tickets
WHERE used_at NOT BETWEEN created_at AND expires_at
   OR expires_at NOT BETWEEN created_at AND created_at + interval '1 hour';

-- Known logins are bounded (logins at the same time may each add one).
SELECT 'known_logins' AS name, 'person ' || person_id AS object,
       format('%s known addresses, 16 are kept', count(*)) AS detail
FROM known_logins GROUP BY person_id HAVING count(*) > 32;

-- Logins and tokens last as long as they may at most: 30 and 366 days.
SELECT 'login_times' AS name, what AS object,
       format('made %s, valid until %s', created_at, expires_at) AS detail
FROM (SELECT 'a login of person ' || person_id AS what, created_at, expires_at,
             interval '30 days' AS most FROM logins
      UNION ALL
      SELECT 'token ' || id, created_at, expires_at, interval '366 days' FROM api_tokens) c
WHERE expires_at NOT BETWEEN created_at AND created_at + most + interval '1 day';

-- The console removes those that are over: logins at once, tokens after 30 days.
SELECT 'login_overdue' AS name, what AS object,
       format('expired at %s and is still there', expires_at) AS detail
FROM (SELECT 'a login of person ' || person_id AS what, expires_at,
             interval '1 hour' AS kept FROM logins
      UNION ALL
      SELECT 'token ' || id, expires_at, interval '31 days' FROM api_tokens) c
WHERE expires_at < now() - kept
  AND EXISTS (SELECT 1 FROM nodes n
              WHERE n.program = 'console' AND n.stopped_at IS NULL
                AND n.heartbeat_at > now() - interval '1 minute'
                AND n.started_at < now() - interval '10 minutes');

-- A person who is disabled is not logged in.
SELECT 'login_disabled' AS name, p.name AS object,
       'is disabled and still logged in at the console' AS detail
FROM people p
WHERE p.disabled AND EXISTS (SELECT 1 FROM logins l WHERE l.person_id = p.id);

-- The trigger that ends logins is there.
SELECT 'login_ends' AS name, 'people' AS object,
       'the trigger that ends logins of disabled people is missing or off' AS detail
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = 'people'::regclass
                    AND tgname = 'person_logins_end' AND tgenabled IN ('O', 'A'));

-- A ticket stays within a team.
SELECT 'ticket_team' AS name, 'ticket ' || k.id AS object,
       format('%s and %s are of different teams', p.name, e.name) AS detail
FROM tickets k
JOIN people p ON p.id = k.person_id
JOIN endpoints e ON e.id = k.endpoint_id
WHERE p.team_id <> e.team_id;

-- A token that is still good is an agent's.
SELECT 'enrol_token' AS name, e.name AS object,
       format('has an unused enrolment token, and is %s',
              CASE WHEN e.deleted_at IS NULL THEN 'of kind ' || e.kind ELSE 'removed' END) AS detail
FROM enrol_tokens k JOIN endpoints e ON e.id = k.endpoint_id
WHERE k.used_at IS NULL AND (e.kind <> 'agent' OR e.deleted_at IS NOT NULL);

-- C3: who was allowed to look only looks.
SELECT 'session_consent' AS name, id::text AS object,
       'the end user allowed viewing only, yet it is under control' AS detail
FROM sessions
WHERE consent = 'view' AND NOT view_only;

-- C4: an ended session is not being recorded.
SELECT 'session_recording' AS name, id::text AS object,
       'has ended and is marked as being recorded now' AS detail
FROM sessions
WHERE recording AND ended_at < now() - interval '5 minutes';

-- X2: the ledger is what segments and sessions say.
SELECT 'gap_ledger' AS name, s.id::text AS object,
       'the gap ledger differs from what its segments say' AS detail
FROM sessions s
WHERE EXISTS (SELECT 1 FROM segments g WHERE g.session_id = s.id)
  AND EXISTS (
    (SELECT after_seq, before_seq, from_mono_ns, to_mono_ns, from_at, to_at, why
     FROM gaps WHERE session_id = s.id EXCEPT SELECT * FROM gaps_of(s.id))
    UNION ALL
    (SELECT * FROM gaps_of(s.id) EXCEPT
     SELECT after_seq, before_seq, from_mono_ns, to_mono_ns, from_at, to_at, why
     FROM gaps WHERE session_id = s.id));

-- X2: no time of a recorded session is unstated. Its segments and gaps cover
-- it from its first segment to its end; what a recorder has left when its
-- session ends in an error may take 5 s. A capture's end is known when it is
-- encoded.
SELECT 'session_covered' AS name, c.id::text AS object,
       format('%s ms of it are in no segment and in no gap', c.ns / 1000000) AS detail
FROM (SELECT s.id, count(*) AS n,
             (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(
                 int8multirange(int8range(min(x.a), greatest(min(x.a), s.ended_mono_ns)))
                 - range_agg(int8range(x.a, greatest(x.a, x.b)))) r) AS ns
      FROM sessions s
      JOIN (SELECT session_id, start_mono_ns AS a, coalesce(end_mono_ns, start_mono_ns) AS b
            FROM segments
            UNION ALL
            SELECT session_id, from_mono_ns, to_mono_ns FROM gaps) x ON x.session_id = s.id
      WHERE s.recorded AND s.ended_at < now() - interval '5 minutes'
        AND s.ended_mono_ns IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.session_id = s.id AND g.is_capture)
      GROUP BY s.id, s.ended_mono_ns) c
WHERE c.ns > 5000000000 + c.n * 1000000;

-- X2, X7: the audit log and the ledger tell one length. Gaps of before that
-- rule are not in the log.
SELECT 'gap_audit' AS name, g.session_id::text AS object,
       format('the gap after segment %s is %s ms, in the audit log %s ms',
              g.after_seq, g.ms, a.detail->>'ms') AS detail
FROM gaps g
JOIN LATERAL (SELECT detail FROM audit
              WHERE action = 'recording_gap' AND object = g.session_id::text
                AND (detail->>'after_seq')::int = g.after_seq
              ORDER BY id DESC LIMIT 1) a ON true
WHERE g.why <> 'manual' AND (a.detail->>'ms')::bigint <> g.ms;

-- X2: every gap has a reason. Segments of a session that ended an hour ago
-- have all arrived.
SELECT 'gap_reason' AS name, g.session_id::text AS object,
       format('%s ms after segment %s: %s', g.ms, g.after_seq, g.why) AS detail
FROM gaps g JOIN sessions s ON s.id = g.session_id
WHERE g.why = 'unexplained'
   OR g.why = 'segment_lost' AND s.ended_at < now() - interval '1 hour';

-- X1: what is stored is in no spool.
SELECT 'stored_in_spool' AS name, id::text AS object,
       format('is %s and still said to be in the spool of node %s', status, spool_node) AS detail
FROM segments WHERE spool_node IS NOT NULL AND status IN ('available', 'expired');

-- X2: changes without a frame are counted by second, within the segment. Of
-- the last days: to add them up takes time.
SELECT 'merged_sum' AS name, id::text AS object,
       format('%s changes without a frame, in %s seconds of %s ms', n_merged,
              octet_length(merged) / 2, duration_ms) AS detail
FROM segments
WHERE merged IS NOT NULL AND coalesce(stored_at, now()) > now() - interval '7 days'
  AND (octet_length(merged) / 2 > duration_ms / 1000 + 1
       OR n_merged IS DISTINCT FROM (SELECT sum(n) FROM merged_seconds(merged)));

-- X5: activity is not longer than its segment; a poster lies beside it.
SELECT 'activity_length' AS name, id::text AS object,
       format('%s seconds of activity in %s ms', octet_length(activity) / 4, duration_ms) AS detail
FROM segments WHERE octet_length(activity) / 4 > duration_ms / 1000 + 1;

SELECT 'poster_key' AS name, id::text AS object,
       format('poster %s is not beside %s', poster_key, object_key) AS detail
FROM segments
WHERE poster_key <> regexp_replace(object_key, '\.webm$', '.jpg')
   OR poster_key IS NOT NULL AND store IS NULL;

-- X3: what was signed is what is stored.
SELECT 'evidence_sha256' AS name, g.id::text AS object,
       'its manifest has another SHA-256 than the stored file' AS detail
FROM segments g JOIN evidence e ON e.segment_id = g.id
WHERE g.status = 'available' AND e.sha256 <> g.sha256;

-- X3: a manifest lies beside its recording.
SELECT 'evidence_key' AS name, g.id::text AS object,
       format('manifest %s is not beside %s', e.object_key, g.object_key) AS detail
FROM segments g JOIN evidence e ON e.segment_id = g.id
WHERE e.object_key <> regexp_replace(g.object_key, '\.webm$', '.json');

-- X3: all of a session has evidence, or nothing of it.
SELECT 'evidence_missing' AS name, g.id::text AS object,
       format('segment %s was stored without evidence, others of its session have it', g.seq) AS detail
FROM segments g LEFT JOIN evidence e ON e.segment_id = g.id
WHERE g.store IS NOT NULL AND g.stored_at IS NOT NULL AND e.root IS NULL
  AND EXISTS (SELECT 1 FROM segments o JOIN evidence x ON x.segment_id = o.id
              WHERE o.session_id = g.session_id AND x.root IS NOT NULL);

-- X3: and all of it is signed, or nothing.
SELECT 'evidence_unsigned' AS name, g.id::text AS object,
       format('segment %s is not signed, others of its session are', g.seq) AS detail
FROM segments g JOIN evidence e ON e.segment_id = g.id
WHERE e.root IS NOT NULL AND e.signature IS NULL
  AND EXISTS (SELECT 1 FROM segments o JOIN evidence x ON x.segment_id = o.id
              WHERE o.session_id = g.session_id AND x.signature IS NOT NULL);

-- X3: what was seen of a file while it grew lies in it.
SELECT 'evidence_head' AS name, g.id::text AS object,
       format('was seen up to byte %s while it grew, and has %s bytes', e.head_to, g.bytes) AS detail
FROM segments g JOIN evidence e ON e.segment_id = g.id
WHERE g.status = 'available' AND e.head_to > g.bytes;

-- X3: keys that signed something cannot be changed or removed.
SELECT 'evidence_guard' AS name, 'evidence_keys' AS object,
       'the trigger that keeps evidence keys is missing or off' AS detail
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = 'evidence_keys'::regclass
                    AND tgname = 'evidence_keys_stay' AND tgenabled IN ('O', 'A'));

-- M1: what is stored, or on its way, is a video; but for captures that their
-- devices are sending.
SELECT 'capture_status' AS name, id::text AS object,
       format('is %s and still said to be a capture', status) AS detail
FROM segments WHERE is_capture AND status IN ('transfer', 'available', 'expired')
  AND NOT (status = 'transfer' AND id IN (SELECT id FROM device_captures));

-- C7: what a device captured is a session of that device.
SELECT 'device_capture_endpoint' AS name, c.id::text AS object,
       format('was ordered from endpoint %s in a session of endpoint %s',
              c.endpoint_id, s.endpoint_id) AS detail
FROM device_captures c JOIN sessions s ON s.id = c.session_id
WHERE s.endpoint_id <> c.endpoint_id;

-- C7, M1: what a device captures has its row from the order on.
SELECT 'device_capture_row' AS name, c.id::text AS object,
       'was ordered and has no row in segments' AS detail
FROM device_captures c JOIN sessions s ON s.id = c.session_id
WHERE NOT c.is_copy AND s.endpoint_id = c.endpoint_id AND c.meta ? 'width'
  AND NOT EXISTS (SELECT 1 FROM segments g WHERE g.id = c.id);

-- C7: a copy is no recording.
SELECT 'device_capture_copy' AS name, c.id::text AS object,
       'is a copy beside the relay''s recording, and has a row of its own' AS detail
FROM device_captures c JOIN segments g ON g.id = c.id WHERE c.is_copy;

-- X7: a session is lost exactly when the audit log says so last.
SELECT 'session_lost' AS name, s.id::text AS object,
       format('is said to be lost %s times and not lost %s times, and %s', a.lost, a.corrected,
              coalesce('ended as ' || s.end_code, 'is active')) AS detail
FROM sessions s
JOIN (SELECT object, max(at) AS at,
             count(*) FILTER (WHERE action = 'session_lost') AS lost,
             count(*) FILTER (WHERE action = 'session_lost_corrected') AS corrected
      FROM audit WHERE action IN ('session_lost', 'session_lost_corrected')
      GROUP BY object) a ON a.object = s.id::text
WHERE a.at < now() - interval '5 minutes'
  AND a.lost - a.corrected <> CASE WHEN s.end_code = 'node_lost' THEN 1 ELSE 0 END;

-- M1, X7: statuses follow one another as the state table has it.
SELECT 'segment_moves' AS name, a.object AS object,
       format('went from %s to %s at %s, which the state table does not have',
              a.detail ->> 'from', a.detail ->> 'to', a.at) AS detail
FROM audit a WHERE a.action = 'segment_illegal';

-- X7: the triggers that note each move are there.
SELECT 'segment_move_triggers' AS name, w.trg AS object,
       format('the trigger %s that notes moves of recordings is missing or off', w.trg) AS detail
FROM (VALUES ('segment_made'), ('segment_moved')) w (trg)
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = 'segments'::regclass
                    AND tgname = w.trg AND tgenabled IN ('O', 'A'));

-- X4, X7: the audit log says which recordings were set aside.
SELECT 'quarantine_audit' AS name, g.id::text AS object,
       'it was set aside, and the audit log does not say so' AS detail
FROM segments g
WHERE g.status = 'missing' AND g.status_detail LIKE 'set aside:%'
  AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.action = 'recording_quarantined'
                  AND a.object = g.session_id::text
                  AND a.detail ->> 'segment' = g.id::text);

-- Single sign-on that is on has an owner who can log in without it.
SELECT 'password_owner' AS name, t.name AS object,
       format('%s cannot log in with a password when the provider is away',
              coalesce(p.name, 'nobody')) AS detail
FROM single_sign_on s JOIN teams t ON t.id = s.team_id
LEFT JOIN people p ON p.id = s.password_owner_id AND p.team_id = s.team_id
WHERE s.enabled AND (p.id IS NULL OR p.role <> 'owner' OR p.disabled OR p.password_hash IS NULL);

-- A person is linked to who they are at a provider of their own team.
SELECT 'identity_team' AS name, p.name AS object,
       'is linked to single sign-on of another team' AS detail
FROM identities i JOIN people p ON p.id = i.person_id
WHERE p.team_id <> i.team_id;

-- A one-time link was used while it was good.
SELECT 'first_run_used' AS name, encode(hash, 'hex') AS object,
       format('used at %s, good from %s to %s', used_at, created_at, expires_at) AS detail
FROM first_run_links
WHERE used_at NOT BETWEEN created_at AND expires_at;

-- Recovery codes go with an authenticator that was confirmed.
SELECT 'recovery_codes' AS name, p.name AS object,
       format('%s codes, of an authenticator that was not confirmed', count(*)) AS detail
FROM recovery_codes r
JOIN totp t USING (person_id)
JOIN people p ON p.id = r.person_id
WHERE t.confirmed_at IS NULL
GROUP BY p.name;

-- Events are in bounds.
SELECT 'events_bounded' AS name, 'events' AS object,
       format('%s rows, %s are kept', count(*), events_kept()) AS detail
FROM events HAVING count(*) > events_kept() + 200;

-- The triggers that make events are there.
SELECT 'event_triggers' AS name, w.tbl AS object,
       format('the trigger %s that makes events is missing or off', w.trg) AS detail
FROM (VALUES ('sessions', 'session_event_new'), ('sessions', 'session_event'),
             ('segments', 'segment_event_new'), ('segments', 'segment_event'),
             ('endpoints', 'endpoint_event_new'), ('endpoints', 'endpoint_event'),
             ('endpoint_tests', 'endpoint_test_event'),
             ('access_settings', 'settings_event'), ('people', 'person_event'),
             ('endpoint_rights', 'right_event'), ('logins', 'login_ended'),
             ('api_tokens', 'token_ended')) w (tbl, trg)
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = w.tbl::regclass
                    AND tgname = w.trg AND tgenabled IN ('O', 'A'));

-- The triggers that tell webhooks are there.
SELECT 'webhook_triggers' AS name, w.tbl AS object,
       format('the trigger %s that tells webhooks is missing or off', w.trg) AS detail
FROM (VALUES ('sessions', 'session_webhook_new'), ('sessions', 'session_webhook'),
             ('segments', 'segment_webhook_new'), ('segments', 'segment_webhook')) w (tbl, trg)
WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                  WHERE tgrelid = w.tbl::regclass
                    AND tgname = w.trg AND tgenabled IN ('O', 'A'));

-- A delivery of a webhook waits or has ended.
SELECT 'webhook_delivery_twice' AS name, h.id::text AS object,
       'waits, and has ended' AS detail
FROM webhook_history h JOIN webhook_deliveries d ON d.id = h.id;

-- Kept answers have one.
SELECT 'idempotency_answer' AS name, encode(id, 'hex') AS object,
       'was committed without its answer' AS detail
FROM idempotency_keys WHERE num_nulls(status, answer) > 0;

-- M5: what sessions and the disk space add up is what their segments say.
SELECT 'session_sums' AS name, s.id::text AS object,
       format('has %s segments of %s bytes, %s failed and %s under way, and says %s, %s, %s and %s',
              x.n, x.bytes, x.failed, x.busy, s.n_segments, s.bytes, s.n_failed, s.n_busy) AS detail
FROM sessions s
JOIN (SELECT s.id, count(g.id) AS n, coalesce(sum(g.bytes), 0) AS bytes,
             count(g.id) FILTER (WHERE segment_is_failed(g.status)) AS failed,
             count(g.id) FILTER (WHERE segment_is_busy(g.status)) AS busy
      FROM sessions s LEFT JOIN segments g ON g.session_id = s.id GROUP BY s.id) x
    ON x.id = s.id
WHERE (s.n_segments, s.n_failed, s.n_busy, s.bytes) <> (x.n, x.failed, x.busy, x.bytes);

SELECT 'disk_use' AS name, coalesce(u.endpoint_id, x.endpoint_id)::text AS object,
       format('has %s segments of %s bytes, and the disk space says %s of %s',
              coalesce(x.n, 0), coalesce(x.bytes, 0), coalesce(u.recordings, 0),
              coalesce(u.bytes, 0)) AS detail
FROM disk_use u
FULL JOIN (SELECT endpoint_id, count(*) AS n, coalesce(sum(bytes), 0) AS bytes
           FROM segments WHERE segment_takes_space(status) GROUP BY endpoint_id) x
    ON x.endpoint_id = u.endpoint_id
WHERE (coalesce(u.recordings, 0), coalesce(u.bytes, 0)) <> (coalesce(x.n, 0), coalesce(x.bytes, 0));

-- A login is limited while its person has no second factor.
SELECT 'limited_login' AS name, p.name AS object,
       'has a second factor, and a login for setting one up' AS detail
FROM people p
WHERE EXISTS (SELECT FROM logins l WHERE l.person_id = p.id AND l.is_limited)
  AND (EXISTS (SELECT FROM passkeys k WHERE k.person_id = p.id)
       OR EXISTS (SELECT FROM totp t WHERE t.person_id = p.id AND t.confirmed_at IS NOT NULL));

-- X7: no technician reviews a session of their own.
SELECT 'own_review' AS name, g.id::text AS object,
       format('was reviewed by its technician, %s', p.name) AS detail
FROM segments g JOIN people p ON p.id = g.person_id
WHERE g.reviewed_by = p.name;

-- M5: a clip's range lies within its recording.
SELECT 'clip_range' AS name, c.id::text AS object,
       format('%s to %s ms of recording %s, which has %s', c.from_ms, c.to_ms, g.id,
              coalesce(g.duration_ms::text, 'no end')) AS detail
FROM clips c JOIN segments g ON g.id = c.segment_id
WHERE g.duration_ms IS NULL OR c.from_ms >= g.duration_ms OR c.to_ms > g.duration_ms;
