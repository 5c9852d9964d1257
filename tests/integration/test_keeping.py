"""What is kept is what the rows say: a change of retention that is not applied
yet deletes nothing, an order given while storage is down is not lost, and
nothing of a deleted recording is left (T12, M3, M5, M6)."""
import os

from storage_env import RECORDER, Segment, wait_for
from storage_fixtures import cluster, env  # noqa: F401
from test_capture import Capture
from test_clips import fetch, made, manifest_key, order, store  # noqa: F401
from test_encode_failures import failures
from test_encode_queue import ctl
from test_retention import in_store, set_days

SMALL = 4096


def test_nothing_expires_while_a_longer_time_is_not_applied(env):  # noqa: F811
    """Another daemon has the change in hand, or died with it."""
    env.start()
    kept, deleted = Segment(env, SMALL).place(), Segment(env, SMALL).place()
    for seg in (kept, deleted):
        seg.wait_stored(60)
    assert env.stop() == 0
    other = env.cluster.connect(env.name)
    try:
        set_days(env, 36500)
        with other.cursor() as cur:
            cur.execute('SELECT * FROM retention_changes FOR UPDATE')
        env.rows("UPDATE segments SET expires_at = now() - interval '1 hour' "
                 'WHERE id = %s', kept.id)
        env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s",
                 deleted.id)
        env.start()
        # what was deleted goes last in a walk
        wait_for('a whole walk', lambda: not in_store(env, deleted), 60)
        assert kept.row()['status'] == 'available' and in_store(env, kept)
        other.commit()
    finally:
        other.close()
    wait_for('the change is applied',
             lambda: not env.rows('SELECT 1 FROM retention_changes'), 60)
    row = kept.row()
    assert row['status'] == 'available' and in_store(env, kept)
    assert (row['expires_at'] - row['ended_at']).days == 36500


def test_an_order_to_encode_is_kept_while_storage_is_down(env):  # noqa: F811
    env.start(storage__recorder_program='/bin/false')
    c = Capture(env, frames=5).place()
    wait_for('the failure', lambda: failures(env, c) ==
             ('encoding_failed', 1), 60)
    assert env.stop() == 0
    env.rows('UPDATE segments SET encode_failures = 3 WHERE id = %s', c.id)
    r = ctl(env, 'recordings', 'encode', c.id)
    assert r.returncode == 0, r.stderr
    env.start(storage__recorder_program=RECORDER)
    c.wait_encoded(300)
    assert 'encode_given_up' not in env.log()


def test_no_upload_is_noted_of_what_was_deleted(env):  # noqa: F811
    env.start()
    seg = Segment(env, SMALL).place()
    seg.wait_stored(60)
    env.rows('INSERT INTO uploads (segment_id, store, object_key, upload_id, '
             "part_bytes) VALUES (%s, 's3', %s, 'u1', 5)", seg.id, seg.key)
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", seg.id)
    assert env.rows('SELECT * FROM uploads') == []


def test_a_clip_goes_with_its_recording(env, made):  # noqa: F811
    """One that was made is kept for a while, but not sent any more."""
    env.start()
    seg = store(env, made)
    key = order(env, seg, 0, 5000)
    assert fetch(env, key).content and fetch(env, manifest_key(key)).content
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", seg.id)
    for gone in (key, manifest_key(key)):
        r = env.get(env.link(gone))
        assert r.status_code == 404 and 'deleted' in r.text
    wait_for('its object is gone', lambda: not os.path.exists(
        os.path.join(env.store, seg.key)), 60)
