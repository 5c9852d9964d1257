"""relaycam-agent against a relay that misbehaves, proxies that do, and local
VNC servers that come and go. T4, C2; docs/agent-protocol.md."""
import os
import select
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest

from agent_peer import (ACCEPTED, CLOSE, CONTROL, DATA, ENROL, HELLO, JOINED,
                        PONG, TICKET, TICKET_MSG, Agent, Peer, Reader, code,
                        end, frame, make_certificate, open_msg, parse_hello,
                        ping, refused, text, welcome)
from conftest import BUILD

PROGRAM = os.path.join(BUILD, 'agent', 'relaycam-agent')
TOKEN = 'rce_0123456789'
FAST = ['--set', 'agent.retry_seconds=1', '--set', 'agent.connect_seconds=3']


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp('peer')
    return make_certificate(str(folder), 'localhost',
                            'DNS:localhost,IP:127.0.0.1')


@pytest.fixture
def peer(certificate):
    p = Peer(*certificate[:2])
    yield p
    p.close()


@pytest.fixture
def start(tmp_path, certificate):
    """start(peer, command, *args): agents that are ended after the test, and
    have to end well."""
    agents = []

    def run(peer, command='attend', *args, host='localhost', trust=None,
            env=None):
        trust = trust or ['--ca', certificate[0]]
        relay = ['--relay', f'{host}:{peer.port}'] if peer else []
        agents.append(Agent(PROGRAM, str(tmp_path), [
            command, *relay, *trust, '--state', str(tmp_path / 'state'),
            *FAST, *args], env))
        return agents[-1]
    yield run
    for agent in agents:
        status = agent.stop()
        assert status in (0, 2, 69, 77, 78), agent.log()
        assert 'Sanitizer' not in agent.log()


@pytest.fixture
def server():
    """A local "VNC server": a listening socket."""
    s = socket.create_server(('127.0.0.1', 0))
    s.settimeout(15)
    yield s
    s.close()


def at(server):
    return f'127.0.0.1:{server.getsockname()[1]}'


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


def enroll(peer, start, *args, **kw):
    """A whole enrolment; returns what was said."""
    agent = start(peer, 'enroll', '--token', TOKEN, *args, **kw)
    control = peer.accept()
    hello = parse_hello(control.message(HELLO))
    token = Reader(control.message(ENROL)).text()
    control.send(welcome())
    assert agent.status() == 0, agent.log()
    control.close()
    return hello, token, agent


# --- enrolment ---

def test_enrolment_keeps_key_and_relay(peer, start, tmp_path, certificate):
    hello, token, agent = enroll(peer, start)
    assert (hello['mode'], hello['protocol'], token) == (2, 2, TOKEN)
    assert 'desk1' in agent.out() and 'support' in agent.out()
    identity = tmp_path / 'state' / 'identity.pem'
    assert stat.S_IMODE(identity.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / 'state').stat().st_mode) == 0o700
    assert TOKEN not in agent.log() + agent.out() + ''.join(
        f.read_text() for f in (tmp_path / 'state').iterdir())
    key = subprocess.run(['openssl', 'pkey', '-in', str(identity), '-noout',
                          '-text'], check=True, capture_output=True,
                         text=True).stdout
    assert 'NIST CURVE: P-256' in key
    # run needs no more than the folder, and shows that very certificate:
    # this peer takes no other
    strict = Peer(*certificate[:2], client_ca=str(identity))
    start(None, 'run', '--relay', f'localhost:{strict.port}')
    control = strict.accept()
    assert parse_hello(control.message(HELLO))['mode'] == 0
    assert control.sock.getpeercert()['subject'] == (
        (('commonName', 'relaycam-agent'),),)
    strict.close()


def test_run_remembers_the_relay_and_its_ca(peer, start, tmp_path):
    enroll(peer, start)
    agent = start(None, 'run', trust=['--set', 'log.level=debug'])
    control = peer.greet()
    assert control.hello['displays'] == ['main']
    agent.wait_log('relay_connected')


def test_refused_enrolment_changes_nothing(peer, start, tmp_path):
    enroll(peer, start)
    before = {f.name: f.read_bytes() for f in (tmp_path / 'state').iterdir()}
    agent = start(peer, 'enroll', '--token', 'used')
    control = peer.accept()
    control.message(HELLO)
    control.message(ENROL)
    control.send(refused('this token was used', 1))
    assert agent.status() == 77
    assert 'this token was used' in agent.log()
    after = {f.name: f.read_bytes() for f in (tmp_path / 'state').iterdir()}
    assert after == before


def test_enrolment_tries_once(start, tmp_path, certificate):
    peer = Peer(*certificate[:2])
    peer.close()
    agent = start(peer, 'enroll', '--token', TOKEN)
    assert agent.status() == 69
    assert 'Connection refused' in agent.log()
    assert list((tmp_path / 'state').iterdir()) == []


def test_run_without_enrolment_says_what_to_do(start):
    agent = start(None, 'run')
    assert agent.status() == 78
    assert 'relaycam-agent enroll' in agent.log()


# --- which relay is the right one ---

def test_unknown_ca_names_the_fingerprint(peer, start, certificate):
    agent = start(peer, 'enroll', '--token', TOKEN, trust=['--set',
                                                           'log.level=info'])
    with pytest.raises(OSError):
        peer.accept()
    assert agent.status() == 69
    assert certificate[2].replace(':', '').lower() in agent.log()
    # with what it printed as a pin it works, and run keeps to it
    peer.close()


def test_pin_replaces_the_ca(peer, start, certificate, tmp_path):
    enroll(peer, start, trust=['--pin', certificate[2]])
    start(None, 'run', trust=['--set', 'log.level=info'])
    assert peer.greet().hello['mode'] == 0


def test_another_certificate_than_the_pinned_one(peer, start, tmp_path):
    wrong = 'ab' * 32
    agent = start(peer, trust=['--pin', wrong])
    channel = peer.accept()
    assert channel.at_end()
    agent.wait_log('not the pinned one')


def test_name_is_checked(start, tmp_path):
    pem, key, _ = make_certificate(str(tmp_path), 'other.example',
                                   'DNS:other.example')
    peer = Peer(pem, key)
    agent = start(peer, trust=['--ca', pem])
    with pytest.raises(OSError):
        peer.accept()
    agent.wait_log('ostname mismatch')
    peer.close()


def test_a_port_that_is_no_relays(certificate, start):
    peer = Peer(*certificate[:2], alpn=('http/1.1',))
    agent = start(peer)
    # OpenSSL's server ignores a list that has nothing in common
    assert peer.accept(alpn=None).at_end()
    agent.wait_log("not a relay's port")
    peer.close()


# --- the control channel ---

def test_final_refusal_ends_the_program(peer, start):
    agent = start(peer)
    control = peer.accept()
    control.message(HELLO)
    control.send(refused('version 0.1.0 is too old, 9.0 is needed', 1))
    assert agent.status() == 77
    assert '9.0 is needed' in agent.log()


def test_other_refusals_do_not(peer, start):
    agent = start(peer)
    for _ in range(2):
        control = peer.accept()
        control.message(HELLO)
        control.send(refused('the database is away', 0))
        assert control.at_end()
    agent.wait_log('the database is away', 2)


BAD_AFTER_HELLO = {
    'garbage': os.urandom(7) * 100,
    'zero length': b'\0\0',
    'too long': b'\x20\x01' + b'x' * 100,
    'http': b'HTTP/1.1 400 Bad Request\r\n\r\n',
    'ping before welcome': ping(1),
    'open before welcome': open_msg(),
    "an agent's message": frame(PONG, b'\0\0\0\1'),
    'trailing byte': frame(16, welcome()[3:] + b'x'),
    'control characters': welcome(endpoint='a\x1b[2J'),
}


@pytest.mark.parametrize('what', BAD_AFTER_HELLO)
def test_nonsense_instead_of_welcome(peer, start, what):
    agent = start(peer)
    control = peer.accept()
    control.message(HELLO)
    control.send(BAD_AFTER_HELLO[what])
    assert control.at_end()
    assert peer.greet().hello['version']
    agent.wait_log('relay_connected')


@pytest.mark.parametrize('bad', [
    pytest.param(welcome(), id='a second welcome'),
    pytest.param(frame(99), id='unknown message'),
    pytest.param(frame(1), id='empty hello'),
    pytest.param(open_msg(ticket='short'), id='short ticket'),
    pytest.param(open_msg(session='x' * 36), id='no uuid')])
def test_nonsense_later(peer, start, bad):
    start(peer)
    control = peer.greet()
    control.send(bad)
    assert control.at_end()
    assert peer.greet()


def test_half_a_frame_and_silence(peer, start):
    """In the greeting: connect_seconds. Later: only a PING is a sign of
    life, one byte a second is not."""
    agent = start(peer)
    control = peer.accept()
    control.message(HELLO)
    control.send(welcome()[:5])
    began = time.monotonic()
    assert control.at_end()
    assert 2.5 < time.monotonic() - began < 6
    agent.wait_log('does not answer the greeting')
    control = peer.greet(keepalive_s=1)
    began = time.monotonic()
    with pytest.raises(OSError):
        for byte in open_msg():
            control.send(bytes([byte]))
            if select.select([control.sock], [], [], 0.3)[0]:
                raise OSError(control.sock.recv(1))
    assert 2 < time.monotonic() - began < 6
    agent.wait_log('silent for too long')


def test_pings_keep_it_alive(peer, start):
    start(peer)
    control = peer.greet(keepalive_s=1)
    for number in range(10):
        time.sleep(0.4)  # the pace of the pings: more than 2.5 s in all
        control.send(ping(number + 0xfffffff0 % 2**32))
        body = control.message(PONG)
        assert int.from_bytes(body, 'big') == number + 0xfffffff0


def test_silent_tcp(peer, start):
    """Nobody speaks TLS behind the port."""
    agent = start(peer)
    sock = peer.accept_tcp()
    agent.wait_log('no answer in time')
    sock.close()
    assert peer.greet()


def test_comes_back_to_a_restarted_relay(certificate, start):
    peer = Peer(*certificate[:2])
    agent = start(peer)
    peer.greet().close()
    peer.close()
    agent.wait_log('Connection refused', 2)
    again = Peer.__new__(Peer)
    again.__dict__.update(peer.__dict__)
    again.listener = socket.create_server(('127.0.0.1', peer.port))
    again.listener.settimeout(60)
    assert again.greet().hello['mode'] == 1
    again.close()


def test_ends_in_every_state(peer, start):
    agent = start(peer)
    control = peer.accept()
    assert agent.stop() == 0
    agent = start(peer)
    control = peer.greet()
    control.send(open_msg())
    data = peer.ticket()
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 3
    del data


# --- proxies ---

class Proxy:
    """An HTTP proxy that says `answer` to CONNECT, then tunnels."""

    def __init__(self, answer, close=False):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        self.answer, self.close_after, self.heads = answer, close, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            head = b''
            while b'\r\n\r\n' not in head:
                part = sock.recv(4096)
                if part == b'':
                    break
                head += part
            self.heads.append(head.decode())
            sock.sendall(self.answer)
            if self.close_after:
                sock.close()
            elif b'established' in self.answer:
                threading.Thread(target=self.tunnel, daemon=True, args=(
                    sock, head.decode().split()[1])).start()

    @staticmethod
    def tunnel(a, target):
        host, port = target.rsplit(':', 1)
        b = socket.create_connection((host, int(port)))
        ends = {a: b, b: a}
        while True:
            for s in select.select([a, b], [], [])[0]:
                data = s.recv(65536)
                if data == b'':
                    a.close()
                    b.close()
                    return
                ends[s].sendall(data)


@pytest.mark.parametrize('answer,close,expected', [
    (b'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', False,
     'asks for the name and password'),
    (b'HTTP/1.0 502 Bad Gateway\r\nX: y\r\n\r\nbody', False,
     'refuses the tunnel (502)'),
    (b'HTTP/1.1 200', True, 'closed without an answer'),
    (b'SSH-2.0-OpenSSH_9.2\r\n', False, 'not answer like an HTTP proxy'),
    (b'HTTP/1.1 200 OK\r\n' + b'X: ' + b'y' * 9000, False,
     'not answer like an HTTP proxy'),
    (b'HTTP/1.1 200 OK\r\n\r\n\x16\x03', False,
     'bytes before the tunnel is used'),
    (b'HTTP/1.1 200 OK\r\n', False, 'no answer in time'),
], ids=['407', '502', 'closes', 'ssh', 'endless', 'too eager', 'half'])
def test_proxy_that_does_not_help(peer, start, answer, close, expected):
    proxy = Proxy(answer, close)
    agent = start(peer, 'attend', '--proxy', proxy.url)
    agent.wait_log(expected, 2)
    proxy.listener.close()


def test_session_through_a_proxy_with_a_password(peer, start, server):
    """Both channels go through it; the local server is not asked for there.
    The environment names it; the password is in no log."""
    proxy = Proxy(b'HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n')
    url = proxy.url.replace('http://', 'http://bob:p%40ss%3aword@')
    agent = start(peer, 'attend', '--display', at(server),
                  '--set', 'log.level=debug', env={'https_proxy': url})
    control = peer.greet()
    control.send(open_msg())
    data = peer.ticket()
    vnc, _ = server.accept()
    vnc.sendall(b'RFB 003.008\n')
    data.message(JOINED)
    assert data.exactly(12) == b'RFB 003.008\n'
    assert len(proxy.heads) == 2
    for head in proxy.heads:
        assert head.startswith(f'CONNECT localhost:{peer.port} HTTP/1.1\r\n')
        # base64 of bob:p@ss:word
        assert 'Proxy-Authorization: Basic Ym9iOnBAc3M6d29yZA==' in head
    assert 'p@ss' not in agent.log() and 'p%40ss' not in agent.log()
    proxy.listener.close()


def test_no_proxy_wins_over_the_environment(peer, start):
    start(peer, env={'HTTPS_PROXY': f'http://127.0.0.1:{free_port()}',
                     'NO_PROXY': 'example.org, localhost'})
    assert peer.greet()


# --- sessions ---

def open_session(peer, start, server, *args, **fields):
    agent = start(peer, 'attend', '--display', at(server), *args)
    control = peer.greet()
    control.send(open_msg(**fields))
    return agent, control


def joined(peer, start, server, *args, **fields):
    agent, control = open_session(peer, start, server, *args, **fields)
    data = peer.ticket()
    vnc, _ = server.accept()
    vnc.settimeout(15)
    data.message(JOINED)
    return agent, control, data, vnc


class Stream:
    """32 MB out of a socket and 32 MB that have to come in, in one thread:
    a TLS socket of Python's cannot be used by two."""
    total, block = 32 << 20, os.urandom(1 << 16)

    def __init__(self, sock):
        self.sock, self.sent, self.seen = sock, 0, 0
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        sock.setblocking(False)

    def send(self):
        """As much as is taken now."""
        try:
            while self.sent < self.total:
                at = self.sent % len(self.block)
                self.sent += self.sock.send(self.block[at:])
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass

    def receive(self):
        try:
            while self.seen < self.total:
                part = self.sock.recv(1 << 16)
                at = self.seen % len(self.block)
                assert part == (self.block * 2)[at:at + len(part)] != b''
                self.seen += len(part)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass


def test_bytes_go_both_ways_under_pressure(peer, start, server):
    """32 MB each way at once. While nobody reads, the agent takes no more
    than its queues and the system's; then nothing is lost."""
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    _, _, data, vnc = joined(peer, start, server)
    streams = [Stream(vnc), Stream(data.sock)]
    quiet = time.monotonic()
    while time.monotonic() - quiet < 1:  # until it stands still
        before = [s.sent for s in streams]
        for s in streams:
            s.send()
        if before != [s.sent for s in streams]:
            quiet = time.monotonic()
        select.select([], [], [], 0.02)
    # the system's own buffers of the agent's two sockets: 6 and 4 MB
    assert all(0 < s.sent < Stream.total / 2 for s in streams)
    deadline = time.monotonic() + 60
    while any(s.seen < Stream.total for s in streams):
        assert time.monotonic() < deadline
        for s in streams:
            s.send()
            s.receive()
        select.select([vnc, data.sock], [], [], 0.02)


def test_server_that_ends_is_heard_to_the_last_byte(peer, start, server):
    _, control, data, vnc = joined(peer, start, server)
    vnc.sendall(b'x' * 300000)
    vnc.close()
    assert data.exactly(300000) == b'x' * 300000
    assert data.at_end()
    control.send(ping(1))
    control.message(PONG)


def test_relay_that_ends_is_heard_to_the_last_byte(peer, start, server):
    _, _, data, vnc = joined(peer, start, server)
    data.send(b'y' * 100000)
    data.close()
    got = b''
    while part := vnc.recv(65536):
        got += part
    assert got == b'y' * 100000


def test_end_on_the_control_channel(peer, start, server):
    agent, control, data, vnc = joined(peer, start, server)
    control.send(end('the administrator ended it'))
    assert data.at_end() and vnc.recv(1) == b''
    agent.wait_log('the administrator ended it')


def test_session_outlives_the_control_channel(peer, start, server):
    _, control, data, vnc = joined(peer, start, server)
    control.close()
    control = peer.greet()
    vnc.sendall(b'still here')
    assert data.exactly(10) == b'still here'
    data.send(b'me too')
    assert vnc.recv(100) == b'me too'
    control.send(end())
    assert data.at_end()


def test_no_local_server(peer, start):
    with socket.create_server(('127.0.0.1', 0)) as closed:
        place = at(closed)
    agent = start(peer, 'attend', '--display', place)
    control = peer.greet()
    control.send(open_msg())
    session, reason = peer.ticket().failed()
    assert 'main' in reason and place in reason
    assert 'Connection refused' in reason
    agent.wait_log('open_failed')


def test_unknown_display(peer, start):
    start(peer)
    control = peer.greet()
    control.send(open_msg(display='third'))
    assert 'no display' in control.failed()[1]


def test_second_display_by_name(peer, start, server, tmp_path):
    enroll(peer, start)
    start(None, 'run', '--display',
          f'main=127.0.0.1:{free_port()}, second={at(server)}')
    control = peer.greet()
    assert control.hello['displays'] == ['main', 'second']
    control.send(open_msg(display='second'))
    data = peer.ticket()
    server.accept()
    data.message(JOINED)


def test_data_channel_goes_to_the_relay_that_asks(peer, start, server,
                                                  certificate):
    other = Peer(*certificate[:2])
    _, control = open_session(peer, start, server,
                              address=f'127.0.0.1:{other.port}')
    assert other.ticket()
    other.close()


def test_relay_that_asks_is_not_there(peer, start, server):
    _, control = open_session(peer, start, server,
                              address=f'localhost:{free_port()}')
    assert 'Connection refused' in control.failed()[1]


def test_relay_that_asks_is_an_impostor(peer, start, server, tmp_path):
    """Its certificate is checked like the first one's."""
    pem, key, _ = make_certificate(str(tmp_path), 'localhost',
                                   'DNS:localhost')
    impostor = Peer(pem, key)
    _, control = open_session(peer, start, server,
                              address=f'localhost:{impostor.port}')
    with pytest.raises(OSError):
        impostor.accept(DATA)
    assert 'certificate is refused' in control.failed()[1]
    impostor.close()


def test_ticket_that_is_refused(peer, start, server):
    agent, control = open_session(peer, start, server)
    data = peer.accept(DATA)
    data.message(TICKET_MSG)
    data.send(refused('this ticket was used', 1))
    assert data.at_end()
    agent.wait_log('this ticket was used')
    # final means the ticket, not the agent
    control.send(ping(3))
    control.message(PONG)
    assert TICKET not in agent.log()


@pytest.mark.parametrize('answer', [
    pytest.param(b'', id='silence'),
    pytest.param(frame(ACCEPTED)[:2], id='half'),
    pytest.param(frame(JOINED), id='wrong message'),
    pytest.param(b'RFB 003.008\n', id='rfb')])
def test_ticket_that_is_not_answered_well(peer, start, server, answer):
    _, control = open_session(peer, start, server)
    data = peer.accept(DATA)
    data.message(TICKET_MSG)
    data.send(answer)
    assert data.at_end()
    control.send(ping(3))
    control.message(PONG)


def test_flood_of_sessions_is_bounded(peer, start, server):
    """Sixty-four at once; the next are refused, the others undisturbed."""
    agent = start(peer, 'attend', '--display', at(server),
                  '--set', 'agent.connect_seconds=60')
    control = peer.greet()
    ids = [f'{i:08x}-0000-0000-0000-000000000000' for i in range(70)]
    for session in ids:
        control.send(open_msg(session=session))
    failed = [control.failed() for _ in range(6)]
    assert {f[0] for f in failed} == set(ids[64:])
    assert all('too many' in f[1] for f in failed)
    assert agent.process.poll() is None


# --- attended ---

def test_attended_code(peer, start, tmp_path):
    secret = tmp_path / 'vnc-password'
    secret.write_text('geheim 1\n')
    agent = start(peer, 'attend', '--password-file', str(secret))
    control = peer.greet()
    assert control.hello['mode'] == 1
    assert control.hello['secret'] == 'geheim 1'
    control.send(code('123456789'))
    control.send(ping(1))
    control.message(PONG)
    assert 'Session code: 123 456 789' in agent.out()
    assert agent.stop() == 0
    assert control.message(CLOSE) == b''
    assert '123456789' not in agent.log() and 'geheim' not in agent.log()
    assert not (tmp_path / 'state').exists()


# --- the command line ---

@pytest.mark.parametrize('args,status,expected', [
    (['--help'], 0, 'usage: relaycam-agent'),
    (['--version'], 0, 'relaycam-agent '),
    (['--config-reference'], 0, 'consent_command'),
    ([], 2, 'try --help'),
    (['dance'], 2, 'enroll, run and attend'),
    (['run', '--nonsense'], 2, 'try --help'),
    (['enroll', '--relay', 'x'], 2, '--token'),
    (['attend'], 78, 'relay'),
    (['attend', '--relay', 'a b'], 78, 'relay'),
    (['attend', '--relay', 'x', '--proxy', 'socks5://x'], 78, 'proxy'),
    (['attend', '--relay', 'x', '--pin', 'abc'], 78, '64 hexadecimal'),
    (['attend', '--relay', 'x', '--ca', '/nonexistent'], 78, '/nonexistent'),
    (['attend', '--relay', 'x', '--set', 'agent.nonsense=1'], 78, 'nonsense'),
    (['attend', '--relay', 'x', '--password-file', '/nonexistent'], 78,
     '/nonexistent'),
    (['attend', '--relay', 'x', '--set', 'agent.displays=a=b:c'], 78,
     'displays'),
    (['attend', '--relay', 'x', '--set', 'agent.displays=a=b,a=c'], 78,
     'displays'),
], ids=lambda v: ' '.join(v) if isinstance(v, list) else '')
def test_command_line(args, status, expected):
    r = subprocess.run([PROGRAM, *args], capture_output=True, text=True,
                       timeout=20)
    assert r.returncode == status, r.stderr
    assert expected in r.stdout + r.stderr


def test_reference_is_in_the_manual():
    with open(os.path.join(os.path.dirname(__file__), '..', '..', 'docs',
                           'relaycam-agent.md'), encoding='utf-8') as f:
        manual = f.read()
    reference = subprocess.run([PROGRAM, '--config-reference'], check=True,
                               capture_output=True, text=True).stdout
    for line in reference.splitlines():
        assert line in manual, line
