"""relaycam-storage for benchmarks: files to upload, the daemon on its own with
its settings as installed, and the programs that upload the same files."""
import hashlib
import json
import os
import struct
import subprocess
import time
import uuid

from bench_tools import cpu_s
from storage_env import (ACCESS_KEY, BUCKET, SECRET_KEY, Segment, Storage,
                         wait_for)

HEADER = 4096        # hashed last, as a recorder does it
BLOCK = 1 << 20      # of evidence
UPLOAD_LIMIT_S = 600
# Storage has other ones, for tests
TEST_SETTINGS = ('storage.retry_seconds', 'storage.expiry_seconds',
                 'storage.scan_seconds', 'log.level', 'store.s3_part_bytes',
                 'store.s3_parallel_parts')


class Source:
    """A file of noise, and the hashes of its blocks."""

    def __init__(self, path, size):
        self.path, self.size = path, size
        self.blocks, head = [], b''
        with open(path, 'wb') as f:
            for at in range(0, size, BLOCK):
                piece = os.urandom(min(BLOCK, size - at))
                f.write(piece)
                if at == 0:
                    head = piece[:HEADER]
                    self._add(HEADER, piece[HEADER:])
                else:
                    self._add(at, piece)
        self._add(0, head)

    def _add(self, at, part):
        self.blocks.append((at, len(part), hashlib.sha256(part).digest()))

    def evidence(self, segment):
        """As docs/evidence.md has it."""
        root = hashlib.sha256(b'relaycam evidence 1\n' +
                              segment.encode()).digest()
        for at, n, digest in self.blocks:
            root = hashlib.sha256(root + struct.pack('>QQ', at, n) +
                                  digest).digest()
        return {'version': 1, 'root': root.hex(), 'blocks': [
            f'{at} {n} {digest.hex()}' for at, n, digest in self.blocks]}


class Rig:
    """The daemon with a database of its own; with ceph, S3 is its store."""

    def __init__(self, folder, cluster, ceph=None):
        self.ready = os.path.join(folder, 'ready')
        os.makedirs(self.ready)
        self.env = Storage(folder, cluster, ceph)
        for name in TEST_SETTINGS:
            self.env.settings.pop(name, None)
        if ceph:  # not through the gate of the tests
            self.env.settings['store.s3_endpoint'] = ceph.url
        self.env.start()
        self.db = cluster.connect(self.env.name)

    def close(self):
        self.db.close()
        self.env.close()

    def value(self, query, *params):
        with self.db.cursor() as cur:
            cur.execute(query, params)
            return cur.fetchone()[0]

    def make(self, sources, per_session=1, has_evidence=True):
        """Closed segments of these sources, beside the spool. Returns their
        sessions."""
        sessions = []
        for n, source in enumerate(sources):
            if n % per_session == 0:
                sessions.append(str(uuid.uuid4()))
            seg = Segment(self.env, 0, session=sessions[-1],
                          seq=n % per_session + 1, bytes=source.size)
            if has_evidence:
                seg.manifest['evidence'] = source.evidence(seg.id)
            seg.folder = os.path.join(self.ready, sessions[-1])
            seg.write('.json', json.dumps(seg.manifest).encode())
            os.link(source.path, seg.path('.webm'))
            seg.leave()
        return sessions

    def _wait(self, what, probe):
        try:
            wait_for(what, probe, UPLOAD_LIMIT_S)
        except AssertionError as e:
            raise RuntimeError(f'{e}\n{self.env.log()[-3000:]}') from e

    def upload(self, sessions, n):
        """Moves n segments of these sessions into the spool. Returns the
        daemon's processor seconds until they are stored and removed there,
        and the seconds until all are available."""
        pids = [self.env.process.pid]
        cpu, began = cpu_s(pids), time.monotonic()
        for s in sessions:
            os.rename(os.path.join(self.ready, s),
                      os.path.join(self.env.spool, s))
        self._wait(f'{n} uploads', lambda: self.value(
            "SELECT count(*) FROM segments WHERE status = 'available' AND "
            'session_id = ANY(%s::uuid[])', sessions) == n)
        took = time.monotonic() - began
        self._wait('an empty spool', lambda: not any(
            os.path.exists(os.path.join(self.env.spool, s))
            for s in sessions))
        return cpu_s(pids) - cpu, took


class Peers:
    """rclone and the AWS command line, with their settings as installed, and
    the bucket that all of them fill."""

    def __init__(self, folder, ceph):
        self.ceph = ceph
        self.log = os.path.join(folder, 'peers.log')
        conf = os.path.join(folder, 'none.conf')
        open(conf, 'w', encoding='ascii').close()
        self.env = {
            **{k: v for k, v in os.environ.items()
               if not k.startswith(('AWS_', 'RCLONE_'))},
            'HOME': folder, 'NO_PROXY': '127.0.0.1',
            'no_proxy': '127.0.0.1', 'RCLONE_CONFIG': conf,
            'RCLONE_CONFIG_CEPH_TYPE': 's3',
            'RCLONE_CONFIG_CEPH_PROVIDER': 'Ceph',
            'RCLONE_CONFIG_CEPH_ENDPOINT': ceph.url,
            'RCLONE_CONFIG_CEPH_ACCESS_KEY_ID': ACCESS_KEY,
            'RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY': SECRET_KEY,
            'RCLONE_CONFIG_CEPH_NO_CHECK_BUCKET': 'true',
            'AWS_ACCESS_KEY_ID': ACCESS_KEY, 'AWS_CONFIG_FILE': conf,
            'AWS_SECRET_ACCESS_KEY': SECRET_KEY,
            'AWS_DEFAULT_REGION': 'us-east-1',
            'CEPH_CONF': os.path.join(ceph.dir, 'ceph.conf')}

    def run(self, *argv):
        """Returns processor seconds and seconds of a program."""
        began = time.monotonic()
        with open(self.log, 'wb') as log:
            p = subprocess.Popen(argv, env=self.env, stdout=log, stderr=log,
                                 stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(p.pid, 0)
        took = time.monotonic() - began
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode != 0:
            with open(self.log, encoding='utf-8', errors='replace') as log:
                raise RuntimeError(f'{argv[0]}: status {p.returncode}\n'
                                   f'{log.read()[-2000:]}')
        return used.ru_utime + used.ru_stime, took

    def rclone(self, source, key):
        """A file, or all files of a folder."""
        return self.run('rclone', 'copy' if os.path.isdir(source) else
                        'copyto', source, f'ceph:{BUCKET}/{key}')

    def aws(self, source, key):
        return self.run('/usr/bin/aws', '--endpoint-url', self.ceph.url, 's3',
                        'cp', '--no-progress', source, f's3://{BUCKET}/{key}')

    def empty_bucket(self):
        """The gateway gives back the memory of large objects later, unless
        it is told to."""
        self.run('rclone', 'delete', '--transfers', '16', '--checkers', '16',
                 f'ceph:{BUCKET}')
        self.run('radosgw-admin', 'gc', 'process', '--include-all')
