"""A folder store whose file system is not mounted (M8): nothing is done in it,
recordings keep their status, and all continues when it is back."""
import json
import os

import pytest

from storage_env import Segment, Storage, wait_for
from storage_fixtures import cluster  # noqa: F401
from test_storage_check import relaycam

MARK = '.relaycam-store'


@pytest.fixture
def env(tmp_path, cluster):  # noqa: F811
    e = Storage(tmp_path, cluster)
    yield e
    e.close()


def unmount(env):
    """What is below the mount point comes in sight: an empty folder."""
    os.rename(env.store, f'{env.dir}/disk')
    os.mkdir(env.store)


def mount(env):
    os.rmdir(env.store)  # nothing was written there
    os.rename(f'{env.dir}/disk', env.store)


def is_there(env, value):
    wait_for(f'store_is_there {value}: {env.log()[-2000:]}',
             lambda: env.metric('store_is_there') == value or None, 60)


def doctor(env):
    r = relaycam(env, 'doctor', '--json')
    line, = [x for x in json.loads(r.stdout)['checks'] if x['check'] == 'store']
    return line


def mark_of(env):
    with open(f'{env.store}/{MARK}', encoding='utf-8') as f:
        return f.read().strip()


def test_unmounted_while_it_runs(env):
    env.start()
    kept, due = [Segment(env, 5000).place() for _ in range(2)]
    for seg in kept, due:
        seg.wait_stored(60)
    assert doctor(env)['level'] == 'ok'
    unmount(env)
    is_there(env, 0)
    assert doctor(env)['level'] == 'FAIL'
    # reconciliation, expiry and a transfer
    env.rows("UPDATE segments SET expires_at = now() - interval '1 s' "
             'WHERE id = %s', due.id)
    new = Segment(env, 5000).place()
    wait_for('it says why', lambda: 'is it mounted?' in (
        (new.row() or {}).get('status_detail') or ''), 60)
    r = relaycam(env, 'storage', 'check', '--full', '--json')
    assert r.returncode == 1, r.stdout + r.stderr
    wait_for('expiry has tried',
             lambda: env.metric('remove_errors_total') > 0 or None, 60)
    assert new.row()['status'] == 'transfer'
    assert {s.row()['status'] for s in (kept, due)} == {'available'}
    assert os.listdir(env.store) == []
    mount(env)
    new.wait_stored(60)
    due.wait('expired', 60)
    is_there(env, 1)
    # the comparison that stopped is done by itself, or when it is asked again
    wait_for('all agrees', lambda: relaycam(
        env, 'storage', 'check', '--full').returncode == 0 or None, 120)
    assert kept.row()['status'] == 'available'


def test_unmounted_at_the_start(env):
    env.start()
    seg = Segment(env, 5000).place()
    seg.wait_stored(60)
    env.stop()
    # a store of an older version has no mark: its recordings are the proof
    env.rows('DELETE FROM folder_store')
    os.unlink(f'{env.store}/{MARK}')
    unmount(env)
    env.start()
    is_there(env, 0)
    assert env.rows('SELECT FROM folder_store') == []
    assert os.listdir(env.store) == []
    mount(env)
    is_there(env, 1)
    row, = wait_for('the id', lambda: env.rows(
        'SELECT id FROM folder_store'), 60)
    assert str(row['id']) == mark_of(env)
    assert seg.row()['status'] == 'available'
    # moved, without the mark
    os.unlink(f'{env.store}/{MARK}')
    is_there(env, 0)
    assert relaycam(env, 'storage', 'init').returncode == 0
    is_there(env, 1)
    assert str(row['id']) == mark_of(env)
