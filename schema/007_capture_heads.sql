-- What was seen of a capture while it grew (X3), as evidence.head_* is of a
-- recording: it is encoded only if it still begins with these bytes.
CREATE TABLE capture_heads (
    segment_id  uuid PRIMARY KEY REFERENCES segments ON DELETE CASCADE, -- its first one
    head_from   bigint NOT NULL CHECK (head_from = 0), -- bytes of the file: head_from
    head_to     bigint NOT NULL CHECK (head_to > 0),   -- up to, not with, head_to
    head_sha256 bytea NOT NULL CHECK (octet_length(head_sha256) = 32),
    head_at     timestamptz NOT NULL
);

-- X2: a row without a picture goes when its number is another's. What lay
-- around it is stated anew.
CREATE FUNCTION gaps_of_segment_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gaps_update(OLD.session_id);
    RETURN NULL;
END $$;
CREATE TRIGGER gaps_segment_gone AFTER DELETE ON segments
    FOR EACH ROW EXECUTE FUNCTION gaps_of_segment_gone();

-- Why what was captured behind this segment and its followers could not be
-- decoded; NULL: all was.
ALTER TABLE segments ADD lost_why text;
