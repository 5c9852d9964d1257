-- C7: captures that agents write on their endpoint and hand over later. The
-- relay orders one; storage takes what was ordered, and nothing else.
CREATE TABLE device_captures (
    id          uuid PRIMARY KEY,  -- of the capture, and of its first segment
    session_id  uuid NOT NULL REFERENCES sessions ON DELETE RESTRICT,
    endpoint_id bigint NOT NULL REFERENCES endpoints ON DELETE RESTRICT,
    meta        jsonb NOT NULL CHECK (jsonb_typeof(meta) = 'object'), -- docs/tee.md
    is_copy     boolean NOT NULL DEFAULT false, -- the relay records, too
    ordered_at  timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz,       -- whole, and as ordered
    bytes       bigint CHECK (bytes > 0),       -- as sent
    sha256      bytea CHECK (octet_length(sha256) = 32),
    CHECK ((received_at IS NULL) = (bytes IS NULL) AND
           (received_at IS NULL) = (sha256 IS NULL))
);
CREATE INDEX device_captures_session ON device_captures (session_id);
CREATE INDEX device_captures_endpoint ON device_captures (endpoint_id);

-- The public half of the key that agents encrypt to (X25519); storage daemons
-- write it.
CREATE TABLE capture_key (
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32)
);

INSERT INTO segment_moves (from_status, to_status, why) VALUES
    ('transfer', 'downloaded', 'ready for encoding'),
    ('', 'transfer', 'its device sends it'),
    ('recording', 'transfer', 'its device sends it'),
    ('missing', 'transfer', 'its device sends it'),
    ('corrupted', 'transfer', 'its device sends it'),
    ('transfer', 'corrupted', 'what its device sent is something else'),
    ('', 'missing', 'its device does not send it any more'),
    ('recording', 'missing', 'its device does not send it any more'),
    ('transfer', 'missing', 'its device does not send it any more'),
    ('corrupted', 'missing', 'its device does not send it any more');
