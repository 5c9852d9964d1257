"""Each status of M1, reached by what causes it, as `relaycam recordings list`
and the HTTP API show it; and the commands that docs/when-a-recording-does-not-arrive.md has
for it, run as they stand there."""
import fcntl
import json
import os
import pathlib
import re
import shlex
import signal

import pytest

from console_env import PASSWORD, Console
from storage_env import (RECORDER, ROOT, Ceph, Segment, Storage, wait_for)
from storage_fixtures import cluster  # noqa: F401
from test_capture import Capture
from test_encode_queue import ctl, played  # noqa: F401
from test_paused_downloads import Player

SMALL = 20_000
LARGE = 20_000_000  # more than the sockets of both sides hold
PAGE = os.path.join(ROOT, 'docs', 'when-a-recording-does-not-arrive.md')


def commands():
    """{status, or '' for the head: its command lines}."""
    found, now, inside = {'': []}, [''], False
    with open(PAGE, encoding='utf-8') as f:
        for line in f:
            if line.startswith('## '):
                now = re.findall(r'`(\w+)`', line) or ['none']
                found.update({n: [] for n in now})
            elif line.startswith('```'):
                inside = line.startswith('```sh')
            elif inside:
                for n in now:
                    found[n].append(line.strip())
    return found


def run_page(env, status, segment_id):
    for line in commands()[status]:
        words = [segment_id if w == 'RECORDING' else w
                 for w in shlex.split(line)]
        if words[0] == 'systemctl':
            assert words[1:] == ['reload', 'relaycam-storage']
            env.process.send_signal(signal.SIGHUP)
            continue
        assert words[0] == 'relaycam', line
        r = ctl(env, *words[1:])
        # check and doctor judge the whole installation
        assert r.returncode in ({0, 1} if words[1] in ('doctor', 'check')
                                else {0}), (line, r.stderr)
        assert 'usage' not in r.stderr, (line, r.stderr)


def shown_by_list(env, segment_id):
    row, = [r for r in json.loads(
        ctl(env, 'recordings', 'list', '--json').stdout)
        if r['id'] == segment_id]
    return row['status_text']


def shown(env, segment_id, status):
    row, = [r for r in json.loads(
        ctl(env, 'recordings', 'list', '--status', status, '--json').stdout)
        if r['id'] == segment_id]
    assert row['status'] == status
    seen = api(env).get(f'recordings/{segment_id}')
    assert seen.status_code == 200, seen.text
    assert seen.json()['status'] == status
    if status in ('transfer', 'encoding', 'downloading'):
        assert 0 < seen.json()['progress'] < 100
    return row['status_text']


def api(env):
    """The owner's way to the HTTP API of the same database."""
    if getattr(env, 'console', None) is None:
        folder = pathlib.Path(env.dir, 'console')
        folder.mkdir()
        env.console = Console.beside(folder, env.cluster, env.url,
                                     **{'console.workers': '1'}).start()
        env.console.ctl.ok('user', 'passwd', 'alice', '--password-stdin',
                           input=PASSWORD + '\n')
        env.owner = env.console.login('alice')
    return env.owner


def end(env):
    if getattr(env, 'console', None) is not None:
        assert env.console.stop() == 0, env.console.log()
    env.close()


@pytest.fixture
def env(tmp_path, cluster):
    e = Storage(tmp_path, cluster)
    yield e
    end(e)


def test_page_has_each_status(env):
    names = {r['to_status'] for r in env.rows('SELECT * FROM segment_moves')}
    assert names - {'available'} <= set(commands())
    env.start()
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    assert shown(env, seg.id, 'available') == 'available'
    run_page(env, '', seg.id)


def test_recording(env):
    env.start()
    seg = Segment(env, SMALL)
    hidden = seg.path('.hidden')
    with open(hidden, 'wb') as f:
        f.write(seg.data)
    with open(hidden, 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        os.rename(hidden, seg.path('.webm.part'))
        seg.write('.json.open', json.dumps(seg.manifest).encode())
        seg.wait('recording', 60)
        assert shown(env, seg.id, 'recording') == 'recording'
        run_page(env, 'recording', seg.id)
    seg.leave()


def test_transfer(tmp_path, cluster, tmp_path_factory):
    ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    env = Storage(tmp_path, cluster, ceph)
    try:
        env.gate.hold = 2
        env.start()
        seg = Segment(env, 8 * 2**20).place()
        wait_for('the first part', lambda: (r := seg.row()) and
                 r['progress'] > 0, 60)
        assert re.fullmatch(r'transfer [1-9]\d? %',
                            shown(env, seg.id, 'transfer'))
        run_page(env, 'transfer', seg.id)
        env.gate.hold = None
        env.kill()
        env.start()
        seg.wait_stored(60)
    finally:
        end(env)
        ceph.stop()


def test_downloading(env):
    seg = Segment(env.start(), LARGE).place()
    seg.wait_stored(60)
    assert shown_by_list(env, seg.id) == 'available'
    p = Player(env, env.link(seg.key) + '&download=1')
    p.take(LARGE // 2)
    wait_for('its half', lambda: re.fullmatch(
        r'downloading [5-9]\d %', shown_by_list(env, seg.id)), 60)
    row = api(env).get(f'recordings/{seg.id}').json()
    assert row['status'] == 'downloading' and 50 <= row['progress'] < 100
    p.close()
    wait_for('its end', lambda: api(env).get(
        f'recordings/{seg.id}').json()['status'] == 'available', 60)


def test_downloaded_and_encoding(env, played):
    env.start(storage__recorder_program=played, storage__encoders='1')
    one = Capture(env, frames=40).place()
    wait_for('its progress', lambda: (r := one.row()) and
             r['progress'] == 41, 60)
    two = Capture(env, frames=5).place()
    two.wait('downloaded', 60)
    assert shown(env, one.id, 'encoding') == 'encoding 41 %'
    assert shown(env, two.id, 'downloaded') == 'downloaded'
    run_page(env, 'encoding', one.id)
    run_page(env, 'downloaded', two.id)
    assert env.stop() == 0
    env.start()
    for c in (one, two):
        c.wait_encoded(300)


def test_encoding_failed(env):
    env.start(storage__recorder_program='/bin/false')
    c = Capture(env, frames=5).place()
    c.wait('encoding_failed', 60)
    assert shown(env, c.id, 'encoding_failed') == 'encoding_failed'
    assert env.stop() == 0
    env.rows('UPDATE segments SET encode_failures = 3 WHERE id = %s', c.id)
    env.start(storage__recorder_program=RECORDER)
    wait_for('it is given up', lambda: 'encode_given_up' in env.log(), 60)
    c.wait('encoding_failed', 60)
    run_page(env, 'encoding_failed', c.id)
    c.wait_encoded(300)


@pytest.mark.parametrize('status', ['missing', 'corrupted'])
def test_not_in_the_store_as_it_was(env, status):
    env.start(storage__check_seconds='1')
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    path = os.path.join(env.store, seg.key)
    if status == 'missing':
        os.unlink(path)
    else:
        with open(path, 'wb') as f:
            f.write(b'x' * SMALL)
    seg.wait(status, 60)
    assert shown(env, seg.id, status) == status
    with open(path, 'wb') as f:  # the backup
        f.write(seg.data)
    run_page(env, status, seg.id)
    seg.wait('available', 60)


def test_not_in_the_spool(env):
    env.start()
    seg = Segment(env, SMALL)
    seg.write('.json', json.dumps(seg.manifest).encode())
    seg.wait('missing', 60)
    assert shown(env, seg.id, 'missing') == 'missing'
    seg.write('.webm', seg.data)
    seg.leave()
    run_page(env, 'missing', seg.id)
    seg.wait_stored(60)


@pytest.mark.parametrize('status,change', [
    ('expired', "expires_at = now() - interval '1 s'"),
    ('deleted', "status = 'deleted'")])
def test_gone_on_purpose(env, status, change):
    env.start()
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    env.rows(f'UPDATE segments SET {change} WHERE id = %s', seg.id)
    seg.wait(status, 60)
    assert shown(env, seg.id, status) == status
    run_page(env, status, seg.id)
    wait_for('its object is gone', lambda: not os.path.exists(
        os.path.join(env.store, seg.key)), 60)
