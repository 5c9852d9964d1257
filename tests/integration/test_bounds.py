"""Room at the relay: each kind of connection has a bound of its own, one
address leaves room for the others, and who is turned away reads why.
"Bad input" of T1, X6."""
import re
import select
import socket
import ssl
import struct
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from process import wait_until

from agent_peer import (CODE, ENROL, HELLO, REFUSED, WELCOME, Reader, frame,
                        make_certificate, text)
from test_access import Technician, refusal

PER_ADDRESS, LOGINS, SESSIONS, AGENTS, LOGIN_S = 20, 50, 2, 3, 10
CODES, CODES_PER_ADDRESS = 5, 3
ENROLLED, ATTENDED, ENROLLING = 0, 1, 2


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request, settings={
        'relay.max_logins_per_address': PER_ADDRESS,
        'relay.max_logins': LOGINS, 'relay.max_sessions': SESSIONS,
        'relay.max_agents': AGENTS, 'relay.max_attended': CODES,
        'relay.max_attended_per_address': CODES_PER_ADDRESS,
        'relay.handshake_seconds': 10, 'relay.login_seconds': LOGIN_S,
        'relay.login_dialog_seconds': LOGIN_S,
        'relay.reverse_clear': 'loopback'}).start()


def metric(rig, name):
    url = f'http://127.0.0.1:{rig.stack.ports.relay_metrics}/metrics'
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    return int(re.search(rf'^relaycam_relay_{name} (\d+)$', page, re.M)[1])


def session(rig, source, **kw):
    t = Technician(rig, source=(source, 0), **kw)
    assert t.login('alice@desk1', rig.password) is None
    t.server_init()
    return t


def dial(rig, source, alpn=None, certificate=None):
    port = rig.stack.ports.web
    s = socket.create_connection(('127.0.0.1', port), 30, (source, 0))
    ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
    ctx.set_alpn_protocols([alpn or 'http/1.1'])
    if certificate:
        ctx.load_cert_chain(*certificate)
    return ctx.wrap_socket(s, server_hostname='localhost')


def is_open(s):
    s.setblocking(False)
    try:
        while piece := s.recv(4096):
            assert piece
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    return False


def connect(rig, door, source):
    """A connection that says nothing; it may be reset at once."""
    s = socket.socket()
    s.bind((source, 0))
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', getattr(rig.stack.ports, door)))
    return s


def closed(rig):
    """Connections closed beyond a bound so far, at once or later."""
    return metric(rig, 'turned_away_total') + metric(rig, 'evicted_total')


def test_one_address_leaves_room_for_the_others(rig):
    before = closed(rig)
    doors = ('relay', 'web', 'reverse', 'session_first')
    silent = []
    try:
        for door in doors * (PER_ADDRESS + 10):
            silent.append(connect(rig, door, '127.0.5.1'))
        # each listener has a pool of its own
        wait_until(lambda: closed(rig) - before == len(doors) * 10, 8,
                   'the others to be closed')
        assert metric(rig, 'logins') == len(doors) * PER_ADDRESS
        assert sum(map(is_open, silent)) == len(doors) * PER_ADDRESS
        # meanwhile, from elsewhere
        t = session(rig, '127.0.5.2')
        with dial(rig, '127.0.5.3') as web:
            web.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
            assert web.recv(4096).startswith(b'HTTP/1.1 200')
        t.close()
    finally:
        for s in silent:
            s.close()
    lines = [line for line in rig.log('relay').splitlines()
             if 'connection_refused' in line]
    assert 'max_logins_per_address' in lines[0] and '127.0.5.1' in lines[0]
    assert len(lines) <= 2, 'a flood must not fill the log'
    wait_until(lambda: metric(rig, 'logins') == 0, 5, 'them to be gone')


@pytest.mark.parametrize('door', ['relay', 'web'])
def test_the_largest_holders_make_room_for_a_newcomer(rig, door):
    """Ten addresses hold a listener's whole pool and come again whenever
    they are closed; logins from elsewhere notice nothing."""
    before = closed(rig)
    silent = [connect(rig, door, f'127.0.9.{n % 10 + 1}')
              for n in range(LOGINS)]
    try:
        wait_until(lambda: metric(rig, 'logins') >= LOGINS, 10,
                   'the pool to be full')
        for n in range(5):
            source = f'127.0.10.{n + 1}'
            if door == 'relay':
                session(rig, source).close()
            else:
                with dial(rig, source) as web:
                    web.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n'
                                b'Connection: close\r\n\r\n')
                    assert web.recv(4096).startswith(b'HTTP/1.1 200')
            # what it displaced comes back, and displaces no stranger
            silent += [connect(rig, door, f'127.0.9.{n % 10 + 1}')
                       for n in range(5)]
        assert closed(rig) > before
        assert metric(rig, 'logins') <= LOGINS
    finally:
        for s in silent:
            s.close()
    wait_until(lambda: metric(rig, 'logins') == 0, 10, 'them to be gone')


def test_requests_one_after_the_other_do_not_last_for_ever(rig):
    """Browsers keep their connection; who never logs in loses it."""
    began = time.monotonic()
    with dial(rig, '127.0.11.1') as web:
        try:
            while time.monotonic() - began < 3 * LOGIN_S + 30:
                web.sendall(b'HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n')
                answer = web.recv(4096)
                if not answer:
                    break
                assert answer.startswith(b'HTTP/1.1 200')
                select.select([web], [], [], 1)
        except (ConnectionError, ssl.SSLError):
            pass
    took = time.monotonic() - began
    # connecting, and twice the time for a login
    assert 3 * LOGIN_S - 2 < took < 3 * LOGIN_S + 15


def test_logins_do_not_count_as_sessions(rig):
    running = [session(rig, f'127.0.6.{n}') for n in range(1, SESSIONS + 1)]
    try:
        # the bound of sessions is told, and is not in the way of logins
        reason = refusal(rig, 'alice@desk1', rig.password, ('127.0.6.9', 0))
        assert 'max_sessions' in reason
        assert 'password is wrong' in refusal(
            rig, 'nobody@desk1', 'x', ('127.0.6.10', 0))
        assert metric(rig, 'sessions_active') == SESSIONS
    finally:
        for t in running:
            t.close()
    wait_until(lambda: metric(rig, 'sessions_active') == 0, 10, 'the ends')
    session(rig, '127.0.6.9').close()


class Agent:
    """The control channel of an agent of our own making."""

    def __init__(self, rig, source, mode, certificate=None):
        self.sock = dial(rig, source, 'relaycam-agent/1', certificate)
        self.sock.sendall(frame(
            HELLO, struct.pack('>HB', 2, mode) + text('9.9.9') +
            text('lap') + text('Debian') + b'\1' + text('main') + text('')))

    def exactly(self, n):
        data = b''
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def message(self):
        n = struct.unpack('>H', self.exactly(2))[0]
        body = self.exactly(n)
        return body[0], Reader(body[1:])

    def close(self):
        self.sock.close()


def has_code(a):
    return a.message()[0] == WELCOME and a.message()[0] == CODE


def refused_by(a):
    kind, body = a.message()
    reason = body.text()
    assert kind == REFUSED
    assert body.number(1) == 0, 'it may come again'
    a.close()
    return reason


def test_session_codes_take_no_room_from_enrolled_agents(rig, tmp_path):
    agents = [Agent(rig, '127.0.7.1', ATTENDED)
              for _ in range(CODES_PER_ADDRESS)]
    try:
        assert all(map(has_code, agents))
        assert 'max_attended_per_address' in refused_by(
            Agent(rig, '127.0.7.1', ATTENDED))
        while len(agents) < CODES:
            agents.append(Agent(rig, '127.0.7.2', ATTENDED))
            assert has_code(agents[-1])
        assert 'relay.max_attended)' in refused_by(
            Agent(rig, '127.0.7.3', ATTENDED))
        assert metric(rig, 'attended') == CODES
        session(rig, '127.0.7.4').close()
        # enrolled ones have a bound of their own, whatever their address
        for n in range(AGENTS + 1):
            folder = tmp_path / str(n)
            folder.mkdir()
            certificate = make_certificate(str(folder), f'lap{n}',
                                           f'DNS:lap{n}')[:2]
            token = rig.stack.ctl_json('endpoint', 'add', f'lap{n}',
                                       '--team', 'demo', '--kind',
                                       'agent')['token']
            a = Agent(rig, '127.0.7.1', ENROLLING, certificate)
            a.sock.sendall(frame(ENROL, text(token)))
            if n < AGENTS:
                assert a.message()[0] == WELCOME
                agents.append(a)
            else:
                assert 'relay.max_agents)' in refused_by(a)
        assert metric(rig, 'agents') == CODES + AGENTS
    finally:
        for a in agents:
            a.close()
    wait_until(lambda: metric(rig, 'agents') == 0, 10, 'them to be gone')


def audited(rig, action):
    """Rows of an action, and the number of refusals that they stand for."""
    return [int(n) for n in rig.stack.sql(
        "SELECT count(*), coalesce(sum((detail->>'count')::int), 0) FROM "
        f"audit WHERE action = '{action}'")[0]]


def test_wrong_tokens_are_slowed_and_share_a_row(rig, tmp_path):
    certificate = make_certificate(str(tmp_path), 'lap', 'DNS:lap')[:2]

    def guess(n):
        a = Agent(rig, '127.0.8.1', ENROLLING, certificate)
        try:
            a.sock.sendall(frame(ENROL, text(f'guess {n}')))
            kind, body = a.message()
            assert kind == REFUSED
            return body.text()
        except EOFError:
            return 'closed'
        finally:
            a.close()

    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(guess, range(16)))
    assert time.monotonic() - began < LOGIN_S + 8
    checked = sum('token is not valid' in a for a in answers)
    # four at a time while nothing failed, then after four seconds
    assert 1 <= checked <= 4 + 2, answers
    assert answers.count('closed') == 16 - checked
    rows, count = wait_until(lambda: (lambda a: a[1] >= checked and a)(
        audited(rig, 'agent_refused')), 80, 'the row')
    assert (count, rows <= 2) == (checked, True)
