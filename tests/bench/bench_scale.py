"""300 recorded sessions of 1280x800 at a time on a real relay with real
recorders: what they hold, how often they flush the disk, and whether each number
that an endpoint showed is in its recording (scale_load.c).

RELAYCAM_SCALE_SESSIONS and RELAYCAM_SCALE_SECONDS say how many (300) and for
how long (600). Ends within 40 minutes more than that; nothing is left behind.
Raises, so that the run ends with an error, when a session or a number is
missing; memory and flushes are only told.
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import demo
import requests
from bench_tools import cpu_s, descendants, load_average
from process import wait_until
from stack import Ports, Stack

SESSIONS = int(os.environ.get('RELAYCAM_SCALE_SESSIONS', '300'))
SECONDS = int(os.environ.get('RELAYCAM_SCALE_SECONDS', '600'))
EVERY = 3          # seconds between two numbers of a session
BLOCK, BITS = 16, 32
START_LIMIT_S = 600
SETTLE_S = 30      # after the last number: encoders are given back
SAMPLE_S = 30
TRACE_S = 10
STORE_LIMIT_S = 900
MORE_S = 2400      # whole run, beside SECONDS
BAR_GB = {'live': 12, 'idle': 4}  # of 300 sessions
LIVE_BYTES = 48 * 1280 * 800  # that the relay counts for one
SETTINGS = {'relay.live_cpu_percent': '0',
            'relay.live_bytes': str(LIVE_BYTES * (SESSIONS + 1)),
            'relay.max_logins_per_address': '2000', 'log.level': 'info'}


def private_bytes(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
            return 1024 * sum(int(line.split()[1]) for line in f
                              if line.startswith('Private_'))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def comm(pid):
    try:
        with open(f'/proc/{pid}/comm', encoding='ascii') as f:
            return f.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ''


def on_alarm(*_):
    raise RuntimeError('the run took too long')


class Scale:
    """A relay with its recorders, and the load."""

    def __init__(self, build, own_build, results, seconds):
        self.results, self.seconds = results, seconds
        self.own_build = own_build  # of the load
        self.dir = tempfile.mkdtemp(prefix='rc-scale-', dir='/var/tmp')
        os.chmod(self.dir, 0o755)
        self.stack = Stack(os.path.join(self.dir, 'state'), build,
                           Ports(23500), settings=SETTINGS)
        self.load = None

    def close(self):
        if self.load is not None:
            self.load.kill()
            self.load.wait()
        self.stack.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        self.stack.start()
        password = demo.ensure_demo_team(self.stack, 'unused00')
        conf, ports = self.stack.path('conf'), self.stack.ports
        self.relay = next(p for p in self.stack.processes
                          if p.name == 'relay')
        self.load = subprocess.Popen(
            [os.path.join(self.own_build, 'tests/bench/scale_load'),
             '--sessions', str(SESSIONS), '--seconds', str(self.seconds),
             '--every', str(EVERY), '--user', 'alice@desk1', '--password',
             password, '--cert', f'{conf}/relay.pem', '--key',
             f'{conf}/relay.key', '--listen', str(ports.endpoint),
             '--connect', str(ports.relay)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.load.stdout.fileno(), False)
        self.said = b''

    def has_said(self, word):
        self.said += self.load.stdout.read() or b''
        if self.load.poll() is not None:
            raise RuntimeError(f'scale_load ended\n{self.relay.log_tail()}')
        return f'"{word}"'.encode() in self.said

    def recorders(self):
        return [p for p in descendants(self.relay.pid)
                if comm(p) == 'relaycam-record']

    def metric(self, name):
        url = f'http://127.0.0.1:{self.stack.ports.relay_metrics}/metrics'
        text = requests.get(url, timeout=30).text
        return int(re.search(rf'^relaycam_relay_{name} (\d+)', text,
                             re.M).group(1))

    def memory(self):
        """GB that recorders hold for themselves, and how many there are."""
        pids = self.recorders()
        return sum(map(private_bytes, pids)) / 1e9, len(pids)

    def flushes(self):
        """Calls that flush a disk, per second, of recorders and spawner."""
        args = [a for p in descendants(self.relay.pid)
                for a in ('-p', str(p))]
        path = os.path.join(self.dir, 'trace')
        p = subprocess.Popen(
            ['strace', '-qq', '-o', path, '-e', 'signal=none', '-e',
             'trace=fsync,fdatasync,syncfs', *args],
            stderr=subprocess.DEVNULL)
        time.sleep(TRACE_S)
        p.send_signal(signal.SIGINT)
        p.wait(60)
        with open(path, encoding='ascii', errors='replace') as f:
            n = len(re.findall(r'\b(?:fsync|fdatasync|syncfs)\(', f.read()))
        return n / TRACE_S

    # --- the recordings ----------------------------------------------------

    def end(self):
        """Ends all sessions; waits until the store has them. Its rows."""
        self.load.stdin.close()
        self.load.wait(60)
        wait_until(lambda: self.stack.sql(
            "SELECT (SELECT count(*) FROM sessions WHERE ended_at IS NULL) + "
            "(SELECT count(*) FROM segments WHERE status IN ('recording', "
            "'transfer', 'downloaded', 'encoding'))")[0] == ['0'] and
            not self.recorders(),
            STORE_LIMIT_S, 'the recordings to be stored', self.relay)
        return self.stack.sql('SELECT session_id, seq, status, object_key '
                              'FROM segments ORDER BY 1, 2')

    def codes(self, key):
        """[(session, number)] of a recording's frames, in order."""
        import numpy
        out = subprocess.run(
            ['nice', 'ffmpeg', '-v', 'error', '-threads', '1', '-i',
             self.stack.path('recordings', key), '-vf',
             f'crop={BITS * BLOCK}:{BLOCK}:0:0,format=gray', '-vsync',
             'passthrough', '-f', 'rawvideo', '-'], check=True,
            capture_output=True, timeout=600).stdout
        middle = slice(BLOCK // 4, BLOCK - BLOCK // 4)
        frames = numpy.frombuffer(out, 'uint8').reshape(
            -1, BLOCK, BITS, BLOCK)[:, middle, :, middle].mean((1, 3)) > 128
        words = (frames * (1 << numpy.arange(BITS - 1, -1, -1))).sum(1)
        found = []
        for word in map(int, words):
            session, number = word >> 20, word >> 6 & 0x3fff
            if word & 63 == (session * 7 + number * 13 + 21) & 63:
                found.append((session, number))
        return found


def account(scale, rows):
    """Each number of each session is in exactly one session's recording, in
    order. Returns sentences about what is not."""
    bad = [f'{key}: {status}' for _, _, status, key in rows
           if status != 'available']
    keys = {}
    for session, _, status, key in rows:
        if status == 'available':
            keys.setdefault(session, []).append(key)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(pool.map(lambda parts: [c for key in parts
                                            for c in scale.codes(key)],
                             keys.values()))
    want = list(range(scale.seconds // EVERY))
    shown = {}
    for session, codes in zip(keys, seen):
        if len({index for index, _ in codes}) != 1:
            bad.append(f'{session}: shows numbers of other sessions or none')
            continue
        index, numbers = codes[0][0], [n for _, n in codes]
        shown[index] = session
        if numbers != sorted(numbers):
            bad.append(f'{session}: numbers go back')
        missing = sorted(set(want) - set(numbers))
        if missing:
            bad.append(f'{session}: {len(missing)} numbers are in no frame: '
                       f'{missing[:10]}')
    lost = sorted(set(range(SESSIONS)) - set(shown))
    if lost or len(keys) != SESSIONS:
        bad.append(f'{len(keys)} of {SESSIONS} sessions were recorded, none '
                   f'of the endpoints {lost[:10]}')
    return bad


def watch(scale):
    """While numbers are shown. Returns the most memory, GB, and flushes per
    second."""
    most, flushes, began = 0, None, time.monotonic()
    while not scale.has_said('numbers'):
        if time.monotonic() - began > scale.seconds + 300:
            raise RuntimeError('the load is late by five minutes')
        gb, n = scale.memory()
        if n != SESSIONS:
            raise RuntimeError(f'{n} recorders run, not {SESSIONS}\n'
                               f'{scale.relay.log_tail()}')
        most = max(most, gb)
        if flushes is None and time.monotonic() - began > scale.seconds / 3:
            flushes = scale.flushes()
        time.sleep(min(SAMPLE_S, scale.seconds / 10))
    return most, flushes


def run_once(scale):
    """Returns GB live and idle, flushes per second, and what is wrong."""
    scale.start()
    began = time.monotonic()
    wait_until(lambda: scale.has_said('ready'), START_LIMIT_S,
               f'{SESSIONS} sessions', scale.relay)
    scale.results.note(f'{SESSIONS} sessions after '
                       f'{time.monotonic() - began:.0f} s, '
                       f'{scale.memory()[0]:.2f} GB, {load_average()}')
    pids = scale.recorders()
    cpu, began = cpu_s([*pids, scale.relay.pid]), time.monotonic()
    live, flushes = watch(scale)
    cpu = (cpu_s([*pids, scale.relay.pid]) - cpu) / (time.monotonic() - began)
    scale.results.note(f'while numbers are shown: {live:.2f} GB, '
                       f'{flushes:.1f} flushes per second, relay and '
                       f'recorders {cpu:.2f} cores, {load_average()}')
    time.sleep(SETTLE_S)
    idle, _ = scale.memory()
    captured = scale.metric('captures_total')
    rows = scale.end()
    scale.results.note(
        f'{SETTLE_S} s after the last number: {idle:.2f} GB; {len(rows)} '
        f'recordings stored, {captured} sessions were captured')
    began = time.monotonic()
    bad = account(scale, rows)
    scale.results.note(f'recordings read in {time.monotonic() - began:.0f} s')
    return live, idle, flushes, bad


def run_build(results, build, own_build, seconds):
    scale = Scale(build, own_build, results, seconds)
    try:
        return run_once(scale)
    finally:
        scale.close()


def run(results, build, rounds):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(SECONDS + MORE_S)
    live, idle, flushes, bad = run_build(results, build, build, SECONDS)
    results.ratio('spool_flushes', flushes, 1)
    results.ratio('sessions_live_mb', live * 1000 / SESSIONS, 1)
    results.ratio('sessions_idle_mb', idle * 1000 / SESSIONS, 1)
    verdict = 'every number is in its recording' if not bad else \
        f'{len(bad)} complaints:\n  ' + '\n  '.join(bad[:20])
    over = [f'{name} {gb:.2f} GB, bar {BAR_GB[name] * SESSIONS / 300:.2f}'
            for name, gb in (('live', live), ('idle', idle))
            if gb > BAR_GB[name] * SESSIONS / 300]
    results.note(f'VERDICT of {SESSIONS} sessions for {SECONDS} s: {verdict}; '
                 f'memory {"within its bars" if not over else over}')
    if bad:
        raise RuntimeError('numbers or sessions are missing')
    if results.against:
        old = run_build(results, results.against, build, min(SECONDS, 90))[2]
        results.ratio('spool_flushes_before', flushes, old)
    signal.alarm(0)
