"""A streaming standby of a stack's PostgreSQL, which can take its place.

    s = Standby(rig.stack)              # before stack.start()
    rig.start(); s.start()
    s.kill_primary(); ...; s.promote()
"""
import os
import signal
import subprocess

from process import run, wait_until
from stack import PG_BIN


class Standby:
    def __init__(self, stack):
        self.stack = stack
        self.run = stack.path('run2')
        self.data = stack.path('pg2')
        stack.settings['database.url'] = (
            f'postgresql:///relaycam?host={stack.path("run")},{self.run}')

    def start(self):
        s = self.stack
        os.makedirs(self.run, mode=0o700, exist_ok=True)
        s._own(self.run)
        primary = s.path('pg')
        with open(os.path.join(primary, 'pg_hba.conf'), 'a',
                  encoding='ascii') as f:
            f.write('local replication all peer map=relaycam\n')
        self.sql('SELECT pg_reload_conf()', s.path('run'))
        run([f'{PG_BIN}/pg_basebackup', '-h', s.path('run'), '-D', self.data,
             '-R', '-X', 'stream', '-c', 'fast', '--no-sync'], s.user, s.env)
        self.process = s.spawn('standby', [
            f'{PG_BIN}/postgres', '-D', self.data, '-k', self.run, '-c',
            'listen_addresses=', '-c', 'unix_socket_permissions=0700', '-c',
            'max_connections=60'])
        # stopped as the primary is, after all that uses it
        self.process.name = 'postgres'
        s.processes.remove(self.process)
        s.processes.insert(0, self.process)
        # what is committed is at the standby too
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'",
                 s.path('run'))
        self.sql('SELECT pg_reload_conf()', s.path('run'))
        wait_until(lambda: self.sql(
            'SELECT sync_state FROM pg_stat_replication', s.path('run')) ==
            [['sync']], 60, 'the standby', self.process)
        return self

    def kill_primary(self):
        s = self.stack
        p = next(p for p in s.processes if p.name == 'postgres' and
                 p is not self.process)
        # all of it at once, as when its machine fails
        os.killpg(p.pid, signal.SIGKILL)
        children = subprocess.run(
            ['ps', '-o', 'pid=', '--ppid', str(p.pid)], capture_output=True,
            text=True).stdout.split()
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)
        p.wait()
        s.processes.remove(p)

    def promote(self):
        run([f'{PG_BIN}/pg_ctl', 'promote', '-D', self.data, '-w'],
            self.stack.user, self.stack.env)
        # the one that is gone must not hold up commits
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.sql('SELECT pg_reload_conf()')

    def sql(self, query, where=None):
        out = run(['psql', '-h', where or self.run, '-d', 'relaycam', '-AtF',
                   '\t', '-c', query], self.stack.user, self.stack.env)
        return [line.split('\t') for line in out.splitlines()]
