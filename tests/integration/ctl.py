"""The administrator's command line, bound to one database, and rows for its
tests."""
import json
import os
import subprocess
import uuid

from pg import USERS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('RELAYCAM_BUILD', os.path.join(ROOT, 'build-test'))
CTL = os.path.join(BUILD, 'ctl', 'relaycam')


class Ctl:
    """settings: {'section.key': value}; folder: for keys and files."""

    def __init__(self, cluster, url, folder, **settings):
        self.cluster = cluster
        self.url = url
        self.name = url.split('@/')[-1].split('?')[0]
        self.settings = {'database.url': url, **{
            k: v for k, v in USERS.items()
            if k in ('database.admin_user', 'database.owner_user')}}
        self.env = {**os.environ, 'LC_ALL': 'C.UTF-8'}
        if folder is not None:
            self.key_file = folder / 'seal.key'
            self.key_file.write_bytes(os.urandom(32))
            self.key_file.chmod(0o600)
            self.settings['secrets.seal_key_file'] = self.key_file
        self.settings.update(settings)

    def argv(self, *args):
        words = [CTL]
        for key, value in self.settings.items():
            words += ['--set', f'{key}={value}']
        return words + [str(a) for a in args]

    def run(self, *args, input=None):
        return subprocess.run(self.argv(*args), input=input, env=self.env,
                              stdin=subprocess.DEVNULL if input is None
                              else None,
                              capture_output=True, text=True, timeout=120)

    def ok(self, *args, input=None):
        r = self.run(*args, input=input)
        assert r.returncode == 0, (args, r.returncode, r.stdout, r.stderr)
        return r.stdout

    def json(self, *args):
        return json.loads(self.ok(*args, '--json'))

    def fails(self, status, *args, input=None):
        """Returns what it says on standard error."""
        r = self.run(*args, input=input)
        assert r.returncode == status, (args, r.returncode, r.stdout,
                                        r.stderr)
        assert r.stderr.strip(), 'it failed without a word'
        return r.stderr

    def sql(self, query, params=None):
        return self.cluster.sql(self.name, query, params)

    # --- rows that the daemons would write ----------------------------------

    def session(self, start='2026-11-20 08:00Z', end='2026-11-20 09:00Z',
                desktop='desk'):
        sid = str(uuid.uuid4())
        self.sql(
            "INSERT INTO sessions (id, team_id, endpoint_id, person_id, "
            "access, recorded, client_addr, desktop_name, started_at, "
            "ended_at, end_code, end_reason) SELECT %s, e.team_id, e.id, "
            "p.id, 'unattended', true, '127.0.0.1', %s, %s, %s, %s, %s "
            "FROM endpoints e, people p WHERE e.name = 'desk1' "
            "AND p.name = 'alice'",
            (sid, desktop, start, end, end and 'normal',
             end and 'the technician left'))
        self.sql("INSERT INTO audit (actor, action, object) VALUES "
                 "('alice', 'session_start', %s)", (sid,))
        return sid

    def segment(self, session, seq, status='available', monitor=1,
                sha256=b'\xab' * 32, size=1000, store='folder', key=None):
        gid = str(uuid.uuid4())
        self.sql(
            "INSERT INTO segments (id, session_id, seq, status, "
            "split_reason, monitor, frame_rate, width, height, codec, "
            "started_at, ended_at, start_mono_ns, end_mono_ns, first_frame, "
            "last_frame, frames, duration_ms, bytes, sha256, store, "
            "object_key, stored_at, expires_at) VALUES (%s, %s, %s, %s, %s, "
            "%s, 10, 640, 480, 'vp9', "
            "timestamptz '2026-11-20 08:00Z' + %s * interval '1 minute', "
            "now(), %s, %s, %s, %s, 10, 60000, %s, %s, %s, %s, now(), "
            "now() + interval '90 days')",
            (gid, session, seq, status, 'start' if seq == 1 else 'size',
             monitor, seq, seq * 1000, seq * 1000 + 1000, seq * 10 - 9,
             seq * 10, size, sha256, store, key or f'demo/desk1/{gid}.webm'))
        return gid

    def evidence(self, gid):
        """The row that storage writes with a signed manifest."""
        self.sql("INSERT INTO evidence (segment_id, root, sha256, object_key) "
                 "SELECT id, sha256, sha256, replace(object_key, '.webm', "
                 "'.json') FROM segments WHERE id = %s", (gid,))

    @staticmethod
    def certificate(folder, name='localhost', days=90, prefix='tls'):
        """A self-signed certificate and its key: two paths."""
        cert, key = folder / f'{prefix}.pem', folder / f'{prefix}.key'
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
             'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={name}',
             '-addext', f'subjectAltName=DNS:{name}', '-days', str(days),
             '-keyout', key, '-out', cert], check=True, capture_output=True)
        key.chmod(0o600)
        return cert, key
