"""relaycam and a real relay: tickets are good once, orders reach sessions,
connect starts a real viewer. X6, T9, C3."""
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import demo
import pytest
from process import tcp_answers, wait_until

from conftest import BUILD
from rfb_client import Client

FAILED = 1


def ctl(rig, *args, status=0):
    """What it says on both outputs."""
    r = subprocess.run(
        [rig.stack.path('bin', 'relaycam'), '--config', rig.stack.conf_file]
        + [str(a) for a in args], env=rig.stack.env, text=True, cwd='/',
        capture_output=True, timeout=60, **rig.stack._as_user())
    assert r.returncode == status, (args, r.stdout, r.stderr)
    return r.stdout if status == 0 else r.stderr


def client(rig, user, password):
    return Client(rig.stack.ports.relay, rig.stack.path('ca.pem'), user,
                  password)


def active(rig):
    return rig.stack.ctl_json('sessions', 'list', '--state', 'active')


def the_session(rig):
    return wait_until(lambda: active(rig), 10, 'the session')[0]


@pytest.fixture
def nobody(rig):
    wait_until(lambda: not active(rig), 20, 'sessions to end')


# --- tickets ----------------------------------------------------------------

def test_ticket_works_once(rig, nobody):
    ticket = ctl(rig, 'ticket', 'alice@desk1').strip()
    # the ticket says who and where, not the user name
    with client(rig, 'whoever', ticket) as c:
        c.request(incremental=False)
        c.run_until(lambda: c.covered())
        s = the_session(rig)
        assert (s['user'], s['endpoint'], s['door']) == ('alice', 'desk1',
                                                         'vnc')
        with pytest.raises(ConnectionRefusedError, match='used already'):
            client(rig, 'whoever', ticket)


def test_ticket_over_its_time(rig):
    ticket = ctl(rig, 'ticket', 'alice@desk1').strip()
    rig.stack.sql("UPDATE tickets SET created_at = now() - interval "
                  "'1 minute', expires_at = now() WHERE used_at IS NULL")
    with pytest.raises(ConnectionRefusedError, match='over its time'):
        client(rig, 'alice@desk1', ticket)
    assert rig.stack.ctl_json('check')['violations'] == []


def test_ticket_is_worth_nothing_once_the_right_is_gone(rig):
    ctl(rig, 'user', 'add', 'bob', '--generate')
    ctl(rig, 'user', 'grant', 'bob', 'desk1', 'control')
    ticket = ctl(rig, 'ticket', 'bob@desk1').strip()
    ctl(rig, 'user', 'revoke', 'bob', 'desk1')
    with pytest.raises(ConnectionRefusedError, match='may connect'):
        client(rig, 'bob@desk1', ticket)


# --- orders -----------------------------------------------------------------

class Watcher:
    """A technician who reads on while orders are given."""

    def __init__(self, rig):
        self.rig = rig
        self.stop = threading.Event()
        self.ended = None

    def __enter__(self):
        self.client = client(self.rig, 'alice@desk1', ctl(
            self.rig, 'ticket', 'alice@desk1').strip())
        self.client.request(incremental=False)
        self.client.run_until(lambda: self.client.covered())
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        return self

    def read(self):
        try:
            self.client.run_until(self.stop.is_set, 60)
        except (EOFError, OSError, TimeoutError) as e:
            self.ended = e

    def __exit__(self, *error):
        self.stop.set()
        self.client.stream.sock.close()
        self.thread.join(30)
        assert not self.thread.is_alive()


def test_orders_reach_the_relay(rig, nobody):
    with Watcher(rig) as w:
        s = the_session(rig)['id']
        ctl(rig, 'sessions', 'view-only', s, 'on')
        ctl(rig, 'sessions', 'frame-rate', s, '5')
        row = rig.stack.ctl_json('sessions', 'show', s)
        assert row['view_only'] and row['frame_rate'] == 5
        ctl(rig, 'sessions', 'view-only', s, 'off')
        ctl(rig, 'sessions', 'frame-rate', s, '0')
        row = rig.stack.ctl_json('sessions', 'show', s)
        assert not row['view_only'] and row['frame_rate'] is None
        # T1: enforced recording is not stopped by hand; what the relay
        # refuses is said at once
        began = time.monotonic()
        assert 'recorded by policy' in ctl(
            rig, 'sessions', 'recording', s, 'stop', status=FAILED)
        assert 'there is no such monitor' in ctl(
            rig, 'sessions', 'monitor', s, '64', status=FAILED)
        assert time.monotonic() - began < 4
        # a refusal of before is not the answer to the next order
        ctl(rig, 'sessions', 'monitor', s, '0')
        refusals = rig.stack.ctl_json('audit', 'list', '--object', s,
                                      '--action', 'session_command_refused')
        assert [r['detail']['command'] for r in refusals] in (
            ['monitor', 'recording'], ['recording', 'monitor'])
        assert rig.stack.ctl_json('sessions', 'show', s)['recording_now']
        bells = w.client.bells
        ctl(rig, 'sessions', 'warn', s, 'Maintenance begins at noon')
        wait_until(lambda: w.client.bells > bells, 10, 'the bell')
        ctl(rig, 'sessions', 'end', s, 'maintenance begins')
        wait_until(lambda: w.ended is not None, 10, 'the end')
    row = rig.stack.ctl_json('sessions', 'show', s)
    assert row['state'] == 'ended' and row['end_code'] == 'command'
    assert 'maintenance begins' in row['end_reason']
    orders = rig.stack.ctl_json('audit', 'list', '--object', s, '--action',
                                'session_command')
    assert len(orders) >= 6
    assert 'no such active session' in ctl(rig, 'sessions', 'end', s,
                                           status=FAILED)


# --- viewers ----------------------------------------------------------------

class Screen:
    def __init__(self, rig):
        self.xvfb, display = demo.start_with_displayfd(
            rig.stack, 'connect-screen', [
                'Xvfb', '-screen', '0', '1400x900x24', '-nolisten', 'tcp',
                '-noreset'])
        self.env = demo._make_xauth_free_env(rig.stack, display)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.xvfb.stop(10)

    def title(self):
        """Of the viewer's window; empty before it is there."""
        return subprocess.run(
            ['xdotool', 'search', '--onlyvisible', '--name', 'TigerVNC',
             'getwindowname'], env=self.env, capture_output=True,
            text=True).stdout.strip()


def test_connect_starts_tigervnc(rig, nobody):
    with Screen(rig) as screen:
        viewer = rig.stack.spawn('connect', [
            rig.stack.path('bin', 'relaycam'), '--config',
            rig.stack.conf_file, 'connect', 'alice@desk1', '--ca',
            rig.stack.path('ca.pem')], env=screen.env)
        try:
            wait_until(screen.title, 30, 'the viewer', viewer)
            s = the_session(rig)
            assert s['user'] == 'alice'
            with open(f'/proc/{viewer.pid}/cmdline', 'rb') as f:
                argv = f.read()
            assert b'xtigervncviewer' in argv and b'rct_' not in argv
        finally:
            viewer.stop(10)


def test_vnc_auth_password_works_once(rig, nobody):
    ctl(rig, 'settings', 'set', 'unattended.vnc_auth=on')
    k = rig.stack.ctl_json('ticket', 'alice@desk1', '--vnc-auth')
    host, port = k['address'].split(':')
    with Screen(rig) as screen:
        viewer = rig.stack.spawn('vnc-auth', [
            'xtigervncviewer', '-AlertOnFatalError=0', '-ReconnectOnError=0',
            '-SecurityTypes', 'VncAuth', f'{host}::{port}'],
            env={**screen.env, 'VNC_PASSWORD': k['password']})
        try:
            wait_until(screen.title, 30, 'the viewer', viewer)
            assert the_session(rig)['door'] == 'vnc_auth'
        finally:
            viewer.stop(10)
    # nothing waits there any more
    with socket.create_connection((host, int(port)), 10) as s:
        s.settimeout(10)
        said = b''
        s.sendall(b'RFB 003.008\n')
        began = time.monotonic()
        while time.monotonic() - began < 10:
            try:
                piece = s.recv(4096)
            except ConnectionResetError:
                break
            if not piece:
                break
            said += piece
            if said[12:13] == b'\1' and len(said) == 14:
                s.sendall(b'\2')
            if len(said) == 30:
                s.sendall(bytes(16))
    assert re.search(rb'ticket|password', said[30:]), said


# --- what is printed works as it stands -------------------------------------

def test_reverse_lines(rig, nobody):
    """The stunnel lines and the ID for x11vnc, but for local paths, the port
    of this machine's stunnel and the display."""
    r = rig.stack.ctl_json('endpoint', 'add', 'rev', '--kind', 'reverse',
                           '--allow-clear')
    with socket.create_server(('127.0.0.1', 0)) as s:
        place = f'127.0.0.1:{s.getsockname()[1]}'
    conf = rig.stack.path('tmp', 'stunnel.conf')
    rig.stack._write(conf, 'foreground = yes\npid =\n' + re.sub(
        'CAfile = .*', f'CAfile = {rig.stack.path("ca.pem")}',
        r['stunnel'].replace('127.0.0.1:5500', place)))
    line = re.search(r'x11vnc .* (?=-rfbport)', r['x11vnc'])
    words = r['x11vnc'][line.end():].split(';')[0].replace(
        '127.0.0.1:5500', place).replace('-rfbauth ~/.vnc/passwd ', '')
    tunnel = rig.stack.spawn('stunnel', ['stunnel', conf])
    wait_until(lambda: tcp_answers(int(place.split(':')[1])), 10, 'stunnel',
               tunnel)
    server = rig.stack.spawn('x11vnc', ['x11vnc'] + words.split(),
                             env=rig.endpoint.env)
    try:
        wait_until(lambda: rig.stack.ctl_json('endpoint', 'show', 'rev')[
            'state'] == 'parked', 20, 'the server to wait', server)
        assert 'that waits at' in ctl(rig, 'endpoint', 'test', 'rev')
        with client(rig, 'x', ctl(rig, 'ticket', 'alice@rev').strip()) as c:
            c.request(incremental=False)
            c.run_until(lambda: c.covered())
            assert the_session(rig)['path'] == 'reverse'
    finally:
        server.stop(10)
        tunnel.stop(10)


def test_enrol_line_and_revoke(rig):
    """relaycam-agent gets in by the line, is there, and is shut out."""
    program = rig.stack.path('bin', 'relaycam-agent')
    if not os.path.exists(program):
        shutil.copy(os.path.join(BUILD, 'agent', 'relaycam-agent'), program)
        os.chmod(program, 0o755)
    r = subprocess.run(
        [rig.stack.path('bin', 'relaycam'), '--config', rig.stack.conf_file,
         '--set', f'relay.public_ca_file={rig.stack.path("ca.pem")}',
         'endpoint', 'add', 'laptop', '--kind', 'agent', '--json'],
        env=rig.stack.env, capture_output=True, text=True, cwd='/',
        check=True, **rig.stack._as_user())
    words = json.loads(r.stdout)['command'].split()
    assert words[0] == 'relaycam-agent' and '--pin' in words
    state = rig.stack.path('tmp', 'agent')
    env = {**rig.stack.env, 'STATE_DIRECTORY': state}

    def enrol(where):
        return subprocess.run(
            [program] + words[1:], env={**env, 'STATE_DIRECTORY': where},
            text=True, capture_output=True, cwd='/', timeout=60,
            **rig.stack._as_user())
    r = enrol(state)
    assert r.returncode == 0, r.stderr
    r = enrol(state + '.second')
    assert r.returncode != 0 and 'token is not valid' in r.stderr
    agent = rig.stack.spawn('agent', [program, 'run'], env=env)
    try:
        wait_until(lambda: rig.stack.ctl_json('endpoint', 'show', 'laptop')[
            'state'] == 'connected', 20, 'the agent', agent)
        assert 'relaycam-agent' in ctl(rig, 'endpoint', 'test', 'laptop')
        ctl(rig, 'endpoint', 'revoke', 'laptop')
        row = rig.stack.ctl_json('endpoint', 'show', 'laptop')
        assert row['state'] == 'not_enrolled'
        with pytest.raises(ConnectionRefusedError):
            client(rig, 'x', ctl(rig, 'ticket', 'alice@laptop').strip())
    finally:
        agent.stop(10)
