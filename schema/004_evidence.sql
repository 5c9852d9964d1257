-- Evidence that a recording is what was recorded (X3): docs/evidence.md.

-- Whose signatures count. Keys are added, never changed, so that what a lost
-- or replaced node signed can be checked for as long as it is kept.
CREATE TABLE evidence_keys (
    id         text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    public_key bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    host       text NOT NULL,               -- that used it first
    added_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (id = left(encode(sha256(public_key), 'hex'), 16))
);
CREATE FUNCTION evidence_keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'evidence keys cannot be changed or removed';
END $$;
CREATE TRIGGER evidence_keys_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence_keys
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_keys_stay();

-- One row a segment: what was seen of it while it grew, and, once it is
-- stored, the root of its blocks and who signed its manifest.
CREATE TABLE evidence (
    segment_id  uuid PRIMARY KEY REFERENCES segments ON DELETE CASCADE,
    head_from   bigint CHECK (head_from > 0), -- bytes of the file: head_from
    head_to     bigint,                       -- up to, not with, head_to
    head_sha256 bytea CHECK (octet_length(head_sha256) = 32),
    head_at     timestamptz,
    root        bytea CHECK (octet_length(root) = 32),
    sha256      bytea CHECK (octet_length(sha256) = 32), -- of the whole file
    object_key  text UNIQUE,                  -- of the manifest, in the segment's store
    key_id      text REFERENCES evidence_keys,
    signature   bytea CHECK (octet_length(signature) = 64),
    CHECK (head_to > head_from),
    CHECK (num_nulls(head_from, head_to, head_sha256, head_at) IN (0, 4)),
    CHECK (num_nulls(root, sha256, object_key) IN (0, 3)),
    CHECK (num_nulls(key_id, signature) IN (0, 2)),
    CHECK (signature IS NULL OR root IS NOT NULL)
);
