"""A private Relaycam with desktops to lose: endpoints that count, technicians
that look, and the hand that kills."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'deploy', 'quickstart'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration'))

import counter  # noqa: E402
import demo  # noqa: E402
from look import Look  # noqa: E402
from ports import free_ports  # noqa: E402
from process import (StartError, port_is_free, run,  # noqa: E402
                     tcp_answers, wait_until)
from stack import Stack  # noqa: E402

COUNTER_HZ = 4
PASSWORD = 'abcd1234'
SIZES = ('1280x800', '1024x768')
FRAME_RATES = (5, 10, 15, 20)
SERVICES = ('postgres', 'storage', 'relay')


def desktop_port(stack, n):
    return stack.ports.endpoint + 40 + n


class Desktop:
    """An Xvnc with a counter at its corner, registered as an endpoint."""

    host = 'localhost'
    security_type = 'X509Vnc'

    def __init__(self, stack, n, hz=COUNTER_HZ):
        self.stack, self.n, self.hz = stack, n, hz
        self.name = f'desk{n + 1}'
        self.size = SIZES[0]

    def start(self):
        s, conf = self.stack, self.stack.path('conf')
        port = desktop_port(s, self.n)
        secret = f'{conf}/{self.name}.passwd'
        s._write(secret, subprocess.run(
            ['tigervncpasswd', '-f'], check=True, input=PASSWORD.encode(),
            capture_output=True).stdout)
        self.process, display = demo.start_with_displayfd(s, self.name, [
            'Xtigervnc', '-geometry', self.size, '-depth', '24', '-rfbport',
            port, *self.listen_options(), '-SecurityTypes',
            self.security_type, '-PasswordFile', secret, '-X509Cert',
            f'{conf}/endpoint.pem', '-X509Key', f'{conf}/endpoint.key',
            '-AlwaysShared', '-BlacklistTimeout', '0'])
        wait_until(lambda: tcp_answers(port, self.host), 10, self.name,
                   self.process)
        self.env = {**s.env, 'DISPLAY': display}
        run(['xsetroot', '-solid', '#2f4858'], s.user, self.env)
        s.spawn(f'{self.name}-clock', ['xclock', '-update', '1', '-geometry',
                                       '160x160+400+300'], env=self.env)
        self._count(display)
        return self

    def _count(self, display):
        self.log = self.stack.path('tmp', f'{self.name}.counter')
        with open(self.log, 'wb'):
            pass
        os.chmod(self.log, 0o666)
        with open(self.log, 'ab') as f:
            p = self.stack.spawn(f'{self.name}-counter', [
                '/usr/bin/python3', counter._reachable(self.stack), display,
                4, 4, self.hz], env=self.env, stdout=f)
        wait_until(self.drawn, 10, 'the counter', p)

    def listen_options(self):
        return ['-localhost']

    def add_options(self):
        return ['--host', self.host, '--port',
                str(desktop_port(self.stack, self.n)), '--ca',
                self.stack.path('ca.pem')]

    def drawn(self):
        """[(value, monotonic ns)], in order."""
        with open(self.log, encoding='ascii') as f:
            return [tuple(map(int, line.split())) for line in f
                    if line.endswith('\n')]

    def resize(self, size):
        self.size = size
        run(['xrandr', '-s', size], self.stack.user, self.env)

    def register(self, password):
        """What `endpoint add` prints."""
        s, path = self.stack, self.stack.path('conf', f'{self.name}.password')
        s._write(path, password + '\n')
        return s.ctl_json('endpoint', 'add', self.name, '--team', 'chaos',
                          *self.add_options(), '--password-file', path)


class TigerLook:
    """The same with TigerVNC's viewer, whose eyes nobody reads."""

    kind = 'TigerVNC'

    def __init__(self, stack, desktop, password):
        self.desktop, self.seen = desktop, []
        self.begin = self._end = self.refused = None
        self.viewer = demo.Viewer(
            stack, f'alice@{desktop.name}', password,
            name=f'viewer-{desktop.name}')

    def start(self):
        self.viewer.start()
        self.begin = time.monotonic_ns()
        return self

    def leave(self):
        self._end = self._end or time.monotonic_ns()
        self.viewer.close()

    def wait(self, timeout_s):
        self.leave()

    @property
    def is_over(self):
        if self._end is None and self.viewer.process.poll() is not None:
            self.leave()
        return self._end is not None

    @property
    def end(self):
        return self._end


def own_ports():
    """Runs that begin side by side look at different blocks first."""
    for _ in range(random.SystemRandom().randrange(20)):
        free_ports()
    while True:
        ports = free_ports()
        if all(port_is_free(ports.endpoint + 40 + n) for n in range(16)):
            return ports


def add_people(s):
    """A team that records everything, and its owner; the owner's password."""
    s.ctl('team', 'add', 'chaos')
    password = os.urandom(9).hex()
    path = s.path('conf', 'alice.password')
    s._write(path, password + '\n')
    s.ctl('user', 'add', 'alice', '--team', 'chaos', '--role', 'owner',
          '--password-file', path)
    for access in ('attended', 'unattended'):
        s.ctl('settings', 'set', '--team', 'chaos', f'{access}.recording=on')
    return password


class Lab:
    """The stack, its desktops, and who looks at them."""

    def __init__(self, build, desktops, settings=None):
        state = tempfile.mkdtemp(prefix='rc-chaos-', dir='/tmp')
        os.chmod(state, 0o755)
        self.stack = Stack(state, build, own_ports(), settings={
            'storage.scan_seconds': '1', 'storage.retry_seconds': '1',
            **(settings or {})})
        self.desktops = [Desktop(self.stack, n) for n in range(desktops)]
        self.looks = []
        self.down = {}          # service: when it is due again
        self.begin = time.monotonic()

    def start(self):
        self.stack.start()
        self.password = add_people(self.stack)
        for d in self.desktops:
            d.start().register(PASSWORD)
        self.begin = time.monotonic()
        return self

    def stop(self, keep=False):
        for look in self.looks:
            if not look.is_over:
                look.leave()
        self.stack.stop()
        if keep:
            print(f'kept: {self.stack.state}')
        else:
            shutil.rmtree(self.stack.state, ignore_errors=True)

    def say(self, text):
        print(f'{time.monotonic() - self.begin:7.2f} s  {text}', flush=True)

    # --- sessions -----------------------------------------------------------

    def open(self, desktop, kind=Look, **options):
        look = kind(self.stack, desktop, self.password, **options)
        self.looks.append(look.start())
        return look

    def running(self):
        return [look for look in self.looks if not look.is_over]

    def free_desktops(self):
        busy = {look.desktop.name for look in self.running()}
        return [d for d in self.desktops if d.name not in busy]

    def recorders(self):
        """{pid: segment ids whose files it holds open}, of this stack."""
        spool, program = (self.stack.path('spool'),
                          self.stack.path('bin', 'relaycam-recorder'))
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if not os.readlink(f'/proc/{pid}/exe').startswith(program):
                    continue
                held = [os.readlink(f'/proc/{pid}/fd/{fd}')
                        for fd in os.listdir(f'/proc/{pid}/fd')]
            except OSError:
                continue
            ids = {os.path.basename(h).split('.')[0] for h in held
                   if h.startswith(spool + '/') and '.webm' in h}
            if ids:
                found[int(pid)] = ids
        return dict(sorted(found.items()))

    # --- services -----------------------------------------------------------

    def process(self, name):
        return next((p for p in self.stack.processes if p.name == name),
                    None)

    def kill(self, name, back_in):
        """SIGKILL, PostgreSQL its immediate shutdown; due in back_in s."""
        p = self.process(name)
        if p is None or p.poll() is not None:
            return None
        at = time.monotonic_ns()
        p.send_signal(signal.SIGQUIT if name == 'postgres'
                      else signal.SIGKILL)
        p.wait()
        self.stack.processes.remove(p)
        self.down[name] = time.monotonic() + back_in
        return at

    def tend(self):
        """What a service manager does: what ended starts again. Returns the
        names of what ended by itself."""
        fell = []
        for name in SERVICES:
            p = self.process(name)
            if p is not None and p.poll() is not None:
                self.stack.processes.remove(p)
                self.down[name] = time.monotonic() + 1
                fell.append(f'{name} (status {p.returncode})')
        for name in SERVICES:
            if self.down.get(name, float('inf')) <= time.monotonic():
                del self.down[name]
                self._bring_up(name)
        return fell

    def _bring_up(self, name):
        s = self.stack
        self.say(f'{name} comes back')
        if name == 'postgres':
            s.start_postgres()
        else:  # a service manager does not wait until it is ready
            s.spawn(name, [s.path('bin', f'relaycam-{name}'), '--config',
                           s.conf_file])

    def all_up(self, timeout_s=60):
        s = self.stack
        for name in list(self.down):
            self.down[name] = 0
        wait_until(lambda: not self.tend() and not self.down and
                   s.is_ready(s.ports.relay_metrics) and
                   s.is_ready(s.ports.storage_metrics), timeout_s,
                   'everything up again')

    def sql(self, query):
        try:
            return self.stack.sql(query)
        except (StartError, subprocess.TimeoutExpired):
            return None


def add_common(parser, minutes):
    parser.add_argument('--minutes', type=float, default=minutes)
    parser.add_argument('--build', default=os.environ.get(
        'RELAYCAM_BUILD', os.path.join(ROOT, 'build-test')), metavar='DIR')
    parser.add_argument('--keep', action='store_true',
                        help='leave the state folder')


def new_seed():
    return random.SystemRandom().randrange(10**6)
