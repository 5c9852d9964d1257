"""What is down at the endpoint is let go, however a session ends, and while
its technician may only look: keys, QEMU's keys, buttons. C3, X6, T9."""
import os
import re
import signal
import socket
import struct
import time

import pytest
from conftest import make_rig
from process import wait_until
from Xlib import display as xdisplay

import rfb_client as rfb
from agent_peer import Agent
from endpoints import X11vnc
from page_peer import PagePeer
from plain_server import H, W, Server
from test_faults import process, recorder_pids

DELETE, CONTROL = 0xffff, 0xffe3
CAP_S = 15
LATE_S = 40
# the server does not know QEMU's message: that key comes as its keysym
HELD = {DELETE, CONTROL, 0x41, ('buttons', 5)}


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={'relay.drain_seconds': 1}).start()
    s = rig.stack
    rig.server = Server('127.0.0.1')
    s.ctl('endpoint', 'add', 'keys', '--team', 'demo', '--host', '127.0.0.1',
          '--port', str(rig.server.port), '--allow-clear')
    s.ctl('settings', 'set', '--team', 'demo', 'attended.consent=off')
    return rig


def open_session(rig, name='keys', user='alice', **kw):
    c = rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                   f'{user}@{name}', rig.password, (rfb.RAW,), **kw)
    c.request(incremental=False)
    c.run_until(c.covered, 30)
    c.request()
    return c


def press(c):
    c.key(CONTROL, 1)
    c.key(DELETE, 1)
    c.send(struct.pack('>BBHII', 255, 0, 1, 0x41, 30))
    c.key(0x61, 1)
    c.key(0x61, 0)
    c.pointer(50, 60, 5)


def is_down(server):
    wait_until(lambda: server.down() == HELD, LATE_S, 'the keys to be down')


def is_up(server):
    wait_until(lambda: not server.down(), LATE_S,
               f'the keys to be up: {server.down()}')
    assert server.inputs[-1] == (5, 0, 50, 60), 'the pointer has moved'


def session_id(rig, name='keys'):
    return rig.stack.sql(
        'SELECT s.id FROM sessions s JOIN endpoints e ON e.id = '
        f"s.endpoint_id WHERE e.name = '{name}' AND s.ended_at IS NULL")[0][0]


def closes(rig, c):
    c.shutdown()


def by_command(rig, c):
    rig.stack.ctl('sessions', 'end', session_id(rig), 'maintenance')


def view_only(rig, c):
    rig.stack.ctl('sessions', 'view-only', session_id(rig), 'on')


def breaks_the_protocol(rig, c):
    c.send(b'\x77' * 8)


def recorder_dies(rig, c):
    for pid in recorder_pids(rig):
        os.kill(pid, signal.SIGKILL)


def endpoint_breaks_the_protocol(rig, c):
    rig.server.sockets[-1].sendall(b'\x77' * 8)


@pytest.mark.parametrize('how', [
    closes, by_command, view_only, breaks_the_protocol, recorder_dies,
    endpoint_breaks_the_protocol])
def test_is_let_go(rig, how):
    with open_session(rig) as c:
        press(c)
        is_down(rig.server)
        c.read_on()
        how(rig, c)
        is_up(rig.server)


def test_let_go_at_the_longest_duration(rig):
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  f'unattended.max_session_s={CAP_S}',
                  'unattended.warn_seconds=0')
    try:
        with open_session(rig) as c:
            press(c)
            is_down(rig.server)
            is_up(rig.server)
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.max_session_s=86400')


def test_let_go_when_a_page_closes(rig):
    with PagePeer(rig, 'alice@keys', rig.password) as p:
        p.open_desktop()
        p.request(area=(0, 0, W, H))
        p.read_rfb(16 + 4 * W * H)
        p.send_rfb(struct.pack('>BBHI', 4, 1, 0, DELETE) +
                   struct.pack('>BBHH', 5, 1, 50, 60))
        wait_until(lambda: rig.server.down() == {DELETE, ('buttons', 1)},
                   LATE_S, 'the key to be down')
        p.send({'type': 'end'})
        is_up(rig.server)


def test_let_go_although_it_waited_to_go_up(rig):
    """The viewer does not read, so its input waits; a key that it let go
    meanwhile must not stay down when that input is dropped."""
    busy = Server('127.0.0.1', draws=True)
    rig.stack.ctl('endpoint', 'add', 'busy', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(busy.port), '--allow-clear')
    try:
        with open_session(rig, 'busy', small_window=True) as c:
            c.key(DELETE, 1)
            wait_until(lambda: busy.down() == {DELETE}, LATE_S, 'Delete')
            for _ in range(60):     # more than the buffers on the way take
                c.request(incremental=False)

            def is_held_back():
                c.pointer(7, 7)
                time.sleep(0.3)
                seen = len(busy.inputs)
                c.pointer(8, 8)
                time.sleep(0.6)
                return len(busy.inputs) == seen
            wait_until(lambda: is_held_back() or None, LATE_S,
                       'input to be held back')
            # Delete waits behind the pointer
            c.key(DELETE, 0)
            c.close()
            wait_until(lambda: not busy.down(), LATE_S, 'Delete to be up')
    finally:
        busy.close()
        rig.stack.ctl('endpoint', 'remove', 'busy')


def test_x11vnc_holds_nothing(rig):
    desk = X11vnc(rig.stack).start()
    rig.stack.ctl('endpoint', 'add', 'x11vnc', '--team', 'demo',
                  *desk.direct_options())
    d = xdisplay.Display(desk.env['DISPLAY'])

    def held():
        return any(d.query_keymap())
    try:
        for how in ('closes', 'command'):
            with open_session(rig, 'x11vnc') as c:
                c.key(DELETE, 1)
                c.key(CONTROL, 1)
                wait_until(held, LATE_S, 'X to see the keys')
                c.read_on()
                if how == 'command':
                    rig.stack.ctl('sessions', 'end',
                                  session_id(rig, 'x11vnc'), 'bye')
                else:
                    closes(rig, c)
                wait_until(lambda: not held(), LATE_S, f'X to be free: {how}')
    finally:
        d.close()
        desk.stop()
        rig.stack.ctl('endpoint', 'remove', 'x11vnc')


def test_let_go_through_an_agent(rig, tmp_path):
    """The agent carries what the relay sends last."""
    s = rig.stack
    server = Server('127.0.0.1')
    agent = Agent(f'{s.build}/agent/relaycam-agent', str(tmp_path), [
        'attend', '--relay', f'localhost:{s.ports.web}', '--ca',
        s.path('ca.pem'), '--display', f'127.0.0.1:{server.port}', '--state',
        str(tmp_path)])
    try:
        code = ''.join(wait_until(lambda: re.search(
            r'(\d{3}) (\d{3}) (\d{3})', agent.out()), 30, 'the code').groups())
        with open_session(rig, code) as c:
            press(c)
            is_down(server)
        is_up(server)
    finally:
        agent.stop()
        server.close()


def test_let_go_when_the_relay_stops(rig):
    """SIGTERM: after drain_seconds sessions end."""
    with open_session(rig) as c:
        press(c)
        is_down(rig.server)
        c.read_on()
        process(rig, 'relay').send_signal(signal.SIGTERM)
        is_up(rig.server)
    assert process(rig, 'relay').wait(60) == 0
