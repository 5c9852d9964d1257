"""The certificate of an endpoint, however the endpoint is reached: what its
row says, and what its row leaves open. An endpoint that dials in has no host,
so its CA needs a name or a pin. One peer cannot end another's session."""
import os
import socket
import ssl
import struct
import subprocess
import threading

import pytest
from conftest import BUILD, make_rig
from process import run, wait_until
from test_access import Technician, refusal

X509_NONE = struct.pack('>BI', 1, 260)
INIT = struct.pack('>HHBBBBHHHBBB3xI', 64, 48, 32, 24, 0, 1, 255, 255, 255,
                   16, 8, 0, 4) + b'peer'


class Server:
    """A VNC server that offers X509None with the demo endpoint's certificate
    (localhost, 127.0.0.1), and None to whoever comes through a tunnel of its
    own, as an agent's session does."""

    def __init__(self, rig):
        conf = rig.stack.path('conf')
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(f'{conf}/endpoint.pem',
                                 f'{conf}/endpoint.key')
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock, first=b''):
        """Returns when the relay has closed; True: it trusted us."""
        sock.settimeout(60)
        try:
            sock.sendall(first + b'RFB 003.008\n')
            self.read(sock, 12)
            sock.sendall(b'\2\x13\1')
            if self.read(sock, 1) == b'\x13':
                sock = self.start_tls(sock)
            sock.sendall(struct.pack('>I', 0))
            self.read(sock, 1)  # ClientInit: it trusts us
            sock.sendall(INIT)
            while sock.recv(4096):
                pass
            return True
        except (EOFError, OSError):
            return False
        finally:
            sock.close()

    def start_tls(self, sock):
        sock.sendall(b'\0\2')
        self.read(sock, 2)
        sock.sendall(b'\0' + X509_NONE)
        self.read(sock, 4)
        sock.sendall(b'\1')
        return self.ctx.wrap_socket(sock, server_side=True)

    @staticmethod
    def read(sock, n):
        data = b''
        while len(data) < n:
            piece = sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={'relay.reverse_clear': 'loopback',
                                      'relay.agent_seconds': 2}).start()
    program = rig.stack.path('bin', 'relaycam-agent')
    with open(os.path.join(BUILD, 'agent', 'relaycam-agent'), 'rb') as f:
        rig.stack._write(program, f.read(), 0o755)
    return rig


@pytest.fixture(scope='module')
def server(rig):
    server = Server(rig)
    yield server
    server.listener.close()


@pytest.fixture(scope='module')
def ways(rig, server):
    """An endpoint of each kind, in front of the same server."""
    return {w.kind: w(rig, server) for w in (Direct, Reverse, Agent)}


@pytest.fixture(params=['direct', 'reverse', 'agent'])
def any_way(request, ways):
    return ways[request.param]


@pytest.fixture(params=['direct', 'reverse'])
def way(request, ways):
    """Those where the relay starts TLS with the server itself; an agent is
    the end of its own."""
    return ways[request.param]


class Direct:
    name, kind = 'at-direct', 'direct'

    def __init__(self, rig, server):
        self.rig, self.server = rig, server
        rig.stack.ctl('endpoint', 'add', self.name, '--team', 'demo',
                      '--host', 'localhost', '--port', str(server.port))

    def set(self, *options):
        self.rig.stack.ctl('endpoint', 'set', self.name, *options)

    def force(self, **columns):
        """As an older version, or somebody's hand, may have left the row."""
        self.rig.stack.sql(
            'UPDATE endpoints SET ' + ', '.join(
                f'{c} = {v}' for c, v in columns.items()) +
            f" WHERE name = '{self.name}'")

    def refusal(self):
        return refusal(self.rig, f'alice@{self.name}', self.rig.password)

    def opens(self):
        t = Technician(self.rig)
        said = t.login(f'alice@{self.name}', self.rig.password)
        if said is None:
            assert t.server_init() == ((64, 48), b'peer')
        t.close()
        return said


class Reverse(Direct):
    name, kind = 'at-reverse', 'reverse'

    def __init__(self, rig, server):
        self.rig, self.server = rig, server
        self.id = rig.stack.ctl_json('endpoint', 'add', self.name, '--team',
                                     'demo', '--kind', 'reverse')['id']
        self.id = 'ID:' + self.id.removeprefix('ID:')

    def dial(self):
        return socket.create_connection(
            ('127.0.0.1', self.rig.stack.ports.reverse), 20)

    def refusal(self):
        """The server is told nothing; the log has the reason."""
        before = len(self.rig.log('relay'))
        assert not self.server.serve(self.dial(),
                                     self.id.encode().ljust(250, b'\0'))
        return wait_until(
            lambda: next((line for line in
                          self.rig.log('relay')[before:].splitlines()
                          if 'session_refused' in line), None), 20,
            'the relay to say why')

    def opens(self):
        threading.Thread(target=self.server.serve, daemon=True, args=(
            self.dial(), self.id.encode().ljust(250, b'\0'))).start()
        wait_until(lambda: self.rig.stack.sql(
            'SELECT parked_node IS NOT NULL FROM endpoints WHERE name = '
            f"'{self.name}'") == [['t']], 20, 'it to be parked')
        return super().opens()


class Agent(Direct):
    name, kind = 'at-agent', 'agent'

    def __init__(self, rig, server):
        self.rig, self.server = rig, server
        s = rig.stack
        program, state = s.path('bin', 'relaycam-agent'), s.path('home', 'ag')
        token = s.ctl_json('endpoint', 'add', self.name, '--team', 'demo',
                           '--kind', 'agent')['token']
        run([program, 'enroll', '--relay', f'localhost:{s.ports.web}', '--ca',
             s.path('ca.pem'), '--token', token, '--state', state], s.user,
            s.env)
        process = s.spawn('agent', [
            program, 'run', '--display', f'main=127.0.0.1:{server.port}',
            '--state', state], env=rig.endpoint.env)
        wait_until(lambda: next(
            e['state'] for e in s.ctl_json('endpoint', 'list')
            if e['name'] == self.name) == 'connected', 30,
            'the agent to be connected', process)


def relay_pid(rig):
    return next(p for p in rig.stack.processes if p.name == 'relay').pid


@pytest.fixture(autouse=True)
def relay_lives(rig):
    """Another session runs through all of it."""
    other = Technician(rig)
    assert other.login('alice@desk1', rig.password) is None
    other.server_init()
    pid = relay_pid(rig)
    yield
    os.kill(pid, 0)
    # a request, and something that answers it
    other.sock.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, 16, 16))
    assert other.get(1) == b'\0'
    other.close()


def ca(rig):
    return rig.stack.path('ca.pem')


def test_name(way, rig):
    way.set('--ca', ca(rig), '--tls-name', 'localhost')
    assert way.opens() is None
    way.set('--tls-name', '127.0.0.1')
    assert way.opens() is None
    way.set('--tls-name', 'elsewhere.example.com')
    assert 'not trusted' in way.refusal()


def test_pin_in_place_of_a_name(way, rig):
    """The chain is still demanded."""
    pin = subprocess.run(
        ['openssl', 'x509', '-in', rig.stack.path('conf', 'endpoint.pem'),
         '-noout', '-fingerprint', '-sha256'], check=True,
        capture_output=True, text=True).stdout.strip().split('=')[1]
    way.set('--ca', ca(rig), '--pin', pin)
    way.set('--no-tls-name')
    assert way.opens() is None
    way.set('--pin', 'ab' * 32)
    assert 'another certificate' in way.refusal()
    foreign = rig.stack.path('tmp', 'foreign.pem')
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=another CA', '-keyout', '/dev/null', '-out', foreign],
        check=True, capture_output=True)
    os.chmod(foreign, 0o644)
    way.set('--ca', foreign, '--pin', pin)
    assert 'not trusted' in way.refusal()


def test_row_of_an_older_version(way, rig):
    """A CA, and nothing that says whose certificate it vouches for."""
    way.set('--ca', ca(rig), '--tls-name', 'localhost')
    way.force(tls_pin_sha256='NULL', tls_name='NULL')
    if way.kind == 'direct':
        assert way.opens() is None  # the name is in its host
        way.force(host="''")
        assert way.refusal()
        way.force(host="'localhost'")
    else:
        said = way.refusal()
        assert '--tls-name' in said and '--pin' in said


@pytest.mark.parametrize('column', [
    'username', 'secret_sealed', 'tls_ca_pem', 'tls_pin_sha256', 'tls_name',
    'consent'])
def test_optional_columns_absent(any_way, rig, column):
    """Each alone, beside all the others."""
    way = any_way
    way.set('--ca', ca(rig), '--tls-name', 'localhost', '--username', 'u',
            '--password-file', rig.stack.path('conf', 'desk1.password'),
            '--consent', 'off', '--no-pin')
    way.force(**{column: 'NULL'})
    if column == 'tls_name' and way.kind == 'reverse':
        assert '--tls-name' in way.refusal()
    else:
        assert way.opens() is None


@pytest.mark.parametrize('pem', ['', 'no certificate'])
def test_ca_that_is_none(way, rig, pem):
    way.set('--ca', ca(rig), '--tls-name', 'localhost')
    way.force(tls_ca_pem=f"'{pem}'")
    assert 'no certificate' in way.refusal()
