-- C7, M1: a recording that a device captures has its row from the order on:
-- `recording` while its session runs, then `transfer`, 0 %, until the device
-- sends it, `missing` where the device said that it cannot.
INSERT INTO segment_moves (from_status, to_status, why) VALUES
    ('', 'recording', 'its device captures it');

ALTER TABLE device_captures ADD failed_why text NOT NULL DEFAULT ''; -- by the relay

-- It is the first of its session; beside others it has a provisional number
-- until it is encoded, as any capture. With the rights of its caller, the trigger
-- below: no program may make recordings of orders that it invents.
CREATE FUNCTION device_capture_recording(c device_captures) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO segments (id, session_id, team_id, endpoint_id, person_id, seq, is_capture,
                          is_provisional, status, split_reason, frame_rate, width, height,
                          codec, start_mono_ns, started_at)
    SELECT c.id, s.id, s.team_id, s.endpoint_id, s.person_id,
           CASE WHEN m.seq IS NULL THEN 1 ELSE greatest(m.seq, 10000) + 1 END,
           true, m.seq IS NOT NULL, CASE WHEN s.ended_at IS NULL THEN 'recording' ELSE 'transfer' END,
           c.meta->>'split_reason', (c.meta->>'frame_rate')::integer,
           (c.meta->>'width')::integer, (c.meta->>'height')::integer, c.meta->>'codec',
           (c.meta->>'start_mono_ns')::bigint,
           timestamptz 'epoch' + ((c.meta->>'start_wall_ns')::bigint / 1000) * interval '1 us'
    FROM sessions s, LATERAL (SELECT max(g.seq) AS seq FROM segments g
                              WHERE g.session_id = s.id) m
    WHERE s.id = c.session_id AND s.endpoint_id = c.endpoint_id AND NOT c.is_copy
      AND c.meta ?& ARRAY['split_reason', 'frame_rate', 'width', 'height', 'codec',
                          'start_mono_ns', 'start_wall_ns']
    ON CONFLICT (id) DO NOTHING
$$;

CREATE FUNCTION device_capture_ordered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM device_capture_recording(NEW);
    RETURN NULL;
END $$;
CREATE TRIGGER device_capture_ordered AFTER INSERT ON device_captures
    FOR EACH ROW EXECUTE FUNCTION device_capture_ordered();

-- A part of it may be on the device: it is sent, and continues, all the same.
CREATE FUNCTION device_capture_failed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE segments SET status = 'missing', status_detail = left(NEW.failed_why, 300)
    WHERE id = NEW.id AND is_capture AND spool_node IS NULL
      AND status IN ('recording', 'transfer');
    RETURN NULL;
END $$;
CREATE TRIGGER device_capture_failed AFTER UPDATE OF failed_why ON device_captures
    FOR EACH ROW WHEN (NEW.failed_why <> '') EXECUTE FUNCTION device_capture_failed();

CREATE FUNCTION device_capture_session_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE segments SET status = 'transfer', progress = 0
    WHERE session_id = NEW.id AND is_capture AND status = 'recording' AND spool_node IS NULL
      AND id IN (SELECT c.id FROM device_captures c WHERE c.session_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER device_capture_session_ended AFTER UPDATE OF ended_at ON sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL)
    EXECUTE FUNCTION device_capture_session_ended();

-- Orders of before that storage has heard nothing of.
SELECT device_capture_recording(c) FROM device_captures c WHERE c.received_at IS NULL;
