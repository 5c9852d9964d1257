-- M3: encoding fails three times at most before somebody has to look, and a
-- job is one node's for as long as that node says so.
ALTER TABLE segments
    ADD encode_failures integer NOT NULL DEFAULT 0 CHECK (encode_failures >= 0),
    ADD encode_why text NOT NULL DEFAULT '', -- of the last one
    ADD encode_node uuid,                    -- who encodes it, or did last
    ADD encode_until timestamptz;            -- its lease
INSERT INTO segment_moves (from_status, to_status, why) VALUES
    ('downloaded', 'encoding_failed', 'its encoding failed too often'),
    ('encoding', 'encoding_failed', 'its encoding failed too often'),
    ('encoding_failed', 'downloaded', 'somebody has it encoded again');
