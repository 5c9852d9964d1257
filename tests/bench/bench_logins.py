"""Technicians who come back at once after the relay's restart, and the CPU of
a login whose password was right a short while ago. No peer: seconds, and a
share of the first login's CPU."""
import os
import socket
import ssl
import statistics
import struct
import tempfile
import threading
import shutil
import time

from process import tcp_answers, wait_until
from stack import Ports, Stack

import demo
from bench_tools import children, cpu_s, load_average

TECHNICIANS = 100
AGAIN = 10
ENDPOINT_PASSWORD = 'abcd1234'


class Bench:
    def __init__(self, build):
        self.dir = tempfile.mkdtemp(prefix='rc-logins-')
        os.chmod(self.dir, 0o755)
        self.stack = Stack(os.path.join(self.dir, 'state'), build,
                           Ports(26000), settings={'log.level': 'warn'})
        self.endpoint = None

    def start(self):
        self.stack.start()
        demo.ensure_demo_team(self.stack, ENDPOINT_PASSWORD)
        self.stack.ctl('settings', 'set', '--team', 'demo',
                       'unattended.recording=off')
        self.endpoint = demo.Endpoint(
            self.stack, ENDPOINT_PASSWORD,
            extra=('-BlacklistThreshold', '10000')).start()
        self.tls = ssl.create_default_context(cafile=self.stack.path('ca.pem'))
        self.people = {f'tech{n}': f'password of {n}'
                       for n in range(TECHNICIANS)}
        for name, password in self.people.items():
            self.add(name, password)

    def add(self, name, password):
        path = self.stack.path('conf', 'technician.password')
        self.stack._write(path, password + '\n')
        self.stack.ctl('user', 'add', name, '--team', 'demo', '--role',
                       'owner', '--password-file', path)

    def close(self):
        self.stack.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def relay(self):
        return next(p for p in self.stack.processes if p.name == 'relay')

    def restart(self):
        relay = self.relay
        relay.stop(40)
        self.stack.processes.remove(relay)
        relay = self.stack.start_relay()
        wait_until(lambda: tcp_answers(self.stack.ports.relay), 60,
                   'the relay', relay)

    def log_in(self, name):
        """Until the session is accepted; why not, or None."""
        with socket.create_connection(
                ('127.0.0.1', self.stack.ports.relay), 120) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for n, answer in ((12, b'RFB 003.008\n'), (2, b'\x13'),
                              (2, b'\0\2'), (6, struct.pack('>I', 262)),
                              (1, b'')):
                get(raw, n)
                raw.sendall(answer)
            with self.tls.wrap_socket(raw, server_hostname='localhost') as s:
                u, p = f'{name}@desk1'.encode(), self.people[name].encode()
                s.sendall(struct.pack('>II', len(u), len(p)) + u + p)
                if get(s, 4) == b'\0\0\0\0':
                    return None
                return get(s, struct.unpack('>I', get(s, 4))[0]).decode()

    def all_at_once(self):
        """Seconds until the last one is in, and what others were told."""
        refused = []
        began = time.monotonic()

        def one(name):
            try:
                why = self.log_in(name)
            except OSError as e:
                why = str(e)
            if why is not None:
                refused.append(why)

        threads = [threading.Thread(target=one, args=(n,))
                   for n in self.people]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return time.monotonic() - began, refused

    def cpu_of(self, name):
        pids = [self.relay.pid, *children(self.relay.pid)]
        before = cpu_s(pids)
        why = self.log_in(name)
        if why is not None:
            raise RuntimeError(f'{name}: {why}')
        return cpu_s(pids) - before


def get(s, n):
    data = b''
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise OSError('closed')
        data += piece
    return data


def run_again(b, results, rounds):
    names = list(b.people)
    for n in range(rounds):
        b.restart()
        first = b.cpu_of(names[n])
        again = statistics.median(b.cpu_of(names[n]) for _ in range(AGAIN))
        results.note(f'a login, CPU ms: first {first * 1e3:.0f}, again '
                     f'{again * 1e3:.1f}, {load_average()}')
        results.ratio('login_again_before', again, first)


def run_burst(b, results, rounds):
    # known from their address, as after a day's work
    for name in b.people:
        why = b.log_in(name)
        if why is not None:
            raise RuntimeError(f'{name}: {why}')
    for _ in range(rounds):
        b.restart()
        took, refused = b.all_at_once()
        results.note(f'{TECHNICIANS} logins at once: {took:.1f} s, '
                     f'{len(refused)} refused, {load_average()}'
                     + (f': {refused[0]}' if refused else ''))
        results.ratio('logins_burst', took, 1)
        results.ratio('logins_burst_refused', len(refused), 1)


def run(results, build, rounds):
    """With --against, the same with the older build's programs, and what the
    burst takes as a share of it."""
    for folder in filter(None, (results.against, build)):
        b = Bench(folder)
        mine = results if folder == build else type(results)()
        try:
            b.start()
            run_again(b, mine, rounds)
            run_burst(b, mine, rounds)
        finally:
            b.close()
        if folder != build:
            before = statistics.median(mine.ratios['logins_burst'])
    if results.against:
        for took in list(results.ratios['logins_burst']):
            results.ratio('logins_burst_before', took, before)
