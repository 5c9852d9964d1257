-- M6: where the bucket has object lock, what a person locked is held by the
-- store, too: a key that may delete objects cannot delete these.

-- Whether the stored object has the hold; storage makes it what `locked` says.
ALTER TABLE segments ADD legal_hold boolean NOT NULL DEFAULT false;
CREATE INDEX segments_hold ON segments (id) WHERE store = 's3' AND locked <> legal_hold;

-- What is stored anew has none.
CREATE FUNCTION legal_hold_begun_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.legal_hold := false;
    RETURN NEW;
END $$;
CREATE TRIGGER legal_hold_begun_anew BEFORE UPDATE ON segments FOR EACH ROW
    WHEN (NEW.legal_hold AND (NEW.store IS NULL OR NEW.stored_at IS DISTINCT FROM OLD.stored_at))
    EXECUTE FUNCTION legal_hold_begun_anew();

-- Storage hears of locks, too.
DROP TRIGGER segment_changed ON segments;
CREATE TRIGGER segment_changed AFTER INSERT OR UPDATE OF status, locked ON segments
    FOR EACH ROW EXECUTE FUNCTION notify_segment();
