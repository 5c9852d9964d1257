"""relaycam-storage on its own: a database with one team, a spool folder that
tests fill by hand as docs/spool.md says, either store, and, between the
daemon and the S3 server, a gate that counts parts and can hold one back."""
import copy
import fcntl
import glob
import hashlib
import hmac
import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
import uuid

import requests

import spool_files
from pg import USERS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('RELAYCAM_BUILD', os.path.join(ROOT, 'build-test'))
STORAGE = os.path.join(BUILD, 'storage', 'relaycam-storage')
RECORDER = os.path.join(BUILD, 'recorder', 'relaycam-recorder')
ACCESS_KEY = 'TESTKEY0123456789AB'
SECRET_KEY = 'testsecret0123456789testsecret0123456789'
BUCKET = 'recordings'
ALL = 99  # migrations
_clock = itertools.count(1_790_000_000)


def wait_for(what, probe, timeout_s=30):
    """Polls until probe() is true; returns what it gave."""
    end = time.monotonic() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {timeout_s} s: {what}')
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def free_port_block(n):
    """The first of n neighbouring ports that are free now. Each process begins
    to look at another place: two that start at once would take the same."""
    bases = range(33000, 60000, n)
    first = os.getpid() % len(bases)
    for base in [*bases[first:], *bases[:first]]:
        try:
            for port in range(base, base + n):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', port))
            return base
        except OSError:
            continue
    raise AssertionError('no free ports')


class Ceph:
    """deploy/ceph-start and ceph-stop; a client that shares no code with
    the daemon's."""

    def __init__(self, folder):
        self.dir = str(folder)
        self.port = free_port_block(70)
        subprocess.run([f'{ROOT}/deploy/ceph-start', self.dir,
                        str(self.port)], check=True, timeout=120)
        self.url = f'http://127.0.0.1:{self.port}'
        self.aws('s3api', 'create-bucket', '--bucket', BUCKET)

    def aws(self, *args):
        env = {**os.environ, 'AWS_ACCESS_KEY_ID': ACCESS_KEY,
               'AWS_SECRET_ACCESS_KEY': SECRET_KEY, 'AWS_PAGER': '',
               'AWS_DEFAULT_REGION': 'us-east-1', 'NO_PROXY': '127.0.0.1'}
        r = subprocess.run(['/usr/bin/aws', '--endpoint-url', self.url,
                            '--output', 'json', *args], env=env, check=True,
                           capture_output=True, text=True, timeout=120)
        return json.loads(r.stdout) if r.stdout.strip() else {}

    def keys(self):
        return {o['Key'] for o in self.aws(
            's3api', 'list-objects-v2', '--bucket',
            BUCKET).get('Contents', [])}

    def uploads(self):
        return self.aws('s3api', 'list-multipart-uploads', '--bucket',
                        BUCKET).get('Uploads', [])

    def get(self, key, path):
        self.aws('s3api', 'get-object', '--bucket', BUCKET, '--key', key,
                 str(path))
        with open(path, 'rb') as f:
            return f.read()

    def put(self, key, path):
        self.aws('s3api', 'put-object', '--bucket', BUCKET, '--key', key,
                 '--body', str(path))

    def stop(self):
        subprocess.run([f'{ROOT}/deploy/ceph-stop', self.dir], check=True,
                       timeout=60)


class Gate:
    """A TCP forwarder to the S3 server. parts: the part numbers whose PUT
    passed, in order; hold = n: the request for part n is not passed on."""

    PART = re.compile(rb'PUT /[^ ]*partNumber=(\d+)[^ ]* HTTP/1.1\r\n')

    def __init__(self, target_port):
        self.target = ('127.0.0.1', target_port)
        self.parts = []
        self.hold = None
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for args in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=args,
                                 daemon=True).start()

    def _passes(self, data):
        for number in self.PART.findall(data):
            if int(number) == self.hold:
                return False
            self.parts.append(int(number))
        return True

    def _answer(self, data):
        """What the server said, as it is passed on."""
        return data

    def _pump(self, source, sink, is_request):
        try:
            while data := source.recv(65536):
                if is_request and not self._passes(data):
                    while source.recv(65536):  # swallowed until it gives up
                        pass
                    break
                sink.sendall(data if is_request else self._answer(data))
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        # close alone would leave a thread in accept() holding it open
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def evidence(segment, data, header):
    """As docs/evidence.md has it: all behind the header, then the header."""
    root = hashlib.sha256(b'relaycam evidence 1\n' +
                          segment.encode()).digest()
    blocks = []
    for at, part in ((header, data[header:]), (0, data[:header])):
        digest = hashlib.sha256(part)
        blocks.append(f'{at} {len(part)} {digest.hexdigest()}')
        root = hashlib.sha256(root + struct.pack('>QQ', at, len(part)) +
                              digest.digest()).digest()
    return {'version': 1, 'root': root.hex(), 'blocks': blocks}


class Segment:
    """One closed segment; place() puts it where a recorder would, or, flat,
    where one of an older version would."""

    def __init__(self, env, size, session=None, seq=1, flat=False,
                 **changes):
        self.id = str(uuid.uuid4())
        self.session = session or str(uuid.uuid4())
        self.data = os.urandom(size)
        self.sha256 = hashlib.sha256(self.data).digest()
        second = next(_clock)
        self.key = (f'acme/desk1/{self.session}/monitor-1/'
                    f'2026-11-21T{second}.webm')
        start = second * 10**9
        self.manifest = {
            'version': 1, 'segment': self.id, 'session': self.session,
            'seq': seq, 'team': 'acme', 'endpoint': 'desk1',
            'technician': 'alice', 'team_id': env.team_id,
            'endpoint_id': env.endpoint_id, 'person_id': env.person_id,
            'access': 'unattended', 'time_zone': 'UTC',
            'object_key': self.key, 'split_reason': 'start', 'monitor': 1,
            'monitor_name': 'Ünïcode', 'frame_rate': 10, 'width': 640,
            'height': 480, 'codec': 'vp9', 'start_mono_ns': 1000,
            'start_wall_ns': start, 'end_mono_ns': 10**9 + 1000,
            'end_wall_ns': start + 10**9, 'first_frame': 1,
            'last_frame': 10, 'frames': 10, 'duration_ms': 1000,
            'bytes': size, 'recovered': False, 'end': 'normal',
            'retention_days': 90}
        self.manifest.update(changes)
        self.env = env
        self.folder = env.spool if flat else os.path.join(
            env.spool, self.session)
        self.held = None

    def enter(self):
        """Makes the session's folder and holds it, as the relay does it for
        a recorder; leave() is its end."""
        while self.held is None:
            os.makedirs(self.folder, exist_ok=True)
            try:
                fd = os.open(self.folder, os.O_RDONLY)
                fcntl.flock(fd, fcntl.LOCK_SH)
                if os.path.samestat(os.fstat(fd), os.stat(self.folder)):
                    self.held = fd
                    return
                os.close(fd)
            except FileNotFoundError:
                pass

    def leave(self):
        if self.held is not None:
            os.close(self.held)
        self.held = None

    def __del__(self):
        self.leave()

    def path(self, suffix):
        self.enter()
        return os.path.join(self.folder, self.id + suffix)

    def write(self, suffix, data):
        """To a hidden name, then renamed: what storage sees is whole."""
        self.enter()
        temp = os.path.join(self.folder, '.' + self.id + suffix)
        with open(temp, 'wb') as f:
            f.write(data)
        os.rename(temp, self.path(suffix))

    def place(self):
        self.write('.json', json.dumps(self.manifest).encode())
        self.write('.webm', self.data)
        self.leave()
        return self

    def files(self):
        return {name[36:] for name in spool_files.listing(self.folder)
                if name.startswith(self.id)}

    def row(self):
        rows = self.env.rows('SELECT * FROM segments WHERE id = %s', self.id)
        return rows[0] if rows else None

    def wait(self, status, timeout_s=30):
        try:
            return wait_for(
                f'{self.id} {status}',
                lambda: (r := self.row()) and r['status'] == status and r,
                timeout_s)
        except AssertionError as e:
            raise AssertionError(
                f'{e}; is {self.row()}\n{self.env.log()[-3000:]}') from e

    def wait_stored(self, timeout_s=30):
        row = self.wait('available', timeout_s)
        wait_for('the spool copy is removed', lambda: not self.files())
        assert bytes(row['sha256']) == self.sha256
        assert row['bytes'] == len(self.data)
        return row


class Storage:
    """The daemon, its folders, and its database."""

    def __init__(self, folder, cluster, ceph=None, schema=ALL):
        """schema: the last migration that is applied."""
        self.dir = str(folder)
        self.cluster = cluster
        self.ceph = ceph
        self.spool = os.path.join(self.dir, 'spool')
        self.store = os.path.join(self.dir, 'store')
        self.log_path = os.path.join(self.dir, 'log')
        self.key_path = os.path.join(self.dir, 's3.key')
        for d in (self.spool, self.store):
            os.makedirs(d)
        self.link_key = os.urandom(32)
        self._write('link.key', self.link_key)
        self.set_secret(SECRET_KEY)
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
             '/CN=localhost', '-addext',
             'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout',
             f'{self.dir}/tls.key', '-out', f'{self.dir}/tls.crt'],
            check=True, capture_output=True)
        self.gate = Gate(ceph.port) if ceph else None
        self.files_port = free_port()
        self.metrics_port = free_port()
        self.process = None
        self._make_database(schema)
        self.settings = {
            'database.url': self.url,
            'database.storage_user': USERS['database.storage_user'],
            'spool.dir': self.spool,
            'store.kind': 's3' if ceph else 'folder',
            'store.folder': self.store,
            'store.link_key_file': f'{self.dir}/link.key',
            'secrets.evidence_key_file': f'{self.dir}/evidence.key',
            'store.public_url': f'https://127.0.0.1:{self.files_port}',
            'storage.listen': f'127.0.0.1:{self.files_port}',
            'storage.metrics_listen': f'127.0.0.1:{self.metrics_port}',
            'storage.tls_cert_file': f'{self.dir}/tls.crt',
            'storage.tls_key_file': f'{self.dir}/tls.key',
            'storage.recorder_program': RECORDER,
            'storage.retry_seconds': '1',
            'storage.expiry_seconds': '1',
            'storage.scan_seconds': '2',
            'log.level': 'debug',
        }
        if ceph:
            self.settings.update({
                'store.s3_endpoint': f'http://127.0.0.1:{self.gate.port}',
                'store.s3_bucket': BUCKET,
                'store.s3_access_key_file': self.key_path,
                'store.s3_part_bytes': '5M',
                # parts in order: what was sent before a fault is certain
                'store.s3_parallel_parts': '1'})

    def _write(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        os.chmod(path, 0o600)

    def set_secret(self, secret):
        self._write('s3.key', f'{ACCESS_KEY}\n{secret}\n'.encode())

    def migrate(self, number):
        """As "relaycam migrate" does it, the rights included once all is
        there."""
        for path in glob.glob(f'{ROOT}/schema/{number:03}_*.sql'):
            self.cluster.script(self.name, os.path.basename(path),
                                'relaycam_owner')

    def _make_database(self, schema):
        self.url = self.cluster.database()
        self.name = self.url.split('@/')[-1].split('?')[0]
        self.cluster.sql(self.name, 'SET ROLE relaycam_owner; '
                         'CREATE TABLE schema_migrations (version integer)')
        for number in range(1, schema + 1):
            self.migrate(number)
        if schema == ALL:
            self.cluster.script(self.name, 'grants.sql', 'relaycam_owner')
        self.team_id = self.rows(
            "INSERT INTO teams (name) VALUES ('acme') RETURNING id")[0]['id']
        self.person_id = self.rows(
            "INSERT INTO people (team_id, name, role) VALUES "
            "(%s, 'alice', 'owner') RETURNING id", self.team_id)[0]['id']
        self.endpoint_id = self.rows(
            "INSERT INTO endpoints (team_id, name, host, port) VALUES "
            "(%s, 'desk1', '127.0.0.1', 5900) RETURNING id",
            self.team_id)[0]['id']

    def rows(self, query, *params):
        c = self.cluster.connect(self.name)
        try:
            with c.cursor() as cur:
                cur.execute(query, params)
                if cur.description is None:
                    return []
                names = [d.name for d in cur.description]
                return [dict(zip(names, r)) for r in cur.fetchall()]
        finally:
            c.close()

    def _spawn(self, environ, changes):
        settings = {**self.settings, **{k.replace('__', '.'): v
                                        for k, v in changes.items()}}
        argv = [STORAGE]
        for key, value in settings.items():
            argv += ['--set', f'{key}={value}']
        with open(self.log_path, 'ab') as log:
            # freed memory kept for reports would look like a leak
            asan = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, 'ASAN_OPTIONS': asan, **environ})

    def start(self, **changes):
        """changes: settings by name with "__" for the dot."""
        self._spawn({}, changes)
        wait_for('readyz', self.is_ready)
        return self

    def run_until_killed(self, point, **changes):
        """Starts it; it kills itself at that point (spool/stop_point.h)."""
        self._spawn({'RELAYCAM_KILL_AT': point}, changes)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f'still there: {self.log()[-3000:]}') from e
        assert self.process.returncode == -signal.SIGKILL, self.log()[-3000:]
        self.process = None

    def is_ready(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.http('/readyz').status_code == 200
        except requests.ConnectionError:
            return False

    def http(self, path):
        return requests.get(f'http://127.0.0.1:{self.metrics_port}{path}',
                            timeout=10, proxies={'http': None})

    def metric(self, name):
        for line in self.http('/metrics').text.splitlines():
            if line.startswith(f'relaycam_storage_{name} '):
                return int(line.split()[-1])
        raise AssertionError(f'no metric {name}')

    def kill(self):
        self.process.kill()
        self.process.wait(20)
        self.process = None

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        finally:
            self.process = None

    def log(self):
        if not os.path.exists(self.log_path):
            return ''
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def close(self):
        if self.process is not None:
            self.kill()
        if self.gate is not None:
            self.gate.close()
        # what a sanitizer found is a failure whatever else was seen
        assert 'runtime error' not in self.log(), self.log()[-4000:]
        assert 'AddressSanitizer' not in self.log(), self.log()[-4000:]
        assert 'spool_move_illegal' not in self.log(), [
            line for line in self.log().splitlines() if 'illegal' in line]

    # ---- links, made here from their description, not by the program ----

    def link(self, key, seconds=600, expires=None, person=None):
        expires = expires or int(time.time()) + seconds
        text = f'relaycam-file\n{key}\n{expires}'
        if person is not None:
            text += f'\n{person}'
        signature = hmac.new(self.link_key, text.encode(),
                             'sha256').hexdigest()
        return (f'{self.settings["store.public_url"]}/files/'
                f'{urllib.parse.quote(key, safe="/")}?expires={expires}'
                f'{f"&person={person}" if person is not None else ""}'
                f'&signature={signature}')

    def get(self, url, method='GET', **headers):
        return requests.request(
            method, url, timeout=60, verify=f'{self.dir}/tls.crt',
            headers={k.replace('_', '-'): v for k, v in headers.items()},
            proxies={'https': None, 'http': None})


def second_storage(first, gate=Gate):
    """Another daemon beside it, with a spool of its own, behind a gate."""
    s = copy.copy(first)
    s.dir = os.path.join(first.dir, 'second')
    s.spool = os.path.join(s.dir, 'spool')
    os.makedirs(s.spool)
    s.log_path = os.path.join(s.dir, 'log')
    s.process = None
    s.gate = gate(first.ceph.port)
    s.files_port, s.metrics_port = free_port(), free_port()
    s.settings = {
        **first.settings, 'spool.dir': s.spool,
        'store.s3_endpoint': f'http://127.0.0.1:{s.gate.port}',
        'store.public_url': f'https://127.0.0.1:{s.files_port}',
        'storage.listen': f'127.0.0.1:{s.files_port}',
        'storage.metrics_listen': f'127.0.0.1:{s.metrics_port}'}
    return s
