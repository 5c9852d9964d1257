"""A way to PostgreSQL that a test can stop and let go on: connections stay,
bytes wait. And a server that says only that it is full."""
import os
import socket
import struct
import threading

from conftest import Rig
from ports import free_ports
from stack import Stack

FULL = (b'SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0')


class Listener:
    """Threads that end when their sockets are closed."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        self.n_connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.n_connections += 1
            self.sockets.append(client)
            self.serve(client)

    def serve(self, client):
        """Silence."""

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Silent(Listener):
    """Takes connections and says nothing."""


class Full(Listener):
    """As PostgreSQL at max_connections."""

    def serve(self, client):
        client.recv(4096)
        client.sendall(b'E' + struct.pack('>I', len(FULL) + 4) + FULL)
        client.shutdown(socket.SHUT_WR)


class Deaf(Listener):
    """Logs everybody in and answers no query."""

    READY = (b'R\0\0\0\x08\0\0\0\0' b'K\0\0\0\x0c' + bytes(8) +
             b'Z\0\0\0\x05I')

    def serve(self, client):
        client.recv(4096)
        client.sendall(self.READY)


class Way(Listener):
    """A forwarder to target (host, port)."""

    def __init__(self, target):
        self.target = target
        self.open = threading.Event()
        self.open.set()
        super().__init__()

    def stall(self):
        """Nothing passes in either direction; what comes is kept."""
        self.open.clear()

    def go_on(self):
        self.open.set()

    def serve(self, client):
        server = socket.create_connection(self.target)
        self.sockets.append(server)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=pair,
                             daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass
        # an end is a word too
        self.open.wait()
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.open.set()
        super().close()


class TcpStack(Stack):
    """PostgreSQL listens on an address of its own too, and the programs reach
    it through `way`; the command line and sql() go there by the socket."""

    pg_host = None
    way = None
    hosts = None    # of [database] url, instead of the way alone

    def spawn(self, name, argv, **kw):
        if name == 'postgres':
            hba = self.path('pg_hba.conf')
            self._write(hba, 'local all all peer map=relaycam\n'
                        'host all all 127.0.0.0/8 trust\n')
            argv = [f'listen_addresses={self.pg_host}'
                    if a == 'listen_addresses=' else a for a in argv]
            argv += ['-c', f'hba_file={hba}']
        return super().spawn(name, argv, **kw)

    def start_postgres(self):
        p = super().start_postgres()
        if self.way is None:
            self.socket_url = self.database_url
            self.way = Way((self.pg_host, 5432))
            self._write_conf()
        return p

    def url(self, ports):
        names = ','.join('127.0.0.1' for _ in ports)
        return (f'host={names} port={",".join(map(str, ports))} '
                f'user={self.user.pw_name} dbname=relaycam sslmode=disable '
                'gssencmode=disable connect_timeout=1')

    @property
    def database_url(self):
        if self.way is None:
            return super().database_url
        return self.url([*(self.hosts or ()), self.way.port])

    def ctl(self, *args, input=None):
        if self.way is None:
            return super().ctl(*args, input=input)
        return super().ctl('--set', f'database.url={self.socket_url}', *args,
                           input=input)

    def stop(self):
        if self.way is not None:
            self.way.go_on()
        super().stop()
        if self.way is not None:
            self.way.close()


def make_tcp_rig(request, **settings):
    """As conftest's make_rig; answer_seconds is 2."""
    import shutil
    import tempfile
    state = tempfile.mkdtemp(prefix='rc-', dir='/tmp')
    os.chmod(state, 0o755)
    rig = Rig(TcpStack(state, os.environ['RELAYCAM_BUILD']
                       if 'RELAYCAM_BUILD' in os.environ else
                       os.path.join(os.path.dirname(__file__), '..', '..',
                                    'build-test'), free_ports(), settings={
        'relay.live_cpu_percent': '0', 'relay.behind_seconds': '0',
        'database.answer_seconds': '2', 'relay.node_lost_seconds': '9',
        'storage.scan_seconds': '1', 'storage.retry_seconds': '1',
        **settings}))
    rig.stack.pg_host = '127.0.{}.{}'.format(
        50 + rig.stack.ports.relay // 100 % 200, 1 + os.getpid() % 250)

    def down():
        try:
            rig.stack.stop()
        finally:
            shutil.rmtree(state, ignore_errors=True)
    request.addfinalizer(down)
    return rig
