"""Captures on their way to a video: what links, lists and the timeline say of
them meanwhile (M1, X1), and several encoders that are stopped or killed at a
time, with the storage that started them (M3)."""
import fcntl
import json
import os
import signal
import subprocess
import time

import pytest

import spool_files
from storage_env import BUILD, wait_for
from storage_fixtures import cluster, env  # noqa: F401
from test_capture import MAKE, Capture, violations

CTL = os.path.join(BUILD, 'ctl', 'relaycam')


@pytest.fixture
def played(tmp_path):
    """A program instead of the encoder, that says how far it is."""
    path = tmp_path / 'encoder'
    path.write_text('#!/bin/sh\n'
                    'for i in 7 41; do echo progress $i; done\n'
                    'exec sleep 1000\n')
    path.chmod(0o755)
    return str(path)


def ctl(env, *args):
    argv = [CTL]
    for k, v in env.settings.items():
        if k.split('.')[0] in ('database', 'store'):
            argv += ['--set', f'{k}={v}']
    return subprocess.run([*argv, *args], capture_output=True, text=True,
                          timeout=60)


def shown(env, c):
    """Its status as people see it, and the sentence instead of a link."""
    rows = [json.loads(ctl(env, 'recordings', *words, '--json').stdout)
            for words in (('list', '--session', c.session),
                          ('timeline', c.session))]
    texts = {r['status_text'] for r, in rows}
    assert len(texts) == 1, texts
    r = ctl(env, 'recordings', 'link', c.id)
    assert r.returncode == 1 and r.stdout == ''
    assert texts.pop() in ctl(env, 'recordings', 'list').stdout
    return rows[0][0]['status_text'], r.stderr


def asked(env, c, status=503):
    """Status, Retry-After and sentence of its link, and of its index."""
    r = env.get(env.link(c.key))
    assert r.status_code == status
    index = env.get(env.link(c.key).replace('?', '/index.json?'))
    assert index.status_code == status
    if status == 503:
        doc = index.json()
        assert doc['text'] == r.text.strip()
        assert (doc['status'], doc['progress']) == (
            c.row()['status'], c.row()['progress'])
        assert index.headers['Retry-After'] == r.headers['Retry-After']
        assert r.headers['Cache-Control'] == 'no-store'
    return r.text, int(r.headers.get('Retry-After', 0))


def test_while_its_session_goes_on(env):
    env.start()
    c = Capture(env, frames=5, cut=True)
    hidden = c.path('.made')
    subprocess.run([MAKE, hidden, json.dumps(c.meta), '320', '240', '1000',
                    '30', 'cut'], check=True, timeout=60)
    with open(hidden, 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        os.rename(hidden, c.path('.capture.part'))
        c.write('.capture.json', json.dumps(c.manifest).encode())
        c.wait('recording')
        status, why = shown(env, c)
        assert status == 'captured now'
        assert 'can be watched when it was encoded' in why
        text, later = asked(env, c)
        assert 'captured' in text and later >= 10
    c.wait_encoded()


def test_while_it_waits_and_is_encoded(env, played):
    env.start(storage__recorder_program=played, storage__encoders='1')
    one = Capture(env, frames=40).place()
    row = wait_for('its progress', lambda: (r := one.row()) and
                   r['progress'] == 41 and r)
    assert row['status'] == 'encoding' and row['is_capture']
    status, why = shown(env, one)
    assert status == 'encoding 41 %'
    assert 'is being encoded, 41 %' in why
    text, later = asked(env, one)
    assert 'is being encoded, 41 %' in text and later <= 10
    two = Capture(env, frames=5).place()
    two.wait('downloaded')
    assert shown(env, two)[0] == 'downloaded'
    assert 'waits to be encoded' in shown(env, two)[1]
    assert 'waits to be encoded' in asked(env, two)[0]
    # the link is the one that leads to the recording later
    url = env.link(one.key)
    assert env.stop() == 0
    env.start()
    for c in (one, two):
        row = c.wait_encoded()
        assert not row['is_capture']
    r = env.get(url)
    assert r.status_code == 200 and len(r.content) == one.row()['bytes']
    assert ctl(env, 'recordings', 'link', one.id).returncode == 0


def test_when_it_cannot_be_encoded(env):
    env.start(storage__recorder_program='/bin/false')
    c = Capture(env, frames=5).place()
    c.wait('encoding_failed')
    status, why = shown(env, c)
    assert status == 'encoding_failed' and 'could not be encoded' in why
    text, later = asked(env, c, 404)
    assert 'could not be encoded' in text and later == 0


# ---- several at a time ----

def several(env, n=3):
    """n captures that are all being encoded, and who does it."""
    captures = [Capture(env, frames=250).place() for _ in range(n)]
    env.settings['storage.encoders'] = str(n)
    env.start()
    return captures, [c.wait_encoder() for c in captures]


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def finish(env, captures):
    for c in captures:
        assert c.wait_encoded(300)['frames'] == 252
        assert len(c.rows()) == 1
    assert not spool_files.paths(env.spool)
    assert not violations(env)


def test_storage_killed_with_several_encoders(env):
    captures, pids = several(env)
    env.kill()
    wait_for('the end of all encoders', lambda: not any(map(alive, pids)))
    assert not spool_files.paths(env.spool, '.webm')
    assert {c.row()['status'] for c in captures} == {'encoding'}
    env.start()
    finish(env, captures)


def test_some_encoders_killed(env):
    captures, pids = several(env)
    for pid in pids[:2]:
        os.kill(pid, signal.SIGKILL)
    for c in captures[:2]:
        wait_for('downloaded', lambda: 'signal 9' in c.row()['status_detail']
                 or c.encoder() not in (None, *pids))
    assert alive(pids[2]) or captures[2].row()['status'] != 'encoding'
    finish(env, captures)


def test_stopped_encoder_is_given_up(env):
    """SIGSTOP: it would keep its place for ever."""
    env.settings['storage.recorder_stall_seconds'] = '3'
    captures, pids = several(env, 2)
    os.kill(pids[0], signal.SIGSTOP)
    row = wait_for('it is given up', lambda: (
        r := captures[0].row()) and 'stuck' in r['status_detail'] and r)
    assert row['status'] == 'downloaded'
    assert not alive(pids[0])
    assert f'encoder_stuck capture={captures[0].id}' in env.log()
    finish(env, captures)
    assert env.log().count('encoder_stuck') == 1


def test_pause_is_no_stall(env):
    """The whole machine slept for longer than a stuck one is given."""
    env.settings['storage.recorder_stall_seconds'] = '1'
    captures, pids = several(env, 2)
    for pid in (env.process.pid, *pids):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)  # that is what is tested
    for pid in (*pids, env.process.pid):
        os.kill(pid, signal.SIGCONT)
    finish(env, captures)
    assert 'encoder_stuck' not in env.log()
    assert 'encode_failed' not in env.log()
