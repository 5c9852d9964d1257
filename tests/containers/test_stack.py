"""The stack of deploy/compose.yaml: started by one command, a session through
it is recorded, stored in S3, and is what it was. Every container is closed: read
only, no capability, memory limited."""
import hashlib
import json
import os
import re
import ssl
import subprocess
import urllib.request

import pytest

from conftest import ROOT, podman
from media import probe
from process import wait_until
from rfb_client import Client

COMPOSE = os.path.join(ROOT, 'deploy', 'compose.yaml')
PROJECT = 'relaycam-test'
PORTS = {'VNC_PORT': '15900', 'WEB_PORT': '15443', 'CONSOLE_PORT': '18443',
         'STORAGE_PORT': '18444'}
SERVING = ['postgres', 's3', 'relay', 'storage', 'console', 'desk']
LIMIT_S = 300


def compose(*args):
    return subprocess.run(
        ['podman-compose', '-p', PROJECT, '-f', COMPOSE, *args],
        capture_output=True, text=True, timeout=900,
        env={**os.environ, **PORTS, 'RELAYCAM_TAG': 'test',
             'BIND': '127.0.0.1', 'RELAYCAM_HOST': 'localhost'})


def log(service):
    r = podman('logs', f'{PROJECT}_{service}_1', check=False)
    return r.stdout + r.stderr


def from_setup(path):
    return podman('run', '--rm', '--network', 'none', '-v',
                  f'{PROJECT}_conf-setup:/c:ro', '--entrypoint', 'cat',
                  'localhost/relaycam-setup:test', f'/c/{path}').stdout


class Stack:
    def ctl(self, *args):
        return podman('run', '--rm', '--user', '0', '--network',
                      f'{PROJECT}_relaycam', '-v',
                      f'{PROJECT}_conf-setup:/etc/relaycam:ro',
                      'localhost/relaycam-ctl:test', *args).stdout

    def ctl_json(self, *args):
        return json.loads(self.ctl(*args, '--json'))

    def is_healthy(self, service):
        return podman('healthcheck', 'run', f'{PROJECT}_{service}_1',
                      check=False).returncode == 0


def down():
    compose('down', '-v')
    # podman-compose 1.0.3 leaves these
    for kind in ('volume', 'network'):
        names = podman(kind, 'ls', '--format', '{{.Name}}').stdout.split()
        for name in names:
            if name.startswith(f'{PROJECT}_'):
                podman(kind, 'rm', '-f', name, check=False)


@pytest.fixture(scope='module')
def stack(images, tmp_path_factory):
    down()
    try:
        r = compose('up', '-d')
        assert r.returncode == 0, r.stderr[-3000:]
        try:
            wait_until(lambda: 'setup: ready' in log('setup'), LIMIT_S,
                       'the end of setup')
            s = Stack()
            for service in ('relay', 'storage', 'console'):
                wait_until(lambda: s.is_healthy(service), LIMIT_S, service)
        except Exception as e:
            tails = ''.join(f'\n-- {n}\n' + log(n)[-1500:]
                            for n in ['keys', 'setup', *SERVING])
            raise AssertionError(f'{e}{tails}') from None
        ca = tmp_path_factory.mktemp('ca') / 'ca.pem'
        ca.write_text(from_setup('ca.pem'))
        s.ca = str(ca)
        s.password = re.search(r'user alice@desk, password (\S+)',
                               log('setup'))[1]
        yield s
    finally:
        down()


def test_containers_are_closed(stack):
    for service in SERVING:
        (c,) = json.loads(podman('inspect', f'{PROJECT}_{service}_1').stdout)
        host = c['HostConfig']
        assert host['ReadonlyRootfs'] and not host['Privileged'], service
        assert not c.get('EffectiveCaps'), service
        assert 'no-new-privileges' in ' '.join(host['SecurityOpt']), service
        assert host['Memory'] > 0 and host['PidsLimit'] > 0, service


def test_recorders_can_lock_themselves_in(stack):
    assert 'sandbox file_rules=landlock' in log('relay'), log('relay')
    assert 'sandbox_refused' not in log('relay')


def work(stack):
    """A session that types and moves the pointer for eight seconds."""
    with Client(int(PORTS['VNC_PORT']), stack.ca, 'alice@desk',
                stack.password) as client:
        client.request(incremental=False)
        client.run_until(client.covered, 60)
        for i in range(40):
            client.pointer(100 + 10 * i, 300, 0)
            for down in (True, False):
                client.key(ord('a') + i % 26, down)
            client.run_for(0.2)


def ended(stack, known):
    rows = [s for s in stack.ctl_json('sessions', 'list')
            if s['id'] not in known and s['ended_at']]
    return rows[0] if rows else None


def recordings(stack, session):
    def stored():
        rows = stack.ctl_json('recordings', 'list', '--session', session)
        assert not [r for r in rows if r['status'] in
                    ('missing', 'corrupted', 'encoding_failed')], rows
        return rows if rows and all(r['status'] == 'available'
                                    for r in rows) else None
    try:
        return wait_until(stored, LIMIT_S, 'the stored recording')
    except Exception as e:
        raise AssertionError(f'{e}\n{log("storage")[-3000:]}') from None


def download(stack, recording, path):
    link = stack.ctl_json('recordings', 'link', recording['id'])['url']
    assert link.startswith(f'https://localhost:{PORTS["STORAGE_PORT"]}/')
    context = ssl.create_default_context(cafile=stack.ca)
    with urllib.request.urlopen(link, context=context, timeout=120) as r:
        data = r.read()
    path.write_bytes(data)
    assert hashlib.sha256(data).hexdigest() == recording['sha256']
    return str(path)


def test_a_session_is_recorded_and_stored(stack, tmp_path):
    known = {s['id'] for s in stack.ctl_json('sessions', 'list')}
    work(stack)
    session = wait_until(lambda: ended(stack, known), LIMIT_S,
                         'the end of the session')
    rows = recordings(stack, session['id'])
    assert sum(r['frames'] for r in rows) > 10
    for i, row in enumerate(rows):
        path = download(stack, row, tmp_path / f'{i}.webm')
        got = probe(path)
        assert (got['codec'], got['frames']) == ('vp9', row['frames'])
    # in S3, and nothing is left in the spool
    assert re.search(r'kind = s3', from_setup('relaycam.conf'))
    assert 'recorder_check_failed' not in log('relay')


def test_a_relay_that_stops_leaves_whole_files(stack):
    """podman stop while a session runs, after the drain's time: recorders
    close their files before the container ends."""
    known = {s['id'] for s in stack.ctl_json('sessions', 'list')}
    with Client(int(PORTS['VNC_PORT']), stack.ca, 'alice@desk',
                stack.password) as client:
        client.request(incremental=False)
        client.run_until(client.covered, 60)
        client.read_on()
        # the second signal ends the drain at once
        for _ in range(2):
            podman('kill', '--signal', 'TERM', f'{PROJECT}_relay_1')
        wait_until(lambda: 'relaycam-relay stopped' in log('relay'), LIMIT_S,
                   'the end of the relay')
    podman('start', f'{PROJECT}_relay_1', check=False)
    wait_until(lambda: stack.is_healthy('relay'), LIMIT_S, 'the relay')
    session = wait_until(lambda: ended(stack, known), LIMIT_S,
                         'the end of the session')
    for row in recordings(stack, session['id']):
        assert row['recovered'] is False, log('relay')[-3000:]
