"""The console with a million recordings: its own CPU against PostgreSQL's,
pages far down and filters against the first page, signed links against nginx,
idle listeners against HAProxy."""
import http.client
import json
import os
import re
import shutil
import ssl
import tempfile
import threading
import time

import bench_tools
from bench_tools import children, cpu_s
from process import Process, tcp_answers, wait_until
from stack import Ports, Stack

HERE = os.path.dirname(os.path.abspath(__file__))
SESSIONS = 200000
PASSWORD = 'correct horse'
OWNER, MEMBER, WIDE_MEMBER = 'bulk1-owner1', 'bulk1-member3', 'bulk1-member1'
DEEP_LIMIT, DEEP_PAGE = 20, 20000
LINK_SECONDS, LINK_CLIENTS = 4, 8
LISTENERS = 200
NGINX_PORT = 25050
SETTLE_S = 12   # idle: what is given back after a while is given back


def private_kb(pids):
    total = 0
    for pid in pids:
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
            total += sum(int(line.split()[1]) for line in f
                         if line.startswith('Private_'))
    return total


class Person:
    """Somebody who is logged in with a cookie, as a browser is."""

    def __init__(self, bench, name):
        self.bench = bench
        conn = bench.connect()
        conn.request('POST', '/api/v1/login', json.dumps(
            {'user': name, 'password': PASSWORD}),
            {'Content-Type': 'application/json'})
        answer = conn.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200, body
        cookie = answer.getheader('Set-Cookie').split(';')[0]
        self.fields = {'Cookie': cookie, 'X-CSRF-Token': body['csrf_token']}
        conn.close()
        self.conn = bench.connect()

    def get(self, path):
        self.conn.request('GET', f'/api/v1/{path}', headers=self.fields)
        answer = self.conn.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200, (path, body)
        return body

    def request(self, path, method='GET', gzip=True):
        """The bytes of a request."""
        fields = {'Host': 'localhost', **self.fields}
        if gzip:
            fields['Accept-Encoding'] = 'gzip'
        if method == 'POST':
            fields['Content-Length'] = '0'
        return f'{method} /api/v1/{path} HTTP/1.1\r\n' + ''.join(
            f'{k}: {v}\r\n' for k, v in fields.items()) + '\r\n'


class Bench:
    def __init__(self, build, results, sessions=SESSIONS, settings=None):
        """settings: more of them, "section.key"."""
        self.build, self.results = build, results
        scale = float(os.environ.get('RELAYCAM_BENCH_SCALE', '1'))
        self.sessions = max(4000, int(sessions * scale))
        # kept with its rows for the next run, where it is given
        self.kept = os.environ.get('RELAYCAM_BENCH_STATE')
        self.dir = self.kept or tempfile.mkdtemp(prefix='rc-console-')
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.ports = Ports(25000)
        self.stack = Stack(os.path.join(self.dir, 'state'), build,
                           self.ports, settings={
                               'log.level': 'warn',
                               'console.request_seconds': '600',
                               'console.max_event_streams_per_person': '0',
                               'console.max_connections_per_address': '0',
                               **(settings or {})})
        self.processes = []

    def close(self):
        for p in self.processes:
            p.stop(5)
        self.stack.stop()
        if not self.kept:
            shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, name, argv):
        p = Process(name, argv, os.path.join(self.dir, f'{name}.log'))
        self.processes.append(p)
        return p

    # --- the installation ---------------------------------------------------

    def psql(self, text):
        from process import run
        return run(['psql', '-h', self.stack.path('run'), '-d', 'relaycam',
                    '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1'],
                   self.stack.user, self.stack.env, input=text, timeout=7200)

    def fill(self):
        began = time.monotonic()
        if not self.psql("SELECT 1 FROM teams WHERE name = 'bulk1'"):
            with open(os.path.join(HERE, 'console_data.sql'),
                      encoding='utf-8') as f:
                self.psql(re.sub(r'(?<!:):sessions', str(self.sessions),
                                 f.read()))
            self.psql('VACUUM ANALYZE')
        counts = {t: int(self.psql(f'SELECT count(*) FROM {t}')) for t in (
            'segments', 'sessions', 'endpoints', 'teams', 'audit')}
        size = self.psql('SELECT pg_database_size(current_database()) >> 20')
        self.results.note(f'console: {counts}, {size.strip()} MB, made in '
                          f'{time.monotonic() - began:.0f} s')
        self.recordings = counts['segments']

    def start(self):
        s = self.stack
        s.prepare()
        s.start_postgres()
        self.fill()
        for name in (OWNER, MEMBER, WIDE_MEMBER):
            s.ctl('user', 'passwd', name, '--password-stdin',
                  input=PASSWORD + '\n')
        self.console = s.start_console()
        self.cert = s.path('conf', 'relay.pem')
        self.key = s.path('conf', 'relay.key')
        self.tls = ssl.create_default_context(cafile=s.path('ca.pem'))
        wait_until(lambda: tcp_answers(self.ports.console), 20, 'the console')
        self.owner, self.member, self.wide = (
            Person(self, n) for n in (OWNER, MEMBER, WIDE_MEMBER))

    def connect(self, port=None):
        return http.client.HTTPSConnection(
            'localhost', port or self.ports.console, context=self.tls)

    def workers(self):
        return children(self.console.pid)

    def backends(self):
        """PostgreSQL's processes that work for the console."""
        return self.psql("SELECT pid FROM pg_stat_activity WHERE usename = "
                         "'relaycam_console'").split()

    # --- load ---------------------------------------------------------------

    def load(self, port, requests, *args):
        return bench_tools.https_load(self.build, self.dir, port, requests,
                                      *args)

    def lists(self, requests, rounds):
        return self.load(self.ports.console, requests, '--rounds', rounds)


# --- lists -------------------------------------------------------------------

def run_cpu(b, rounds):
    """Pages of 50 as a browser asks for them: compressed, one after the
    other."""
    for _ in range(rounds):
        total = [0, 0]
        for path, gzip in (('sessions', True), ('recordings', True),
                           ('sessions', False), ('recordings', False)):
            pids = b.workers(), b.backends()
            before = [cpu_s(p) for p in pids]
            n = b.load(b.ports.console, [b.owner.request(path, gzip=gzip)],
                       '--connections', 4, '--rounds', 50)['requests']
            ours, theirs = (cpu_s(p) - c for p, c in zip(pids, before))
            if gzip:
                total[0] += ours
                total[1] += theirs
            b.results.note(
                f'console {path}{" gzip" if gzip else ""}: CPU us a page: '
                f'console {ours / n * 1e6:.0f}, PostgreSQL '
                f'{theirs / n * 1e6:.0f}')
        b.results.ratio('list_cpu_pg', *total)


def deep_cursor(b, person, path, page):
    """The cursor of a page, as a client gets there."""
    rows, cursor = DEEP_LIMIT * (page - 1), None
    while rows > 0:
        limit = min(rows, 200)
        answer = person.get(f'{path}?limit={limit}' +
                            (f'&cursor={cursor}' if cursor else ''))
        cursor, rows = answer['cursor'], rows - limit
        assert cursor is not None, f'{path} ends before page {page}'
    return cursor


def run_deep(b, rounds):
    page = min(DEEP_PAGE, b.recordings * 2 // 5 // DEEP_LIMIT)
    cursor = deep_cursor(b, b.owner, 'recordings', page)
    first = f'recordings?limit={DEEP_LIMIT}'
    for _ in range(rounds):
        one, deep = b.lists([b.owner.request(first), b.owner.request(
            f'{first}&cursor={cursor}')], 200)['by_request']
        b.results.note(
            f'console recordings: page 1 p50 {one["p50_us"] / 1e3:.2f} p99 '
            f'{one["p99_us"] / 1e3:.2f} ms, page {page} p50 '
            f'{deep["p50_us"] / 1e3:.2f} p99 {deep["p99_us"] / 1e3:.2f} ms')
        b.results.ratio('list_deep', deep['p99_us'], one['p99_us'])
        b.results.ratio('list_deep_p50', deep['p50_us'], one['p50_us'])


def filters(b, person):
    """Each filter of the lists that grow, with a value that many rows have
    and one that few or none have."""
    session = person.get('recordings?limit=1&order=asc')['items'][0]['session']
    busy = person.get('sessions?limit=1')['items'][0]
    common = [f'endpoint={busy["endpoint"]}', 'endpoint=none',
              f'user={busy["user"]}', 'user=nobody',
              'from=2020-01-01', 'to=2020-01-01', 'order=asc']
    return {
        'recordings': common + [
            f'session={session}', 'status=expired', 'status=available',
            'status=missing', 'status=encoding', 'locked=true',
            'locked=false', 'min_bytes=1', 'min_bytes=480000000',
            'min_bytes=100000000000', 'max_bytes=1000010'],
        'sessions': common + [
            'state=active', 'state=ended', 'recording=uploaded',
            'recording=failed', 'recording=off', 'access=attended',
            'access=unattended', 'text=desktop', 'text=no+such+text'],
    }


def run_filters(b, rounds):
    for path, queries in filters(b, b.owner).items():
        asked = [b.owner.request(f'{path}?{q}') for q in [''] + queries]
        for n in range(rounds):
            plain, *others = b.lists(asked, 50)['by_request']
            worst = {p: max(zip(queries, others), key=lambda x, k=p: x[1][k])
                     for p in ('p99_us', 'p50_us')}
            for p, (query, o) in worst.items():
                b.results.note(
                    f'console {path}: {p[:3]} {plain[p] / 1e3:.2f} ms without '
                    f'a filter, slowest {query} {o[p] / 1e3:.2f} ms')
            if n == 0:
                b.results.note('  p50 ms: ' + ', '.join(
                    f'{q} {o["p50_us"] / 1e3:.2f}'
                    for q, o in zip(queries, others)))
            for key, p in (('list_any_filter', 'p99_us'),
                           ('list_any_filter_p50', 'p50_us')):
                b.results.ratio(key, worst[p][1][p], plain[p])


def run_members(b):
    """The same for members who may see ten, and half of the endpoints."""
    for who, person in (('10', b.member), ('half', b.wide)):
        for path, queries in filters(b, person).items():
            asked = [person.request(f'{path}?{q}') for q in [''] + queries]
            plain, *others = b.lists(asked, 7)['by_request']
            query, o = max(zip(queries, others),
                           key=lambda x: x[1]['p50_us'])
            b.results.note(
                f'console {path}, member of {who} endpoints: p50 '
                f'{plain["p50_us"] / 1e3:.2f} ms without a filter, slowest '
                f'{query} {o["p50_us"] / 1e3:.2f} ms')


def run_disk_space(b):
    out = b.lists([b.owner.request('disk-space')], 50)['by_request'][0]
    b.results.note(f'console disk-space: p50 {out["p50_us"] / 1e3:.2f} p99 '
                   f'{out["p99_us"] / 1e3:.2f} ms')


def run_csv(b):
    """The whole audit log of the team, and what the worker holds of it."""
    pids = b.workers()
    before, began, size, rows = private_kb(pids), time.monotonic(), 0, 0
    conn = b.connect()
    conn.request('GET', '/api/v1/audit.csv', headers=b.owner.fields)
    answer = conn.getresponse()
    most = 0
    while part := answer.read(1 << 20):
        size += len(part)
        rows += part.count(b'\r\n')
        most = max(most, private_kb(pids) - before)
    took = time.monotonic() - began
    b.results.note(f'console audit.csv: {rows} rows, {size >> 20} MB in '
                   f'{took:.0f} s, {rows / took:.0f} rows/s, workers hold '
                   f'{most / 1024:.1f} MB more at most')


# --- links -------------------------------------------------------------------

def start_nginx(b, size):
    """nginx with as many workers as the console has, and a file of this
    size."""
    folder = os.path.join(b.dir, 'nginx')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'file'), 'wb') as f:
        f.write(b'x' * size)
    b.nginx = bench_tools.start_nginx(b.dir, folder, b.cert, b.key,
                                      NGINX_PORT, len(b.workers()))
    b.processes.append(b.nginx)


def run_links(b, rounds):
    b.psql("UPDATE segments SET status = 'available' WHERE id = (SELECT "
           "max(id::text)::uuid FROM segments WHERE locked AND team_id = "
           "(SELECT id FROM teams WHERE name = 'bulk1'))")
    item = b.owner.get('recordings?limit=1&locked=true')['items'][0]
    link = b.owner.request(f'recordings/{item["id"]}/links', 'POST',
                           gzip=False)
    out = b.load(b.ports.console, [link], '--rounds', 1)
    start_nginx(b, out['bytes'])
    plain = 'GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n'
    for _ in range(rounds):
        for key, args in (('link_rps_nginx', ('--fresh',)),
                          ('link_kept_rps_nginx', ())):
            rps, us = [], []
            for port, request, pids in (
                    (b.ports.console, link, (b.workers(), b.backends())),
                    (NGINX_PORT, plain, (children(b.nginx.pid),))):
                before = [cpu_s(p) for p in pids]
                o = b.load(port, [request], '--connections', LINK_CLIENTS,
                           '--seconds', LINK_SECONDS, *args)
                rps.append(o['requests'] / o['seconds'])
                us += [(cpu_s(p) - c) / o['requests'] * 1e6
                       for p, c in zip(pids, before)]
            b.results.note(
                f'console {key}: links {rps[0]:.0f}/s ({us[0]:.0f} us of CPU '
                f'each, PostgreSQL {us[1]:.0f}), nginx {rps[1]:.0f}/s '
                f'({us[2]:.0f} us)')
            b.results.ratio(key, *rps)


# --- listeners ---------------------------------------------------------------

class Holder(threading.Thread):
    """A server that begins an answer of events and leaves it open, behind
    HAProxy."""

    def __init__(self, port):
        super().__init__(daemon=True)
        import socket
        self.listener = socket.create_server(('127.0.0.1', port),
                                             backlog=1000)
        self.held = []
        self.start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            s.recv(4096)
            s.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream'
                      b'\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n')
            self.held.append(s)


def start_haproxy(b):
    pem = os.path.join(b.dir, 'haproxy.pem')
    with open(b.cert) as c, open(b.key) as k, \
            open(pem, 'w', encoding='ascii') as f:
        f.write(c.read() + k.read())
    conf = os.path.join(b.dir, 'haproxy.cfg')
    with open(conf, 'w', encoding='ascii') as f:
        f.write(f'''global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
listen events
    bind 127.0.0.1:25060 ssl crt {pem} alpn http/1.1
    server holder 127.0.0.1:25061
''')
    p = b.spawn('haproxy', ['haproxy', '-db', '-f', conf])
    wait_until(lambda: tcp_answers(25060), 10, 'haproxy', p)
    return p


def listen(b, port, path, fields, n):
    held = []
    for _ in range(n):
        conn = b.connect(port)
        conn.request('GET', path, headers=fields)
        answer = conn.getresponse()
        assert answer.status == 200, answer.read()
        held.append((conn, answer))
    return held


def listener_kb(b, pids, *where):
    """Private memory of one more idle listener, once the first ones have
    made the process grow what it keeps."""
    warm = listen(b, *where, 20)
    time.sleep(SETTLE_S)
    before = private_kb(pids())
    held = listen(b, *where, LISTENERS)
    time.sleep(SETTLE_S)
    after = private_kb(pids())
    for conn, answer in held + warm:
        answer.close()
        conn.close()
    return (after - before) / LISTENERS


def run_events(b, rounds):
    Holder(25061)
    for _ in range(rounds):
        haproxy = start_haproxy(b)
        theirs = listener_kb(b, lambda: [haproxy.pid], 25060, '/', {})
        haproxy.stop(5)
        b.processes.remove(haproxy)
        b.stack.processes.remove(b.console)
        b.console.stop(20)
        b.console = b.stack.start_console()
        ours = listener_kb(b, b.workers, b.ports.console,
                           '/api/v1/events', b.owner.fields)
        b.results.note(f'console: private KB of an idle listener: console '
                       f'{ours:.1f}, HAProxy {theirs:.1f}')
        b.results.ratio('sse_kb', ours, theirs)


PARTS = {
    'cpu': run_cpu,
    'deep': run_deep,
    'filters': lambda b, rounds: run_filters(b, min(rounds, 2)),
    'members': lambda b, rounds: run_members(b),
    'disk_space': lambda b, rounds: run_disk_space(b),
    'csv': lambda b, rounds: run_csv(b),
    'links': run_links,
    'events': lambda b, rounds: run_events(b, min(rounds, 3)),
}


def run(results, build, rounds):
    """RELAYCAM_BENCH_PARTS: names of PARTS; without it, all."""
    parts = os.environ.get('RELAYCAM_BENCH_PARTS', ' '.join(PARTS)).split()
    b = Bench(build, results)
    try:
        b.start()
        for name in parts:
            PARTS[name](b, rounds)
    finally:
        b.close()
