"""The relay's side of the agent's protocol, after docs/agent-protocol.md and
without the project's code: for faults that a real relay does not show. And
the agent itself, as a process."""
import os
import signal
import socket
import ssl
import struct
import subprocess
import time

SESSION = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9'
TICKET = '0123456789abcdef' * 4
TIMEOUT_S = 60

HELLO, ENROL, PONG, OPEN_FAILED, CLOSE = range(1, 6)
WELCOME, REFUSED, PING, CODE, OPEN, INDICATOR, END = range(16, 23)
TICKET_MSG, ACCEPTED, CONSENT, JOINED = range(32, 36)

CONTROL, DATA = 'relaycam-agent/1', 'relaycam-data/1'


def make_certificate(folder, name, sans):
    """A self-signed server certificate; returns (pem, key, sha256)."""
    pem, key = (os.path.join(folder, f'{name}.{e}') for e in ('pem', 'key'))
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', pem,
         '-days', '2', '-subj', f'/CN={name}', '-addext',
         f'subjectAltName={sans}'], check=True, capture_output=True)
    out = subprocess.run(['openssl', 'x509', '-in', pem, '-noout',
                          '-fingerprint', '-sha256'], check=True,
                         capture_output=True, text=True).stdout
    return pem, key, out.strip().split('=')[1]


def text(s):
    data = s.encode() if isinstance(s, str) else s
    return struct.pack('>H', len(data)) + data


def frame(kind, body=b''):
    return struct.pack('>HB', len(body) + 1, kind) + body


def welcome(keepalive_s=30, endpoint='desk1', team='support'):
    return frame(WELCOME, text(endpoint) + text(team) +
                 struct.pack('>H', keepalive_s) + text('0.1.0'))


def refused(reason, is_final):
    return frame(REFUSED, text(reason) + bytes([is_final]))


def ping(number):
    return frame(PING, struct.pack('>I', number))


def code(digits, seconds=3600):
    return frame(CODE, text(digits) + struct.pack('>I', seconds))


def open_msg(session=SESSION, ticket=TICKET, address='', display='',
             technician='alice', team='support', recorded=0, consent=0,
             consent_s=30, capture=0):
    return frame(OPEN, text(session) + text(ticket) + text(address) +
                 text(display) + text(technician) + text(team) +
                 text('unattended') + bytes([recorded, consent]) +
                 struct.pack('>HB', consent_s, capture))


def indicator(on, note='', session=SESSION):
    return frame(INDICATOR, text(session) + bytes([on]) + text(note))


def end(reason='over', session=SESSION):
    return frame(END, text(session) + text(reason))


class Reader:
    """Fields of a body."""

    def __init__(self, data):
        self.data = data

    def take(self, n):
        assert len(self.data) >= n
        head, self.data = self.data[:n], self.data[n:]
        return head

    def number(self, width):
        return int.from_bytes(self.take(width), 'big')

    def text(self):
        return self.take(self.number(2)).decode()


def parse_hello(body):
    r = Reader(body)
    hello = {'protocol': r.number(2), 'mode': r.number(1),
             'version': r.text(), 'host': r.text(), 'os': r.text(),
             'displays': [r.text() for _ in range(r.number(1))],
             'secret': r.text()}
    assert r.data == b''
    return hello


class Channel:
    """A connection of the agent's, TLS done."""

    def __init__(self, sock):
        self.sock = sock
        self.alpn = sock.selected_alpn_protocol()
        sock.settimeout(TIMEOUT_S)

    def send(self, data):
        self.sock.sendall(data)

    def exactly(self, n):
        data = b''
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if part == b'':
                raise EOFError
            data += part
        return data

    def message(self, kind=None):
        """The next message's body; of this kind, if one is named."""
        n = int.from_bytes(self.exactly(2), 'big')
        assert 1 <= n <= 8192
        body = self.exactly(n)
        if kind is None:
            return body[0], body[1:]
        assert body[0] == kind
        return body[1:]

    def consent(self):
        r = Reader(self.message(CONSENT))
        return r.number(1), r.text()

    def failed(self):
        r = Reader(self.message(OPEN_FAILED))
        return r.text(), r.text()

    def at_end(self):
        """Waits for the agent to close; nothing else may come."""
        try:
            return self.sock.recv(1) == b''
        except ConnectionResetError:
            return True

    def close(self):
        """As a relay that is killed: no goodbye."""
        self.sock.close()


class Peer:
    """A listening relay of which each step is the test's."""

    def __init__(self, pem, key, alpn=(CONTROL, DATA), client_ca=None):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.settimeout(TIMEOUT_S)
        self.port = self.listener.getsockname()[1]
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pem, key)
        self.tls.set_alpn_protocols(list(alpn))
        if client_ca is not None:
            self.tls.load_verify_locations(client_ca)
            self.tls.verify_mode = ssl.CERT_REQUIRED

    def accept_tcp(self):
        sock, _ = self.listener.accept()
        sock.settimeout(TIMEOUT_S)
        return sock

    def accept(self, alpn=CONTROL):
        channel = Channel(self.tls.wrap_socket(self.accept_tcp(),
                                               server_side=True))
        assert channel.alpn == alpn
        return channel

    def greet(self, keepalive_s=30):
        """A control channel that is up."""
        channel = self.accept()
        channel.hello = parse_hello(channel.message(HELLO))
        channel.send(welcome(keepalive_s))
        return channel

    def ticket(self):
        """A data channel with its ticket accepted."""
        data = self.accept(DATA)
        assert Reader(data.message(TICKET_MSG)).text() == TICKET
        data.send(frame(ACCEPTED))
        return data

    def nobody_comes(self, seconds):
        self.listener.settimeout(seconds)
        try:
            self.listener.accept()[0].close()
            return False
        except TimeoutError:
            return True
        finally:
            self.listener.settimeout(TIMEOUT_S)

    def close(self):
        self.listener.close()


class Agent:
    """relaycam-agent, running."""

    def __init__(self, program, folder, args, env=None):
        self.log_path = os.path.join(folder, 'agent.log')
        self.out_path = os.path.join(folder, 'agent.out')
        clean = {k: v for k, v in os.environ.items() if 'proxy' not in
                 k.lower() and k not in ('DISPLAY', 'WAYLAND_DISPLAY')}
        with open(self.log_path, 'w') as log, open(self.out_path, 'w') as out:
            self.process = subprocess.Popen(
                [program, *args], stdin=subprocess.DEVNULL, stdout=out,
                stderr=log, env={**clean, **(env or {})})

    def log(self):
        with open(self.log_path, encoding='utf-8') as f:
            return f.read()

    def out(self):
        with open(self.out_path, encoding='utf-8') as f:
            return f.read()

    def wait_log(self, what, times=1):
        deadline = time.monotonic() + TIMEOUT_S
        while self.log().count(what) < times:
            assert time.monotonic() < deadline, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.02)

    def status(self):
        return self.process.wait(TIMEOUT_S)

    def stop(self):
        """An orderly end; a sanitizer's report would change the status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.status()
