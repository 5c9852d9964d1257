"""Segments are sent to S3 while they grow, and what is there of a node that is
lost becomes a recording (M2, M8). The recorder is played by test_growing's
Growing; the server is Ceph's."""
import os
import shutil
import subprocess

import pytest

import storage_env
from storage_env import Storage, second_storage, wait_for
from storage_fixtures import ceph, cluster  # noqa: F401
from test_growing import Growing

PART = 5 << 20
FRAMES = 540


@pytest.fixture(scope='module')
def webm(tmp_path_factory):
    """A finished file of the writer's, of three parts."""
    path = tmp_path_factory.mktemp('webm') / 'whole.webm'
    tool = os.path.join(storage_env.BUILD, 'tests', 'unit', 'webm_make')
    subprocess.run([tool, 'noise', str(path), str(FRAMES), '200'],
                   check=True, capture_output=True)
    data = path.read_bytes()
    assert 2 * PART < len(data) < 3 * PART, len(data)
    return data


@pytest.fixture
def env(tmp_path, cluster, ceph):  # noqa: F811
    e = Storage(tmp_path, cluster, ceph)
    e.settings['storage.early_upload_seconds'] = '1'
    yield e
    e.close()


def parts(env, seg):
    """{number: bytes} of what is noted as sent."""
    return {r['part']: r['bytes'] for r in env.rows(
        "SELECT part, bytes FROM upload_parts WHERE segment_id = %s AND "
        "etag <> '' AND next_etag IS NULL", seg.id)}


def sent(env, seg, end):
    """Waits until bytes up to end are in the store."""
    wait_for(f'{end} bytes are sent',
             lambda: sum(parts(env, seg).values()) == end or None, 60)
    return parts(env, seg)


def grow_to(seg, end):
    """Clusters up to `end` bytes at least; where the last one ends."""
    at = 0
    while at < end:
        at = seg.grow()
    return at


def test_parts_are_sent_while_it_grows(env, ceph, webm):  # noqa: F811
    env.start()
    seg = Growing(env, webm)
    end = grow_to(seg, 100_000)
    seg.wait('recording')
    assert sent(env, seg, end) == {1: end}
    end = grow_to(seg, PART + 100_000)
    assert sent(env, seg, end) == {1: PART, 2: end - PART}
    assert seg.key not in ceph.keys()
    seg.grow_all()
    passed = len(env.gate.parts)
    seg.close()
    seg.leave()
    seg.wait_stored(60)
    # the header's part and what came after the last call, not all of it again
    assert set(env.gate.parts[passed:]) <= {1, 2, 3}
    assert 1 in env.gate.parts[passed:]
    assert ceph.uploads() == []
    assert env.rows('SELECT FROM uploads') == []
    assert ceph.get(seg.key, f'{env.dir}/got') == webm
    # no SHA-256 is noted with such an object: a check reads its bytes
    env.rows("INSERT INTO storage_checks (store, asked_by, is_full) VALUES "
             "('s3', 'alice', true)")
    env.rows('NOTIFY relaycam_check')
    wait_for('it is hashed', lambda: seg.row()['hashed_at'], 60)
    assert seg.row()['status'] == 'available'


def lose(seg):
    """As the disk of its node: the recorder and its files are gone."""
    os.close(seg.fd)
    seg.leave()
    shutil.rmtree(seg.folder)


def frames(path):
    """As ffprobe counts what it decodes."""
    r = subprocess.run(
        ['ffprobe', '-v', 'error', '-count_frames', '-select_streams', 'v',
         '-show_entries', 'stream=nb_read_frames', '-of', 'csv=p=0', path],
        check=True, capture_output=True, text=True)
    assert r.stderr == ''
    return int(r.stdout.strip().rstrip(','))


def check_recovered(env, seg, end, why):
    """A recording of the bytes up to end, which says what is missing."""
    row = seg.wait('available', 120)
    assert row['recovered'] and row['end_why'] == 'crash'
    assert why in row['status_detail']
    assert row['bytes'] >= end
    got = f'{env.dir}/got'
    data = env.ceph.get(seg.key, got)
    assert len(data) == row['bytes']
    header = seg.parts.header
    assert data[header:end] == seg.data[header:end]
    assert frames(got) == row['frames'] > 0
    kept, = env.rows("SELECT detail FROM audit WHERE action = "
                     "'recording_recovered' AND object = %s", seg.id)
    assert kept['detail']['bytes'] == end
    assert not [u for u in env.ceph.uploads() if u['Key'] == seg.key]
    return row


def test_lost_spool_becomes_a_recording(env, webm):
    env.start()
    seg = Growing(env, webm)
    end = grow_to(seg, 2 * PART + 100_000)
    seg.wait('recording')
    sent(env, seg, end)
    env.kill()
    seg.grow(5)
    lose(seg)
    env.start()
    check_recovered(env, seg, end, 'its files on node')
    assert seg.files() == set()


STEPS = ['lost_claimed', 'lost_joined', 'lost_copy_made', 'lost_copy_noted',
         'lost_copy_placed']


@pytest.mark.parametrize('step', STEPS)
def test_killed_while_it_recovers(env, webm, step):
    env.start()
    seg = Growing(env, webm)
    end = grow_to(seg, PART + 100_000)
    seg.wait('recording')
    sent(env, seg, end)
    env.kill()
    lose(seg)
    env.run_until_killed(step)
    env.start()
    check_recovered(env, seg, end, 'its files on node')


@pytest.mark.parametrize('step', ['early_part_sent', 'early_part_noted'])
def test_killed_between_parts(env, webm, step):
    """What is noted is true of what the server has, at each step."""
    env.start(storage__early_upload_seconds='0')
    seg = Growing(env, webm)
    end = grow_to(seg, 100_000)
    seg.wait('recording')
    env.kill()
    env.run_until_killed(step)
    lose(seg)
    env.start()
    check_recovered(env, seg, end, 'its files on node')


def whole_segment(env, webm):
    """Whose manifest will say how many frames it has."""
    return Growing(env, webm, frames=FRAMES, last_frame=FRAMES)


@pytest.fixture
def other(env):
    s = second_storage(env)
    yield s
    s.close()


def test_lost_node_and_its_return(env, other, webm):
    env.start()
    seg, unsent = whole_segment(env, webm), Growing(env, webm)
    end = grow_to(seg, PART + 100_000)
    seg.wait('recording')
    unsent.wait('recording')
    sent(env, seg, end)
    env.kill()
    seg.grow_all()
    seg.close()
    # one that is alive is not touched
    other.start()
    env.rows("UPDATE nodes SET heartbeat_at = now() - interval '26 hours', "
             "silent_since = now() - interval '25 hours' "
             'WHERE id = (SELECT spool_node FROM segments WHERE id = %s)',
             seg.id)
    check_recovered(other, seg, end, 'is lost')
    assert 'nothing of it was in the store' in unsent.wait(
        'missing', 60)['status_detail']
    # it comes back with the whole one, which replaces that
    os.close(unsent.fd)
    seg.leave()
    unsent.leave()
    env.start()
    wait_for('the original is stored',
             lambda: (r := seg.row())['status'] == 'available' and
             bytes(r['sha256']) == seg.sha256 and r['lost_node'] is None, 120)
    assert seg.row()['status_detail'] == ''
    assert env.ceph.get(seg.key, f'{env.dir}/whole') == webm
