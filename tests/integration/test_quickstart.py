"""The quickstart as a person runs it: --once against both stores, links that
work, a second start on the same state, clear errors. M8, T6."""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile

import pytest
import requests

import media
from conftest import BUILD, ROOT
from ports import free_ports


def quickstart(*args, timeout=240):
    return subprocess.run(
        [os.path.join(ROOT, 'quickstart'), '--build', BUILD, *args],
        capture_output=True, text=True, timeout=timeout, cwd='/')


@pytest.fixture(params=['folder', 's3'])
def once(request):
    """State folder, first port and arguments for one store."""
    state = tempfile.mkdtemp(prefix='rc-', dir='/tmp')
    os.chmod(state, 0o755)
    base = free_ports().relay
    args = ['--once', '--state', state, '--port-base', str(base)]
    if request.param == 's3':
        args.append('--s3')
    yield state, base, args
    shutil.rmtree(state, ignore_errors=True)


def check_segment(s, ca, tmp_path):
    r = requests.get(s['url'], verify=ca, timeout=30)
    assert r.status_code == 200
    assert len(r.content) == s['bytes']
    assert hashlib.sha256(r.content).hexdigest() == s['sha256']
    part = requests.get(s['url'], verify=ca, timeout=30,
                        headers={'Range': 'bytes=100-299'})
    assert part.status_code == 206
    assert part.content == r.content[100:300]
    bad = s['url'][:-6] + ('000000' if s['url'][-6:] != '000000' else '111111')
    assert requests.get(bad, verify=ca, timeout=30).status_code == 403
    path = str(tmp_path / 'once.webm')
    with open(path, 'wb') as f:
        f.write(r.content)
    p = media.probe(path)
    assert p['frames'] == s['frames']
    assert (p['width'], p['height']) == (s['width'], s['height'])
    assert s['duration_ms'] >= 20000


def test_once_records_and_its_link_works(once, tmp_path):
    state, base, args = once
    r = quickstart('--keep', *args)
    assert r.returncode == 0, r.stderr
    try:
        doc = json.loads(r.stdout.splitlines()[-1])
        assert len(doc['segments']) == 1
        assert set(doc['segments'][0]) == {
            'id', 'path', 'url', 'expires_at', 'bytes', 'duration_ms',
            'width', 'height', 'sha256', 'frames'}
        check_segment(doc['segments'][0], os.path.join(state, 'ca.pem'),
                      tmp_path)
    finally:
        stopped = quickstart('--stop', '--state', state)
    assert stopped.returncode == 0, stopped.stderr
    # everything it started is gone
    with socket.socket() as s:
        assert s.connect_ex(('127.0.0.1', base)) != 0


def test_second_start_goes_on_with_the_state(tmp_path):
    state = tempfile.mkdtemp(prefix='rc-', dir='/tmp')
    os.chmod(state, 0o755)
    try:
        base = free_ports().relay
        results = []
        for _ in range(2):
            r = quickstart('--once', '--state', state, '--port-base',
                           str(base))
            assert r.returncode == 0, r.stderr
            results.append(json.loads(r.stdout.splitlines()[-1]))
        assert results[0]['session'] != results[1]['session']
        kept = [os.path.join(d, f) for d, _, fs in
                os.walk(os.path.join(state, 'recordings')) for f in fs]
        for doc in results:
            assert any(doc['segments'][0]['path'] in k for k in kept)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def test_taken_port_is_named():
    base = free_ports().relay
    with socket.socket() as s:
        s.bind(('127.0.0.1', base + 1))
        s.listen()
        state = tempfile.mkdtemp(prefix='rc-', dir='/tmp')
        try:
            r = quickstart('--once', '--state', state, '--port-base',
                           str(base))
        finally:
            shutil.rmtree(state, ignore_errors=True)
    assert r.returncode == 1
    last = r.stderr.strip().splitlines()[-1]
    assert str(base + 1) in last and '--port-base' in last


def test_help_and_wrong_options():
    assert '--once' in quickstart('--help').stdout
    r = quickstart('--port-base', '12')
    assert r.returncode == 2
