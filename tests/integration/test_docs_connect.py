"""docs/connect.md as a reader would follow it: its commands are run, in the
order of the page, with names, ports and places of the test's own in them, and
each way ends in a session that was recorded. X6, T1, C2, C5.

A block that begins with ```sh run=NAME on=PLACE is run; on: relay, endpoint
or technician, which differ in their screen. Every such block has a test."""
import os
import re
import signal
import subprocess

import demo
import pytest
from conftest import BUILD, ROOT, make_rig
from process import tcp_answers, wait_until

import endpoints
import viewers
from agent_screen import Desktop
from viewer_page import Page

PAGE = os.path.join(ROOT, 'docs', 'connect.md')
BLOCK = re.compile(r'^```sh run=(\S+) on=(relay|endpoint|technician)\n'
                   r'(.*?)^```$', re.M | re.S)


def read_blocks():
    """name -> (place, text)."""
    with open(PAGE, encoding='utf-8') as f:
        page = f.read()
    found = BLOCK.findall(page)
    assert len(found) == page.count('```sh'), 'a block without run= and on='
    assert len({b[0] for b in found}) == len(found), 'two of one name'
    return {name: (place, text) for name, place, text in found}


BLOCKS = read_blocks()


class Reader:
    """Somebody with a rig who runs what the page says."""

    def __init__(self, rig, screen):
        self.rig, self.stack, self.screen = rig, rig.stack, screen
        self.home = self.stack.path('home', 'docs')
        self.desktop = Desktop(rig.endpoint.env)
        self.running = []
        p = self.stack.ports
        # local ports of the page, and where they are here
        self.port = {n: p.relay + 60 + n - 5900 for n in range(5901, 5905)}
        self.tunnel = p.relay + 66
        self.words = {'desk1': 'desk1'}
        self._furnish()

    def _furnish(self):
        """A home folder with the files that the page takes for granted."""
        s, conf = self.stack, self.stack.path('conf')
        for folder in ('', 'bin', 'tls'):
            os.makedirs(os.path.join(self.home, folder), exist_ok=True)
            s._own(os.path.join(self.home, folder))
        for source, name in ((f'{conf}/ca.pem', 'ca.pem'),
                             (f'{conf}/endpoint.pem', 'desk.pem'),
                             (f'{conf}/endpoint.key', 'desk.key'),
                             (f'{conf}/ca.pem', 'tls/ca-cert.pem'),
                             (f'{conf}/endpoint.pem', 'tls/server-cert.pem'),
                             (f'{conf}/endpoint.key', 'tls/server-key.pem'),
                             (os.path.join(BUILD, 'agent', 'relaycam-agent'),
                              'bin/relaycam-agent')):
            with open(source, 'rb') as f:
                s._write(f'{self.home}/{name}', f.read(),
                         0o755 if name.startswith('bin') else 0o600)
        s._write(f'{self.home}/bin/relaycam',
                 f'#!/bin/sh\nexec {s.path("bin", "relaycam")} --config '
                 f'{s.conf_file} "$@"\n', 0o755)
        # QEMU takes a line's end for a part of it
        s._write(f'{self.home}/desk.password', self.rig.endpoint_password)

    def text(self, name, **words):
        """A block with names of this rig in it."""
        p, text = self.stack.ports, BLOCKS[name][1]
        for theirs, ours in (
                ('relay.example.com::5900', f'localhost::{p.relay}'),
                ('relay.example.com:0', f'localhost:{p.relay - 5900}'),
                ('relay.example.com:5910', f'localhost:{p.session_first}'),
                ('relay.example.com:5500', f'localhost:{p.reverse}'),
                ('--relay relay.example.com', f'--relay localhost:{p.web}'),
                ('relay.example.com', 'localhost'),
                ('desk.example.com', 'localhost'),
                ('-vnc :3,', f'-vnc :{self.port[5903] - 5900},'),
                ('127.0.0.1:5500', f'127.0.0.1:{self.tunnel}'),
                ('-display :0', f'-display {self.rig.endpoint.display}'),
                *words.items()):
            text = text.replace(theirs, ours)
        return re.sub(r'\b590[1-4]\b',
                      lambda m: str(self.port[int(m[0])]), text)

    def env(self, name, **more):
        place = BLOCKS[name][0]
        env = {**self.stack.env, 'HOME': self.home,
               'PATH': f'{self.home}/bin:' + self.stack.env['PATH']}
        if place != 'relay':
            env['DISPLAY'] = self.rig.endpoint.display \
                if place == 'endpoint' else self.screen.env['DISPLAY']
        return {**env, **more}

    def run(self, name, **words):
        """To its end; returns what it printed."""
        r = subprocess.run(
            ['bash', '-euc', self.text(name, **words)], cwd=self.home,
            env=self.env(name), capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, **self.stack._as_user())
        assert r.returncode == 0, (name, r.stdout, r.stderr)
        return r.stdout

    def spawn(self, name, env=None, port=None, **words):
        """One that goes on; until it answers on port."""
        p = self.stack.spawn(f'docs-{name}', [
            'bash', '-euc', self.text(name, **words)], cwd=self.home,
            env=self.env(name, **(env or {})))
        self.running.append(p)
        if port is not None:
            wait_until(lambda: tcp_answers(port), 20, name, p)
        return p

    def stop(self):
        while self.running:
            p = self.running.pop()
            try:
                os.killpg(p.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            p.stop(10)
            self.stack.processes.remove(p)

    # --- sessions ---

    def active(self):
        return self.stack.ctl_json('sessions', 'list', '--state', 'active')

    def session(self, process=None):
        """The one that runs."""
        return wait_until(self.active, 30, 'the session', process)[0]

    def window(self, title, process):
        return wait_until(lambda: subprocess.run(
            ['xdotool', 'search', '--onlyvisible', '--name', title],
            env=self.screen.env, capture_output=True,
            text=True).stdout.split(), 30, f'the window {title}', process)[0]

    def recorded(self, session):
        """It ends and leaves a file with pictures in it."""
        def ended():
            row = self.stack.ctl_json('sessions', 'show', session['id'])
            return row if row['state'] == 'ended' else None
        row = wait_until(ended, 20, 'the end of the session')
        files = demo.wait_available(self.stack, session['id'])
        assert files and all(f['frames'] > 0 for f in files)
        return row

    def use(self, endpoint, path):
        """A technician's session on an endpoint, by `relaycam connect`."""
        viewer = self.spawn('connect', **{'@desk1': f'@{endpoint}'})
        self.window('TigerVNC', viewer)
        s = self.session(viewer)
        assert (s['endpoint'], s['path']) == (endpoint, path)
        assert s['recording_now']
        self.stop_one(viewer)
        self.recorded(s)

    def stop_one(self, process):
        self.running.remove(process)
        process.stop(10)
        self.stack.processes.remove(process)

    def endpoint_is(self, name, state):
        wait_until(lambda: self.stack.ctl_json('endpoint', 'show', name)[
            'state'] == state, 30, f'{name} to be {state}')


@pytest.fixture(scope='module')
def rig(request):
    return make_rig(request).start(security='X509Vnc,VncAuth')


@pytest.fixture(scope='module')
def screen(rig):
    with viewers.Screen(rig.stack) as screen:
        yield screen


@pytest.fixture(scope='module')
def home(rig, screen):
    """~/.vnc/passwd is made where the page makes it."""
    reader = Reader(rig, screen)
    reader.run('xvnc-password')
    return reader


@pytest.fixture
def reader(home):
    wait_until(lambda: not home.active(), 20, 'sessions to end')
    yield home
    home.stop()


RUN_HERE = set()


def runs(*names):
    """Marks a test with the blocks that it runs."""
    RUN_HERE.update(names)
    return lambda test: test


# --- technicians -------------------------------------------------------------

@runs('ticket', 'tigervnc')
def test_tigervnc(reader):
    ticket = reader.run('ticket').strip()
    viewer = reader.spawn('tigervnc', env={
        'VNC_USERNAME': 'alice@desk1', 'VNC_PASSWORD': ticket})
    reader.window('TigerVNC', viewer)
    s = reader.session(viewer)
    assert (s['user'], s['door']) == ('alice', 'vnc')
    reader.stop()
    reader.recorded(s)


@runs('connect')
@pytest.mark.parametrize('login', ['alice@desk1', 'alice:desk1+0'])
def test_connect(reader, login):
    viewer = reader.spawn('connect', **{'alice@desk1': login})
    reader.window('TigerVNC', viewer)
    s = reader.session(viewer)
    assert (s['user'], s['endpoint']) == ('alice', 'desk1')
    reader.stop()
    reader.recorded(s)


@runs('url')
def test_browser(reader):
    link = re.search(r'https://\S+', reader.run('url'))[0]
    assert link.startswith(f'https://localhost:{reader.stack.ports.web}/#')
    page = Page(reader.stack.ports.web)
    try:
        page.driver.get(link)
        page.wait_connected()
        s = reader.session()
        assert (s['user'], s['door']) == ('alice', 'browser')
    finally:
        page.close()
    reader.recorded(s)


class Gvncviewer(viewers.Gvncviewer):
    """Started by the page's line, for an account with a home folder of its
    own."""
    reader = None

    def spawn(self, argv, env=None, **kw):
        self.process = self.reader.spawn('gvncviewer', env={
            k: v for k, v in env.items() if 'NSS' in k or 'LD_' in k
            or k == 'NO_AT_BRIDGE'})
        return self.process


def read_ca(reader):
    with open(reader.stack.path('ca.pem'), 'rb') as f:
        return f.read()


@runs('gvncviewer-ca', 'gvncviewer')
def test_gvncviewer(reader):
    v = Gvncviewer(reader.screen, (1280, 800), 'alice@desk1',
                   reader.rig.password)
    v.reader = reader
    v._home()
    # the account's home folder: its CA is the one that the page puts there
    home, gtk = reader.home, reader.stack.path('home', 'gtk')
    placed = os.path.join(gtk, '.pki', 'CA', 'cacert.pem')
    os.unlink(placed)
    for folder in ('', '.pki', '.pki/CA'):
        reader.stack._own(os.path.join(gtk, folder))
    reader.stack._write(f'{gtk}/ca.pem', read_ca(reader))
    reader.home = gtk
    try:
        reader.run('gvncviewer-ca')
    finally:
        reader.home = home
    assert os.path.exists(placed)
    v.start()
    s = reader.session(v.process)
    wait_until(v.area, 20, 'the desktop', v.process)
    reader.stop()
    reader.recorded(s)


@runs('vnc-auth-allow', 'vnc-auth', 'vnc-auth-tunnel', 'vnc-auth-viewer')
def test_vnc_password_through_stunnel(reader):
    reader.run('vnc-auth-allow')
    password = reader.run('vnc-auth').strip()
    assert re.fullmatch('[A-Za-z0-9]{8}', password)
    tunnel = reader.spawn('vnc-auth-tunnel')
    wait_until(lambda: subprocess.run(
        ['ss', '-Hltn', f'sport = :{reader.port[5901]}'], capture_output=True,
        text=True).stdout.strip(), 20, 'stunnel', tunnel)
    viewer = reader.spawn('vnc-auth-viewer', env={'VNC_PASSWORD': password})
    reader.window('TigerVNC', viewer)
    s = reader.session(viewer)
    assert (s['user'], s['door']) == ('alice', 'vnc_auth')
    reader.stop()
    reader.recorded(s)


# --- endpoints ---------------------------------------------------------------

def free_display():
    return next(f':{n}' for n in range(70, 99)
                if not os.path.exists(f'/tmp/.X11-unix/X{n}'))


@runs('xvnc-password', 'xvnc', 'xvnc-add', 'reverse-cert', 'reverse-cert-add',
      'reverse-xvnc', 'reverse-tunnel')
def test_xvnc_direct_and_reverse(reader):
    display = free_display()
    reader.spawn('xvnc', port=reader.port[5901], **{'Xtigervnc :1':
                                                    f'Xtigervnc {display}'})
    said = reader.run('xvnc-add')
    assert 'The relay would connect with' in said, said
    reader.use('desk2', 'direct')
    reader.stop()

    reader.run('reverse-cert')
    reader.run('reverse-cert-add')
    reader.spawn('xvnc', port=reader.port[5901], **{
        'Xtigervnc :1': f'Xtigervnc {display}', 'X509Vnc': 'X509Vnc,VncAuth'})
    tunnel = reader.spawn('reverse-tunnel', **{
        'CAfile': 'cert = client.pem\nkey = client.key\nCAfile'})
    wait_listening(reader, tunnel)
    reader.run('reverse-xvnc', **{'-display :1': f'-display {display}'})
    reader.endpoint_is('server1', 'parked')
    reader.use('server1', 'reverse')


def wait_listening(reader, tunnel):
    """Without a connection, which the relay would take for a server."""
    wait_until(lambda: subprocess.run(
        ['ss', '-Hltn', f'sport = :{reader.tunnel}'], capture_output=True,
        text=True).stdout.strip(), 20, 'stunnel', tunnel)


@runs('x11vnc', 'x11vnc-add')
def test_x11vnc(reader):
    reader.spawn('x11vnc', port=reader.port[5902])
    reader.run('x11vnc-add')
    reader.use('desk4', 'direct')


@runs('x11vnc-tls', 'x11vnc-tls-add')
def test_x11vnc_with_tls(reader):
    s, home = reader.stack, reader.home
    s._write(f'{home}/rsa.ext', 'subjectAltName=DNS:localhost\n')
    demo.run(['openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-subj',
              '/CN=desk', '-keyout', f'{home}/desk-rsa.key', '-out',
              f'{home}/rsa.csr'], s.user)
    demo.run(['openssl', 'x509', '-req', '-in', f'{home}/rsa.csr', '-CA',
              s.path('conf', 'ca.pem'), '-CAkey', s.path('conf', 'ca.key'),
              '-CAserial', f'{home}/ca.srl', '-CAcreateserial', '-days', '9',
              '-extfile', f'{home}/rsa.ext', '-out', f'{home}/desk-rsa.pem'],
             s.user)
    reader.spawn('x11vnc-tls', port=reader.port[5902])
    said = reader.run('x11vnc-tls-add')
    assert 'The relay would connect with: X509Vnc' in said, said
    reader.use('desk3', 'direct')


@runs('qemu', 'qemu-add')
def test_qemu(reader):
    reader.spawn('qemu', port=reader.port[5903])
    reader.run('qemu-add')
    reader.use('vm', 'direct')


@runs('wayvnc', 'wayvnc-add')
def test_wayvnc(reader):
    desk = endpoints.Wayvnc(reader.stack).start()
    try:
        reader.spawn('wayvnc', port=reader.port[5904], env={
            k: desk.env[k] for k in ('XDG_RUNTIME_DIR', 'WAYLAND_DISPLAY')})
        reader.run('wayvnc-add')
        reader.use('tablet', 'direct')
    finally:
        desk.stop()


@runs('agent-add', 'agent-enroll', 'agent-run', 'consent')
def test_agent_and_consent(reader):
    line = reader.run('agent-add')
    token = re.search(r'--token (rce_\S+)', line)[1]
    assert 'relaycam-agent enroll --relay' in line
    reader.run('agent-enroll', TOKEN=token)
    reader.spawn('x11vnc', port=reader.port[5902])
    reader.spawn('agent-run')
    reader.endpoint_is('laptop', 'connected')
    reader.use('laptop', 'agent')

    reader.run('consent')
    viewer = reader.spawn('connect', **{'@desk1': '@laptop'})
    reader.desktop.answer('view')
    s = reader.session(viewer)
    assert s['view_only']
    reader.stop_one(viewer)
    reader.recorded(s)
    reader.stack.ctl('settings', 'set', 'unattended.consent=off')


@runs('attend')
def test_attended(reader):
    reader.spawn('x11vnc', port=reader.port[5902])
    agent = reader.spawn('attend')
    code = ''.join(wait_until(lambda: re.search(
        r'Session code: (\d{3}) (\d{3}) (\d{3})',
        reader.rig.log('docs-attend')), 20, 'the code', agent).groups())
    viewer = reader.spawn('tigervnc', env={
        'VNC_USERNAME': f'alice@{code}',
        'VNC_PASSWORD': reader.rig.password})
    reader.desktop.answer('full')
    s = reader.session(viewer)
    assert s['path'] == 'attended' and s['recording_now']
    reader.stop_one(viewer)
    reader.recorded(s)


@runs('reverse-add', 'reverse-tunnel', 'reverse-x11vnc')
def test_reverse(reader):
    said = reader.run('reverse-add')
    secret = re.search(r'^    (KIOSK-[A-Z2-7]+)$', said, re.M)[1]
    # the lines that are printed are those of the page
    for line in ('client = yes', 'verifyChain = yes', '[relaycam]'):
        assert line in said and line in BLOCKS['reverse-tunnel'][1]
    wait_listening(reader, reader.spawn('reverse-tunnel'))
    reader.spawn('reverse-x11vnc', **{'KIOSK-SECRET': secret})
    reader.endpoint_is('kiosk', 'parked')
    reader.use('kiosk', 'reverse')
    # it comes again by itself
    reader.endpoint_is('kiosk', 'parked')


# --- while it runs -----------------------------------------------------------

@runs('orders', 'record-always', 'record-allow', 'record-start')
def test_orders_and_recording_by_hand(reader):
    reader.run('record-always')
    with_orders(reader)
    reader.run('record-allow')
    viewer = reader.spawn('connect')
    reader.window('TigerVNC', viewer)
    s = reader.session(viewer)
    assert not s['recording_now']
    reader.run('record-start', SESSION=s['id'])
    assert reader.active()[0]['recording_now']
    reader.stop()
    reader.recorded(s)
    reader.run('record-always')


def with_orders(reader):
    viewer = reader.spawn('connect')
    reader.window('TigerVNC', viewer)
    s = reader.session(viewer)
    assert s['recording_now']
    reader.run('orders', SESSION=s['id'])
    row = reader.stack.ctl_json('sessions', 'show', s['id'])
    assert (row['monitor'], row['frame_rate'], row['view_only']) == (
        1, 15, True)
    reader.stop()
    reader.recorded(s)


def test_every_block_is_run():
    assert RUN_HERE == set(BLOCKS)
