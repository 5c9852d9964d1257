"""`relaycam connect --viewer X` with Debian's viewers: each is started with
what it understands, a person types what it asks for, and the session is
recorded. X6, T1. KRDC, which brings a desktop along, is run by
tests/viewers/run."""
import os
import re
import subprocess

import demo
import pytest
from conftest import make_rig
from process import wait_until

import endpoints
import viewers

DESKTOP = (1280, 800)


class Started:
    """One viewer, started by relaycam on a terminal of its own."""

    def __init__(self, rig, screen, program, gtk_vnc=False):
        self.rig, self.stack, self.screen = rig, rig.stack, screen
        self.program = program
        self.gtk_vnc = gtk_vnc

    def __enter__(self):
        s = self.stack
        run_dir = s.path('tmp', 'runtime')
        os.makedirs(run_dir, exist_ok=True)
        os.chmod(run_dir, 0o700)
        s._own(run_dir)
        self.log = s.path('log', f'connect-{self.program}.log')
        if os.path.exists(self.log):
            os.unlink(self.log)
        command = (f'{s.path("bin", "relaycam")} --config {s.conf_file} '
                   f'connect alice@desk1 --viewer {self._path()}')
        self.process = s.spawn(
            f'connect-{self.program}',
            ['script', '-qefc', command, '/dev/null'], text=True,
            stdin=subprocess.PIPE, env={
                **self.screen.env, 'XDG_RUNTIME_DIR': run_dir,
                'HOME': s.path('home'), 'NO_AT_BRIDGE': '1',
                'GSETTINGS_BACKEND': 'memory'})
        return self

    def _path(self):
        """gtk-vnc reads the CA in the account's own home folder only: it is
        run through a script that gives the account another one."""
        if not self.gtk_vnc:
            return self.program
        env = viewers.Gvncviewer(self.screen, DESKTOP, '', '')._home()
        script = self.stack.path('bin', f'my-{self.program}')
        words = ' '.join(f'{k}={v}' for k, v in env.items())
        self.stack._write(
            script, f'#!/bin/sh\n[ "$1" = --version ] || export {words}\n'
            f'exec {self.program} "$@"\n', 0o755)
        return script

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        if self.process in self.stack.processes:
            self.process.stdin.close()
            self.process.stop(10)
            self.stack.processes.remove(self.process)

    def said(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def password(self):
        return wait_until(lambda: re.search(r'^password: (\S+)\r?$',
                                            self.said(), re.M), 60,
                          'the password', self.process)[1]

    def xdotool(self, *args):
        return subprocess.run(['xdotool', *args], env=self.screen.env,
                              capture_output=True, text=True).stdout.strip()

    def dialog(self, title):
        """A window of this title that is painted: nothing in it moves any
        more but a cursor."""
        window = wait_until(lambda: self.xdotool(
            'search', '--onlyvisible', '--name', title), 60,
            f'the window {title}', self.process).split()[-1]
        seen = []

        def is_still():
            seen.append(endpoints.x_picture(self.screen.env))
            return len(seen) > 4 and seen[-1].max() > 0 and all(
                (seen[-1] != old).sum() < 300 for old in seen[-5:-1])
        wait_until(is_still, 60, f'{title} to be painted', self.process)
        self.xdotool('windowfocus', '--sync', window)
        return window

    def type(self, text):
        self.xdotool('type', '--delay', '30', '--', text)
        self.xdotool('key', 'Return')

    def ends_recorded(self, door):
        session = wait_until(lambda: self.stack.ctl_json(
            'sessions', 'list', '--state', 'active'), 60, 'the session',
            self.process)[0]
        assert (session['user'], session['endpoint'], session['door']) == (
            'alice', 'desk1', door)
        self.sees_the_desktop()
        self.stop()
        wait_until(lambda: self.stack.ctl_json(
            'sessions', 'show', session['id'])['state'] == 'ended', 60,
            'the end of the session')
        files = demo.wait_available(self.stack, session['id'])
        assert files and all(f['frames'] > 0 for f in files)

    def sees_the_desktop(self):
        """The colour of its background, on a good part of the screen."""
        colour = endpoints.x_picture(self.rig.endpoint.env)[2, 2]
        wait_until(lambda: (abs(
            endpoints.x_picture(self.screen.env) - colour) < 3).sum() > 9000,
            60, 'the desktop in its window', self.process)


@pytest.fixture(scope='module')
def rig(request):
    r = make_rig(request).start()
    r.stack.ctl('settings', 'set', '--team', 'demo',
                'unattended.vnc_auth=on')
    return r


@pytest.fixture(scope='module')
def screen(rig):
    with viewers.Screen(rig.stack) as screen:
        yield screen


def test_remote_viewer(rig, screen):
    with Started(rig, screen, 'remote-viewer', gtk_vnc=True) as v:
        password = v.password()
        v.dialog('Authentication required')
        v.type(f'alice@desk1\t{password}')
        v.ends_recorded('vnc')


def test_gvncviewer(rig, screen):
    """On a port that is not 5900."""
    with Started(rig, screen, 'gvncviewer', gtk_vnc=True) as v:
        password = v.password()
        v.dialog('Authentication')
        v.type(f'alice@desk1\t{password}')
        v.ends_recorded('vnc')


def test_remmina(rig, screen):
    """It asks for the password only: the profile has all else."""
    with Started(rig, screen, 'remmina') as v:
        password = v.password()
        v.dialog('alice@desk1')
        v.type(password)
        v.ends_recorded('vnc')


def test_vinagre(rig, screen):
    with Started(rig, screen, 'vinagre') as v:
        password = v.password()
        assert len(password) == 8
        v.dialog('^Remote Desktop Viewer$')
        v.type(password)
        v.ends_recorded('vnc_auth')


@pytest.mark.parametrize('program', ['ssvncviewer', 'xtightvncviewer'])
def test_viewers_that_ask_in_the_terminal(rig, screen, program):
    with Started(rig, screen, program) as v:
        password = v.password()
        wait_until(lambda: 'Password:' in v.said(), 60, 'the question',
                   v.process)
        v.process.stdin.write(password + '\n')
        v.process.stdin.flush()
        v.ends_recorded('vnc_auth')
