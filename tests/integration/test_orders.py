"""Orders to a running session, the clipboard by direction, and what the audit
log has of both: view only that an administrator set (C3), clear and extended
clipboard messages, floods. X7, X6."""
import json
import socket
import struct
import subprocess
import threading
import time

import pytest
from conftest import make_rig
from process import wait_until

import rfb_client as rfb
from page_peer import PagePeer

CAPS, REQUEST, PEEK, NOTIFY, PROVIDE = (1 << n for n in range(24, 29))
TEXT = b'a text that must not be in any log'
EXTENDED_CLIPBOARD = -1063131698  # 0xC0A1E5CE


def clear(text):
    return struct.pack('>xxxi', len(text)) + text


def extended(flags, payload=b''):
    return struct.pack('>xxxiI', -(4 + len(payload)), flags) + payload


class Server:
    """A VNC server in clear that hands over its connection."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def accept(self):
        s, _ = self.listener.accept()
        s.settimeout(20)
        s.sendall(b'RFB 003.008\n')
        self.read(s, 12)
        s.sendall(b'\1\1')
        self.read(s, 1)
        s.sendall(b'\0\0\0\0')
        self.read(s, 1)
        s.sendall(struct.pack('>HH16sI', 64, 48, rfb.FORMAT, 4) + b'fake')
        return s

    @staticmethod
    def read(s, n):
        data = b''
        while len(data) < n:
            piece = s.recv(n - len(data))
            assert piece
            data += piece
        return data


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request).start()
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.recording=off',
                  'unattended.manual_recording=on')
    rig.fake = Server()
    rig.stack.ctl('endpoint', 'add', 'fake', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(rig.fake.port), '--allow-clear')
    return rig


@pytest.fixture
def ends(rig):
    """Viewer and server of one session, with nothing in between but the
    relay. setting: of the clipboard."""
    made = []

    def start(setting='both'):
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      f'unattended.clipboard={setting}')
        servers = []
        t = threading.Thread(target=lambda: servers.append(
            rig.fake.accept()))
        t.start()
        viewer = rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                            'alice@fake', rig.password,
                            (rfb.RAW, EXTENDED_CLIPBOARD))
        t.join(20)
        made.extend([viewer, servers[0]])
        return viewer, Wire(servers[0], 6)
    yield start
    for m in made:
        m.close()


class Wire:
    """Clipboard messages of type `kind` that come out at one end."""

    def __init__(self, sock, kind):
        self.sock, self.kind = sock, kind

    def read(self, n):
        return Server.read(self.sock, n)

    def send(self, kind, body):
        self.sock.sendall(bytes([kind]) + body)

    def next(self):
        """Passes over what is no clipboard message, up to a key (server) or
        a bell (viewer), which are the marks that tests send behind."""
        while True:
            kind = self.read(1)[0]
            if kind == self.kind:
                head = self.read(7)
                return head + self.read(abs(struct.unpack('>xxxi', head)[0]))
            if kind in (2, 4) and self.kind == (3 if kind == 2 else 6):
                if kind == 4:
                    self.read(7)
                return None
            length = {0: 19, 3: 9, 5: 5}.get(kind)
            if kind == 2:  # SetEncodings
                self.read(1)
                length = 4 * struct.unpack('>H', self.read(2))[0]
            assert length is not None, kind
            self.read(length)

    def all(self):
        """What came before the mark."""
        return list(iter(self.next, None))


def to_technician(viewer, server, *messages):
    """What the viewer gets of them."""
    for m in messages:
        server.send(3, m)
    server.sock.sendall(b'\2')
    return at_technician(viewer)


def at_technician(viewer):
    stream = Wire(None, 3)
    stream.read = viewer.stream.read
    viewer.stream.deadline = time.monotonic() + 20
    return stream.all()


def to_endpoint(viewer, server, *messages):
    for m in messages:
        viewer.send(b'\6' + m)
    viewer.key(0xff0d, True)
    return server.all()


def session_id(rig):
    return rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]['id']


def audit(rig, session, action):
    return [(a, json.loads(d)) for a, d in rig.stack.sql(
        "SELECT actor, detail FROM audit WHERE action = "
        f"'{action}' AND object = '{session}' ORDER BY id")]


EACH = [clear(TEXT), extended(CAPS | PROVIDE | 1, struct.pack('>I', 4096)),
        extended(NOTIFY | 1), extended(REQUEST | 1), extended(PEEK),
        extended(PROVIDE | 1, TEXT)]
GIVES, ASKS, CAPABLE = [EACH[0], EACH[2], EACH[5]], EACH[3:5], [EACH[1]]


@pytest.mark.parametrize('setting', ['both', 'to_endpoint', 'to_technician',
                                     'off'])
def test_directions(rig, ends, setting):
    viewer, server = ends(setting)
    may_e = setting in ('both', 'to_endpoint')
    may_t = setting in ('both', 'to_technician')
    got = to_technician(viewer, server, *EACH)
    assert got == [m for m in EACH if m in CAPABLE or m in GIVES and may_t or
                   m in ASKS and may_e]
    got = to_endpoint(viewer, server, *EACH)
    assert got == [m for m in EACH if m in CAPABLE or m in GIVES and may_e or
                   m in ASKS and may_t]


def test_cut_into_pieces(rig, ends):
    """What is left out, and what is not, byte by byte."""
    viewer, server = ends('to_endpoint')
    for m in (clear(TEXT), extended(CAPS, b''), extended(PROVIDE, TEXT)):
        for i in range(len(m) + 1):
            server.sock.sendall((b'\3' + m)[i:i + 1])
    assert to_technician(viewer, server) == [extended(CAPS, b'')]


def test_larger_than_the_ring(rig, ends):
    viewer, server = ends('off')
    big = clear(bytes(15 << 20))
    server.send(3, big)
    assert to_technician(viewer, server, extended(CAPS)) == [extended(CAPS)]
    # and one that passes
    viewer, server = ends('both')
    t = threading.Thread(target=lambda: server.send(3, big + b'\2'))
    t.start()
    assert at_technician(viewer) == [big]
    t.join(60)


def test_view_only_shuts_both(rig, ends):
    viewer, server = ends('both')
    session = session_id(rig)
    assert to_technician(viewer, server, clear(TEXT)) == [clear(TEXT)]
    rig.stack.ctl('sessions', 'view-only', session, 'on')
    assert to_technician(viewer, server, *EACH) == CAPABLE
    rig.stack.ctl('sessions', 'view-only', session, 'off')
    assert to_endpoint(viewer, server, clear(b'x')) == [clear(b'x')]
    viewer.close()
    rows = wait_until(
        lambda: sum(d.get('to_technician', {}).get('blocked', 0) for _, d in
                    audit(rig, session, 'clipboard')) == 5 and
        audit(rig, session, 'clipboard'), 20, 'the rows')
    assert all(actor == 'alice' for actor, _ in rows)
    sums = {way: {k: sum(d.get(way, {}).get(k, 0) for _, d in rows)
                  for k in ('messages', 'bytes', 'blocked')}
            for way in ('to_technician', 'to_endpoint')}
    assert sums == {
        'to_technician': {'messages': 1, 'bytes': len(TEXT), 'blocked': 5},
        'to_endpoint': {'messages': 1, 'bytes': 1, 'blocked': 0}}
    assert TEXT.decode() not in rig.log('relay')
    assert rig.stack.sql("SELECT count(*) FROM audit WHERE detail::text LIKE "
                         f"'%{TEXT.decode()}%'") == [['0']]


def test_flood_of_clipboard_messages(rig, ends):
    """Ten thousand are a few rows, and all of them are in those."""
    viewer, server = ends('both')
    session = session_id(rig)
    n = 10000

    def flood():
        for _ in range(n // 100):
            viewer.send((b'\6' + clear(b'flood')) * 100)
        viewer.key(0xff0d, True)
    t = threading.Thread(target=flood)
    t.start()
    assert len(server.all()) == n
    t.join(60)
    viewer.close()
    wait_until(lambda: sum(
        d['to_endpoint']['messages'] for _, d in
        audit(rig, session, 'clipboard')) == n, 20, 'all to be counted')
    rows = audit(rig, session, 'clipboard')
    assert len(rows) <= 4
    assert sum(d['to_endpoint']['bytes'] for _, d in rows) == 5 * n


# --- the real server ---

def test_xvnc(rig):
    """TigerVNC's server speaks both kinds by itself."""
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.clipboard=to_endpoint')

    def viewer():
        return rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                          'alice@desk1', rig.password)

    def selection():
        return subprocess.run(
            ['timeout', '2', 'xclip', '-o', '-selection', 'clipboard'],
            env=rig.endpoint.env, capture_output=True, cwd='/').stdout

    with viewer() as c:
        c.request(incremental=False)
        c.run_until(c.covered)
        c.cut_text('from the technician')
        wait_until(lambda: selection() == b'from the technician', 20,
                   'the text to arrive')
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.clipboard=off')
    with viewer() as c:
        c.request(incremental=False)
        c.run_until(c.covered)
        c.cut_text('never')
        c.pointer(77, 88)
        wait_until(lambda: 'x:77 y:88' in rig.endpoint.xdotool(
            'getmouselocation'), 20, 'what was sent behind it')
        assert selection() != b'never'


# --- orders ---

def page_on(rig, **kw):
    p = PagePeer(rig, 'alice@desk1', rig.password)
    p.open_desktop()
    p.wait('status', **kw)
    return p


def test_page_cannot_lift_what_an_administrator_set(rig):
    with page_on(rig, view_only=False) as p:
        session = session_id(rig)
        p.send({'type': 'view_only', 'on': True})
        p.wait('status', view_only=True, view_only_forced=False,
               clipboard='off')
        p.send({'type': 'view_only', 'on': False})  # his own, he may
        p.wait('status', view_only=False)
        rig.stack.ctl('sessions', 'view-only', session, 'on')
        p.wait('status', view_only=True, view_only_forced=True)
        p.send({'type': 'view_only', 'on': False})
        assert 'administrator' in p.wait('error')['text']
        # nor by the technician's own name through the database
        assert rig.stack.sql(
            f"SELECT session_command(p.id, '{session}', 'view_only', 'off') "
            "FROM people p WHERE p.name = 'alice'") == [['']]
        assert 'administrator' in p.wait('error')['text']
        p.send({'type': 'frame_rate', 'fps': 5})
        p.wait('status', view_only=True, frame_rate=5)
        rig.stack.ctl('sessions', 'view-only', session, 'off')
        p.wait('status', view_only=False, view_only_forced=False)
    done = audit(rig, session, 'session_command_done')
    assert [(d['command'], d['value'], d['from']) for _, d in done] == [
        ('view_only', 'on', 'page'), ('view_only', 'off', 'page'),
        ('view_only', 'on', 'command'), ('frame_rate', '5', 'page'),
        ('view_only', 'off', 'command')]
    assert done[0][0] == 'alice' and done[2][0].startswith('relaycam@')
    refused = audit(rig, session, 'session_command_refused')
    assert [(a, d['value'], d['from']) for a, d in refused] == [
        ('alice', 'off', 'page'), ('alice', 'off', 'command')]
    assert all('administrator' in d['why'] for _, d in refused)


def test_orders_of_the_viewer(rig):
    with rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                    'alice@desk1+7', rig.password) as c:
        session = session_id(rig)
        c.request(incremental=False)
        c.run_until(c.covered)
        rig.stack.ctl('sessions', 'view-only', session, 'on')
        c.set_desktop_size(900, 700, [(0, 0, 900, 700)])
        refused = wait_until(lambda: len(audit(
            rig, session, 'session_command_refused')) == 2 and audit(
            rig, session, 'session_command_refused'), 20, 'the rows')
    assert [(a, d['command'], d['value'], d['from']) for a, d in refused] == [
        ('alice', 'monitor', '7', 'viewer'),
        ('alice', 'desktop_size', '900x700', 'viewer')]


def test_flood_of_orders(rig):
    """Hundreds are a few rows and a number that accounts for the rest."""
    n = 300
    with page_on(rig) as p:
        session = session_id(rig)
        for i in range(n):
            p.send({'type': 'frame_rate', 'fps': 1 + i % 50})
            p.wait('status')
        p.send({'type': 'x' * 9000})
        p.wait('error')
        p.send({'type': 'end'})
    omitted = wait_until(lambda: audit(
        rig, session, 'session_commands_omitted'), 20, 'the number')
    rows = audit(rig, session, 'session_command_done') + audit(
        rig, session, 'session_command_refused')
    counted = sum(d.get('omitted_before', 0) for _, d in rows)
    assert len(rows) + counted + omitted[0][1]['count'] == n + 1
    assert len(rows) < 60
    assert all(len(d['value']) <= 64 for _, d in rows)
