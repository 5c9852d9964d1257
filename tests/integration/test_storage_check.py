"""Reconciliation: the store, the rows and the spool are compared by
relaycam-storage and `relaycam storage check`. What is missing, unknown, or has
another size or checksum is listed with what can be done; nothing is deleted
but what its row says was deleted (M1, M4)."""
import json
import os
import shutil
import subprocess
import uuid

import pytest

from pg import USERS
from storage_env import (ACCESS_KEY, BUCKET, BUILD, Segment, Storage,
                         wait_for)
from storage_fixtures import ceph, cluster  # noqa: F401

SMALL = 4096


@pytest.fixture(params=['folder', 's3'])
def env(request, tmp_path, cluster):
    e = Storage(tmp_path, cluster, request.param == 's3' and
                request.getfixturevalue('ceph') or None)
    if e.ceph:
        e.ceph.aws('s3', 'rm', '--recursive', '--quiet', f's3://{BUCKET}/')
    yield e
    e.close()


def put(env, key, data):
    if env.ceph:
        path = os.path.join(env.dir, 'put')
        with open(path, 'wb') as f:
            f.write(data)
        env.ceph.put(key, path)
        return
    path = os.path.join(env.store, key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data)


def remove(env, key):
    if env.ceph:
        env.ceph.aws('s3api', 'delete-object', '--bucket', BUCKET, '--key',
                     key)
    else:
        os.unlink(os.path.join(env.store, key))


def keys(env):
    if env.ceph:
        return env.ceph.keys()
    return {os.path.relpath(os.path.join(d, f), env.store)
            for d, _, files in os.walk(env.store) for f in files
            } - {'.relaycam-store'}


def relaycam(env, *argv):
    settings = {**env.settings, 'database.admin_user':
                USERS['database.admin_user']}
    args = [os.path.join(BUILD, 'ctl', 'relaycam')]
    for key, value in settings.items():
        if not key.startswith('log.'):
            args += ['--set', f'{key}={value}']
    return subprocess.run([*args, *argv], capture_output=True, text=True,
                          timeout=300)


def check(env, *argv, status=0):
    r = relaycam(env, 'storage', 'check', '--json', *argv)
    assert r.returncode == status, f'{r.stderr}\n{env.log()[-3000:]}'
    return json.loads(r.stdout)


def found(result):
    return {(f['kind'], f['name']): f for f in result['findings']}


def stored(env, n):
    segs = [Segment(env, SMALL).place() for _ in range(n)]
    for s in segs:
        s.wait_stored(60)
    return segs


def test_all_agrees(env):
    env.start()
    segs = stored(env, 3)
    result = check(env, '--full')
    assert result['findings'] == []
    assert result['check']['objects'] == len(keys(env)) >= 3
    assert (result['check']['recordings'], result['check']['hashed']) == (3, 3)
    audit, = env.rows("SELECT detail FROM audit WHERE action = "
                      "'storage_checked'")
    assert audit['detail']['hashed'] == 3
    assert all(s.row()['hashed_at'] for s in segs)
    assert env.metric('checks_total') == 1


def test_each_kind_of_difference(env):
    env.start()
    gone, short, wrong, well = stored(env, 4)
    remove(env, gone.key)
    put(env, short.key, short.data[:-1])
    put(env, wrong.key, wrong.data[:-1] + bytes([wrong.data[-1] ^ 1]))
    put(env, 'acme/desk1/left-over.bin', b'what is this')
    put(env, 'zebra', b'')
    result = check(env, '--full', status=3)
    lines = found(result)
    assert set(lines) == {
        ('missing', gone.key), ('wrong_size', short.key),
        ('wrong_checksum', wrong.key),
        ('unknown', 'acme/desk1/left-over.bin'), ('unknown', 'zebra')}
    assert all(f['action'] and f['detail'] for f in lines.values())
    assert lines['missing', gone.key]['recording'] == gone.id
    assert {s.row()['status'] for s in (gone, short, wrong)} == {
        'missing', 'corrupted'}
    assert well.row()['status'] == 'available'
    # nothing was deleted
    assert {'zebra', 'acme/desk1/left-over.bin', short.key,
            wrong.key} <= keys(env)
    doctor = relaycam(env, 'doctor', '--json')
    line, = [x for x in json.loads(doctor.stdout)['checks']
             if x['check'] == 'stored']
    assert line['level'] == 'warn' and line['text'].startswith('5 files')
    # put right by hand (M4); S3 has what we noted with its uploads only
    if not env.ceph:
        for seg in (gone, short, wrong):
            put(env, seg.key, seg.data)
        remove(env, 'zebra')
        remove(env, 'acme/desk1/left-over.bin')
        assert check(env)['findings'] == []
        assert gone.row()['status'] == 'available'


def test_only_what_its_row_says_was_deleted_is_deleted(env):
    """A crash between an object's end and its row's, or a copy that came
    back with a restored disk."""
    env.start()
    old, coming = stored(env, 2)
    env.rows("UPDATE segments SET expires_at = now() - interval '1 s' "
             'WHERE id = %s', old.id)
    old.wait('expired')
    put(env, old.key, old.data)
    env.rows("UPDATE segments SET status = 'transfer', store = NULL WHERE "
             'id = %s', coming.id)
    assert check(env)['findings'] == []
    assert keys(env) >= {coming.key} and old.key not in keys(env)
    row, = env.rows("SELECT object, detail FROM audit WHERE action = "
                    "'object_removed'")
    assert (row['object'], row['detail']['object_key']) == (old.id, old.key)


def test_more_than_a_page(env):
    """Folders that sort around their own names, 600 unknown files."""
    env.start()
    names = [f'a/{i % 7}/{i}.webm' for i in range(240)] + [
        f'a{c}b/{i:03}' for c in '-./0' for i in range(80)]
    names = [n for n in names if '//' not in n]
    if env.ceph:
        names = names[:40] + names[-260:]
        folder = os.path.join(env.dir, 'many')
        for n in names:
            os.makedirs(os.path.dirname(os.path.join(folder, n)),
                        exist_ok=True)
            with open(os.path.join(folder, n), 'wb') as f:
                f.write(b'x')
        env.ceph.aws('s3', 'cp', '--recursive', '--quiet', folder,
                     f's3://{BUCKET}/')
    else:
        for n in names:
            put(env, n, b'x')
    segs = stored(env, 2)
    result = check(env, status=3)
    assert {k for k in found(result)} == {('unknown', n) for n in names}
    assert result['check']['objects'] == len(names) + len(segs)
    if not env.ceph:
        for n in os.listdir(env.store):
            if n.startswith('a') and n != 'acme':
                shutil.rmtree(os.path.join(env.store, n))
        assert check(env)['findings'] == []


def test_files_gone_from_the_spool(env):
    """M4: a row must not say `transfer` for ever."""
    env.start()
    (seg,) = stored(env, 1)
    env.rows("UPDATE segments SET status = 'transfer', store = NULL, "
             'spool_node = (SELECT id FROM nodes LIMIT 1) WHERE id = %s',
             seg.id)
    env.stop()
    env.start()
    assert 'gone from the spool' in seg.wait('missing', 60)['status_detail']
    assert ('missing', seg.key) in found(check(env, status=3))


def test_killed_and_continued(env):
    """Another daemon, or the next start, goes on behind the last page."""
    env.start()
    stored(env, 2)
    env.rows("INSERT INTO storage_checks (store, phase, done_to, run_by, "
             "started_at, heartbeat_at, n_listed) VALUES (%s, 'store', "
             "'zzzz', %s, now(), now() - interval '1 hour', 7)",
             's3' if env.ceph else 'folder', str(uuid.uuid4()))
    result = check(env)
    assert result['check']['objects'] == 7  # behind zzzz is nothing


def test_nobody_compares(env):
    env.start()
    env.stop()
    r = relaycam(env, 'storage', 'check', '--no-wait')
    assert r.returncode == 0, r.stderr
    assert env.rows('SELECT phase FROM storage_checks') == [
        {'phase': 'waiting'}]
    env.start(storage__check_seconds='1')
    wait_for('it was waiting', lambda: env.rows(
        "SELECT 1 FROM storage_checks WHERE phase = 'done' AND asked_by <> "
        "''"), 60)
    assert ACCESS_KEY not in r.stdout


def test_unknown_files_of_the_spool(env):
    """Each is a finding until it is gone; nothing that storage knows is one."""
    env.start()
    stored(env, 1)
    session = os.path.join(env.spool, str(uuid.uuid4()))
    os.makedirs(session)
    unknown = {os.path.join(session, 'core'): b'dump',
               os.path.join(session, f'{uuid.uuid4()}.webm'): b'lonely',
               os.path.join(env.spool, 'notes.txt'): b'mine',
               os.path.join(env.spool, 'n\xe4me'): b''}
    for path, data in unknown.items():
        with open(path, 'wb') as f:
            f.write(data)
        os.utime(path, (0, 0))
    with open(os.path.join(env.spool, 'new.txt'), 'wb') as f:
        f.write(b'too new to be one')
    names = {os.path.relpath(p, env.spool).replace('\xe4', '??'): len(data)
             for p, data in unknown.items()}

    def seen():
        result = check(env, status=3)
        assert all(f['action'] and f['place'].endswith(env.spool)
                   for f in result['findings'])
        return {f['name']: f['bytes'] for f in result['findings']}
    # that one has no manifest is known a minute after it was put there
    lonely, = [n for n in names if n.endswith('.webm')]
    first = seen()
    assert {**first, lonely: 6} == names
    for path in unknown:
        os.unlink(path)
    assert check(env)['findings'] == []
