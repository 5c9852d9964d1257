-- A recorder that falls behind ends its file and goes on as a capture: the
-- segments made of that begin with this reason (C6).
ALTER TABLE segments DROP CONSTRAINT segments_split_reason_check;
ALTER TABLE segments ADD CONSTRAINT segments_split_reason_check
    CHECK (split_reason IN ('start', 'size', 'monitor', 'frame_rate', 'orientation',
                            'resolution', 'manual', 'recorder_restart', 'overload'));
