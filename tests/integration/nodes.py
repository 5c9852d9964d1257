"""Further relays of one installation, on the same database.

    b = RelayNode(rig.stack, 'b').start()
    Technician(at(rig, b.ports))        # a technician who comes to it
    b.kill()
"""
import os
import signal
import socket
import threading
from types import SimpleNamespace

from ports import free_ports
from process import tcp_answers, wait_until


def at(rig, ports):
    """The rig as a technician sees it at other ports than its relay's."""
    stack = SimpleNamespace(path=rig.stack.path, ports=ports)
    return SimpleNamespace(stack=stack, password=rig.password)


def _spawn(node, program):
    argv = [node.stack.path('bin', program), '--config', node.stack.conf_file]
    for k, v in node.settings.items():
        argv += ['--set', f'{k}={v}']
    return node.stack.spawn(node.name, argv)


class RelayNode:
    """A relay with ports and a spool of its own; `settings` for it alone."""

    def __init__(self, stack, name, settings=None):
        self.stack, self.name = stack, f'relay-{name}'
        p = self.ports = free_ports()
        self.spool = stack.path(f'spool-{name}')
        os.makedirs(self.spool, mode=0o700, exist_ok=True)
        stack._own(self.spool)
        self.settings = {
            'spool.dir': self.spool,
            'relay.listen': f'127.0.0.1:{p.relay}',
            'relay.web_listen': f'127.0.0.1:{p.web}',
            'relay.reverse_listen': f'127.0.0.1:{p.reverse}',
            'relay.session_ports':
                f'127.0.0.1:{p.session_first}-{p.session_last}',
            'relay.metrics_listen': f'127.0.0.1:{p.relay_metrics}',
            'relay.agent_address': f'localhost:{p.web}', **(settings or {})}
        self.process = None

    def start(self):
        self.process = _spawn(self, 'relaycam-relay')
        wait_until(lambda: self.stack.is_ready(self.ports.relay_metrics) and
                   tcp_answers(self.ports.relay), 60, self.name, self.process)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.stack.processes.remove(self.process)

    def stop(self, timeout_s=60):
        status = self.process.stop(timeout_s)
        self.stack.processes.remove(self.process)
        return status

    def log(self):
        with open(self.process.log_path, encoding='utf-8',
                  errors='replace') as f:
            return f.read()

class StorageNode:
    """A storage daemon for the spool of another node."""

    def __init__(self, stack, name, spool):
        self.stack, self.name = stack, f'storage-{name}'
        self.ports = free_ports()
        self.settings = {
            'spool.dir': spool,
            'storage.listen': f'127.0.0.1:{self.ports.files}',
            'storage.metrics_listen':
                f'127.0.0.1:{self.ports.storage_metrics}'}

    def start(self):
        self.process = _spawn(self, 'relaycam-storage')
        wait_until(lambda: self.stack.is_ready(self.ports.storage_metrics),
                   60, self.name, self.process)
        return self


def ask_haproxy(path, command):
    """The answer of HAProxy at its socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(path)
        s.sendall(command.encode() + b'\n')
        data = b''
        while piece := s.recv(65536):
            data += piece
    return data.decode()


class Balancer:
    """HAProxy in front of a port of several nodes."""
    CONF = """
global
    stats socket {dir}/{name}.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    option redispatch 1
    retries 3
    default-server check inter 100ms fall 1 rise 1
listen {name}
    bind 127.0.0.1:{port}
    balance leastconn
"""

    def __init__(self, stack, name, servers):
        self.stack, self.name, self.servers = stack, name, servers
        self.port = free_ports().relay
        self.socket = stack.path('run', f'{name}.sock')

    def start(self):
        conf = self.stack.path('conf', f'{self.name}.cfg')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(self.CONF.format(dir=self.stack.path('run'),
                                     name=self.name, port=self.port))
            for name, port in self.servers.items():
                f.write(f'    server {name} 127.0.0.1:{port}\n')
        os.chmod(conf, 0o644)
        self.process = self.stack.spawn(
            self.name, ['/usr/sbin/haproxy', '-db', '-f', conf])
        wait_until(lambda: os.path.exists(self.socket) and
                   tcp_answers(self.port), 60, self.name, self.process)
        return self

    def say(self, command):
        return ask_haproxy(self.socket, command)

    def only(self, name):
        for other in self.servers:
            state = 'ready' if other == name else 'maint'
            self.say(f'set server {self.name}/{other} state {state}')

    def all(self):
        for name in self.servers:
            self.say(f'set server {self.name}/{name} state ready')


def dial_in(port, ident, server_port, source='127.0.0.1'):
    """A VNC server that dials out with its repeater ID, joined to one that
    listens. Returns the socket."""
    s = socket.create_connection(('127.0.0.1', port), 60, (source, 0))
    s.sendall(f'ID:{ident.removeprefix("ID:")}'.encode().ljust(250, b'\0'))
    server = socket.create_connection(('127.0.0.1', server_port), 60)

    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for x in (a, b):
            try:
                x.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    s.settimeout(None)
    server.settimeout(None)
    for pair in ((s, server), (server, s)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
    return s
