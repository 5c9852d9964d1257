"""The quickstart as a person runs it: --once against both stores, links that
work, a second start on the same state, clear errors. M8, T6."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import types

import pytest
import requests

import main as quickstart_main
import media
import stack
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


def check_first_run(printed, ca):
    """The console's address comes first, then a link that makes an owner of
    the demo team, once."""
    found = re.search(r'The console is (https://localhost:\d+)/\n.*?\n\n +'
                      r'(\S+)/first-run#token=(\S+)&team=demo\n', printed,
                      re.S)
    assert found, printed
    url, base, token = found.groups()
    assert base == url and found.start() < printed.index('#ticket=')
    got = [requests.post(f'{url}/api/v1/first-run', verify=ca, timeout=60,
                         json={'token': token, 'name': name, 'password':
                               'correct horse', 'time_zone': 'UTC'})
           for name in ('nina', 'eve')]
    assert [r.status_code for r in got] == [200, 403], got[0].text
    assert (got[0].json()['role'], got[0].json()['team']) == ('owner', 'demo')


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
        check_first_run(r.stderr, os.path.join(state, 'ca.pem'))
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


# ---- what it prints ----

class Person:
    """root, or somebody who is not, with a checkout that he can read."""

    def __init__(self, who, tmp_path):
        self.prefix = []
        self.root = ROOT
        self.build = BUILD
        if who == 'root' and os.getuid() != 0:
            self.prefix = ['sudo', '--']
        elif who == 'user' and os.getuid() == 0:
            self.prefix = ['runuser', '-u', 'postgres', '--']
            self._copy(tmp_path)

    def _copy(self, folder):
        self.root = str(folder / 'checkout')
        self.build = os.path.join(self.root, 'build')
        for name in ('deploy', os.path.join('relay', 'web'),
                     os.path.join('console', 'pages')):
            shutil.copytree(os.path.join(ROOT, name),
                            os.path.join(self.root, name))
        shutil.copy(os.path.join(ROOT, 'quickstart'), self.root)
        for name, where in stack.PROGRAMS.items():
            os.makedirs(os.path.join(self.build, where), exist_ok=True)
            shutil.copy(os.path.join(BUILD, where, name),
                        os.path.join(self.build, where))
        modules = os.path.join('console', 'modules')
        shutil.copytree(os.path.join(BUILD, modules),
                        os.path.join(self.build, modules))

    def run(self, argv, **kw):
        env = {k: v for k, v in os.environ.items()
               if k not in ('SUDO_USER', 'XDG_RUNTIME_DIR')}
        return subprocess.run(
            [*self.prefix, *argv], capture_output=True, text=True,
            timeout=300, cwd='/', env={**env, **kw})

    def start(self, *args):
        return self.run(['/usr/bin/python3', '-B', os.path.join(
            self.root, 'deploy', 'quickstart', 'main.py'), '--build',
            self.build, *args])


def commands(text):
    """The lines that are set apart and begin with a program."""
    return [line.strip() for line in re.findall(r'^    (\S.*)$', text, re.M)
            if not line.startswith(('http', 'user name', 'password'))]


def value(text, name):
    return re.search(rf'^    {name} +(\S+)$', text, re.M)[1]


def sees_the_desktop(person, command, text, list_sessions):
    """The viewer's line, on a screen; ended once the session is there."""
    line = (f'{command} & v=$!; for i in $(seq 600); do '
            f'{list_sessions} --state active | grep -q alice && break; '
            'kill -0 $v || exit 9; sleep 0.1; done; kill $v; wait $v; '
            f'{list_sessions} | grep alice')
    return person.run(['xvfb-run', '-a', '/bin/sh', '-c', line],
                      VNC_USERNAME=value(text, 'user name'),
                      VNC_PASSWORD=value(text, 'password'))


@pytest.mark.parametrize('who', ['root', 'user'])
def test_every_printed_command_works(who):
    top = pathlib.Path(tempfile.mkdtemp(prefix='rc-', dir='/tmp'))
    os.chmod(top, 0o777)
    person = Person(who, top)
    state, base = str(top / 'state'), free_ports().relay
    try:
        r = person.start('--once', '--keep', '--state', state, '--port-base',
                         str(base))
        assert r.returncode == 0, r.stderr
        doc = json.loads(r.stdout.splitlines()[-1])
        viewer, sessions, recordings, link, stop = commands(r.stderr)
        assert 'xtigervncviewer' in viewer and '--stop' in stop
        seen = {}
        for line in (sessions, recordings, link):
            done = person.run(['/bin/sh', '-c', line])
            assert done.returncode == 0, (line, done.stderr)
            seen[line] = done.stdout
        assert 'alice' in seen[sessions] and 'desk1' in seen[recordings]
        assert doc['segments'][0]['id'] in link
        got = requests.get(seen[link].strip(), timeout=30,
                           verify=os.path.join(state, 'ca.pem'))
        assert len(got.content) == doc['segments'][0]['bytes']
        done = sees_the_desktop(person, viewer, r.stderr, sessions)
        assert done.returncode == 0, (viewer, done.stdout, done.stderr)
        for url in re.findall(r'https://localhost:\d+/(?!api)', r.stderr):
            page = requests.get(url, verify=os.path.join(state, 'ca.pem'),
                                timeout=30)
            assert page.status_code == 200
        api = re.search(r'https://localhost:\d+/api/v1/', r.stderr)[0]
        assert requests.get(api + 'me', verify=os.path.join(state, 'ca.pem'),
                            timeout=30).status_code == 401
        done = person.run(['/bin/sh', '-c', stop])
        assert done.returncode == 0, (stop, done.stderr)
        with socket.socket() as s:
            assert s.connect_ex(('127.0.0.1', base)) != 0
    finally:
        person.start('--stop', '--state', state)
        shutil.rmtree(top, ignore_errors=True)


@pytest.mark.parametrize('uid,sudo,begins', [
    (0, None, 'runuser -u relaycam -- /s/bin/relaycam'),
    (0, 'bob', 'sudo -u relaycam -- /s/bin/relaycam'),
    (999, None, '/s/bin/relaycam'),
    (999, 'bob', '/s/bin/relaycam'),
])
def test_printed_for_whoever_reads(monkeypatch, uid, sudo, begins):
    """sudo's caller pastes into a shell that is not root's."""
    class Fake:
        conf_file = '/s/conf/a b.conf'
        user = types.SimpleNamespace(pw_uid=999, pw_name='relaycam')

        @staticmethod
        def path(*parts):
            return os.path.join('/s', *parts)
    monkeypatch.setattr(os, 'getuid', lambda: uid)
    monkeypatch.delenv('SUDO_USER', raising=False)
    if sudo:
        monkeypatch.setenv('SUDO_USER', sudo)
    line = quickstart_main.ctl_command(Fake)
    assert line == begins + " --config '/s/conf/a b.conf'"
