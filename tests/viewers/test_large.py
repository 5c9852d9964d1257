"""Viewers that tests/run does not install: KRDC, and xrdp, by which an RDP
client becomes a technician. X6, T1."""
import os

import demo
import pytest
from ports import free_ports
from process import tcp_answers, wait_until
from test_viewers import Started, rig, screen  # noqa: F401


def test_krdc(rig, screen):  # noqa: F811
    """A new user's KRDC would ask about a folder that it does not make."""
    home = rig.stack.path('home')
    for folder in ('.local', '.local/share', '.local/share/krdc'):
        os.makedirs(os.path.join(home, folder), exist_ok=True)
        rig.stack._own(os.path.join(home, folder))
    with Started(rig, screen, 'krdc') as v:
        password = v.password()
        assert len(password) == 8
        v.dialog('Host Configuration')
        v.xdotool('key', 'Return')
        wait_until(lambda: not v.xdotool(
            'search', '--onlyvisible', '--name', 'Host Configuration'), 60,
            'the host configuration to go', v.process)
        v.dialog('assword')
        v.type(password)
        v.ends_recorded('vnc_auth')


XRDP = '''[Globals]
ini_version=1
fork=false
port=tcp://127.0.0.1:{port}
security_layer=tls
crypt_level=high
certificate={conf}/relay.pem
key_file={conf}/relay.key
ssl_protocols=TLSv1.2, TLSv1.3
autorun=relaycam
allow_channels=true
max_bpp=32
[Logging]
LogFile={log}
LogLevel=INFO
EnableSyslog=false
[Channels]
[relaycam]
name=relaycam
lib=libvnc.so
username=na
password={password}
ip=127.0.0.1
port={vnc}
'''


@pytest.fixture
def xrdp(rig, screen):  # noqa: F811
    """A ticket's port behind an xrdp, and FreeRDP at it."""
    s, started = rig.stack, []
    ticket = s.ctl_json('ticket', 'alice@desk1', '--vnc-auth')
    port = free_ports().relay
    ini = s.path('tmp', 'xrdp.ini')
    s._write(ini, XRDP.format(
        port=port, conf=s.path('conf'), log=s.path('log', 'xrdp-own.log'),
        password=ticket['password'], vnc=ticket['address'].split(':')[-1]))
    started.append(s.spawn('xrdp', ['/usr/sbin/xrdp', '-n', '-c', ini]))
    wait_until(lambda: tcp_answers(port), 30, 'xrdp', started[0])
    started.append(s.spawn('xfreerdp', [
        'xfreerdp', f'/v:127.0.0.1:{port}', '/u:x', '/p:y', '/sec:tls',
        '/cert:ignore', '/size:1280x800'],
        env={**screen.env, 'HOME': s.path('home')}))
    yield started
    for p in reversed(started):
        p.stop(10)
        s.processes.remove(p)


def test_xrdp(rig, screen, xrdp):  # noqa: F811
    """It waits for no question: the ticket is in its settings."""
    v = Started(rig, screen, 'xrdp')
    v.process = xrdp[1]
    session = wait_until(lambda: rig.stack.ctl_json(
        'sessions', 'list', '--state', 'active'), 60, 'the session',
        xrdp[1])[0]
    assert (session['user'], session['door']) == ('alice', 'vnc_auth')
    v.sees_the_desktop()
    xrdp[1].stop(10)
    wait_until(lambda: rig.stack.ctl_json(
        'sessions', 'show', session['id'])['state'] == 'ended', 60,
        'the end of the session')
    files = demo.wait_available(rig.stack, session['id'])
    assert files and all(f['frames'] > 0 for f in files)
