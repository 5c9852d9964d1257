"""Locked recordings in a bucket with object lock, on a Ceph RADOS Gateway: who
may delete objects cannot delete these, the lifecycle rule spares them, and what
is unlocked can be deleted again (M6, M8)."""
import json
import subprocess
import uuid

import pytest

from storage_env import Ceph, Segment, Storage, wait_for
from storage_fixtures import cluster  # noqa: F401
from test_storage_init import relaycam, warnings

SMALL = 20_000
RULES = {'relaycam-abandoned-uploads', 'relaycam-deleted-versions'}


@pytest.fixture(scope='module')
def ceph(tmp_path_factory):
    with pytest.MonkeyPatch.context() as m:
        m.setenv('LC_DAY_SECONDS', '1')  # of lifecycle rules
        c = Ceph(tmp_path_factory.mktemp('ceph'))
    yield c
    c.stop()


@pytest.fixture
def env(tmp_path, cluster, ceph):  # noqa: F811
    e = Storage(tmp_path, cluster, ceph)
    e.bucket = f'locks-{uuid.uuid4()}'
    e.settings['store.s3_bucket'] = e.bucket
    r = relaycam(e, 'storage', 'init', '--create-bucket', '--object-lock',
                 '--json')
    assert r.returncode == 0, r.stderr
    found = json.loads(r.stdout)
    assert found['object_lock'] and found['lifecycle_rule']
    yield e.start()
    e.close()


def s3(env, command, **args):
    words = [w for k, v in args.items()
             for w in (f'--{k.replace("_", "-")}', v)]
    return env.ceph.aws('s3api', command, '--bucket', env.bucket, *words)


def versions(env, key):
    return [v['VersionId'] for v in s3(
        env, 'list-object-versions', prefix=key).get('Versions', [])
        if v['Key'] == key]


def lock(env, seg, on):
    env.rows('UPDATE segments SET locked = %s WHERE id = %s', on, seg.id)
    wait_for('the hold is as the lock',
             lambda: seg.row()['legal_hold'] is on, 60)


def test_a_locked_one_cannot_be_deleted_at_the_store(env):
    seg = Segment(env, SMALL).place()
    seg.wait_stored(60)
    version, = versions(env, seg.key)
    lock(env, seg, True)
    assert s3(env, 'get-object-legal-hold', key=seg.key)['LegalHold'][
        'Status'] == 'ON'
    with pytest.raises(subprocess.CalledProcessError) as e:
        s3(env, 'delete-object', key=seg.key, version_id=version)
    assert 'AccessDenied' in e.value.stderr
    lock(env, seg, False)
    assert s3(env, 'get-object-legal-hold', key=seg.key)['LegalHold'][
        'Status'] == 'OFF'
    assert [r['action'] for r in env.rows(
        "SELECT action FROM audit WHERE object = %s AND action LIKE "
        "'legal%%' ORDER BY id", seg.id)] == [
        'legal_hold_set', 'legal_hold_removed']
    # deleted while the hold is still there: it goes first
    lock(env, seg, True)
    env.rows("UPDATE segments SET locked = false, status = 'deleted' "
             'WHERE id = %s', seg.id)
    wait_for('it is removed', lambda: seg.row()['store'] is None, 60)
    assert not seg.row()['legal_hold']


def test_the_rule_spares_what_is_held(env):
    """Somebody with another tool deletes a locked recording, and one that is
    not locked."""
    held, free = [Segment(env, SMALL).place() for _ in range(2)]
    for seg in (held, free):
        seg.wait_stored(60)
    lock(env, held, True)
    for seg in (held, free):
        s3(env, 'delete-object', key=seg.key)
    wait_for('the free one goes', lambda: not versions(env, free.key), 120)
    assert len(versions(env, held.key)) == 1
    assert RULES <= {r['ID'] for r in s3(
        env, 'get-bucket-lifecycle-configuration')['Rules']}
    assert warnings(env, env.bucket) == []
    s3(env, 'delete-bucket-lifecycle')
    assert any('lacks a lifecycle rule' in w
               for w in warnings(env, env.bucket))


def test_without_object_lock_the_row_keeps_it(tmp_path, cluster, ceph):  # noqa: F811
    env = Storage(tmp_path, cluster, ceph)
    try:
        assert relaycam(env, 'storage', 'init').returncode == 0
        env.start()
        seg, last = [Segment(env, SMALL).place() for _ in range(2)]
        for s in (seg, last):
            s.wait_stored(60)
        env.rows('UPDATE segments SET locked = true WHERE id = %s', seg.id)
        env.rows("UPDATE segments SET expires_at = now() - interval '1 s'")
        last.wait('expired', 60)
        row = seg.row()
        assert (row['status'], row['legal_hold']) == ('available', False)
        assert seg.key in ceph.keys()
        assert 'legal_hold' not in env.log()
    finally:
        env.close()
