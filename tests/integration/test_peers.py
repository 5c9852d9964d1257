"""Peers that work together without a relay work together through it, whatever
they leave out and whatever they take for granted: TightVNC's Xvnc, x11vnc,
QEMU; viewers on libvncclient. X6, T1, T4."""
import io
import os
import struct
import zlib

import demo
import numpy as np
import pytest
import rfb_client as rfb
from PIL import Image
from process import wait_until

import endpoints
import media
import viewers
from conftest import make_rig
from paths import Agent
from peers import RAW, TIGHT, Scripted, Xtightvnc, compact, rect
from test_access import refusal
from test_screen_size import answers

COLOUR = (0x2f, 0x48, 0x58)
GREEN = (30, 160, 60)


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request)
    rig.stack.start()
    rig.password = demo.ensure_demo_team(rig.stack, 'unused')
    return rig


@pytest.fixture(scope='module')
def tight(rig):
    return Xtightvnc(rig.stack, rig.stack.ports.relay + 60).start()


def add(rig, name, options):
    rig.stack.ctl('endpoint', 'add', name, '--team', 'demo', *options)


def connect(rig, endpoint, client=rfb.Client, **kw):
    return client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                  f'alice@{endpoint}', rig.password, **kw)


def show(c):
    """Until the whole desktop was drawn."""
    c.forget()
    c.request(incremental=False)
    c.run_until(c.covered, 60)


def last_session(rig, endpoint):
    return rig.stack.ctl_json('sessions', 'list', '--state', 'all',
                              '--endpoint', endpoint, '--limit', '1')[0]


def ended(rig, endpoint):
    def row():
        s = last_session(rig, endpoint)
        return s if s['ended_at'] else None
    return wait_until(row, 60, 'the end of the session')


def recorded_colour(rig, endpoint, folder):
    """Of the middle of the last frame, once the session is over."""
    row = ended(rig, endpoint)
    assert row['end_code'] == 'normal', row
    segment = demo.wait_available(rig.stack, row['id'], 120)[-1]
    webm = rig.stack.path('tmp', f'{segment["id"]}.webm')
    rig.stack.ctl('recordings', 'fetch', segment['id'], '--output', webm,
                  '--ca', rig.stack.path('ca.pem'))
    png = str(folder / 'last.png')
    media.last_frame(webm, png)
    picture = np.asarray(Image.open(png).convert('RGB'))
    return picture[picture.shape[0] // 2, picture.shape[1] // 3]


def is_near(a, b, by=12):
    return np.all(np.abs(np.asarray(a, int) - np.asarray(b, int)) <= by)


# --- messages for who announced them ----------------------------------------

def optional_messages(c):
    """All that a viewer may send only to a server that knows it."""
    c.set_desktop_size(1000, 700, [(0, 0, 1000, 700)])
    c.send(struct.pack('>BBHHHH', 150, 1, 0, 0, 10, 10))
    c.send(struct.pack('>B3xIB', 248, 0x80000001, 1) + b'x')
    c.send(struct.pack('>BBHII', 255, 0, 1, 0x61, 30))
    c.send(struct.pack('>BBHII', 255, 0, 0, 0x61, 30))
    c.send(struct.pack('>B3xiI', 6, -4, 0x01000001))
    c.send(struct.pack('>BBBB', 250, 0, 1, 2))
    c.send(struct.pack('>BBHH', 5, 0x80, 10, 10))
    c.send(struct.pack('>BBHH', 5, 0, 10, 10))


def test_nothing_optional_unannounced(rig, tight):
    """TightVNC's Xvnc closes at the first message it does not know."""
    add(rig, 'tight', tight.options())
    offer = (*rfb.USUAL, rfb.FENCE, rfb.CONTINUOUS, -258, -316)
    with connect(rig, 'tight', encodings=offer) as c:
        show(c)
        optional_messages(c)
        c.run_until(lambda: answers(c), 30, 'the answer to the resize')
        assert answers(c) == [(1, 1)]
        show(c)
        assert tuple(c.picture[5, 5]) == COLOUR
        assert (c.width, c.height) == tight.size
    assert ended(rig, 'tight')['end_code'] == 'normal'
    rows = wait_until(lambda: rig.stack.sql(
        "SELECT detail->>'value' FROM audit WHERE action = "
        "'session_command_refused' AND detail->>'command' = 'desktop_size'"),
        30, 'the wish in the audit log')
    assert rows == [['1000x700']], rows


def test_button_8_of_a_viewer_that_knows_more(rig):
    """Bit 7 alone, to an endpoint that was offered more buttons and has not
    confirmed them: it must not take the next byte for a part of it."""
    server = Scripted((320, 200), solid)
    add(rig, 'buttons', server.options())
    with connect(rig, 'buttons', encodings=(RAW, -316)) as c:
        show(c)
        c.send(struct.pack('>BBHH', 5, 0x81, 10, 10))
        c.key(0x61, 1)
        c.key(0x61, 0)
        wait_until(lambda: [m for m in server.got if m[0] == 4][1:], 30,
                   'the key')
        # while it is connected: what it holds is released at its end
        assert server.unknown is None
        assert [m for m in server.got if m[0] == 5] == [
            (5, struct.pack('>BHH', 1, 10, 10))]
    server.stop()


def solid(encodings):
    w, h = 320, 200
    r, g, b = GREEN
    return [rect(0, 0, w, h, RAW, bytes((b, g, r, 0)) * (w * h))]


class AskingAgent(Agent):
    """Somebody there is asked, and says yes at once."""

    def prepare(self):
        s = self.stack
        program = endpoints.own_copy(
            s, os.path.join(s.build, 'agent', 'relaycam-agent'))
        state = s.path('home', 'agent-asking')
        way = self.add('--consent', 'ask', '--allow-clear')
        endpoints.run([program, 'enroll', '--relay',
                       f'localhost:{s.ports.web}', '--ca', s.path('ca.pem'),
                       '--token', way['token'], '--state', state], s.user,
                      s.env)
        agent = s.spawn('agent-asking', [
            program, 'run', '--state', state, '--display',
            f'main=127.0.0.1:{self.desk.port}', '--set',
            'agent.consent_command=echo full', '--set',
            'agent.indicator_command=sleep 600'], env=s.env)
        self.wait_state('connected', agent)
        return self


def test_resize_after_the_waiting_picture(rig, tight):
    """The picture before consent gives the viewer the desktop's size without
    a promise that the endpoint takes another."""
    tight.NAME = 'asking'
    path = AskingAgent(rig.stack, tight).prepare()
    with connect(rig, path.endpoint) as c:
        c.request(incremental=False)
        c.run_until(lambda: (c.width, c.height) == tight.size, 60, 'the size')
        assert rfb.EXT_DESKTOP_SIZE not in [r[1] for r in c.rects]
        show(c)
        c.set_desktop_size(1000, 700, [(0, 0, 1000, 700)])
        c.run_until(lambda: answers(c), 30, 'the answer')
        show(c)
        assert tuple(c.picture[5, 5]) == COLOUR
    assert ended(rig, path.endpoint)['end_code'] == 'normal'


# --- Tight's other forms ----------------------------------------------------

@pytest.mark.parametrize('also', [None, '-317'])
def test_compression_level_0(rig, tmp_path, also):
    """x11vnc then leaves deflate out: not for a viewer that did not say that
    it knows this; for one that did it is recorded as any other form."""
    desk = endpoints.X11vnc(rig.stack).start()
    name = 'level0-plain' if also else 'level0'
    try:
        rig.stack.ctl('endpoint', 'add', name, '--team', 'demo',
                      *desk.direct_options())
        v = viewers.LibVnc(Screenless(rig.stack), desk.SIZE, f'alice@{name}',
                           rig.password)
        v.options = {'LIBVNC_LEVEL': '0',
                     **({'LIBVNC_ALSO': also} if also else {})}
        v.start()
        wait_until(lambda: alike(v.picture(), desk.picture()), 60,
                   'the desktop in the viewer', v.process)
        v.close()
    finally:
        desk.stop()
    row = ended(rig, name)
    assert row['end_code'] == 'normal', row
    assert demo.wait_available(rig.stack, row['id'], 120)


class Screenless:
    def __init__(self, stack):
        self.stack = stack


def alike(a, b):
    return a is not None and a.shape == b.shape and media.psnr(a, b) > 40


WIDE, HIGH = 3840, 96


def wide_jpeg(encodings):
    b = io.BytesIO()
    Image.new('RGB', (WIDE, HIGH), GREEN).save(b, 'JPEG', quality=90)
    return [rect(0, 0, WIDE, HIGH, TIGHT,
                 b'\x90' + compact(len(b.getvalue())) + b.getvalue())]


def wide_copy(encodings):
    d = zlib.compress(bytes(GREEN) * (WIDE * HIGH))
    return [rect(0, 0, WIDE, HIGH, TIGHT, b'\x01' + compact(len(d)) + d)]


def wide_palette(encodings):
    d = zlib.compress(bytes((WIDE + 7) // 8 * HIGH))
    return [rect(0, 0, WIDE, HIGH, TIGHT, b'\x51\x01\x01' + bytes(
        (*GREEN, 0, 0, 0)) + compact(len(d)) + d)]


class TightClient(rfb.Client):
    """Lets libvncclient's rectangles pass without a look at them."""

    def _picture(self, encoding, x, y, w, h):
        assert encoding == TIGHT
        s = self.stream
        control = s.read(1)[0]
        if control >> 4 == 5:
            s.read(2 + 6)
        n, shift = 0, 0
        for i in range(3):
            byte = s.read(1)[0]
            n |= (byte if i == 2 else byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        s.read(n)
        self.fresh[y:y + h, x:x + w] = True


@pytest.mark.parametrize('picture', [wide_jpeg, wide_copy, wide_palette])
def test_wide_tight(rig, tmp_path, picture):
    """As servers of 4K screens send it."""
    server = Scripted((WIDE, HIGH), picture)
    name = picture.__name__
    add(rig, name, server.options())
    with connect(rig, name, TightClient, encodings=(TIGHT, RAW)) as c:
        show(c)
    assert is_near(recorded_colour(rig, name, tmp_path), GREEN)
    server.stop()


# --- refused in words -------------------------------------------------------

ANONYMOUS = 'tls-creds-anon,id=anon,endpoint=server'


@pytest.mark.parametrize('name,vnc,objects,words', [
    ('sasl', 'sasl', (), ('20',)),
    ('anonymous', 'tls-creds=anon', (ANONYMOUS,), ('257',)),
    ('anonymous-sasl', 'tls-creds=anon,sasl', (ANONYMOUS,), ('264',))])
def test_qemu_logins_that_are_refused(rig, name, vnc, objects, words):
    desk = endpoints.Qemu(rig.stack)
    desk.NAME = f'qemu-{name}'
    argv = [x for o in objects for x in ('-object', o)]
    process = desk.boot(*argv, '-vnc', f'127.0.0.1:{desk.port - 5900},{vnc}')
    try:
        wait_until(lambda: endpoints.tcp_answers(desk.port), 60, 'QEMU',
                   process)
        add(rig, name, ['--host', '127.0.0.1', '--port', str(desk.port)])
        why = refusal(rig, f'alice@{name}', rig.password)
    finally:
        desk.stop()
    assert 'the endpoint' in why, why
    for word in words:
        assert word in why, why
