"""A node that was taken for lost is back while another one makes a recording of
what was in the store (M2): the longer one stays, in whatever order they come."""
import os

import pytest

from storage_env import wait_for
from storage_fixtures import ceph, cluster  # noqa: F401
from test_early_uploads import (  # noqa: F401
    FRAMES, PART, check_recovered, env, grow_to, other, sent, webm,
    whole_segment)
from test_growing import Growing


def silent_for_a_day(env, seg):  # noqa: F811
    """The segment's node is lost from now on."""
    env.rows("UPDATE nodes SET heartbeat_at = now() - interval '26 hours', "
             "silent_since = now() - interval '25 hours' "
             'WHERE id = (SELECT spool_node FROM segments WHERE id = %s)',
             seg.id)


def half_sent(env, webm):  # noqa: F811
    """A segment that its node has whole, and the store a part of."""
    env.start()
    seg = whole_segment(env, webm)
    end = grow_to(seg, PART + 100_000)
    seg.wait('recording')
    sent(env, seg, end)
    env.kill()
    seg.grow_all()
    seg.close()
    seg.leave()
    silent_for_a_day(env, seg)
    return seg


def check_whole(env, seg, webm):  # noqa: F811
    row = seg.row()
    assert row['status'] == 'available'
    assert bytes(row['sha256']) == seg.sha256
    assert row['bytes'] == len(webm) and not row['recovered']
    assert row['frames'] == FRAMES
    assert row['end_why'] == 'normal' and row['status_detail'] == ''
    assert row['lost_node'] is None and row['lost_why'] is None
    assert env.ceph.get(seg.key, f'{env.dir}/whole') == webm


@pytest.mark.parametrize('step', ['lost_copy_placed', 'stored'])
def test_original_is_stored_before_the_copy(env, other, webm, step):  # noqa: F811
    seg = half_sent(env, webm)
    other.run_until_killed(step)
    # the original comes first ...
    env.start()
    wait_for('the original is stored',
             lambda: (r := seg.row())['status'] == 'available' and
             bytes(r['sha256']) == seg.sha256, 120)
    # ... and the copy, which is shorter, goes
    other.start()
    wait_for(f'the copy is gone: {other.log()[-4000:]}',
             lambda: not any(seg.id in name for _, _, files in
                             os.walk(other.spool) for name in files), 120)
    kept, = wait_for(f'the audit log has it: {other.log()[-4000:]}',
                     lambda: env.rows(
        "SELECT detail FROM audit WHERE action = 'recording_copy_dropped' "
        'AND object = %s', seg.id), 60)
    assert kept['detail']['frames'] < kept['detail']['stored_frames']
    assert kept['detail']['stored_bytes'] == len(webm)
    check_whole(env, seg, webm)


def test_silence_is_counted_from_when_it_is_seen(env, other, webm):  # noqa: F811
    """As in a database that was restored from a backup: the heartbeats are old,
    and the nodes come back one after the other."""
    seg = half_sent(env, webm)
    env.rows("UPDATE nodes SET silent_since = NULL")
    other.start()
    wait_for('the silence is noted', lambda: env.rows(
        'SELECT FROM nodes WHERE silent_since >= heartbeat_at'), 60)
    # it looked for lost nodes in that moment, and again
    wait_for('it looks again', lambda: env.rows(
        "SELECT FROM nodes WHERE silent_since < now() - interval '12 s'"), 60)
    row = seg.row()
    assert row['status'] == 'recording' and row['lost_node'] is None
    env.start()
    wait_for('it is stored', lambda: seg.row()['status'] == 'available', 120)
    check_whole(env, seg, webm)


@pytest.mark.parametrize('step', ['', 'lost_copy_half_placed'])
def test_segments_of_one_session(env, other, webm, step):  # noqa: F811
    """All are recovered at once: none waits for another one's transfer."""
    env.start()
    first = Growing(env, webm)
    second = Growing(env, webm, session=first.session, seq=2)
    # the session's folder is there, and in use, when they come
    there = Growing(other, webm, session=first.session, seq=3)
    ends = [grow_to(s, 100_000) for s in (first, second)]
    for seg, end in zip((first, second), ends):
        seg.wait('recording')
        sent(env, seg, end)
    env.kill()
    for seg in first, second:
        os.close(seg.fd)
    silent_for_a_day(env, first)
    if step:
        other.run_until_killed(step)
    other.start()
    for seg, end in zip((first, second), ends):
        check_recovered(other, seg, end, 'is lost')
    os.close(there.fd)
    assert 'are in the spool' not in other.log()
