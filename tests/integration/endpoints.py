"""Endpoints of four families, each a real server with a desktop behind it
that shows a picture and writes down what reaches it: Xvnc, x11vnc on Xvfb,
QEMU with a machine in it, wayvnc under a headless sway.

    desk = Xvnc(stack, port).start()
    stack.ctl('endpoint', 'add', 'xvnc', *desk.direct_options())
    at = desk.heard()                       # where its notes end now
    ...
    desk.typed(at), desk.clicks(at)         # what arrived since then
    desk.picture()                          # its screen, luma, rows x columns
"""
import json
import os
import shutil
import socket
import subprocess

import demo
import numpy as np
from process import run, tcp_answers, wait_until

import media

VIEWERS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'viewers')
PASSWORD = 'abcd1234'
LUMA = np.array([0.299, 0.587, 0.114])


def _dump(env):
    """A screen as xwd writes it; empty when a window went meanwhile."""
    return subprocess.run(['xwd', '-root', '-silent'], env=env, cwd='/',
                          capture_output=True).stdout


def x_picture(env):
    """The root window of an X screen of 24 bits, as luma."""
    dump = wait_until(lambda: _dump(env), 10, 'a picture of the screen')
    head = np.frombuffer(dump, '>u4', 25)
    start, line, colours = head[0], head[12], head[19]
    width, height = head[4], head[5]
    # three bytes a pixel where windows of several kinds are on the screen
    size = head[11] // 8
    assert size in (3, 4) and head[7] == 0, head
    start += 12 * colours
    rows = np.frombuffer(dump, np.uint8, line * height, start)
    bgrx = rows.reshape(height, line)[:, :size * width]
    bgrx = bgrx.reshape(height, width, size).astype(np.float64)
    return bgrx[:, :, 2::-1] @ LUMA


class Desk:
    """A server on a port of the test's own; everything runs as the stack's
    user. Subclasses have NAME, SIZE (pixels) and start(). port: for the relay
    itself; local_port: without TLS of its own, for an agent or a tunnel."""
    SIZE = (1024, 768)
    ORIGIN = (0, 0)     # of what counts the clicks, in pixels of the desktop
    PORT_OFFSET = 0

    def __init__(self, stack):
        self.stack = stack
        # beside the ports of the stack itself
        self.port = self.local_port = stack.ports.relay + 30 \
            + self.PORT_OFFSET
        self.notes = stack.path('tmp', f'{self.NAME}.notes')
        self.processes = []

    def spawn(self, name, argv, **kw):
        p = self.stack.spawn(f'{self.NAME}-{name}', argv, **kw)
        self.processes.append(p)
        return p

    def conf(self, name, content):
        path = self.stack.path('conf', f'{self.NAME}.{name}')
        self.stack._write(path, content)
        return path

    def password_file(self):
        """As the servers of the X world want it: obscured."""
        return self.conf('passwd', subprocess.run(
            ['tigervncpasswd', '-f'], input=PASSWORD.encode(), check=True,
            capture_output=True).stdout)

    def direct_options(self):
        """Of `relaycam endpoint add NAME`, for the relay to dial it."""
        return ['--host', 'localhost', '--port', str(self.port), '--ca',
                self.stack.path('ca.pem'), *self.login_options()]

    def login_options(self):
        """The same, however it is reached."""
        return ['--password-file', self.conf('secret', PASSWORD + '\n')]

    def dial(self, port, server_id):
        """Has the server call 127.0.0.1:port, with this repeater ID if it is
        not None. Returns the desk to look at."""
        raise NotImplementedError

    def hang_up(self):
        """Forgets what dial() started, once the session is over."""

    def wait_ready(self, process, *ports):
        for port in ports:
            wait_until(lambda p=port: tcp_answers(p), 20,
                       f'the server of {self.NAME}', process)
        wait_until(lambda: 'ready' in self._lines(), 20,
                   f'the desktop of {self.NAME}')
        return self

    def stop(self):
        while self.processes:
            self.stop_one(self.processes[-1])

    def stop_one(self, process):
        process.stop(10)
        for some in (self.processes, self.stack.processes):
            if process in some:
                some.remove(process)

    # --- what reached it ----------------------------------------------------

    def _lines(self):
        try:
            with open(self.notes, encoding='latin-1') as f:
                text = f.read()
        except FileNotFoundError:
            return []
        return [line.strip() for line in
                text[:text.rfind('\n') + 1].splitlines()]

    def heard(self):
        return len(self._lines())

    def typed(self, since):
        codes = [line[2:] for line in self._lines()[since:]
                 if line.startswith('k ')]
        return bytes(int(c, 16) for c in codes).decode('latin-1')

    def clicks(self, since):
        return [self.place(*(int(v, 16) for v in line.split()[1:]))
                for line in self._lines()[since:] if line.startswith('c ')]

    def place(self, x, y):
        """What the desktop counted, as pixels of it."""
        return x + self.ORIGIN[0], y + self.ORIGIN[1]


class XDesk(Desk):
    """An X screen with a terminal on it. Without a window manager keys go to
    the window under the pointer."""
    ORIGIN = (40, 40)

    def furnish(self, display):
        s = self.stack
        self.env = {**s.env, 'DISPLAY': display}
        run(['xsetroot', '-solid', '#2f4858'], s.user, self.env)
        self.spawn('terminal', [
            'xterm', '-fa', 'DejaVu Sans Mono', '-fs', '10', '-b', '0',
            '-bw', '0', '+sb', '-geometry',
            '100x38+%d+%d' % self.ORIGIN, '-e', '/usr/bin/python3',
            own_copy(s, f'{VIEWERS}/terminal.py'), self.notes], env=self.env)

    def picture(self):
        return x_picture(self.env)


class Xvnc(XDesk):
    """TigerVNC's server: X display and VNC server in one; VeNCrypt X509Vnc,
    and VNC password alone for a tunnel."""
    NAME = 'xvnc'
    PORT_OFFSET = 0

    def start(self):
        s = self.stack
        process, display = demo.start_with_displayfd(s, 'xvnc', [
            'Xtigervnc', '-geometry', '%dx%d' % self.SIZE, '-depth', '24',
            '-rfbport', str(self.port), '-localhost', '-SecurityTypes',
            'X509Vnc,VncAuth', '-PasswordFile', self.password_file(),
            '-X509Cert', s.path('conf', 'endpoint.pem'), '-X509Key',
            s.path('conf', 'endpoint.key'), '-AlwaysShared', '-desktop',
            'an Xvnc desktop', '-BlacklistTimeout', '0'])
        self.processes.append(process)
        self.furnish(display)
        return self.wait_ready(process, self.port)

    def dial(self, port, server_id):
        assert server_id is None, 'tigervncconfig sends no ID'
        run(['tigervncconfig', '-display', self.env['DISPLAY'], '-connect',
             f'127.0.0.1:{port}'], self.stack.user, self.env)
        return self


class X11vnc(XDesk):
    """x11vnc on an Xvfb that knows nothing of VNC; VNC password in clear."""
    NAME = 'x11vnc'
    PORT_OFFSET = 1
    options = ()

    def start(self):
        s = self.stack
        process, self.display = demo.start_with_displayfd(s, 'x11vnc-screen', [
            'Xvfb', '-screen', '0', '%dx%dx24' % self.SIZE, '-nolisten',
            'tcp', '-noreset'])
        self.processes.append(process)
        self.furnish(self.display)
        server = self.spawn('server', self.server_argv() + [
            '-rfbport', str(self.port), '-forever', *self.options],
            env=self.env)
        return self.wait_ready(server, self.port)

    def server_argv(self):
        return ['x11vnc', '-display', self.display, '-localhost', '-shared',
                '-rfbauth', self.password_file(), '-norc', '-noipv6',
                '-desktop', 'an x11vnc desktop']

    def direct_options(self):
        return ['--host', 'localhost', '--port', str(self.port),
                *self.login_options(), '--allow-clear']

    def dial(self, port, server_id):
        to = f'127.0.0.1:{port}'
        if server_id is not None:
            to = f'repeater=ID:{server_id}+{to}'
        self.caller = self.spawn('caller', self.server_argv() + [
            '-rfbport', '0', '-connect_or_exit', to], env=self.env)
        return self

    def hang_up(self):
        self.stop_one(self.caller)


class Qemu(Desk):
    """A virtual machine's screen; VeNCrypt X509Vnc, and a second server with
    the VNC password alone. Its guest reads keyboard and mouse itself and
    reports on the serial port."""
    NAME = 'qemu'
    SIZE = (640, 480)
    PORT_OFFSET = 2

    def __init__(self, stack):
        super().__init__(stack)
        self.local_port = self.port + 10

    def start(self):
        return self.wait_ready(self.boot(
            '-object', f'tls-creds-x509,id=tls,dir={self._tls()},'
            'endpoint=server,verify-peer=no',
            '-vnc', f'127.0.0.1:{self.port - 5900},tls-creds=tls,'
            'password-secret=pw,share=ignore',
            '-vnc', f'127.0.0.1:{self.local_port - 5900},'
            'password-secret=pw,share=ignore'), self.port, self.local_port)

    def boot(self, *vnc):
        self.control = self.stack.path('run', f'{self.NAME}.qmp')
        if os.path.exists(self.notes):
            os.unlink(self.notes)
        return self.spawn('machine', [
            'qemu-system-x86_64', '-name', 'a machine', '-no-user-config',
            '-nodefaults', '-machine', 'pc,accel=tcg', '-m', '16', '-vga',
            'std', '-boot', 'a', '-drive',
            f'file={self._guest()},format=raw,if=floppy,readonly=on',
            '-serial', f'file:{self.notes}', '-qmp',
            f'unix:{self.control},server=on,wait=off', '-object',
            f'secret,id=pw,file={self.conf("pw", PASSWORD)}', *vnc])

    def dial(self, port, server_id):
        assert server_id is None, 'QEMU sends no ID'
        self.caller = QemuCalling(self.stack)
        return self.caller.call(port)

    def hang_up(self):
        self.caller.stop()

    def _guest(self):
        """Assembles the boot sector."""
        image = self.stack.path('tmp', f'{self.NAME}.img')
        run(['as', '--32', '-o', f'{image}.o',
             os.path.join(VIEWERS, 'guest.S')])
        run(['ld', '-m', 'elf_i386', '--oformat', 'binary', '-Ttext',
             '0x7c00', '-o', image, f'{image}.o'])
        self.stack._own(image)
        return image

    def _tls(self):
        folder = self.stack.path('conf', 'qemu')
        os.makedirs(folder, exist_ok=True)
        self.stack._own(folder)
        for source, name in (('ca', 'ca-cert'), ('endpoint', 'server-cert')):
            with open(self.stack.path('conf', f'{source}.pem'), 'rb') as f:
                self.stack._write(f'{folder}/{name}.pem', f.read())
        with open(self.stack.path('conf', 'endpoint.key'), 'rb') as f:
            self.stack._write(f'{folder}/server-key.pem', f.read())
        return folder

    def monitor(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.control)
            with s.makefile('rw', encoding='utf-8') as f:
                json.loads(f.readline())
                for doc in ({'execute': 'qmp_capabilities'},
                            {'execute': command, 'arguments': arguments}):
                    f.write(json.dumps(doc) + '\n')
                    f.flush()
                    while 'event' in (answer := json.loads(f.readline())):
                        pass
        assert 'error' not in answer, answer
        return answer['return']

    def picture(self):
        path = self.stack.path('tmp', f'{self.NAME}.png')
        self.monitor('screendump', filename=path, format='png')
        return media.luma(path)

    def place(self, x, y):
        return tuple(round(v * (n - 1) / 0xffff)
                     for v, n in zip((x, y), self.SIZE))


class QemuCalling(Qemu):
    """A machine whose server dials out, which QEMU does when it starts."""
    NAME = 'qemu-calling'

    def call(self, port):
        return self.wait_ready(self.boot(
            '-vnc', f'127.0.0.1:{port},reverse=on,password-secret=pw'))


class Wayvnc(Desk):
    """A Wayland desktop without a screen; VeNCrypt X509Plain with a user
    name, and a second server without a password. It cannot dial out: socat
    joins it to the tunnel."""
    NAME = 'wayvnc'
    PORT_OFFSET = 3
    USER = 'desk'

    SWAY = ('xwayland disable\n'
            'output HEADLESS-1 resolution {0}x{1} position 0 0\n'
            'output * bg #2f4858 solid_color\n'
            'default_border none\n')

    def start(self):
        s = self.stack
        folder = s.path('run', 'wayland')
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, mode=0o700)
        s._own(folder)
        self.env = {**s.env, 'XDG_RUNTIME_DIR': folder, 'WLR_BACKENDS':
                    'headless', 'WLR_LIBINPUT_NO_DEVICES': '1',
                    'WLR_RENDERER': 'pixman'}
        sway = self.spawn('sway', ['sway', '-c', self.conf(
            'sway', self.SWAY.format(*self.SIZE))], env=self.env)
        # the first free name, in a folder that was empty
        wait_until(lambda: os.path.exists(f'{folder}/wayland-1'), 20, 'sway',
                   sway)
        self.env['WAYLAND_DISPLAY'] = 'wayland-1'
        self.spawn('terminal', [
            'foot', '-o', 'pad=0x0', '-o', 'font=DejaVu Sans Mono:size=10',
            '-o', 'csd.preferred=none', '/usr/bin/python3',
            own_copy(s, f'{VIEWERS}/terminal.py'), self.notes], env=self.env)
        wait_until(lambda: 'ready' in self._lines(), 20,
                   'the terminal of sway', self.processes[-1])
        # SIGPIPE is left as it is: version 0.5 dies of it when a viewer's TLS
        # ends politely, which the relay knows
        server = self.spawn('server', ['wayvnc', '-C', self._settings()],
                            env=self.env)
        self.local_port = self.port + 10
        self.spawn('local', ['wayvnc', '127.0.0.1', str(self.local_port)],
                   env=self.env)
        return self.wait_ready(server, self.port, self.local_port)

    def _settings(self):
        conf = self.stack.path('conf')
        return self.conf('ini', (
            f'address=127.0.0.1\nport={self.port}\nenable_auth=true\n'
            f'username={self.USER}\npassword={PASSWORD}\n'
            f'private_key_file={conf}/endpoint.key\n'
            f'certificate_file={conf}/endpoint.pem\n'))

    def login_options(self):
        return ['--username', self.USER] + super().login_options()

    def dial(self, port, server_id):
        assert server_id is None, 'socat sends no ID'
        self.caller = self.spawn('caller', [
            'socat', f'TCP:127.0.0.1:{port}',
            f'TCP:127.0.0.1:{self.local_port}'], env=self.env)
        return self

    def hang_up(self):
        self.stop_one(self.caller)

    def picture(self):
        path = self.stack.path('tmp', 'wayvnc.ppm')
        run(['grim', '-t', 'ppm', path], self.stack.user, self.env)
        return media.luma(path)


DESKS = {d.NAME: d for d in (Xvnc, X11vnc, Qemu, Wayvnc)}


def own_copy(stack, source):
    """A copy that the stack's user can read and run."""
    target = stack.path('bin', os.path.basename(source))
    if not os.path.exists(target):
        shutil.copyfile(source, target)
    os.chmod(target, 0o755)
    return target
