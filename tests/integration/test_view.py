"""What the technician sees of a desktop: one monitor of three, at a rate, with
a warning over it, or without a hand on it. Exact pixels from a real Xvnc, by
a client of the tests' own and by TigerVNC's viewer. T10, T9, C3."""
import ctypes
import json
import os
import socket
import struct
import subprocess
import threading
import time

import demo
import numpy as np
import pytest
from process import run, wait_until

import media
import rfb_client as rfb

MONITORS = [(0, 0, 800, 600), (800, 0, 512, 800), (1312, 0, 512, 400)]
WHOLE = (0, 0, 1824, 800)
OFFERS = {
    'hextile': rfb.USUAL,
    'zrle': (rfb.ZRLE, rfb.COPYRECT, rfb.RAW, rfb.EXT_DESKTOP_SIZE,
             rfb.LAST_RECT, rfb.CURSOR),
    'continuous': (rfb.ZRLE, rfb.COPYRECT, rfb.RAW, rfb.EXT_DESKTOP_SIZE,
                   rfb.LAST_RECT, rfb.CURSOR, rfb.FENCE, rfb.CONTINUOUS),
}


def screen(endpoint):
    """The X screen: rows x columns x (R, G, B)."""
    r = subprocess.run(['xwd', '-root', '-silent'], env=endpoint.env, cwd='/',
                       capture_output=True, check=True)
    head = np.frombuffer(r.stdout, '>u4', 25)
    width, height, line = int(head[4]), int(head[5]), int(head[12])
    start = int(head[0]) + 12 * int(head[19])
    rows = np.frombuffer(r.stdout, np.uint8, line * height, start)
    return rows.reshape(height, line)[:, :4 * width].reshape(
        height, width, 4)[:, :, 2::-1]


def part(picture, area):
    x, y, w, h = area
    return picture[y:y + h, x:x + w]


def session_row(rig):
    return rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]


def command(rig, name, value):
    said = rig.stack.sql(f"SELECT session_command(NULL, "
                         f"'{session_row(rig)['id']}', '{name}', '{value}')")
    assert said == [['']], said


def connect(rig, login='alice@desk1', offer='hextile', **kw):
    return rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'), login,
                      rig.password, OFFERS[offer], **kw)


def begin(client):
    """Everything once; then as its offer allows, by requests or not."""
    client.request(incremental=False)
    client.run_until(client.covered)
    point(client)
    if rfb.CONTINUOUS in client.encodings:
        client.run_until(lambda: client.ends == 1, what='the announcement')
        client.continuous(True)


def show(rig, client, monitor):
    command(rig, 'monitor', monitor)
    area = MONITORS[monitor - 1] if monitor else WHOLE
    client.run_until(lambda: (client.width, client.height) == area[2:],
                     what='the new size')
    client.forget()
    if client.is_continuous:
        client.continuous(True)
    point(client)
    return area


def point(client):
    """A pointer that the viewer put where it is, the viewer draws; Xvnc
    paints one that is elsewhere, so not where no monitor is either, and
    wipes that when it moves."""
    right = min(client.width, MONITORS[1][0] + MONITORS[1][2])
    client.pointer(right - 9, client.height - 9)
    client.pointer(right - 5, client.height - 5)


def different(rig, client, area):
    """Where the client's picture is not that part of the X screen. The
    pointer is left out: Xvnc paints it for a while after it was moved."""
    differs = (client.picture != part(screen(rig.endpoint), area)).any(axis=2)
    x, y = client.pointer_at
    differs[max(y - 16, 0):y + 24, max(x - 16, 0):x + 24] = False
    return differs


def wait_exact(rig, client, area, mask=None, timeout_s=10):
    """Until the client's picture is that part of the X screen, pixel by
    pixel, outside of mask."""
    end = time.monotonic() + timeout_s
    while True:
        client.run_for(0.05)
        differs = different(rig, client, area)
        if mask is not None:
            x, y, w, h = mask
            differs[y:y + h, x:x + w] = False
        if not differs.any():
            return
        if time.monotonic() > end:
            ys, xs = np.nonzero(differs)
            raise AssertionError(
                f'{len(ys)} pixels differ, from {xs.min()},{ys.min()} to '
                f'{xs.max()},{ys.max()}')


@pytest.fixture(scope='module')
def desk(rig):
    """Three monitors, on which nothing moves by itself."""
    e = rig.endpoint
    e.xdotool('windowkill', e.clock)
    with connect(rig) as c:
        begin(c)
        c.set_desktop_size(*WHOLE[2:], MONITORS)
        c.run_until(lambda: len(c.screens) == 3, what='three screens')
    return rig


def paint(rig, colour):
    run(['xsetroot', '-solid', colour], rig.stack.user, rig.endpoint.env)


# --- one monitor -------------------------------------------------------------

@pytest.mark.parametrize('offer', OFFERS)
def test_switching_shows_each_monitor_exactly(desk, offer):
    with connect(desk, offer=offer) as c:
        begin(c)
        for n, monitor in enumerate((2, 3, 1, 0, 3, 2, 0)):
            area = show(desk, c, monitor)
            before = len(c.rects)
            paint(desk, f'#{40 + n}4858')
            c.run_until(c.covered)
            wait_exact(desk, c, area)
            # none outside, or the client would have said so; some at all
            assert len(c.rects) > before
            if monitor:
                assert c.screens == [(0, 0, *area[2:])]
                assert not any(r[1] == rfb.COPYRECT for r in c.rects[before:])
            else:
                assert c.screens == MONITORS
        assert c.ends <= 1      # the relay's own never reach it


def test_window_moved_on_the_monitor(desk):
    """What would be CopyRect, within and across the monitor's border."""
    with connect(desk, offer='zrle') as c:
        begin(c)
        area = show(desk, c, 2)
        for x, y in ((700, 50), (820, 90), (900, 300), (1100, 200), (60, 60)):
            desk.endpoint.xdotool('windowmove', desk.endpoint.terminal,
                                  str(x), str(y))
            wait_exact(desk, c, area)


def test_pointer_is_on_the_monitor(desk):
    with connect(desk) as c:
        begin(c)
        show(desk, c, 3)
        for x, y, want in ((10, 20, (1322, 20)), (600, 500, (1823, 399))):
            c.pointer(x, y)
            wait_until(lambda: mouse(desk) == want, 5, f'pointer at {want}')


def mouse(rig):
    words = rig.endpoint.xdotool('getmouselocation').split()
    return int(words[0][2:]), int(words[1][2:])


def test_monitor_in_the_login_name(desk):
    with connect(desk, 'alice@desk1+2') as c:
        c.request(incremental=False)
        c.run_until(lambda: c.width == 512, what='monitor 2')
        point(c)
        wait_exact(desk, c, MONITORS[1])
        wait_until(lambda: desk.stack.sql(
            'SELECT monitor FROM sessions ORDER BY started_at DESC LIMIT 1')
            [0][0] == '2', 5, 'the row')


def test_unknown_monitor_changes_nothing(desk):
    with connect(desk) as c:
        begin(c)
        command(desk, 'monitor', 7)
        show(desk, c, 1)
        sizes = len(c.sizes)
        command(desk, 'monitor', 4)
        c.run_for(1)
        assert set(c.sizes[sizes:]) <= {MONITORS[0][2:]}
        wait_exact(desk, c, MONITORS[0])


def test_wish_for_another_desktop_stays_here(desk):
    """SetDesktopSize of one monitor's viewer would throw the others away."""
    with connect(desk) as c:
        begin(c)
        show(desk, c, 2)
        c.set_desktop_size(300, 300, [(0, 0, 300, 300)])
        c.run_for(1)
        assert (c.width, c.height) == MONITORS[1][2:]
        show(desk, c, 0)
        assert c.screens == MONITORS


def test_tigervnc_shows_one_monitor(desk):
    v = desk.viewer('alice@desk1+2', screen='1400x900x24',
                    options=['-PreferredEncoding=ZRLE']).start()
    try:
        window = v.wait_for_window()

        def size():
            out = v.xdotool('getwindowgeometry', '--shell', window)
            return dict(line.split('=') for line in out.split())
        wait_until(lambda: (size()['WIDTH'], size()['HEIGHT']) ==
                   ('512', '800'), 15, 'a window of monitor 2')
        v.xdotool('mousemove', '--window', window, '500', '390')
        g = size()
        at = (int(g['X']), int(g['Y']), 512, 800)

        def is_exact():
            return (part(screen(v), at) ==
                    part(screen(desk.endpoint), MONITORS[1])).all()
        wait_until(is_exact, 15, 'monitor 2 in the window')
        command(desk, 'monitor', 3)
        wait_until(lambda: (size()['WIDTH'], size()['HEIGHT']) ==
                   ('512', '400'), 15, 'a window of monitor 3')
        at = (int(size()['X']), int(size()['Y']), 512, 400)

        def is_exact(rows=0):
            return (part(screen(v), at)[rows:] ==
                    part(screen(desk.endpoint), MONITORS[2])[rows:]).all()
        paint(desk, '#335577')
        wait_until(is_exact, 15, 'monitor 3 in the window')
        # it has continuous updates; they are metered, and go on after that
        for fps in (5, 0):
            command(desk, 'frame_rate', fps)
            paint(desk, f'#33557{fps}')
            wait_until(is_exact, 15, f'the picture at {fps} a second')
        command(desk, 'warn', 'Soon it is over.')
        wait_until(lambda: not is_exact(), 15, 'the banner')
        paint(desk, '#445566')
        wait_until(lambda: is_exact(rows=100), 15, 'what is below it')
        assert not is_exact()
    finally:
        v.close()


# --- the desktop changes -----------------------------------------------------

def xrandr(rig, *args):
    run(['xrandr', *args], rig.stack.user, rig.endpoint.env)


def layout(rig):
    """name -> (x, y, w, h) of each output that is on."""
    out = run(['xrandr', '--query'], rig.stack.user, rig.endpoint.env)
    found = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) > 2 and words[1] == 'connected' and '+' in words[2]:
            size, x, y = words[2].split('+')
            found[words[0]] = (int(x), int(y), *map(int, size.split('x')))
    return found


def test_rotation_of_the_viewed_monitor(desk):
    """Portrait to landscape and back, while monitor 2 is viewed."""
    with connect(desk) as c:
        begin(c)
        show(desk, c, 2)
        xrandr(desk, '--newmode', '800x512', '60', '800', '801', '802', '803',
               '512', '513', '514', '515')
        xrandr(desk, '--addmode', 'VNC-1', '800x512')
        xrandr(desk, '--output', 'VNC-2', '--pos', '1600x0', '--output',
               'VNC-1', '--mode', '800x512')
        area = layout(desk)['VNC-1']
        assert area[2:] == (800, 512)
        c.run_until(lambda: (c.width, c.height) == (800, 512),
                    what='landscape')
        point(c)
        wait_exact(desk, c, area)
        restore(desk, c)


def restore(rig, c):
    """Three monitors as they were, by a viewer that sees all of them."""
    command(rig, 'monitor', 0)
    c.run_until(lambda: len(c.screens) > 1 or c.width > 800,
                what='all monitors')
    c.run_for(1)
    c.set_desktop_size(*WHOLE[2:], MONITORS)
    c.run_until(lambda: c.screens == MONITORS, what='three monitors')


def test_vanished_monitor_gives_way_to_all(desk):
    with connect(desk) as c:
        begin(c)
        show(desk, c, 3)
        xrandr(desk, '--output', 'VNC-2', '--off')
        c.run_until(lambda: len(c.screens) == 2, what='two monitors')
        wait_until(lambda: desk.stack.sql(
            'SELECT monitor FROM sessions ORDER BY started_at DESC LIMIT 1')
            [0][0] == '0', 5, 'the row')
        point(c)
        c.run_for(0.5)
        wait_exact(desk, c, (0, 0, c.width, c.height))
        restore(desk, c)


# --- pace --------------------------------------------------------------------

@pytest.mark.parametrize('offer', ['hextile', 'continuous'])
def test_frame_rate(desk, offer):
    """5 a second, then as they come."""
    e = desk.endpoint
    film = desk.stack.spawn('film', [
        'xterm', '-geometry', '60x20+100+100', '-e',
        'while :; do date +%N; sleep 0.01; done'], env=e.env)
    try:
        with connect(desk, offer=offer) as c:
            begin(c)
            counts = {}
            for fps in (0, 5, 1, 0):
                command(desk, 'frame_rate', fps)
                c.run_for(1)
                at = len(c.updates)
                c.run_for(4)
                counts[fps] = sum(1 for _, drawn in c.updates[at:] if drawn)
            assert 12 <= counts[5] <= 22, counts
            assert 2 <= counts[1] <= 5, counts
            assert counts[0] >= 40, counts
    finally:
        film.stop(5)


# --- view only ---------------------------------------------------------------

class XState:
    """What is pressed at an X display."""

    def __init__(self, display):
        self.x = ctypes.CDLL('libX11.so.6')
        self.x.XOpenDisplay.restype = ctypes.c_void_p
        self.display = ctypes.c_void_p(
            self.x.XOpenDisplay(display.encode()))
        assert self.display

    def keys(self):
        buffer = ctypes.create_string_buffer(32)
        self.x.XQueryKeymap(self.display, buffer)
        return [8 * i + b for i, byte in enumerate(buffer.raw)
                for b in range(8) if byte >> b & 1]

    def close(self):
        self.x.XCloseDisplay(self.display)


def test_view_only(desk):
    e = desk.endpoint
    x = XState(e.display)
    try:
        with connect(desk) as c:
            begin(c)
            c.pointer(400, 400)
            wait_until(lambda: mouse(desk) == (400, 400), 5, 'the pointer')
            c.key(0xffe1, True)     # Shift stays down
            wait_until(x.keys, 5, 'a key')
            command(desk, 'view_only', 'on')
            wait_until(lambda: not x.keys(), 5, 'the key to be released')
            c.key(0x61, True)
            c.key(0x61, False)
            c.pointer(500, 500)
            c.cut_text('never')
            command(desk, 'view_only', 'off')
            wait_until(lambda: desk.stack.sql(
                'SELECT view_only FROM sessions ORDER BY started_at DESC '
                'LIMIT 1')[0][0] in ('f', False), 5, 'the row')
            assert mouse(desk) == (400, 400)
            c.pointer(410, 420)
            wait_until(lambda: mouse(desk) == (410, 420), 5, 'the pointer')
            assert not x.keys()
    finally:
        x.close()


# --- warnings ----------------------------------------------------------------

def difference(rig, client, area):
    """x, y, w, h of what differs from the X screen; None: nothing."""
    ys, xs = np.nonzero(different(rig, client, area))
    if not len(ys):
        return None
    return (int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1,
            int(np.ptp(ys)) + 1)


@pytest.mark.parametrize('offer,monitor', [('hextile', 0), ('zrle', 2),
                                           ('continuous', 0)])
def test_banner(desk, tmp_path, offer, monitor):
    """It shows, survives what is drawn under it, and goes without a trace;
    the recording never had it."""
    with connect(desk, offer=offer) as c:
        begin(c)
        area = show(desk, c, monitor) if monitor else WHOLE
        paint(desk, '#304858')
        wait_exact(desk, c, area)
        bells = c.bells
        shown_at = time.monotonic()
        command(desk, 'warn', 'This session ends in two minutes.')
        c.run_until(lambda: c.bells > bells, what='the bell')
        c.run_for(0.5)
        box = difference(desk, c, area)
        assert box and box[2] <= area[2] * 0.6 and box[3] <= area[3] / 4
        banner = part(c.picture, box).copy()
        for n in range(5):      # under it, over and over
            paint(desk, f'#{50 + n}4858')
            wait_exact(desk, c, area, mask=box)
            c.run_for(0.2)
            assert difference(desk, c, area) == box
        assert (part(c.picture, box) == banner).mean() > 0.99
        desk.endpoint.xdotool('windowmove', desk.endpoint.terminal, '300',
                              '20')
        c.run_for(0.5)
        wait_exact(desk, c, area, mask=box)
        assert difference(desk, c, area) == box
        shot = part(screen(desk.endpoint), area)
        wait_exact(desk, c, area, timeout_s=35)     # 30 s, then it is gone
        assert 25 < time.monotonic() - shown_at < 36
        session = session_row(desk)['id']
    row = demo.wait_available(desk.stack, session)[-1]
    path = desk.stack.path('tmp', 'r.webm')
    desk.stack.ctl('recordings', 'fetch', row['id'], '--output', path, '--ca',
                   desk.stack.path('ca.pem'))
    # a frame out of the time in which it showed
    png = str(tmp_path / 'frame.png')
    run(['ffmpeg', '-v', 'error', '-y', '-sseof', '-12', '-i', path,
         '-frames:v', '1', png])
    os.unlink(path)
    want = shot.astype(float) @ [0.299, 0.587, 0.114]
    assert media.psnr(part(media.luma(png), box), part(want, box)) >= 40


# --- the end -----------------------------------------------------------------

class OneShot(threading.Thread):
    """A VNC server without a password that sends one large picture and
    hangs up."""
    SIZE = (1600, 1000)

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        s, _ = self.listener.accept()
        with s:
            s.sendall(b'RFB 003.008\n')
            s.recv(12)
            s.sendall(b'\1\1')
            s.recv(1)
            s.sendall(b'\0\0\0\0')
            s.recv(1)
            w, h = self.SIZE
            s.sendall(struct.pack('>HH', w, h) + rfb.FORMAT +
                      struct.pack('>I', 3) + b'one')
            got = b''
            while b'\3\0' + struct.pack('>HHHH', 0, 0, w, h) not in got:
                got += s.recv(4096)
            s.sendall(struct.pack('>BxHHHHHi', 0, 1, 0, 0, w, h, rfb.RAW) +
                      bytes([10, 20, 30, 0]) * (w * h))


def test_last_bytes_of_the_endpoint_arrive(desk):
    """It hangs up while much is on its way to a viewer that does not read
    yet."""
    server = OneShot()
    server.start()
    desk.stack.ctl('endpoint', 'add', 'oneshot', '--team', 'demo', '--host',
                   '127.0.0.1', '--port', str(server.port), '--allow-clear')
    with connect(desk, 'alice@oneshot', small_window=True) as c:
        c.auto = False
        c.request(incremental=False)
        server.join(10)
        assert not server.is_alive()
        c.run_until(c.covered)
        assert (c.picture == (30, 20, 10)).all()
        with pytest.raises(EOFError):
            c.run_for(5)
    rows = desk.stack.sql('SELECT end_code FROM sessions ORDER BY started_at '
                          'DESC LIMIT 1')
    assert rows[0][0] == 'endpoint'


# --- the recording -----------------------------------------------------------

def fetch(rig, row, path):
    stored = rig.stack.path('tmp', 'r.webm')
    rig.stack.ctl('recordings', 'fetch', row['id'], '--output', stored,
                  '--ca', rig.stack.path('ca.pem'))
    os.rename(stored, path)
    return path


def test_recording_shows_what_was_viewed(desk, tmp_path):
    """A file a monitor, with that monitor's pixels and nothing else; frames
    are numbered through all of them. T10, T11, X2."""
    with connect(desk, offer='zrle') as c:
        begin(c)
        shots = []
        for monitor in (0, 2, 3):
            area = show(desk, c, monitor) if monitor else WHOLE
            paint(desk, f'#2f48{60 + monitor}')
            wait_exact(desk, c, area)
            c.run_for(1)
            shots.append(part(screen(desk.endpoint), area).astype(float) @
                         [0.299, 0.587, 0.114])
        session = session_row(desk)['id']
    rows = demo.wait_available(desk.stack, session)
    rows.sort(key=lambda r: r['first_frame'])
    assert [r['object_key'].split('/')[3] for r in rows] == [
        'monitor-1', 'monitor-2', 'monitor-3']
    for a, b in zip(rows, rows[1:]):
        assert b['first_frame'] == a['last_frame'] + 1
    for row, shot in zip(rows, shots):
        path = fetch(desk, row, str(tmp_path / 'r.webm'))
        p = media.probe(path)
        assert (p['height'], p['width']) == shot.shape
        got = media.last_frame(path, str(tmp_path / 'last.png'))
        assert media.psnr(got, shot) >= 40


def test_recording_keeps_the_rate(desk, tmp_path):
    """4 a second are in the file, from the change on. T10."""
    film = desk.stack.spawn('film', [
        'xterm', '-geometry', '60x20+100+100', '-e',
        'while :; do date +%N; sleep 0.01; done'], env=desk.endpoint.env)
    try:
        with connect(desk) as c:
            begin(c)
            c.run_for(1)
            command(desk, 'frame_rate', 4)
            c.run_for(5)
            session = session_row(desk)['id']
    finally:
        film.stop(5)
    rows = demo.wait_available(desk.stack, session)
    path = fetch(desk, rows[-1], str(tmp_path / 'r.webm'))
    times = media.frame_times(path)
    last = [t for t in times if t >= times[-1] - 3]
    assert 9 <= len(last) <= 14, times
