-- X2, X7: the audit log tells a gap as the ledger does: from the last frame
-- before it to the first one behind it. A row for each gap as it is found,
-- and another one when what arrives later says it better; the last one holds.
-- Stops by hand are in the log already.
CREATE FUNCTION gap_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (team_id, actor, action, object, detail)
    SELECT s.team_id, 'ledger', 'recording_gap', s.id::text,
           jsonb_build_object('after_seq', NEW.after_seq,
               'before_seq', NEW.before_seq, 'ms', NEW.ms, 'why', NEW.why,
               'from', NEW.from_at, 'to', NEW.to_at)
    FROM sessions s WHERE s.id = NEW.session_id;
    RETURN NULL;
END $$;
CREATE TRIGGER gaps_audit_new AFTER INSERT ON gaps FOR EACH ROW
    WHEN (NEW.why <> 'manual') EXECUTE FUNCTION gap_audit();
CREATE TRIGGER gaps_audit_changed AFTER UPDATE ON gaps FOR EACH ROW
    WHEN (NEW.why <> 'manual' AND (OLD.ms, OLD.why, OLD.before_seq)
        IS DISTINCT FROM (NEW.ms, NEW.why, NEW.before_seq))
    EXECUTE FUNCTION gap_audit();

-- Segments whose files were taken back before storage looked: a moment of no
-- length, so that the ledger has the gap.
UPDATE segments g SET status = 'missing',
    status_detail = 'its recorder ended before the first picture',
    end_mono_ns = g.start_mono_ns, ended_at = g.started_at, recovered = true,
    end_why = 'crash'
FROM sessions s
WHERE s.id = g.session_id AND g.status = 'recording' AND g.end_mono_ns IS NULL
  AND s.ended_at < now() - interval '1 day';
