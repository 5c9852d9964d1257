"""A technician whose viewer is made to hide what it saw or did. What the
desktop shows decides what has to be in the recording. T1, X2, X4, T10."""
import os
import signal
import struct
import time

import demo
import numpy as np
import pytest
from counter import Counter, read
from conftest import make_rig
from delay import Delay
from hostile import (PADDING, repeat_format, set_format, switch_format,
                     type_text)
from look import read_counter
from process import wait_until
from test_faults import recorder_pids

import endpoints
import media
from rfb_client import (COPYRECT, EXT_DESKTOP_SIZE, FENCE, CONTINUOUS, FORMAT,
                        HEXTILE, LAST_RECT, RAW, RRE, ZRLE, Client)

ALIKE = 28      # decibels
COARSE = 17     # the same in 256 colours; misread, it is black: under 10


class Place:
    """A stack, and desks that are started when first asked for."""

    def __init__(self, rig):
        self.rig, self.stack, self.password = rig, rig.stack, rig.password
        self.desks, self.added = {}, set()

    def desk(self, name):
        if name not in self.desks:
            self.desks[name] = endpoints.DESKS[name](self.stack).start()
        return self.desks[name]

    def add(self, name, desk, port):
        """An endpoint for the desk behind a port of ours."""
        options = desk.direct_options()
        options[options.index('--port') + 1] = str(port)
        self.stack.ctl('endpoint', 'add', name, '--team', 'demo', *options)

    def endpoint(self, desk):
        if desk.NAME not in self.added:
            self.add(desk.NAME, desk, desk.port)
            self.added.add(desk.NAME)
        return desk.NAME

    def client(self, endpoint, encodings=(RAW,)):
        return Client(self.stack.ports.relay, self.stack.path('ca.pem'),
                      f'alice@{endpoint}', self.password, encodings)

    def ended(self, endpoint):
        """The last session of the endpoint, over."""
        def look():
            row = self.stack.ctl_json('sessions', 'list', '--limit', '1')[0]
            return row if row['endpoint'] == endpoint and row['ended_at'] \
                else None
        return wait_until(look, 30, 'the end of the session')

    def files(self, session):
        """Local copies of the session's files, in order."""
        paths = []
        for s in demo.wait_available(self.stack, session['id'], 90):
            paths.append(self.stack.path('tmp', f'{s["id"]}.webm'))
            self.stack.ctl('recordings', 'fetch', s['id'], '--output',
                           paths[-1], '--ca', self.stack.path('ca.pem'))
        return paths


@pytest.fixture(scope='module')
def place(request):
    rig = make_rig(request, settings={'storage.scan_seconds': '1'})
    rig.stack.start()
    rig.password = demo.ensure_demo_team(rig.stack, 'unused')
    return Place(rig)


def frames(path, shape):
    """Luma of each frame."""
    r = media.run(['ffmpeg', '-v', 'error', '-i', path, '-vf', 'format=rgb24',
                   '-vsync', 'passthrough', '-f', 'rawvideo', '-'])
    rgb = np.frombuffer(r.stdout, np.uint8).reshape(-1, *shape, 3)
    return [f.astype(np.float64) @ endpoints.LUMA for f in rgb]


# --- a format that the recorder would misread -------------------------------

def tricky_rounds(c, seconds):
    """Asks for everything; before the answer can be there the format changes,
    and back before the next request."""
    c.auto = False
    for n in range(6):
        c.forget()
        switch_format(c, PADDING, seconds * n / 3)
        c.run_until(c.covered, 20)


@pytest.mark.parametrize('delay_ms', [0, 20])
@pytest.mark.parametrize('encoding', [RAW, ZRLE])
@pytest.mark.parametrize('server', ['xvnc', 'x11vnc', 'qemu'])
def test_every_picture_is_read_as_it_was_drawn(place, server, encoding,
                                               delay_ms):
    desk = place.desk(server)
    name = f'{server}-{encoding}-{delay_ms}'
    with Delay(desk.port, delay_ms / 1000) as line:
        place.add(name, desk, line.port)
        with place.client(name, (encoding, RAW)) as c:
            try:
                tricky_rounds(c, max(delay_ms, 2) / 1000)
            except EOFError:
                pytest.fail(place.ended(name)['end_reason'])
        session = place.ended(name)
    assert session['end_code'] == 'normal', session
    expected = desk.picture()
    assert expected.std() > 30
    for path in place.files(session):
        recorded = frames(path, expected.shape)
        worst = min(media.psnr(f, expected) for f in recorded)
        assert worst > COARSE, (worst, len(recorded))


def test_a_format_reaches_the_endpoint_when_nothing_is_under_way(place):
    """An honest viewer, but with a request under way: it gets the new format,
    and its pictures stay right."""
    desk = place.desk('x11vnc')
    small = struct.pack('>BBBBHHHBBB3x', 16, 16, 0, 1, 31, 63, 31, 11, 5, 0)
    with place.client(place.endpoint(desk), (HEXTILE, RAW)) as c:
        c.auto = False
        c.request(incremental=False)
        c.run_until(c.covered, 20)
        c.request()         # nothing changes: it stays under way
        set_format(c, small)
        set_format(c, FORMAT)
        c.request(incremental=False)
        c.forget()
        c.run_until(c.covered, 20)
        assert media.psnr(c.picture.astype(np.float64) @ endpoints.LUMA,
                          desk.picture()) > ALIKE
    assert place.ended(desk.NAME)['end_code'] == 'normal'


# --- input without a picture ------------------------------------------------

def ask_nothing(c):
    pass


def ask_one_pixel(c):
    c.request(incremental=False, area=(0, 0, 1, 1))


def ask_small_continuous(c):
    """Only once the server has said that it knows continuous updates."""
    c.request(incremental=False, area=(0, 0, 16, 16))
    c.run_until(lambda: c.ends > 0, 20, 'the end of continuous updates')
    c.continuous(True, area=(0, 0, 16, 16))


BLIND = [('xvnc', ask_nothing), ('x11vnc', ask_nothing), ('qemu', ask_nothing),
         ('wayvnc', ask_nothing), ('xvnc', ask_one_pixel),
         ('x11vnc', ask_one_pixel), ('qemu', ask_one_pixel),
         ('xvnc', ask_small_continuous)]


@pytest.mark.parametrize('server,ask', BLIND)
def test_input_without_a_picture_is_recorded(place, server, ask):
    desk = place.desk(server)
    at = desk.heard()
    encodings = (RAW, EXT_DESKTOP_SIZE, LAST_RECT, FENCE, CONTINUOUS)
    with place.client(place.endpoint(desk), encodings) as c:
        c.auto = False
        ask(c)
        c.pointer(300, 200)
        type_text(c, 'evil')
        # a viewer that does not read does not act
        wait_until(lambda: c.run_for(0.2) or len(desk.typed(at)) >= 4, 20,
                   'the keys at the desktop')
        # painted, and time for the relay to ask for it
        c.run_for(2)
        assert ask is not ask_nothing or not c.updates
        expected = desk.picture()
    session = place.ended(desk.NAME)
    path, = place.files(session)
    last = media.last_frame(path, place.stack.path('tmp', 'last.png'))
    assert media.psnr(last, expected) > ALIKE
    # before it was typed, after, and the closing one
    assert media.probe(path)['frames'] >= 3


def test_whoever_asks_late_gets_all(place):
    """Its pictures were left out until then, and its zlib streams begin."""
    desk = place.desk('xvnc')
    with place.client(place.endpoint(desk), (ZRLE, HEXTILE, RAW)) as c:
        type_text(c, 'late')
        c.run_for(2)
        assert not c.updates
        c.forget()
        c.request(incremental=False)
        c.run_until(c.covered, 20)
        assert media.psnr(c.picture.astype(np.float64) @ endpoints.LUMA,
                          desk.picture()) > ALIKE
    assert place.ended(desk.NAME)['end_code'] == 'normal'


# --- a rate of one ----------------------------------------------------------

def test_full_requests_are_metered(place):
    desk = place.desk('xvnc')
    with place.client(place.endpoint(desk), (RAW, COPYRECT)) as c:
        c.auto = False
        c.request(incremental=False)
        c.run_until(c.covered, 20)
        session = place.stack.ctl_json('sessions', 'list', '--state',
                                       'active')[0]['id']
        place.stack.ctl('sessions', 'frame-rate', session, '1')
        c.run_for(1.5)
        c.updates.clear()
        begin = time.monotonic()
        while time.monotonic() < begin + 5:
            c.request(incremental=False, area=(0, 0, 64, 64))
            c.run_for(0.02)
        drawn = [u for u in c.updates if u[1] > 0]
        assert 2 <= len(drawn) <= (time.monotonic() - begin) + 2, len(drawn)
    place.ended(desk.NAME)


# --- while nobody records ---------------------------------------------------

class Persistent:
    """Asks for all but the last rows, repeats formats as each update begins,
    and notes which values of the counter it is shown."""

    def __init__(self, client):
        self.c, self.seen = client, []
        client.auto = False

    def run(self, done, timeout_s):
        c = self.c
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, 'it did not come to that'
            c.stream.deadline = time.monotonic() + timeout_s
            at = len(c.updates)
            c.message()
            if len(c.updates) == at:
                continue
            value = read_counter(c.picture)
            if value is not None:
                self.seen.append((value, time.monotonic_ns()))
            repeat_format(c)


@pytest.fixture
def counting(place):
    desk = place.desk('xvnc')
    counter = Counter(place.stack, desk.env)
    wait_until(counter.lines, 10, 'the counter', counter.process)
    yield desk
    counter.stop()


def test_nothing_is_shown_while_nobody_records(place, counting):
    desk = counting
    with place.client(place.endpoint(desk), (HEXTILE, RRE, RAW)) as c:
        h = Persistent(c)
        c.request(incremental=False)
        h.run(lambda: len(h.seen) > 8, 30)
        session = place.stack.ctl_json('sessions', 'list', '--state',
                                       'active')[0]
        pid, = recorder_pids(place.rig)
        dead = place.rig.log('relay').count('recording_resumed')
        os.kill(pid, signal.SIGKILL)
        h.run(lambda: place.rig.log('relay').count('recording_resumed') >
              dead, 40)
        n = len(h.seen)
        h.run(lambda: len(h.seen) > n + 8, 30)
    session = place.ended(desk.NAME)
    assert session['end_code'] == 'normal'
    paths = place.files(session)
    recorded = {v for p in paths for v in read(p, 4, 4) if v is not None}
    gaps = place.stack.sql(
        'SELECT from_mono_ns, to_mono_ns, why FROM gaps WHERE session_id = '
        f"'{session['id']}'")
    assert [g[2] for g in gaps] == ['recorder_restart'], gaps
    begin, end = int(gaps[0][0]), int(gaps[0][1])
    lost = [(v, at) for v, at in h.seen if v not in recorded]
    stood = [(v, at) for (v, at), (_, until) in zip(h.seen, h.seen[1:])
             if until - at > 200_000_000]
    # what stood and is not recorded was shown in the gap that is stated
    assert [v for v, at in stood if v not in recorded and
            not begin <= at <= end] == [], (lost, begin, end)
    rows = place.stack.sql("SELECT count(*) FROM segments WHERE status = "
                           f"'recording' AND session_id = '{session['id']}'")
    assert rows == [['0']]


def test_the_technician_sees_words_instead_of_a_frozen_picture(request):
    """The desktop's server stands still, so no recorder can join: the screen
    is black with a banner, and the budget ends the session."""
    rig = make_rig(request, settings={'storage.scan_seconds': '1',
                                      'relay.unrecorded_seconds': '6'})
    rig.start()
    with Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                'alice@desk1', rig.password, (HEXTILE, RRE, RAW)) as c:
        c.request(incremental=False)
        c.run_until(c.covered, 20)
        c.run_for(1)
        pid, = recorder_pids(rig)
        rig.endpoint.process.send_signal(signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            c.run_until(lambda: not c.picture[c.height // 2:].any() and
                        c.picture[:c.height // 4].any(), 20,
                        'a black screen with a banner')
            with pytest.raises((EOFError, OSError)):
                c.run_for(30)
        finally:
            rig.endpoint.process.send_signal(signal.SIGCONT)
    row = wait_until(lambda: [
        s for s in rig.stack.ctl_json('sessions', 'list') if s['ended_at']],
        20, 'the end')[0]
    assert row['end_code'] == 'error' and 'record' in row['end_reason'], row
