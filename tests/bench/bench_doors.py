"""Logins and a running session while every door is held by silent connections
and passwords are guessed, against the same when it is quiet. The attackers run
only when a processor is idle (sched(7)): they would be on other machines."""
import os
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from process import wait_until
from stack import Ports, Stack

import demo

HERE = os.path.dirname(os.path.abspath(__file__))
DOORS = ('relay', 'web', 'reverse', 'files')
SILENT, ADDRESSES, REOPEN_MS, GUESSERS = 5000, 25, 1000, 60
LOGINS, LOGIN_ADDRESSES, WATCH_S = 50, 10, 60
WINDOW_S = 5    # each has a longest wait; the median of these is compared
FAILURES = 20  # then the attack is under way; a name has one each 4 s
ENDPOINT_PASSWORD = 'abcd1234'


class Login:
    """A technician's side of VeNCrypt X509Plain."""

    def __init__(self, bench, source):
        s = socket.create_connection(('127.0.0.1', bench.stack.ports.relay),
                                     60, (source, 0))
        self.sock = s
        no_delay(s)
        for n, answer in ((12, b'RFB 003.008\n'), (2, b'\x13'),
                          (2, b'\0\2'), (6, struct.pack('>I', 262)),
                          (1, b'')):
            self.get(n)
            s.sendall(answer)
        self.sock = bench.tls.wrap_socket(s, server_hostname='localhost')
        u, p = b'alice@desk1', bench.password.encode()
        self.sock.sendall(struct.pack('>II', len(u), len(p)) + u + p)
        if self.get(4) != b'\0\0\0\0':
            n = struct.unpack('>I', self.get(4))[0]
            raise OSError(self.get(n).decode())

    def get(self, n):
        data = b''
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise OSError('closed')
            data += piece
        return data

    def close(self):
        self.sock.close()


class Watcher(threading.Thread):
    """A running session that asks for one small picture after the other:
    when it asked and how long it waited for each."""

    def __init__(self, bench):
        super().__init__(daemon=True)
        self.login = Login(bench, '127.6.1.1')
        self.login.sock.sendall(b'\1')
        head = self.login.get(24)
        self.login.get(struct.unpack('>I', head[20:])[0])
        self.waits, self.lock, self.error = [], threading.Lock(), None
        self.stop = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                self.login.sock.sendall(
                    struct.pack('>BBHHHH', 3, 0, 0, 0, 16, 16))
                _, n = struct.unpack('>BxH', self.login.get(4))
                for _ in range(n):
                    _, _, w, h, _ = struct.unpack('>HHHHi',
                                                  self.login.get(12))
                    self.login.get(w * h * 4)
                with self.lock:
                    self.waits.append((began, time.monotonic() - began))
                time.sleep(0.005)
        except OSError as e:
            self.error = e

    def take(self):
        if self.error:
            raise self.error
        with self.lock:
            waits, self.waits = self.waits, []
        return waits


def no_delay(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def longest(waits):
    """The median of the longest waits of WINDOW_S each: one wait alone, of a
    minute, is mostly the machine's, and varies by a factor of three."""
    windows = {}
    for began, wait in waits:
        n = int((began - waits[0][0]) / WINDOW_S)
        windows[n] = max(windows.get(n, 0), wait)
    return statistics.median(windows.values())


class Bench:
    def __init__(self, build):
        self.dir = tempfile.mkdtemp(prefix='rc-doors-')
        os.chmod(self.dir, 0o755)
        self.stack = Stack(os.path.join(self.dir, 'state'), build,
                           Ports(24000), settings={'log.level': 'info'})
        self.attackers, self.endpoint = [], None

    def start(self):
        self.stack.start()
        self.password = demo.ensure_demo_team(self.stack, ENDPOINT_PASSWORD)
        self.endpoint = demo.Endpoint(self.stack, ENDPOINT_PASSWORD).start()
        self.ca = self.stack.path('ca.pem')
        self.tls = ssl.create_default_context(cafile=self.ca)
        self.watcher = Watcher(self)

    def close(self):
        self.stop_attack()
        if self.endpoint is not None:
            self.watcher.stop.set()
        self.stack.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, *argv):
        p = subprocess.Popen(
            ['chrt', '--idle', '0', sys.executable, '-B',
             os.path.join(HERE, 'doors_attack.py'), *map(str, argv)],
            stdout=subprocess.PIPE, text=True)
        self.attackers.append(p)

    def attack(self):
        for door in DOORS:
            self.spawn('silent', getattr(self.stack.ports, door), SILENT,
                       ADDRESSES, REOPEN_MS)
        self.spawn('guess', self.stack.ports.relay, GUESSERS, self.ca)
        for p in self.attackers:
            assert p.stdout.readline() == 'ready\n'

    def stop_attack(self):
        """What each attacker says at the end."""
        said = []
        for p in self.attackers:
            p.terminate()
            said.append(p.communicate(timeout=60)[0].strip())
        self.attackers = []
        return said

    def metrics(self):
        url = f'http://127.0.0.1:{self.stack.ports.relay_metrics}/metrics'
        with urllib.request.urlopen(url, timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {line.split()[0].removeprefix('relaycam_relay_'):
                int(line.split()[1]) for line in lines if line[0] != '#'}

    def logins(self, source):
        """Seconds of each good login; failures are in the second list."""
        took, failed = [], []
        for n in range(LOGINS):
            began = time.monotonic()
            try:
                Login(self, source(n)).close()
                took.append(time.monotonic() - began)
            except OSError as e:
                failed.append(str(e))
        return took, failed

    def requests(self, port, answer, source):
        """The same for a request over HTTPS."""
        took, failed = [], []
        for n in range(LOGINS):
            began = time.monotonic()
            try:
                with socket.create_connection(('127.0.0.1', port), 60,
                                              (source(n), 0)) as raw, \
                        self.tls.wrap_socket(
                            raw, server_hostname='localhost') as s:
                    no_delay(s)
                    s.sendall(b'GET /files/x HTTP/1.1\r\nHost: localhost\r\n'
                              b'Connection: close\r\n\r\n')
                    if not s.recv(4096).startswith(answer):
                        raise OSError('another answer')
                took.append(time.monotonic() - began)
            except OSError as e:
                failed.append(str(e))
        return took, failed

    def measure(self):
        """Logins and requests one after the other; the session's pauses in
        the first WATCH_S of that, so that both have as long."""
        ports = self.stack.ports
        self.watcher.take()
        end = time.monotonic() + WATCH_S
        watch = threading.Thread(target=self.watch, args=(end,))
        watch.start()
        known = self.logins(lambda n: f'127.6.0.{1 + n % LOGIN_ADDRESSES}')
        web = self.requests(ports.web, b'HTTP/1.1 404', lambda n:
                            f'127.6.2.{n + 1}')
        files = self.requests(ports.files, b'HTTP/1.1 40', lambda n:
                              f'127.6.3.{n + 1}')
        watch.join()
        return {'known': known, 'web': web, 'files': files,
                'pause': self.waits}

    def cpu(self, name):
        """Processor seconds of a service so far."""
        pid = next(p for p in self.stack.processes if p.name == name).pid
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            fields = f.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def watch(self, end):
        time.sleep(max(0, end - time.monotonic()))
        self.waits = self.watcher.take()


def describe(results, what, m):
    for key, name in (('known', 'logins'), ('web', 'requests at 443'),
                      ('files', 'requests at 8444')):
        took, failed = m[key]
        ms = [1000 * quantile(took, q) if took else 0 for q in (0.5, 0.99)]
        results.note(f'doors {what}: {len(took)} of {LOGINS} {name}, p50 '
                     f'{ms[0]:.0f} ms, p99 {ms[1]:.0f} ms'
                     + (f', failed: {failed[0]}' if failed else ''))
    waits = sorted(wait for _, wait in m['pause'])
    results.note(f'doors {what}: a running session waited '
                 f'{1000 * quantile(waits, 0.5):.1f} ms (p50), '
                 f'{1000 * quantile(waits, 0.999):.1f} ms (p99.9), '
                 f'{1000 * longest(m["pause"]):.1f} ms (longest of {WINDOW_S} '
                 f's, median), {1000 * waits[-1]:.1f} ms at most, '
                 f'{len(waits)} pictures')


def one_round(b, results):
    quiet = b.measure()
    describe(results, 'quiet', quiet)
    before = b.metrics()
    b.attack()
    wait_until(lambda: b.metrics()['login_failures_total'] -
               before['login_failures_total'] >= FAILURES, 180,
               'the guessers to have failed')
    held = b.metrics()
    cpu, began = (b.cpu('relay'), b.cpu('storage')), time.monotonic()
    attacked = b.measure()
    took = time.monotonic() - began
    cpu = [(b.cpu(n) - c) / took for n, c in zip(('relay', 'storage'), cpu)]
    after = b.metrics()
    describe(results, 'attacked', attacked)
    for said in b.stop_attack():
        results.note(f'doors attackers: {said}')
    results.note(
        f'doors relay: {held["logins"]} connections without a login, '
        f'{after["turned_away_total"] - before["turned_away_total"]} closed '
        f'at once, {after["evicted_total"] - before["evicted_total"]} '
        f'evicted, {after["login_failures_total"] - before["login_failures_total"]}'
        ' wrong passwords counted')
    results.note(f'doors attacked: relay {cpu[0]:.2f}, storage {cpu[1]:.2f} '
                 'of a core')
    log = os.path.getsize(b.stack.path('log', 'relay.log'))
    results.note(f'doors relay: {log / 1e6:.1f} MB of log in all')
    for key in ('known', 'web', 'files'):
        results.ratio(f'doors_{key}_p99', quantile(attacked[key][0], 0.99),
                      quantile(quiet[key][0], 0.99))
        results.ratio(f'doors_{key}_success', len(attacked[key][0]), LOGINS)
    results.ratio('doors_pause_longest', longest(attacked['pause']),
                  longest(quiet['pause']))
    waits = [sorted(wait for _, wait in m['pause']) for m in (attacked, quiet)]
    results.ratio('doors_pause_single', waits[0][-1], waits[1][-1])
    results.ratio('doors_pause_p999', *(quantile(w, 0.999) for w in waits))
    wait_until(lambda: b.metrics()['logins'] < 20, 120, 'the doors to empty')


def run(results, build, rounds):
    b = Bench(build)
    try:
        b.start()
        b.logins(lambda n: f'127.6.0.{1 + n % LOGIN_ADDRESSES}')  # known now
        for _ in range(min(rounds, 3)):
            one_round(b, results)
    finally:
        b.close()
