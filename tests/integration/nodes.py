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
        argv = [self.stack.path('bin', 'relaycam-relay'), '--config',
                self.stack.conf_file]
        for k, v in self.settings.items():
            argv += ['--set', f'{k}={v}']
        self.process = self.stack.spawn(self.name, argv)
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
