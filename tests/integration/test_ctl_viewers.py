"""What `relaycam connect` tells a viewer, by what the program is: real
programs of Debian under names that say nothing, wrappers, and unknown ones.
That each then connects is test_viewers.py's."""
import os
import re
import shutil
import socket
import subprocess

import pytest

from test_ctl_connect import CONFIG, FAILED, USAGE
from test_ctl_connect import bin_dir, cluster, ctl, program, started  # noqa

X509 = '-SecurityTypes X509Plain relay.example::5900'


@pytest.fixture
def session_port(ctl):  # noqa: F811
    """A relay of this machine that takes VNC passwords."""
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
        ctl.settings['relay.session_ports'] = f'127.0.0.1:{port}-{port}'
        ctl.ok('settings', 'set', 'unattended.vnc_auth=on')
        yield port


def words(ctl, *args):  # noqa: F811
    """The command line that would be run, without the program."""
    line = ctl.ok('connect', '--print', 'alice@desk1', *args).strip()
    return re.sub(r'^(VNC_\w+=\S+ )*\S+ ', '', line)


PROGRAMS = {
    'xtigervncviewer': X509,
    'gvncviewer': 'relay.example:0',
    'remote-viewer': 'vnc://relay.example:5900',
    'remmina': None,
    'vinagre': 'vnc://127.0.0.1:{}',
    'ssvncviewer': '127.0.0.1::{}',
    'xtightvncviewer': '127.0.0.1::{}',
}


@pytest.mark.parametrize('name', PROGRAMS)
@pytest.mark.parametrize('way', ['name', 'link', 'copy'])
def test_programs_by_what_they_are(ctl, bin_dir, session_port,  # noqa: F811
                                   name, way):
    real = os.path.realpath(shutil.which(name))
    path = real
    if way == 'link':
        path = bin_dir / 'vncviewer'
        path.symlink_to(real)
    elif way == 'copy':
        path = bin_dir / 'viewer.bin'
        shutil.copyfile(real, path)
        path.chmod(0o755)
    got = words(ctl, '--viewer', path)
    if name == 'remmina':
        assert got.startswith('-c ')
        with open(got[3:], encoding='utf-8') as f:
            profile = f.read().splitlines()
        assert os.stat(got[3:]).st_mode & 0o777 == 0o600
        assert profile[0] == '[remmina]'
        assert {'protocol=VNC', 'server=relay.example:5900',
                'username=alice@desk1'} <= set(profile)
        assert 'rct_' not in '\n'.join(profile)
    else:
        assert got == PROGRAMS[name].format(session_port)
    kind, = ctl.sql('SELECT kind FROM tickets')
    assert kind == (('vnc_auth' if '127.0.0.1' in got else 'ticket'),)


@pytest.mark.parametrize('says,takes', [
    ('TigerVNC Viewer v1.13.1', X509),
    ('remote-viewer version 11.0', 'vnc://relay.example:5900'),
    ('krdc 22.12.3', 'vnc://127.0.0.1:{}'),
])
def test_wrappers_are_asked(ctl, bin_dir, session_port,  # noqa: F811
                            says, takes):
    """A script's name and text prove nothing."""
    path = program(bin_dir, 'xtightvncviewer', says)
    assert words(ctl, '--viewer', path) == takes.format(session_port)


def test_remmina_gets_the_ca(ctl, bin_dir, tmp_path):  # noqa: F811
    odd = tmp_path / 'a \\ b.pem'
    odd.write_text('x')
    path = program(bin_dir, 'r', 'org.remmina.Remmina - 1.4.29')
    r = ctl.run('connect', 'alice@desk1', '--viewer', path, '--ca', odd)
    argv, user, password = started(r)
    assert argv[:2] == [path, '-c'] and user == password == ''
    with open(argv[2], encoding='utf-8') as f:
        assert f'cacert={tmp_path}/a \\\\ b.pem' in f.read()
    assert 'user name: alice@desk1' in r.stderr


def test_vnc_password_is_told(ctl, bin_dir, session_port):  # noqa: F811
    path = program(bin_dir, 'v', 'krdc 22.12.3')
    r = ctl.run('connect', 'alice@desk1', '--viewer', path)
    assert started(r)[0] == [path, f'vnc://127.0.0.1:{session_port}']
    assert re.search(r'^password: \S{8}$', r.stderr, re.M)
    assert 'user name' not in r.stderr
    # any viewer can be given one
    ctl.sql('UPDATE tickets SET used_at = now()')
    path = program(bin_dir, 't')
    assert words(ctl, '--viewer', path, '--vnc-auth') == \
        f'-SecurityTypes VncAuth 127.0.0.1::{session_port}'


def test_vnc_password_needs_the_relay_here(ctl, bin_dir,  # noqa: F811
                                           session_port):
    path = program(bin_dir, 'v', 'krdc 22.12.3')
    with socket.create_server(('127.0.0.1', 0)) as s:
        closed = s.getsockname()[1]
    ctl.settings['relay.session_ports'] = f'127.0.0.1:{closed}-{closed}'
    text = ctl.fails(FAILED, 'connect', 'alice@desk1', '--viewer', path)
    assert 'KRDC can send a VNC password only' in text
    assert 'stunnel' in text
    ctl.settings['relay.session_ports'] = ''
    assert 'session_ports' in ctl.fails(CONFIG, 'connect', 'alice@desk1',
                                        '--viewer', path)
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


SLOW = '#!/bin/sh\nwhile :; do echo y; read x </dev/null; done\n'


@pytest.mark.parametrize('text', [
    '#!/bin/sh\nexit 1\n', '#!/bin/sh\necho something 1.0\n', SLOW,
    '#!/bin/sh\n# TigerVNC Viewer\n', '#!/bin/sh\nexec cat /dev/fd/0\n',
    '#!/nonexistent\n'])
def test_unknown_viewers_get_a_choice(ctl, bin_dir, text):  # noqa: F811
    path = bin_dir / 'xtigervncviewer'
    path.write_text(text)
    path.chmod(0o755)
    said = ctl.fails(FAILED, 'connect', 'alice@desk1', '--viewer', path)
    for choice in ('--viewer-args', '--browser', '--url', 'TigerVNC'):
        assert choice in said
    assert 'no VNC viewer here' in ctl.fails(FAILED, 'connect', 'alice@desk1')
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


@pytest.mark.parametrize('template,want', [
    ('{host}::{port}', ['relay.example::5900']),
    ('{host}:{display}', ['relay.example:0']),
    ('  -ca {ca}  -u={user} {uri} ',
     ['-ca', '{CA}', '-u=alice@desk1', 'vnc://relay.example:5900']),
    ('-x', ['-x']),
    ('a{b', ['a{b']),
])
def test_viewer_args(ctl, bin_dir, tmp_path, template, want):  # noqa: F811
    ca = tmp_path / 'a ca.pem'
    ca.write_text('x')
    path = bin_dir / 'mine'
    path.write_text('#!/bin/sh\nfor a in "$0" "$@"; do echo "arg $a"; done\n'
                    'echo user\necho password\n')
    path.chmod(0o755)
    r = ctl.run('connect', 'alice@desk1', '--viewer', path, '--ca', ca,
                '--viewer-args', template)
    assert started(r)[0] == [str(path)] + [
        w.replace('{CA}', str(ca)) for w in want]
    assert 'password: rct_' in r.stderr


@pytest.mark.parametrize('template,says', [
    ('{nope}', '{nope} is not known'), ('{}', '{} is not known'),
    ('{password}', '{password} is not known'),
    ('x ' * 40, 'more than'), ('y' * 20000, 'too long')])
def test_viewer_args_refusals(ctl, bin_dir, template, says):  # noqa: F811
    path = program(bin_dir, 'mine', '')
    assert says in ctl.fails(USAGE, 'connect', 'alice@desk1', '--viewer',
                             path, '--viewer-args', template)
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


def test_print_is_what_runs(ctl, bin_dir, tmp_path):  # noqa: F811
    odd = tmp_path / 'c a.pem'
    odd.write_text('x')
    path = program(bin_dir, 'mine', 'none')
    line = ctl.ok('connect', '--print', 'alice@desk1', '--viewer', path,
                  '--ca', odd, '--viewer-args', '-c {ca} {uri}')
    r = subprocess.run(['/bin/sh', '-c', line], capture_output=True,
                       text=True)
    assert started(r)[0] == [path, '-c', str(odd), 'vnc://relay.example:5900']
