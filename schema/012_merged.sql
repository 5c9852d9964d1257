-- X2: pixels that stood for min_visible_ms are in a frame; changes that were
-- replaced sooner are counted.
ALTER TABLE access_settings
    ADD min_visible_ms integer NOT NULL DEFAULT 100 CHECK (min_visible_ms BETWEEN 40 AND 100);

ALTER TABLE segments
    -- two bytes per second from the segment's start, a big-endian number of
    -- changes that were replaced before a frame showed them; NULL: none
    ADD merged   bytea CHECK (octet_length(merged) % 2 = 0),
    -- their sum; NULL: not known
    ADD n_merged bigint,
    ADD CONSTRAINT segments_merged_sum CHECK (merged IS NULL OR n_merged > 0);

-- The seconds of segments.merged in which there were any.
CREATE FUNCTION merged_seconds(merged bytea)
RETURNS TABLE (second integer, n integer) LANGUAGE sql IMMUTABLE AS $$
    SELECT s, get_byte(merged, 2 * s) * 256 + get_byte(merged, 2 * s + 1)
    FROM generate_series(0, octet_length(merged) / 2 - 1) s
    WHERE substr(merged, 2 * s + 1, 2) <> '\x0000'
$$;
