"""A technician, a browser, an endpoint, an agent or a relay that vanishes from the
network is noticed within relay.peer_lost_seconds, idle or not; a viewer that
does not read is not taken for one. T1, T9, X4."""
import hashlib
import re
import socket
import ssl
import struct
import threading
import time

import pytest
from conftest import make_rig
from process import wait_until

import network
import rfb_client as rfb
from agent_peer import Agent
from page_peer import PING, PagePeer
from plain_server import H, W, Server

pytestmark = pytest.mark.skipif(not network.is_possible(),
                                reason='makes networks')
LOST_S = 6
LATE_S = 40     # the kernel would take 15 minutes, or two hours
GONE = 'does not answer any more'


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={
        'relay.peer_lost_seconds': LOST_S, 'relay.agent_seconds': 2,
        'relay.reverse_clear': 'any'})
    p = rig.stack.ports
    rig.stack.settings.update({
        'relay.listen': f'0.0.0.0:{p.relay}',
        'relay.web_listen': f'0.0.0.0:{p.web}',
        'relay.reverse_listen': f'0.0.0.0:{p.reverse}'})
    rig.start()
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'attended.consent=off')
    return rig


@pytest.fixture
def machine():
    m = network.Machine()
    yield m
    m.remove()


@pytest.fixture
def server(rig):
    """make(draws): a server as endpoint `NAME`, which is removed again."""
    made = []

    def make(name, draws=False, machine=None):
        host = machine.far if machine else '127.0.0.1'
        s = machine.inside(Server, host, draws) if machine else \
            Server(host, draws)
        made.append((name, s))
        rig.stack.ctl('endpoint', 'add', name, '--team', 'demo', '--host',
                      host, '--port', str(s.port), '--allow-clear')
        return s
    yield make
    for name, s in made:
        s.close()
        rig.stack.ctl('endpoint', 'remove', name)


def reader(peer):
    """Reads whatever comes until the end, and asks again."""
    def run():
        try:
            peer.run_for(3600)
        except (OSError, EOFError, AssertionError, ValueError):
            pass
    threading.Thread(target=run, daemon=True).start()


def technician(rig, name, host='localhost', **kw):
    c = rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                   f'alice@{name}', rig.password, (rfb.RAW,), host=host, **kw)
    c.request(incremental=False)
    c.run_until(c.covered, 30)
    c.request()
    return c


def browser(rig, name, host='localhost'):
    p = PagePeer(rig, f'alice@{name}', rig.password, host=host)
    p.open_desktop()
    p.request(area=(0, 0, W, H))
    return p


def end_of(rig, name):
    """Code and reason of the endpoint's latest session, None: it runs."""
    rows = rig.stack.sql(
        "SELECT end_code, end_reason FROM sessions s JOIN endpoints e ON "
        f"e.id = s.endpoint_id WHERE e.name = '{name}' ORDER BY started_at "
        'DESC LIMIT 1')
    return rows[0] if rows and rows[0][0] else None


def runs(rig, name):
    return rig.stack.sql(
        "SELECT 1 FROM sessions s JOIN endpoints e ON e.id = s.endpoint_id "
        f"WHERE e.name = '{name}' AND ended_at IS NULL") != []


def ends(rig, name, code, words):
    got = wait_until(lambda: end_of(rig, name), LATE_S, f'{name} to end')
    assert got[0] == code and GONE in got[1] and words in got[1], got
    assert any('session_end' in line and f'endpoint={name}' in line and
               GONE in line for line in rig.log('relay').splitlines())
    assert rig.stack.sql(
        "SELECT 1 FROM audit WHERE action = 'session_end' AND "
        f"detail->>'reason' = $${got[1]}$$")


def test_technicians_and_browsers(rig, machine, server):
    """Idle: probes; with pictures on their way: unacknowledged data."""
    peers, servers = [], {}
    for name, draws in (('still', False), ('draws', True)):
        servers[name] = server(f'{name}-vnc', draws)
        server(f'{name}-web', draws)
        c = machine.inside(technician, rig, f'{name}-vnc', machine.near)
        c.key(0xffff, 1)
        wait_until(lambda: servers[name].down(), LATE_S, 'the key')
        reader(c)
        peers += [c, machine.inside(browser, rig, f'{name}-web',
                                    machine.near)]
    names = [f'{n}-{w}' for n in ('still', 'draws') for w in ('vnc', 'web')]
    assert all(runs(rig, n) for n in names)
    machine.cut()
    for n in names:
        ends(rig, n, 'normal', 'the viewer')
    wait_until(lambda: not servers['still'].down() and
               not servers['draws'].down(), 10, 'their keys to be up')


def test_endpoints(rig, machine, server):
    """Without a key on its way, and with."""
    for name in ('far-still', 'far-keys'):
        server(name, machine=machine)
    still = technician(rig, 'far-still')
    keys = technician(rig, 'far-keys')
    machine.cut()
    for k in range(10):
        keys.key(0x61 + k, 1)
    for name in ('far-still', 'far-keys'):
        ends(rig, name, 'endpoint', 'the endpoint')
    still.close()
    keys.close()


def pin_of(rig):
    ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
    with socket.create_connection(('localhost', rig.stack.ports.web)) as s, \
            ctx.wrap_socket(s, server_hostname='localhost') as t:
        return hashlib.sha256(t.getpeercert(True)).hexdigest()


def park(rig, host):
    way = rig.stack.ctl_json('endpoint', 'add', 'calls', '--kind', 'reverse',
                             '--allow-clear')
    s = socket.create_connection((host, rig.stack.ports.reverse), 20)
    s.sendall(f"ID:{way['id'].removeprefix('ID:')}".encode().ljust(250, b'\0')
              + b'RFB 003.003\n\0\0\0\1' +
              struct.pack('>HH16sI', W, H, rfb.FORMAT, 0))
    return s


def test_agents_and_parked_servers(rig, machine, tmp_path):
    """The real agent, with a code of its own; a server that dialled in. Both
    ends notice: the agent that its relay has gone, too."""
    server = machine.inside(Server, '127.0.0.1')
    argv = machine.argv(
        f'{rig.stack.build}/agent/relaycam-agent', 'attend', '--relay',
        f'{machine.near}:{rig.stack.ports.web}', '--pin', pin_of(rig),
        '--display', f'127.0.0.1:{server.port}', '--set',
        f'agent.peer_lost_seconds={LOST_S}', '--state', str(tmp_path))
    agent = Agent(argv[0], str(tmp_path), argv[1:])
    wait_until(lambda: 'code' in agent.out(), 30, 'the code')
    code = ''.join(re.search(r'(\d{3}) (\d{3}) (\d{3})',
                             agent.out()).groups())
    parked = machine.inside(park, rig, machine.near)

    def waits():
        return rig.stack.sql("SELECT 1 FROM endpoints WHERE name = 'calls' "
                             'AND parked_node IS NOT NULL') != []
    try:
        wait_until(waits, 30, 'the server to be parked')
        with technician(rig, code):
            machine.cut()
            ends(rig, code, 'endpoint', 'the endpoint')
        wait_until(lambda: not waits(), LATE_S, 'the parked one to be gone')
        wait_until(lambda: rig.stack.sql('SELECT 1 FROM attended_codes') == [],
                   LATE_S, 'the code to be gone')
        wait_until(lambda: 'relay_lost' in agent.log() and
                   'session_end' in agent.log(), LATE_S,
                   'the agent to notice')
        wait_until(lambda: server.closed == 1, 10, 'its server to hear of it')
    finally:
        agent.stop()
        parked.close()
        server.close()
        rig.stack.ctl('endpoint', 'remove', 'calls')


def test_a_viewer_that_does_not_read_is_there(rig, machine, server):
    """Its window is closed for three times as long; then it reads on. One
    that closed its window and vanishes is noticed as well."""
    for name in ('lazy', 'gone'):
        server(name, draws=True)
    lazy, gone = (machine.inside(technician, rig, name, machine.near,
                                 small_window=True)
                  for name in ('lazy', 'gone'))
    for c in (lazy, gone):      # more than the buffers on the way take
        for _ in range(40):
            c.request(incremental=False)
    until = time.monotonic() + 3 * LOST_S
    while time.monotonic() < until:
        assert runs(rig, 'lazy') and runs(rig, 'gone')
        time.sleep(0.5)
    seen = len(lazy.updates)
    lazy.run_until(lambda: len(lazy.updates) >= seen + 41, 30)
    machine.cut()
    ends(rig, 'gone', 'normal', 'the viewer')
    for c in (lazy, gone):
        c.close()


class Proxy:
    """Carries bytes and keeps its own connections, whatever becomes of the
    browser behind it."""

    def __init__(self, port):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.to = port
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        a, _ = self.listener.accept()
        b = socket.create_connection(('127.0.0.1', self.to))
        self.sockets = a, b
        for x, y in ((a, b), (b, a)):
            threading.Thread(target=self._carry, args=(x, y),
                             daemon=True).start()

    @staticmethod
    def _carry(x, y):
        try:
            while data := x.recv(65536):
                y.sendall(data)
        except OSError:
            pass


class Behind(PagePeer):
    """A page behind a proxy."""

    def _frame(self, opcode, payload):
        self.pongs = getattr(self, 'pongs', 0) + (opcode == PING + 1)
        super()._frame(opcode, payload)


def test_pings_keep_an_idle_browser_and_find_a_dead_one(
        rig, server, monkeypatch):
    server('idle')
    proxy = Proxy(rig.stack.ports.web)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, 'create_connection', lambda to, *a, **kw: connect(
            ('127.0.0.1', proxy.listener.getsockname()[1])
            if to == ('localhost', rig.stack.ports.web) else to, *a, **kw))
    page = Behind(rig, 'alice@idle', rig.password)
    page.open_desktop()
    page.request(area=(0, 0, W, H))
    page.sock.settimeout(20)
    while page.pongs < 5:       # longer than it may be silent
        page.take()
    assert runs(rig, 'idle')
    # from here on it takes nothing and says nothing; the proxy does
    ends(rig, 'idle', 'normal', 'the viewer')
    page.sock.close()
