"""The demo endpoint (an Xvnc desktop that lives) and a technician (TigerVNC's
viewer on a screen of its own), driven as a person would: through the viewer's
window."""
import os
import subprocess
import time

from process import StartError, run, tcp_answers, wait_until

TEXT = ('Relaycam records what a technician does. '
        'The quick brown fox jumps over the lazy dog. 0123456789')


def _make_xauth_free_env(stack, display):
    return {**stack.env, 'DISPLAY': display}


def _read_display(process_name, path):
    """The display number that -displayfd wrote, or None while empty."""
    try:
        with open(path, encoding='ascii') as f:
            text = f.read()
    except OSError:
        return None
    return f':{int(text)}' if text.endswith('\n') else None


def start_with_displayfd(stack, name, argv):
    """Starts an X server that picks its own display number; returns the
    process and ':N' once it accepts clients."""
    path = stack.path('tmp', f'{name}.display')
    if os.path.exists(path):
        os.unlink(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        p = stack.spawn(name, argv + ['-displayfd', str(fd)], pass_fds=(fd,))
    finally:
        os.close(fd)
    display = wait_until(lambda: _read_display(name, path), 20, name, p)
    wait_until(lambda: subprocess.run(
        ['xdpyinfo', '-display', display], capture_output=True,
        env=stack.env).returncode == 0, 20, name, p)
    return p, display


class Endpoint:
    """An Xvnc desktop behind X509Vnc on stack.ports.endpoint."""

    def __init__(self, stack, password, geometry='1280x800',
                 security='X509Vnc', extra=()):
        self.stack = stack
        self.password = password
        self.geometry = geometry
        self.security = security
        self.extra = list(extra)
        self.display = None

    def start(self):
        s = self.stack
        conf = s.path('conf')
        obscured = subprocess.run(['tigervncpasswd', '-f'], check=True,
                                  input=self.password.encode(),
                                  capture_output=True).stdout
        s._write(f'{conf}/endpoint.passwd', obscured)
        self.process, self.display = start_with_displayfd(s, 'endpoint', [
            'Xtigervnc', '-geometry', self.geometry, '-depth', '24',
            '-rfbport', str(s.ports.endpoint), '-localhost',
            '-SecurityTypes', self.security, '-PasswordFile',
            f'{conf}/endpoint.passwd', '-X509Cert', f'{conf}/endpoint.pem',
            '-X509Key', f'{conf}/endpoint.key', '-AlwaysShared',
            '-desktop', 'demo desktop', '-BlacklistTimeout', '0',
            *self.extra])
        wait_until(lambda: tcp_answers(s.ports.endpoint), 10, 'demo endpoint',
                   self.process)
        self.env = _make_xauth_free_env(s, self.display)
        self._furnish()
        return self

    def _furnish(self):
        """A window manager, a terminal, a clock."""
        s = self.stack
        run(['xsetroot', '-solid', '#2f4858'], s.user, self.env)
        s.spawn('openbox', ['openbox'], env=self.env)
        s.spawn('clock', ['xclock', '-update', '1', '-geometry',
                          '160x160-40+40'], env=self.env)
        terminal = s.spawn('terminal', [
            'xterm', '-fa', 'DejaVu Sans Mono', '-fs', '11', '-geometry',
            '90x24+60+60', '-title', 'demo terminal', '-e', 'bash',
            '--norc'], env={**self.env, 'PS1': 'demo$ '})
        self.terminal = self.window('demo terminal', terminal)
        self.clock = self.window('xclock')

    def window(self, title, process=None):
        return wait_until(lambda: self.xdotool_try(
            'search', '--onlyvisible', '--name', title), 30,
            f'the window "{title}"', process).split()[0]

    def xdotool_try(self, *args):
        r = subprocess.run(['xdotool', *args], env=self.env,
                           capture_output=True, text=True)
        return r.stdout.strip() if r.returncode == 0 else ''

    def xdotool(self, *args):
        return run(['xdotool', *args], self.stack.user, self.env)

    def screenshot(self, path):
        """PNG of the whole desktop as it stands."""
        dump = self.stack.path('tmp', 'desktop.xwd')
        run(['xwd', '-root', '-silent', '-out', dump], self.stack.user,
            self.env)
        run(['convert', dump, path])
        os.unlink(dump)


class Viewer:
    """TigerVNC's viewer under Xvfb, full size, connected through the relay."""

    def __init__(self, stack, login, password, options=(),
                 screen='1400x900x24', name='viewer'):
        self.stack = stack
        self.login = login
        self.password = password
        self.options = list(options)
        self.screen = screen
        self.name = name
        # what the viewer is told: an address, or a file with one
        self.address = f'localhost::{stack.ports.relay}'

    def start(self):
        s = self.stack
        self.xvfb, display = start_with_displayfd(s, f'{self.name}-screen', [
            'Xvfb', '-screen', '0', self.screen, '-nolisten', 'tcp',
            '-noreset'])
        self.env = _make_xauth_free_env(s, display)
        self.process = s.spawn(self.name, [
            'xtigervncviewer', '-AlertOnFatalError=0', '-ReconnectOnError=0',
            '-SecurityTypes', 'X509Plain', '-X509CA', s.path('ca.pem'),
            '-RemoteResize=0', '-Shared=1', *self.options,
            self.address],
            env={**self.env, 'VNC_USERNAME': self.login,
                 'VNC_PASSWORD': self.password})
        return self

    def wait_for_window(self, timeout_s=30):
        """The viewer's window; it opens once the session is up."""
        self.window = wait_until(
            lambda: self._search('TigerVNC'), timeout_s,
            'the viewer\'s window', self.process).split()[0]
        # there is no window manager on this screen to give it the keys
        self.xdotool('windowfocus', '--sync', self.window)
        return self.window

    def _search(self, title):
        r = subprocess.run(['xdotool', 'search', '--onlyvisible', '--name',
                            title], env=self.env, capture_output=True,
                           text=True)
        return r.stdout.strip()

    def xdotool(self, *args):
        return run(['xdotool', *args], self.stack.user, self.env)

    def type(self, text, delay_ms=40):
        self.xdotool('type', '--delay', str(delay_ms), '--', text)

    def close(self):
        self.process.stop(10)
        self.xvfb.stop(10)


def work(endpoint, viewer, seconds):
    """What a technician does: clicks into the terminal, types, moves a
    window. Ends `seconds` after the desktop was there."""
    viewer.wait_for_window()
    end = time.monotonic() + seconds
    # the viewer shows the desktop at 0,0 of its window: same coordinates
    viewer.xdotool('mousemove', '--window', viewer.window, '300', '300',
                   'click', '1')
    lines = 0
    while time.monotonic() < end:
        lines += 1
        viewer.type(f'echo {lines} {TEXT}\n')
        for i in range(20):
            if time.monotonic() >= end:
                break
            endpoint.xdotool('windowmove', endpoint.clock,
                             str(700 + (i * 37) % 380), str(380 + i * 9))
            time.sleep(0.05)
    return lines


def ensure_demo_team(stack, endpoint_password):
    """Team, person and endpoint of the demo, once. Returns the person's
    password."""
    path = stack.path('conf', 'alice.password')
    if os.path.exists(path) and any(
            u['name'] == 'alice' for u in stack.ctl_json('user', 'list')):
        with open(path, encoding='ascii') as f:
            return f.read().strip()
    password = os.urandom(9).hex()
    teams = [t['name'] for t in stack.ctl_json('team', 'list')]
    if 'demo' not in teams:
        stack.ctl('team', 'add', 'demo')
    stack._write(path, password + '\n')
    stack.ctl('user', 'add', 'alice', '--team', 'demo', '--role', 'owner',
              '--password-file', path)
    stack._write(stack.path('conf', 'desk1.password'),
                 endpoint_password + '\n')
    stack.ctl('endpoint', 'add', 'desk1', '--team', 'demo', '--host',
              'localhost', '--port', str(stack.ports.endpoint),
              '--password-file', stack.path('conf', 'desk1.password'),
              '--ca', stack.path('ca.pem'))
    for access in ('attended', 'unattended'):
        stack.ctl('settings', 'set', '--team', 'demo',
                  f'{access}.recording=on')
    return password


def wait_available(stack, session, timeout_s=120):
    """Waits until every segment of the session is stored; returns them."""
    def done():
        rows = stack.ctl_json('recordings', 'list', '--session', session)
        bad = [r for r in rows if r['status'] in
               ('missing', 'corrupted', 'encoding_failed')]
        if bad:
            raise StartError(f'recording {bad[0]["id"]} is '
                             f'{bad[0]["status"]}')
        return rows if rows and all(r['status'] == 'available'
                                    for r in rows) else None
    return wait_until(done, timeout_s, f'recordings of session {session}')
