-- M1, X7: one state table of recordings, as storage/spool/spool_states.c has it
-- (docs/recording-states.md): which status may follow which, and why. Each
-- move is in the audit log; one that is not in this table is there as
-- segment_illegal, which schema/check.sql finds.
CREATE TABLE segment_moves (
    from_status text NOT NULL, -- '': the row is made
    to_status   text NOT NULL,
    why         text NOT NULL,
    PRIMARY KEY (from_status, to_status, why)
);
INSERT INTO segment_moves (from_status, to_status, why) VALUES
    ('', 'recording', 'a recorder writes it'),
    ('missing', 'recording', 'a recorder writes it'),
    ('corrupted', 'recording', 'a recorder writes it'),
    ('', 'recording', 'cut off by a crash, being repaired'),
    ('transfer', 'recording', 'cut off by a crash, being repaired'),
    ('missing', 'recording', 'cut off by a crash, being repaired'),
    ('corrupted', 'recording', 'cut off by a crash, being repaired'),
    ('', 'recording', 'its repair failed'),
    ('transfer', 'recording', 'its repair failed'),
    ('missing', 'recording', 'its repair failed'),
    ('corrupted', 'recording', 'its repair failed'),
    ('', 'corrupted', 'it is damaged and cannot be repaired'),
    ('recording', 'corrupted', 'it is damaged and cannot be repaired'),
    ('transfer', 'corrupted', 'it is damaged and cannot be repaired'),
    ('missing', 'corrupted', 'it is damaged and cannot be repaired'),
    ('', 'missing', 'its recorder died before the first picture'),
    ('recording', 'missing', 'its recorder died before the first picture'),
    ('corrupted', 'missing', 'its recorder died before the first picture'),
    ('', 'corrupted', 'it holds less than what was seen of it'),
    ('recording', 'corrupted', 'it holds less than what was seen of it'),
    ('missing', 'corrupted', 'it holds less than what was seen of it'),
    ('', 'transfer', 'closed'),
    ('recording', 'transfer', 'closed'),
    ('downloaded', 'transfer', 'closed'),
    ('encoding', 'transfer', 'closed'),
    ('encoding_failed', 'transfer', 'closed'),
    ('missing', 'transfer', 'closed'),
    ('corrupted', 'transfer', 'closed'),
    ('', 'downloaded', 'ready for encoding'),
    ('recording', 'downloaded', 'ready for encoding'),
    ('encoding', 'downloaded', 'ready for encoding'),
    ('encoding_failed', 'downloaded', 'ready for encoding'),
    ('missing', 'downloaded', 'ready for encoding'),
    ('corrupted', 'downloaded', 'ready for encoding'),
    ('', 'corrupted', 'its size is not the manifest''s'),
    ('recording', 'corrupted', 'its size is not the manifest''s'),
    ('downloaded', 'corrupted', 'its size is not the manifest''s'),
    ('encoding', 'corrupted', 'its size is not the manifest''s'),
    ('encoding_failed', 'corrupted', 'its size is not the manifest''s'),
    ('transfer', 'corrupted', 'its size is not the manifest''s'),
    ('missing', 'corrupted', 'its size is not the manifest''s'),
    ('', 'missing', 'manifest without media'),
    ('recording', 'missing', 'manifest without media'),
    ('downloaded', 'missing', 'manifest without media'),
    ('encoding', 'missing', 'manifest without media'),
    ('encoding_failed', 'missing', 'manifest without media'),
    ('transfer', 'missing', 'manifest without media'),
    ('corrupted', 'missing', 'manifest without media'),
    ('recording', 'missing', 'its manifest names another session'),
    ('downloaded', 'missing', 'its manifest names another session'),
    ('encoding', 'missing', 'its manifest names another session'),
    ('transfer', 'missing', 'its manifest names another session'),
    ('corrupted', 'missing', 'its manifest names another session'),
    ('recording', 'missing', 'its recorder ended before the first picture'),
    ('downloaded', 'encoding', 'its numbers are known'),
    ('encoding', 'downloaded', 'storage stops'),
    ('encoding', 'downloaded', 'encoding is tried again later'),
    ('downloaded', 'encoding_failed', 'its encoder failed'),
    ('encoding', 'encoding_failed', 'its encoder failed'),
    ('downloaded', 'encoding_failed', 'the encoder''s manifest breaks a rule'),
    ('encoding', 'encoding_failed', 'the encoder''s manifest breaks a rule'),
    ('downloaded', 'corrupted', 'it is not the capture that was recorded'),
    ('encoding', 'corrupted', 'it is not the capture that was recorded'),
    ('transfer', 'available', 'stored and verified'),
    ('corrupted', 'transfer', 'its transfer failed'),
    ('transfer', 'corrupted', 'what was stored or read is something else'),
    ('transfer', 'corrupted', 'the store damages it'),
    ('available', 'missing', 'the check did not find it in the store'),
    ('corrupted', 'missing', 'the check did not find it in the store'),
    ('available', 'corrupted', 'the check found something else'),
    ('missing', 'corrupted', 'the check found something else'),
    ('missing', 'available', 'the check found it again'),
    ('corrupted', 'available', 'the check found it again'),
    ('available', 'expired', 'its time is over'),
    ('missing', 'expired', 'its time is over'),
    ('corrupted', 'expired', 'its time is over'),
    ('recording', 'deleted', 'somebody deleted it'),
    ('downloaded', 'deleted', 'somebody deleted it'),
    ('encoding', 'deleted', 'somebody deleted it'),
    ('encoding_failed', 'deleted', 'somebody deleted it'),
    ('transfer', 'deleted', 'somebody deleted it'),
    ('available', 'deleted', 'somebody deleted it'),
    ('missing', 'deleted', 'somebody deleted it'),
    ('corrupted', 'deleted', 'somebody deleted it');
-- Programs that run meanwhile move recordings; grants.sql says who reads it then.
GRANT SELECT ON segment_moves TO PUBLIC;

CREATE FUNCTION segment_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_status text := '';
    is_legal boolean;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        old_status := OLD.status;
    END IF;
    is_legal := EXISTS (SELECT FROM segment_moves m
        WHERE m.from_status = old_status AND m.to_status = NEW.status);
    -- rows that come with a backup begin as they were
    IF is_legal OR TG_OP = 'UPDATE' THEN
        INSERT INTO audit (team_id, actor, action, object, detail)
        VALUES (NEW.team_id,
            coalesce(nullif(current_setting('application_name'), ''), session_user),
            CASE WHEN is_legal THEN 'segment_' || NEW.status ELSE 'segment_illegal' END,
            NEW.id::text, jsonb_build_object('session', NEW.session_id, 'from', old_status,
                'to', NEW.status, 'why', NEW.status_detail));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_made AFTER INSERT ON segments
    FOR EACH ROW EXECUTE FUNCTION segment_moved();
CREATE TRIGGER segment_moved AFTER UPDATE OF status ON segments FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION segment_moved();

-- A capture behind another one that is not encoded yet has a number that is
-- not its own, above all others of its session.
ALTER TABLE segments ADD is_provisional boolean NOT NULL DEFAULT false,
    ADD CHECK (is_capture OR NOT is_provisional);
UPDATE segments SET is_provisional = true WHERE is_capture AND seq > 10000;
