"""A private PostgreSQL for tests: one cluster a test run, a database a test.

    with Cluster() as cluster:
        url = cluster.database('name')      # libpq connection string
        rows = cluster.sql('name', 'SELECT 1')

Each database has the roles of schema/roles.sql. url logs in as superuser, for
what a test prepares; programs are given USERS besides, so that each runs with
its own role and the rights of schema/grants.sql, as in an installation.

No TCP, a Unix socket in a folder of its own. PostgreSQL refuses root, so as
root it runs as the account "postgres" (which psycopg2 and libpq then log in
as, by trust: the folder is the test's own).
"""
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

BIN = '/usr/lib/postgresql/15/bin'
SCHEMA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), 'schema')
# settings of [database]
USERS = {'database.relay_user': 'relaycam_relay',
         'database.storage_user': 'relaycam_storage',
         'database.console_user': 'relaycam_console',
         'database.admin_user': 'relaycam_admin',
         'database.owner_user': 'relaycam_owner'}
_numbers = itertools.count(1)


def _owner():
    if os.getuid() == 0:
        return pwd.getpwnam('postgres')
    return pwd.getpwuid(os.getuid())


class Cluster:
    """start() and stop(), or a with statement."""

    def __init__(self):
        self.owner = _owner()
        self.dir = tempfile.mkdtemp(prefix='rcpg-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        os.chown(self.dir, self.owner.pw_uid, self.owner.pw_gid)
        self.process = None

    def _run(self, *argv, **kw):
        if os.getuid() == 0:
            argv = ('runuser', '-u', self.owner.pw_name, '--') + argv
        return subprocess.run(argv, cwd='/', capture_output=True, text=True,
                              **kw)

    def start(self, timeout_s=30):
        data = os.path.join(self.dir, 'data')
        self._run(f'{BIN}/initdb', '-D', data, '-A', 'trust', '-E', 'UTF8',
                  '--locale', 'C.UTF-8', '-U', 'postgres', '--no-sync',
                  check=True)
        return self.boot(timeout_s)

    def boot(self, timeout_s=30):
        """Runs it on the data that are there."""
        data = os.path.join(self.dir, 'data')
        argv = [f'{BIN}/postgres', '-D', data, '-k', self.dir, '-c',
                'listen_addresses=', '-c', 'fsync=off', '-c',
                'max_connections=40']
        if os.getuid() == 0:
            argv = ['runuser', '-u', self.owner.pw_name, '--'] + argv
        with open(os.path.join(self.dir, 'log'), 'wb') as log:
            self.process = subprocess.Popen(argv, cwd='/', stdout=log,
                                            stderr=log)
        end = time.monotonic() + timeout_s
        while self._run(f'{BIN}/pg_isready', '-q', '-h',
                        self.dir).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError('PostgreSQL did not start:\n' + self.log())
            time.sleep(0.05)
        return self

    def kill(self):
        """kill -9 of all its processes; boot() starts it again."""
        with open(os.path.join(self.dir, 'data', 'postmaster.pid'),
                  encoding='ascii') as f:
            postmaster = int(f.readline())
        children = subprocess.run(['pgrep', '-P', str(postmaster)],
                                  capture_output=True, text=True).stdout
        for pid in (postmaster, *map(int, children.split())):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(20)
        self.process = None

    def log(self):
        with open(os.path.join(self.dir, 'log'), encoding='utf-8') as f:
            return f.read()

    def stop(self):
        if self.process is not None:
            # pg_ctl waits until it has ended; runuser would eat a signal
            self._run(f'{BIN}/pg_ctl', '-D', os.path.join(self.dir, 'data'),
                      '-m', 'immediate', '-w', 'stop')
            self.process.wait(20)
            self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    def url(self, name):
        return f'postgresql://postgres@/{name}?host={self.dir}'

    def connect(self, name):
        c = psycopg2.connect(self.url(name))
        c.autocommit = True
        return c

    def database(self, name=None, template='template0'):
        """Makes a database; returns its connection string."""
        name = name or f'test{next(_numbers)}'
        with_quotes = f'"{name}" TEMPLATE "{template}"'
        self.sql('postgres', f'CREATE DATABASE {with_quotes}')
        self.script(name, 'roles.sql')
        return self.url(name)

    def script(self, name, file, role=None):
        """Runs a file of schema/ as superuser, or as this role."""
        with open(os.path.join(SCHEMA, file), encoding='utf-8') as f:
            become = f'SET ROLE {role};\n' if role else ''
            self.sql(name, become + f.read())

    def sql(self, name, query, params=None):
        """Runs one statement; returns its rows, if it has any."""
        c = self.connect(name)
        try:
            with c.cursor() as cur:
                cur.execute(query, params)
                return cur.fetchall() if cur.description else []
        finally:
            c.close()
