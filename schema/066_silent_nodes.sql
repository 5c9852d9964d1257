-- M2: a storage daemon is lost when it has been silent for a time, as another
-- one saw it. In a database that was restored from a backup all heartbeats are
-- old.

-- When a storage daemon found that heartbeat_at does not move any more; of no
-- meaning where heartbeat_at is later.
ALTER TABLE nodes ADD silent_since timestamptz;
