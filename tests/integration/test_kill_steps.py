"""kill -9 of storage at every step of an upload: the steps come from the state
table of the code. What was recorded is whole in the store once, its row is
`available`, and no part is sent twice (M2)."""
import os
import subprocess

import pytest

from storage_env import BUILD, Ceph, Segment, Storage, evidence, wait_for
from storage_fixtures import cluster  # noqa: F401

JPEG = b'\xff\xd8\xff\xe0' + b'picture' * 100
SIZE = {'folder': 300_000, 's3': 5 * 2**20 + 1}  # two parts


def states():
    """{state before: state} of what `relaycam-storage states` prints, for
    causes that lead on in an upload."""
    out = subprocess.run([os.path.join(BUILD, 'storage', 'relaycam-storage'),
                          'states'], capture_output=True, text=True,
                         timeout=30, check=True).stdout
    lead = {}
    for line in out.splitlines():
        cells = [c.strip() for c in line.strip('|').split('|')]
        if len(cells) == 5 and ',' not in cells[1] and cells[2] not in (
                'wait', 'new', 'failed', 'asking'):
            lead[cells[1]] = cells[2]
    return lead


def upload_steps():
    lead, found = states(), ['closed']
    while found[-1] in lead:
        found.append(lead[found[-1]])
    return found


# after the last state of the table: the media is removed, the manifest not yet
POINTS = upload_steps() + ['media_removed']


def test_the_table_has_the_whole_way():
    assert POINTS[0] == 'closed' and POINTS[-2] == 'done'
    assert {'transfer', 'poster', 'manifest', 'stored'} < set(POINTS)


@pytest.fixture(scope='module', params=['folder', 's3'])
def env(request, tmp_path_factory, cluster):
    ceph = Ceph(tmp_path_factory.mktemp('ceph')) \
        if request.param == 's3' else None
    e = Storage(tmp_path_factory.mktemp('storage'), cluster, ceph)
    e.settings['log.level'] = 'info'
    yield e
    e.close()
    if ceph:
        ceph.stop()


def stored(env, seg):
    """{key: bytes, or None when it was not read} of what lies beside it."""
    folder = os.path.dirname(seg.key)
    if env.ceph:
        keys = {k for k in env.ceph.keys() if k.startswith(folder)}
        data = env.ceph.get(seg.key, os.path.join(env.dir, 'got'))
    else:
        keys = {f'{folder}/{n}'
                for n in os.listdir(os.path.join(env.store, folder))}
        with open(os.path.join(env.store, seg.key), 'rb') as f:
            data = f.read()
    return {k: data if k == seg.key else None for k in keys}


@pytest.mark.parametrize('point', POINTS)
def test_killed_while_it_is_stored(env, point):
    seg = Segment(env, SIZE['s3' if env.ceph else 'folder'])
    seg.manifest['poster'] = f'{seg.id}.jpg'
    seg.manifest['evidence'] = evidence(seg.id, seg.data, 100)
    seg.write('.jpg', JPEG)
    seg.place()
    if env.ceph:
        env.gate.parts.clear()
    env.run_until_killed(point)
    if point not in ('done', 'media_removed'):
        assert seg.files() == {'.json', '.webm', '.jpg'}
        row = seg.row()
        assert row is None or row['status'] == 'transfer'
    else:
        assert seg.row()['status'] == 'available'
    env.start()
    seg.wait_stored(60)
    assert stored(env, seg) == {seg.key: seg.data,
                                seg.key[:-5] + '.jpg': None,
                                seg.key[:-5] + '.json': None}
    assert [r['action'] for r in env.rows(
        'SELECT action FROM audit WHERE object = %s ORDER BY id', seg.id)] \
        == ['segment_transfer', 'segment_available']
    assert env.rows('SELECT count(*) AS n FROM uploads')[0]['n'] == 0
    wait_for('an empty spool', lambda: not os.listdir(env.spool))
    assert env.stop() == 0
    if env.ceph:
        assert sorted(env.gate.parts) == [1, 2]  # several at a time
        assert not env.ceph.uploads()
