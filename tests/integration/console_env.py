"""relaycam-console on its own: a database of a test's own, made and filled by
`relaycam`, and clients of the API.

    console = Console(folder, cluster).start()
    alice = console.login('alice')      # a browser: cookie and CSRF token
    alice.get('sessions').json()
"""
import os
import re
import signal
import subprocess

import requests

from console_openapi import DOCUMENT
from ctl import BUILD, Ctl
from storage_env import free_port, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
PROGRAM = os.path.join(BUILD, 'console', 'relaycam-console')
PASSWORD = 'correct horse'
# of ASan, LeakSanitizer and UBSan
REPORT = re.compile(r'Sanitizer: |: runtime error: ')


class Client:
    """Requests by path below /api/v1/, with a cookie or a bearer token. Each
    answer has to be one that docs/openapi.yaml allows."""

    def __init__(self, console, token=None):
        self.console = console
        self.http = requests.Session()
        self.http.verify = console.cert
        self.http.trust_env = False
        if token:
            self.http.headers['Authorization'] = f'Bearer {token}'

    def request(self, method, path, **kw):
        r = self.http.request(
            method, f'{self.console.url}/api/v1/{path}', timeout=60, **kw)
        DOCUMENT.check(method, '/' + path.split('?')[0], r, kw.get('json'))
        return r

    def get(self, path, **kw):
        return self.request('GET', path, **kw)

    def post(self, path, **kw):
        return self.request('POST', path, **kw)

    def patch(self, path, **kw):
        return self.request('PATCH', path, **kw)

    def delete(self, path, **kw):
        return self.request('DELETE', path, **kw)

    def login(self, user, password=PASSWORD):
        r = self.post('login', json={'user': user, 'password': password})
        if r.status_code == 200:
            self.http.headers['X-CSRF-Token'] = r.json()['csrf_token']
        return r


class Console:
    """Team demo: alice (owner), adam (admin), mia (member without a right),
    endpoint desk1. Team other: olga (owner), endpoint desk2."""

    def __init__(self, folder, cluster, **settings):
        self._settle(folder, Ctl(cluster, cluster.database(), folder),
                     settings)
        self.ctl.ok('migrate')
        self.fill()

    @classmethod
    def beside(cls, folder, cluster, url, **settings):
        """With a database that others have made and filled."""
        c = cls.__new__(cls)
        c._settle(folder, Ctl(cluster, url, folder), settings)
        return c

    def _settle(self, folder, ctl, settings):
        self.dir = folder
        self.ctl = ctl
        self.cert, key = Ctl.certificate(folder)
        (folder / 'link.key').write_bytes(os.urandom(32))
        (folder / 'link.key').chmod(0o600)
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f'https://localhost:{self.port}'
        self.settings = {
            'database.url': self.ctl.url,
            'database.console_user': 'relaycam_console',
            'secrets.seal_key_file': self.ctl.key_file,
            'store.link_key_file': folder / 'link.key',
            'console.listen': f'127.0.0.1:{self.port}',
            'console.metrics_listen': f'127.0.0.1:{self.metrics_port}',
            'console.tls_cert_file': self.cert,
            'console.tls_key_file': key,
            'console.pages_dir': os.path.join(ROOT, 'console', 'pages'),
            'console.modules_dir': os.path.join(BUILD, 'console', 'modules'),
            'console.provider_private_addresses': 'on',
            # on a slow machine a test may take longer than ten minutes
            'console.reauthentication_seconds': '12h',
            'console.workers': '2', 'log.level': 'debug', **settings}
        self.process = None

    def fill(self):
        ok = self.ctl.ok
        for team, people in (('demo', (('alice', 'owner'), ('adam', 'admin'),
                                       ('mia', 'member'))),
                             ('other', (('olga', 'owner'),))):
            ok('team', 'add', team)
            for name, role in people:
                ok('user', 'add', name, '--team', team, '--role', role,
                   '--password-stdin', input=PASSWORD + '\n')
        self.sql("INSERT INTO endpoints (team_id, name, host, port) SELECT "
                 "id, CASE name WHEN 'demo' THEN 'desk1' ELSE 'desk2' END, "
                 "'127.0.0.1', 5900 FROM teams")

    def sql(self, query, params=None):
        return self.ctl.sql(query, params)

    def grant(self, person, endpoint, **rights):
        """control, record and manage; those that are not named are taken."""
        self.sql(
            "INSERT INTO endpoint_rights SELECT p.id, e.id, %s, %s, %s FROM "
            "people p JOIN endpoints e ON e.team_id = p.team_id WHERE "
            "p.name = %s AND e.name = %s ON CONFLICT (person_id, endpoint_id)"
            " DO UPDATE SET control = excluded.control, record = "
            "excluded.record, manage = excluded.manage",
            (*(rights.get(k, False) for k in ('control', 'record', 'manage')),
             person, endpoint))

    def set_playback(self, role):
        self.sql('UPDATE access_settings SET playback_role = %s', (role,))

    def audit(self, action):
        return self.sql('SELECT actor, object, detail FROM audit WHERE '
                        'action = %s ORDER BY id', (action,))

    def audited(self, action, before=0):
        """The newest row of an action, of more than `before`: it is there
        before the answer to its request."""
        rows = self.audit(action)
        assert len(rows) > before, f'no audit row of {action}'
        return rows[-1]

    # --- the program --------------------------------------------------------

    def start(self):
        argv = [PROGRAM]
        for key, value in self.settings.items():
            argv += ['--set', f'{key}={value}']
        asan = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1'
        with open(self.dir / 'console.log', 'ab') as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, 'ASAN_OPTIONS': asan})
        wait_for('readyz', self.all_ready, 60)
        return self

    def probe(self, path):
        return requests.get(f'http://127.0.0.1:{self.metrics_port}{path}',
                            timeout=30, proxies={'http': None})

    def metric(self, name):
        for line in self.probe('/metrics').text.splitlines():
            if line.startswith(f'relaycam_console_{name} '):
                return int(line.split()[-1])
        raise AssertionError(f'no metric {name}')

    def all_ready(self):
        assert self.process.poll() is None, self.log()
        try:
            return (self.probe('/readyz').status_code == 200 and
                    self.metric('workers_ready') ==
                    int(self.settings['console.workers']))
        except requests.ConnectionError:
            return False

    def log(self):
        return (self.dir / 'console.log').read_text(errors='replace')

    def workers(self):
        out = subprocess.run(['pgrep', '-P', str(self.process.pid)],
                             capture_output=True, text=True).stdout
        return [int(p) for p in out.split()]

    def stop(self):
        """SIGTERM; returns the exit status. A sanitizer's report of a worker
        is a failure: the supervisor's status does not tell of it."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        finally:
            self.process.kill()
            self.process = None
        assert not REPORT.search(self.log()), self.log()[-5000:]
        return status

    # --- clients ------------------------------------------------------------

    def client(self, token=None):
        return Client(self, token)

    def login(self, user):
        c = self.client()
        r = c.login(user)
        assert r.status_code == 200, (r.text, self.log()[-3000:])
        return c
