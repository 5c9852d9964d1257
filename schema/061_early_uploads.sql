-- M2, M8: segments are sent to the store while they grow, so that a node that
-- is lost loses the last minutes only; another one makes a recording of what
-- is there.

-- manifest: the opening one, from which the recording is made then.
-- recover_node: the storage daemon that does it, until recover_until.
ALTER TABLE uploads ADD is_early boolean NOT NULL DEFAULT false,
    ADD manifest text,
    ADD recover_node uuid,
    ADD recover_until timestamptz;

-- What is being sent in place of that part, or was.
ALTER TABLE upload_parts ADD next_bytes bigint,
    ADD next_etag text,
    ADD next_sha256 bytea;

-- The node that had the segment, when another one made a recording of what was
-- in the store. NULL again when that node, or its disk, is back after all.
ALTER TABLE segments ADD lost_node uuid REFERENCES nodes;

INSERT INTO segment_moves (from_status, to_status, why) VALUES
    ('recording', 'missing', 'its node is lost'),
    ('transfer', 'missing', 'its node is lost'),
    ('downloaded', 'missing', 'its node is lost'),
    ('encoding', 'missing', 'its node is lost'),
    ('encoding_failed', 'missing', 'its node is lost');
