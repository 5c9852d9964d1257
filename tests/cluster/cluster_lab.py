"""A whole installation on machines of its own: network namespaces on one
bridge, three with a relay and a storage daemon (two of them with a console
too), two with PostgreSQL, one with S3 (Ceph RGW) and two with agents. Desktops
and technicians are on this machine."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'chaos'))

from cluster_desktops import (RELAYS, AgentDesktop,  # noqa: E402
                              FarDesktop)
from lab import PASSWORD, Look, add_people, own_ports  # noqa: E402
from process import Process, StartError, run, wait_until  # noqa: E402
from stack import BUCKET, PG_BIN, Stack  # noqa: E402

import network  # noqa: E402

DRAIN_S = 60


class Bridge:
    """198.18.0.0/15 is for tests of networks (RFC 2544)."""

    def __init__(self):
        n = random.SystemRandom().randrange(1 << 16)
        self.name = f'rcc{n}'
        self.net = f'198.{18 + (n >> 15)}.{n >> 7 & 255}'
        self.address = f'{self.net}.1'
        network.ip('link', 'add', self.name, 'type', 'bridge')
        network.ip('addr', 'add', f'{self.address}/24', 'dev', self.name)
        network.ip('link', 'set', self.name, 'up')
        self.machines = []

    def machine(self, name):
        m = Machine(self, name, len(self.machines) + 2)
        self.machines.append(m)
        return m

    def remove(self):
        for m in self.machines:
            with contextlib.suppress(subprocess.CalledProcessError):
                network.ip('netns', 'del', m.ns)
        with contextlib.suppress(subprocess.CalledProcessError):
            network.ip('link', 'del', self.name)


class Machine:
    def __init__(self, bridge, name, host):
        self.bridge, self.name = bridge, name
        self.ns = f'{bridge.name}{name}'
        self.address = f'{bridge.net}.{host}'
        link = f'{bridge.name}p{host}'
        network.ip('netns', 'add', self.ns)
        network.ip('link', 'add', link, 'type', 'veth', 'peer', 'name',
                   'eth0', 'netns', self.ns)
        network.ip('link', 'set', link, 'master', bridge.name, 'up')
        for words in (('addr', 'add', f'{self.address}/24', 'dev', 'eth0'),
                      ('link', 'set', 'eth0', 'up'),
                      ('link', 'set', 'lo', 'up')):
            network.ip('-n', self.ns, *words)

    def cut_from(self, other):
        """What is sent to it goes nowhere, without a word."""
        for a, b in ((self, other), (other, self)):
            network.ip('-n', a.ns, 'neigh', 'replace', b.address, 'lladdr',
                       '02:00:00:00:00:01', 'dev', 'eth0', 'nud', 'permanent')

    def join(self, other):
        for a, b in ((self, other), (other, self)):
            network.ip('-n', a.ns, 'neigh', 'del', b.address, 'dev', 'eth0')


class ClusterStack(Stack):
    """Folders, keys and settings are shared; what runs where is a Node's."""

    def __init__(self, state, build, ports, machines, settings):
        s3 = f'http://{machines["s3"].address}:{ports.s3}'
        super().__init__(state, build, ports, s3=True, settings={
            'store.s3_endpoint': s3, **settings})
        self.machines = machines
        # of PostgreSQL, the one that runs first
        self.hosts = [machines[n].address for n in ('pg1', 'pg2')]

    def certificate_names(self):
        return [*super().certificate_names(), f'DNS:{RELAYS}',
                *(f'IP:{m.address}' for m in self.machines.values())]

    def start_s3(self):
        """In memory, on a machine of its own; files are its account's."""
        self._own_copy('ceph-stop')
        run(['ip', 'netns', 'exec', self.machines['s3'].ns, 'setpriv',
             '--reuid', self.user.pw_uid, '--regid', self.user.pw_gid,
             '--clear-groups', '--', 'env', 'S3_LISTEN=0.0.0.0', 'bash',
             self._own_copy('ceph-start'), self.path('ceph'), self.ports.s3,
             'memstore'], None, self.env)
        self.s3_running = True
        self.aws('s3api', 'create-bucket', '--bucket', BUCKET)

    def fetch_recordings(self):
        """What is in the bucket, into the folder of recordings."""
        self.aws('s3', 'cp', '--recursive', '--only-show-errors',
                 f's3://{BUCKET}', self.path('recordings'), timeout=600)

    @property
    def database_url(self):
        return ('postgresql:///relaycam?user=relaycam&connect_timeout=3&host='
                + ','.join(self.hosts))

    def sql(self, query):
        out = run(['psql', f'{self.database_url}&target_session_attrs='
                   'read-write', '-AtF', '\t', '-c', query], self.user,
                  self.env)
        return [line.split('\t') for line in out.splitlines()]


class Node:
    """The programs of one machine, with its spool."""

    def __init__(self, lab, machine, programs):
        self.lab, self.machine, self.name = lab, machine, machine.name
        self.programs, self.processes = programs, {}
        s, p = lab.stack, lab.stack.ports
        self.spool = s.path(f'spool-{self.name}')
        self.settings = {
            'spool.dir': self.spool,
            **{f'{prog}.{key}': f'0.0.0.0:{port}' for prog, key, port in (
                ('relay', 'listen', p.relay), ('relay', 'web_listen', p.web),
                ('relay', 'reverse_listen', p.reverse),
                ('relay', 'metrics_listen', p.relay_metrics),
                ('storage', 'listen', p.files),
                ('storage', 'metrics_listen', p.storage_metrics),
                ('console', 'listen', p.console),
                ('console', 'metrics_listen', p.console_metrics))},
            'relay.agent_address': f'{machine.address}:{p.web}'}
        os.makedirs(self.spool, mode=0o700, exist_ok=True)
        s._own(self.spool)

    def argv(self, program):
        s = self.lab.stack
        words = [s.path('bin', f'relaycam-{program}'), '--config',
                 s.conf_file]
        sections = (program,) if program == 'console' else (program, 'spool')
        for k, v in self.settings.items():
            if k.split('.')[0] in sections:
                words += ['--set', f'{k}={v}']
        return words

    def start(self, *programs):
        for program in programs or self.programs:
            self.processes[program] = self.lab.spawn(
                self.machine, f'{program}-{self.name}', self.argv(program))
        for program in programs or self.programs:
            wait_until(lambda p=program: self.is_ready(p), 60,
                       f'{program} of {self.name}', self.processes[program])
        return self

    def is_ready(self, program):
        port = getattr(self.lab.stack.ports, f'{program}_metrics')
        try:
            with urllib.request.urlopen(
                    f'http://{self.machine.address}:{port}/readyz',
                    timeout=5) as r:
                return r.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """All of it, as when the machine fails."""
        at = time.monotonic_ns()
        for p in self.processes.values():
            p.send_signal(signal.SIGKILL)
        for p in self.processes.values():
            p.wait()
        self.processes.clear()
        return at

    def stop(self):
        for p in reversed(self.processes.values()):
            p.stop(DRAIN_S)
        self.processes.clear()


class Postgres:
    def __init__(self, lab, machine):
        self.lab, self.machine = lab, machine
        self.data = lab.stack.path(machine.name)

    def init(self):
        s = self.lab.stack
        run([f'{PG_BIN}/initdb', '-D', self.data, '-A', 'trust', '-E', 'UTF8',
             '--locale', 'C.UTF-8', '--no-sync', '-U', 'relaycam'], s.user,
            s.env)
        with open(os.path.join(self.data, 'pg_hba.conf'), 'a',
                  encoding='ascii') as f:
            f.write('host all all 198.18.0.0/15 trust\n'
                    'host replication all 198.18.0.0/15 trust\n')

    def copy(self, primary):
        s = self.lab.stack
        run([f'{PG_BIN}/pg_basebackup', '-h', primary.machine.address, '-U',
             'relaycam', '-D', self.data, '-R', '-X', 'stream', '-c', 'fast',
             '--no-sync'], s.user, s.env)

    def start(self):
        self.process = self.lab.spawn(
            self.machine, f'postgres-{self.machine.name}', [
                f'{PG_BIN}/postgres', '-D', self.data, '-k', '', '-c',
                f'listen_addresses={self.machine.address}', '-c',
                'max_connections=120'])
        wait_until(lambda: subprocess.run(
            [f'{PG_BIN}/pg_isready', '-q', '-h', self.machine.address]
        ).returncode == 0, 60, 'PostgreSQL', self.process)

    def admin(self, query, database='postgres'):
        s = self.lab.stack
        return run(['psql', '-h', self.machine.address, '-U', 'relaycam',
                    '-d', database, '-Atc', query], s.user, s.env).strip()

    def kill(self):
        children = subprocess.run(
            ['ps', '-o', 'pid=', '--ppid', str(self.process.pid)],
            capture_output=True, text=True).stdout.split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def promote(self):
        run([f'{PG_BIN}/pg_ctl', 'promote', '-D', self.data, '-w'],
            self.lab.stack.user, self.lab.stack.env)
        self.admin("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.admin('SELECT pg_reload_conf()')

    def stop(self):
        if self.process.poll() is None:
            self.process.stop(30, signal.SIGINT)


class ClusterLab:
    """As lab.Lab, for the ledger."""

    def __init__(self, build, settings=None):
        state = tempfile.mkdtemp(prefix='rc-cluster-', dir='/tmp')
        os.chmod(state, 0o755)
        self.bridge = Bridge()
        self.spawned, self.looks, self.kills = [], [], []
        names = ('n1', 'n2', 'n3', 'pg1', 'pg2', 's3', 'a1', 'a2')
        self.machines = {n: self.bridge.machine(n) for n in names}
        self.stack = ClusterStack(state, build, own_ports(), self.machines, {
            'storage.scan_seconds': '1', 'storage.retry_seconds': '1',
            'relay.drain_seconds': DRAIN_S, 'relay.live_cpu_percent': '0',
            'relay.behind_seconds': '0', 'console.workers': '1',
            **(settings or {})})
        self.begin = time.monotonic()

    def account(self):
        """Begins the command line of what runs as the service's account."""
        user = self.stack.user
        return ['setpriv', '--reuid', str(user.pw_uid), '--regid',
                str(user.pw_gid), '--clear-groups', '--']

    def spawn(self, machine, name, argv, as_root=False):
        s = self.stack
        who = [] if as_root else self.account()
        p = Process(name, ['ip', 'netns', 'exec', machine.ns, *who, *argv],
                    s.path('log', f'{name}.log'), None, env=s.env)
        self.spawned.append(p)
        return p

    def start(self):
        s = self.stack
        s.prepare()
        self.primary, self.standby = (Postgres(self, self.machines[n])
                                      for n in ('pg1', 'pg2'))
        self.primary.init()
        self.primary.start()
        self.primary.admin('CREATE DATABASE relaycam')
        run(['psql', '-h', self.primary.machine.address, '-U', 'relaycam',
             '-d', 'relaycam', '-X', '-q', '-v', 'ON_ERROR_STOP=1'], s.user,
            s.env, input=s.ctl('migrate', '--roles'))
        s.ctl('migrate')
        self.standby.copy(self.primary)
        self.standby.start()
        self.primary.admin("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.admin('SELECT pg_reload_conf()')
        s.start_s3()
        programs = ('storage', 'relay', 'console')
        self.nodes = [Node(self, self.machines[n], programs[:k]).start()
                      for n, k in (('n1', 3), ('n2', 3), ('n3', 2))]
        self.password = add_people(self.stack)
        self.desktops = [FarDesktop(self, n) for n in range(len(self.nodes))]
        self.agents = [AgentDesktop(self, len(self.nodes) + i,
                                    self.machines[n])
                       for i, n in enumerate(('a1', 'a2'))]
        self.desktops += self.agents
        for d in self.desktops:
            d.start().register(PASSWORD)
        self.begin = time.monotonic()
        return self

    def stop(self, keep=False):
        for look in self.looks:
            look.leave()
        for p in reversed(self.spawned):
            if p.poll() is None:
                p.stop(20, signal.SIGINT if 'postgres' in p.name
                       else signal.SIGTERM)
        self.stack.stop()
        self.bridge.remove()
        if keep:
            print(f'kept: {self.stack.state}')
        else:
            shutil.rmtree(self.stack.state, ignore_errors=True)

    def say(self, text):
        print(f'{time.monotonic() - self.begin:7.2f} s  {text}', flush=True)

    def sql(self, query):
        try:
            return self.stack.sql(query)
        except (StartError, subprocess.TimeoutExpired):
            return None

    def open(self, desktop, node):
        look = Look(self.stack, desktop, self.password,
                    host=node.machine.address)
        look.node = node
        self.looks.append(look.start())
        return look

    def spools(self):
        return [n.spool for n in self.nodes]
