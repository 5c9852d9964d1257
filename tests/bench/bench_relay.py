"""The relay against HAProxy (tcp mode) and stunnel (two services in a row):
TLS 1.3 AES-128-GCM on both legs, one thread each, the same RFB bytes."""
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time

from process import Process, tcp_answers, wait_until
from stack import Ports, Stack

import demo
from bench_tools import load_average

CHUNK_SESSIONS = 40
IDLE_SESSIONS = 100
IDLE_SETTLE_S = 6    # what logins needed is given back within that time
OVERLOAD = 1.5       # of what one core carries
OVERLOAD_RUNS = 5    # pairs a round
OVERLOAD_S = 1.5     # each


class Peer:
    """A relay under test: where to connect, whose CPU counts."""

    def __init__(self, name, wrap, port, process):
        self.name, self.wrap, self.port = name, wrap, port
        self.process = process

    def pids(self):
        return [self.process.pid]

    def private_kb(self):
        total = 0
        for pid in self.pids():
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
                total += sum(int(line.split()[1]) for line in f
                             if line.startswith('Private_'))
        return total


class Bench:
    def __init__(self, build, results):
        self.build, self.results = build, results
        self.dir = tempfile.mkdtemp(prefix='rc-bench-')
        os.chmod(self.dir, 0o755)
        ports = Ports(23000)
        self.backend = ports.endpoint  # rfb_load's own listening end
        self.stack = Stack(os.path.join(self.dir, 'state'), build, ports,
                           settings={'relay.threads': '1',
                                     'log.level': 'warn'})
        self.processes = []

    def close(self):
        for p in self.processes:
            p.stop(5)
        self.stack.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, name, argv):
        p = Process(name, argv, os.path.join(self.dir, f'{name}.log'))
        self.processes.append(p)
        return p

    def start(self):
        self.stack.start()
        self.password = demo.ensure_demo_team(self.stack, 'unused00')
        conf = self.stack.path('conf')
        self.cert, self.key = f'{conf}/relay.pem', f'{conf}/relay.key'
        relay = next(p for p in self.stack.processes if p.name == 'relay')
        self.relay = Peer('relaycam', 'rfb', self.stack.ports.relay, relay)
        self.haproxy = self.start_haproxy()
        self.stunnel = self.start_stunnel()

    def restart(self):
        """New processes for the relay and HAProxy."""
        for peer, owner in ((self.relay, self.stack), (self.haproxy, self)):
            peer.process.stop(5)
            owner.processes.remove(peer.process)
        self.relay.process = self.stack.start_relay()
        self.haproxy = self.start_haproxy()

    def start_haproxy(self):
        with open(self.cert) as c, open(self.key) as k:
            pem = c.read() + k.read()
        path = os.path.join(self.dir, 'haproxy.pem')
        with open(path, 'w', encoding='ascii') as f:
            f.write(pem)
        conf = os.path.join(self.dir, 'haproxy.cfg')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(f'''global
    nbthread 1
    maxconn 4000
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
    ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
    mode tcp
    timeout connect 5s
    timeout client 600s
    timeout server 600s
listen relay
    bind 127.0.0.1:23050 ssl crt {path}
    server endpoint 127.0.0.1:{self.backend} ssl verify none
''')
        p = self.spawn('haproxy', ['haproxy', '-db', '-f', conf])
        wait_until(lambda: tcp_answers(23050), 10, 'haproxy', p)
        return Peer('haproxy', 'tls', 23050, p)

    def start_stunnel(self):
        conf = os.path.join(self.dir, 'stunnel.conf')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(f'''foreground = yes
pid =
debug = 3
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[in]
accept = 127.0.0.1:23060
connect = 127.0.0.1:23061
cert = {self.cert}
key = {self.key}
[out]
client = yes
accept = 127.0.0.1:23061
connect = 127.0.0.1:{self.backend}
''')
        p = self.spawn('stunnel', ['stunnel', conf])
        wait_until(lambda: tcp_answers(23060), 10, 'stunnel', p)
        return Peer('stunnel', 'tls', 23060, p)

    def argv(self, peer, mode, *more):
        argv = [os.path.join(self.build, 'tests/bench/rfb_load'),
                '--mode', mode, '--wrap', peer.wrap, '--cert', self.cert,
                '--key', self.key, '--listen', self.backend, '--connect',
                peer.port, '--user', 'alice@desk1', '--password',
                self.password, *more]
        for pid in peer.pids():
            argv += ['--pid', pid]
        return [str(a) for a in argv]

    def load(self, peer, mode, *more):
        r = subprocess.run(self.argv(peer, mode, *more), capture_output=True,
                           text=True, timeout=300)
        if r.returncode != 0:
            raise RuntimeError(f'{peer.name} {mode}: {r.stderr}\n'
                               f'{peer.process.log_tail()}')
        return json.loads(r.stdout)

    def direct(self, mode, *more):
        """No relay: the load's two ends against each other."""
        peer = Peer('direct', 'tls', self.backend, None)
        peer.pids = lambda: []
        return self.load(peer, mode, *more)

    def idle_kb(self, peer):
        """Private memory that one more idle session costs."""
        before = peer.private_kb()
        p = subprocess.Popen(
            self.argv(peer, 'idle', '--sessions', str(IDLE_SESSIONS)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = p.stdout.readline()
        if 'ready' not in line:
            raise RuntimeError(f'{peer.name} idle: did not start')
        time.sleep(IDLE_SETTLE_S)
        after = peer.private_kb()
        p.stdin.close()
        p.wait()
        return (after - before) / IDLE_SESSIONS

    def set_recording(self, on):
        self.stack.ctl('settings', 'set', '--team', 'demo',
                       f'unattended.recording={"on" if on else "off"}')


def run_throughput(b, rounds, mb='256'):
    for _ in range(rounds):
        b.set_recording(False)
        ours = b.load(b.relay, 'throughput', '--mb', mb)['cpu_s']
        haproxy = b.load(b.haproxy, 'throughput', '--mb', mb)['cpu_s']
        stunnel = b.load(b.stunnel, 'throughput', '--mb', mb)['cpu_s']
        b.set_recording(True)
        recorded = b.load(b.relay, 'throughput', '--mb', mb)['cpu_s']
        b.results.note(f'throughput CPU s/GB: relaycam {ours * 4:.2f}, '
                       f'recorded {recorded * 4:.2f}, haproxy '
                       f'{haproxy * 4:.2f}, stunnel {stunnel * 4:.2f}')
        b.results.ratio('relay_cpu_haproxy', ours, haproxy)
        b.results.ratio('relay_cpu_stunnel', ours, stunnel)
        b.results.ratio('relay_rec_cpu_haproxy', recorded, haproxy)
    b.set_recording(False)


def run_chunks(b, rounds):
    args = ('--sessions', str(CHUNK_SESSIONS), '--rate', '20', '--seconds',
            '4')
    for _ in range(rounds):
        ours = b.load(b.relay, 'chunks', *args)['cpu_s']
        haproxy = b.load(b.haproxy, 'chunks', *args)['cpu_s']
        b.results.note(f'8 KB chunks CPU us each: relaycam '
                       f'{ours / 3200 * 1e6:.1f}, haproxy '
                       f'{haproxy / 3200 * 1e6:.1f}')
        b.results.ratio('relay_chunk_cpu_haproxy', ours, haproxy)


def run_latency(b, rounds):
    args = ('--rounds', '4000')
    for _ in range(rounds):
        floor = b.direct('pingpong', *args)['p50_us']
        ours = b.load(b.relay, 'pingpong', *args)['p50_us'] - floor
        haproxy = b.load(b.haproxy, 'pingpong', *args)['p50_us'] - floor
        stunnel = b.load(b.stunnel, 'pingpong', *args)['p50_us'] - floor
        b.results.note(f'added p50 us: relaycam {ours:.1f}, haproxy '
                       f'{haproxy:.1f}, stunnel {stunnel:.1f}')
        b.results.ratio('relay_p50_haproxy', ours, haproxy)
        b.results.ratio('relay_p50_stunnel', ours, stunnel)


def run_idle(b, rounds):
    """Each round on fresh processes: memory once grown is used again and
    would make the next round look free."""
    for _ in range(min(rounds, 3)):
        b.restart()
        ours, haproxy = b.idle_kb(b.relay), b.idle_kb(b.haproxy)
        b.results.note(f'idle private KB a session: relaycam {ours:.1f}, '
                       f'haproxy {haproxy:.1f}')
        b.results.ratio('relay_idle_kb_haproxy', ours, haproxy)


def run_handshakes(b, rounds):
    """Sessions from the first byte to the last, both legs; whose password is
    known from a short while ago."""
    args = ('--sessions', '4', '--rounds', '50')
    b.load(b.relay, 'sessions', *args)  # its password is known then
    for _ in range(rounds):
        ours = b.load(b.relay, 'sessions', *args)['cpu_s'] / 200
        haproxy = b.load(b.haproxy, 'sessions', *args)['cpu_s'] / 200
        b.results.note(f'a session, CPU us: relaycam {ours * 1e6:.0f}, '
                       f'haproxy {haproxy * 1e6:.0f}, {load_average()}')
        b.results.ratio('relay_handshake_cpu_haproxy', ours, haproxy)


def interval(values):
    """95 % interval of the median, by bootstrap."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(values, k=len(values)))
                     for _ in range(2000))
    return medians[50], medians[1949]


def run_overload(b, rounds):
    """Updates come OVERLOAD times as fast as HAProxy forwards them when it
    has one core and never waits; how late the latest 1 % are."""
    full = ('--sessions', CHUNK_SESSIONS, '--rate', 0, '--rounds', 400)
    wall = statistics.median(b.load(b.haproxy, 'paced', *full)['wall_s']
                             for _ in range(5))
    capacity = CHUNK_SESSIONS * 400 / wall
    rate = int(OVERLOAD * capacity / CHUNK_SESSIONS)
    args = ('--sessions', CHUNK_SESSIONS, '--rate', rate, '--rounds',
            int(rate * OVERLOAD_S))
    p99 = {'relaycam': [], 'haproxy': []}
    for n in range(rounds * OVERLOAD_RUNS):
        peers = (b.relay, b.haproxy)
        for peer in peers if n % 2 == 0 else reversed(peers):
            p99[peer.name].append(b.load(peer, 'paced', *args)['p99_us'])
        b.results.ratio('relay_p99_150', p99['relaycam'][-1],
                        p99['haproxy'][-1])
    for name, values in p99.items():
        low, high = interval(values)
        b.results.note(
            f'p99 at {OVERLOAD:.0%} of {capacity:.0f} chunks a second, ms: '
            f'{name} {statistics.median(values) / 1e3:.0f} '
            f'({low / 1e3:.0f}-{high / 1e3:.0f}), {load_average()}')
    low, high = interval(b.results.ratios['relay_p99_150'])
    b.results.note(f'relay_p99_150: 95 % interval {low:.2f}-{high:.2f}')


PARTS = {'throughput': run_throughput, 'chunks': run_chunks,
         'latency': run_latency, 'handshakes': run_handshakes,
         'overload': run_overload, 'idle': run_idle}


def run(results, build, rounds):
    """RELAYCAM_BENCH_PARTS: names of PARTS; without it, all."""
    parts = os.environ.get('RELAYCAM_BENCH_PARTS', ' '.join(PARTS)).split()
    b = Bench(build, results)
    try:
        b.start()
        b.set_recording(False)
        for name in parts:
            PARTS[name](b, rounds)
    finally:
        b.close()
