"""Technicians' programs, each a real viewer driven as a person would: by its
window, or, for libvncclient, by a small program made for it.

    with Screen(stack) as screen:
        v = TigerVnc(screen, size, login, password).start()
        v.picture()             # what it shows of the desktop, luma, or None
        v.type('text'), v.enter(), v.click(x, y)    # pixels of the desktop
        v.close()
"""
import os
import re
import subprocess
import sys

import demo
import numpy as np
from process import StartError, run, wait_until
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

import endpoints
import media

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), 'browser'))
from viewer_page import Page  # noqa: E402

RETURN, SHIFT = 0xff0d, 0xffe1


def needs_shift(letter):
    """On a US keyboard."""
    return letter.isupper() or letter in '!"#$%&()*+:<>?@^_{|}~'


class Screen:
    """An X screen for viewers, one after the other; no window manager."""

    def __init__(self, stack):
        self.stack = stack

    def __enter__(self):
        self.process, display = demo.start_with_displayfd(
            self.stack, 'viewer-screen', [
                'Xvfb', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp',
                '-noreset'])
        self.env = {**self.stack.env, 'DISPLAY': display}
        return self

    def __exit__(self, *error):
        self.process.stop(10)
        self.stack.processes.remove(self.process)


class Viewer:
    """Logs in as `login` with `password` on the relay's port for viewers;
    size: of the desktop that is to be seen. close() may follow a start() that
    failed."""
    NAME = None

    def __init__(self, screen, size, login, password):
        self.screen = screen
        self.stack = screen.stack
        self.size = size
        self.login = login
        self.password = password
        self.port = self.stack.ports.relay
        self.ca = self.stack.path('ca.pem')
        self.process = None

    def spawn(self, argv, **kw):
        self.process = self.stack.spawn(f'viewer-{self.NAME}', argv, **kw)
        return self.process

    def forget(self):
        if self.process in self.stack.processes:
            self.stack.processes.remove(self.process)


class WindowViewer(Viewer):
    """One with a window, on `screen`; TITLE: part of its title."""
    TITLE = None

    def xdotool(self, *args):
        return run(['xdotool', *args], self.stack.user, self.screen.env)

    def windows(self):
        """(id, width, height, x, y) of every window that is on the screen,
        outer ones first."""
        r = subprocess.run(['xwininfo', '-root', '-tree'], cwd='/',
                           env=self.screen.env, capture_output=True,
                           text=True)
        return [(m[1], *(int(v) for v in m.groups()[1:]))
                for m in re.finditer(
                    r'(0x[0-9a-f]+) .*?(\d+)x(\d+)\+-?\d+\+-?\d+ +'
                    r'\+(-?\d+)\+(-?\d+)', r.stdout)]

    def area(self):
        """The window that shows the desktop: the innermost of its size."""
        fits = [w for w in self.windows() if w[1:3] == self.size]
        return fits[-1] if fits else None

    def picture(self):
        area = self.area()
        if area is None:
            return None
        x, y = area[3:]
        w, h = self.size
        whole = endpoints.x_picture(self.screen.env)
        return whole[y:y + h, x:x + w]

    def to_screen(self, x, y):
        area = self.area()
        assert area, f'{self.NAME} has no window of {self.size}'
        return str(area[3] + x), str(area[4] + y)

    def find(self, title):
        r = subprocess.run(['xdotool', 'search', '--onlyvisible', '--name',
                            title], env=self.screen.env, cwd='/',
                           capture_output=True, text=True)
        return r.stdout.split()[0] if r.stdout.strip() else None

    def type(self, text, window=None):
        # there is no window manager to give it the keys
        self.xdotool('windowfocus', '--sync', window or self.find(self.TITLE))
        self.xdotool('type', '--delay', '30', '--', text)

    def enter(self):
        self.xdotool('key', 'Return')

    def click(self, x, y):
        self.xdotool('mousemove', *self.to_screen(x, y), 'click',
                     '1')

    def close(self):
        if self.process is not None:
            self.process.stop(10)
            self.forget()


class TigerVnc(WindowViewer):
    NAME = 'tigervnc'
    TITLE = 'TigerVNC'
    options = ()

    def start(self):
        self.spawn([
            'xtigervncviewer', '-AlertOnFatalError=0', '-ReconnectOnError=0',
            '-SecurityTypes', 'X509Plain', '-X509CA', self.ca,
            '-RemoteResize=0', '-MenuKey=', *self.options,
            f'localhost::{self.port}'],
            env={**self.screen.env, 'VNC_USERNAME': self.login,
                 'VNC_PASSWORD': self.password})
        return self


class Gvncviewer(WindowViewer):
    """gtk-vnc's viewer. It trusts only a CA in the home folder that the
    password database names for its account (~/.pki/CA/cacert.pem) or in
    /etc/pki/CA; nss_wrapper gives the account another home. User name and
    password are typed into its dialog."""
    NAME = 'gvncviewer'
    TITLE = 'GVncViewer'

    def area(self):
        """GTK has one window for all: the desktop is in the middle of what
        the light menu bar leaves."""
        w, h = self.size
        whole = endpoints.x_picture(self.screen.env)
        for i, width, height, x, y in self.windows():
            if width < w or height <= h:
                continue
            bar = int(np.argmax(whole[y:y + 60, x + 2] < 200))
            if bar > 0 and height >= h + bar:
                return (i, w, h, x + (width - w) // 2,
                        y + bar + (height - bar - h) // 2)
        return None

    def start(self):
        self.spawn(['gvncviewer', f'localhost:{self.port - 5900}'],
                   env={**self.screen.env, **self._home()})
        dialog = wait_until(lambda: self.find('Authentication'), 20,
                            'the dialog for user and password', self.process)
        self.type(f'{self.login}\t{self.password}', dialog)
        self.enter()
        return self

    def _home(self):
        s = self.stack
        home = s.path('home', 'gtk')
        for folder in ('', '.pki', '.pki/CA'):
            os.makedirs(os.path.join(home, folder), exist_ok=True)
        with open(self.ca, 'rb') as f:
            s._write(f'{home}/.pki/CA/cacert.pem', f.read(), 0o644)
        os.chmod(s.path('home'), 0o755)
        users = s.path('tmp', 'gtk.passwd')
        s._write(users, f'{s.user.pw_name}:x:{s.user.pw_uid}:'
                 f'{s.user.pw_gid}::{home}:/bin/sh\n', 0o644)
        groups = s.path('tmp', 'gtk.group')
        s._write(groups, f'{s.user.pw_name}:x:{s.user.pw_gid}:\n', 0o644)
        return {'LD_PRELOAD': 'libnss_wrapper.so',
                'NSS_WRAPPER_PASSWD': users, 'NSS_WRAPPER_GROUP': groups,
                'NO_AT_BRIDGE': '1'}


class NoVnc(Viewer):
    """The relay's page, with noVNC in it, in Chromium."""
    NAME = 'novnc'
    page = None
    quality = 'high'

    def start(self):
        person, endpoint = self.login.split('@')
        self.page = Page(self.stack.ports.web)
        self.page.open(f'#endpoint={endpoint}&user={person}')
        self.page.login(person, endpoint, self.password)
        self.page.wait_connected()
        self.page.set_picture(self.quality, 'one')
        return self

    def picture(self):
        rgb = self.page.canvas()
        return None if rgb is None else rgb @ endpoints.LUMA

    def click(self, x, y):
        self.page.click_desktop(x, y)

    def type(self, text):
        # WebDriver's send_keys types capitals without touching Shift
        keys = ActionChains(self.page.driver)
        for letter in text:
            if needs_shift(letter):
                keys.key_down(Keys.SHIFT).send_keys(letter)
                keys.key_up(Keys.SHIFT)
            else:
                keys.send_keys(letter)
        keys.perform()

    def enter(self):
        self.page.type(Keys.ENTER)

    def close(self):
        if self.page is not None:
            self.page.close()


class LibVnc(Viewer):
    """tests/viewers/libvnc_viewer.c on pipes; options: its LIBVNC_..."""
    NAME = 'libvncclient'
    options = {}

    def start(self):
        program = endpoints.own_copy(self.stack, os.path.join(
            self.stack.build, 'tests', 'viewers', 'libvnc_viewer'))
        self.spawn([program, 'localhost', str(self.port), self.ca],
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                   env={**self.stack.env, **self.options,
                        'VNC_USERNAME': self.login,
                        'VNC_PASSWORD': self.password})
        return self

    def picture(self):
        path = self.stack.path('tmp', 'libvnc.ppm')
        self._ask(f'save {path}')
        return media.luma(path)

    def _ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        while answer.startswith('desktop '):
            answer = self.process.stdout.readline()
        if answer != 'ok\n':
            raise StartError(f'{line}: {answer!r}\n'
                             + self.process.log_tail())

    def type(self, text):
        for letter in text:
            shift = f'{SHIFT:#x} ' * needs_shift(letter)
            self._ask(f'key {shift}{ord(letter):#x}')

    def enter(self):
        self._ask(f'key {RETURN:#x}')

    def click(self, x, y):
        self._ask(f'click {x} {y}')

    def close(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.stdin.write('quit\n')
            self.process.stdin.close()
        assert self.process.wait(10) == 0, self.process.log_tail()
        self.process.stdout.close()
        self.forget()


VIEWERS = {v.NAME: v for v in (TigerVnc, Gvncviewer, LibVnc, NoVnc)}
