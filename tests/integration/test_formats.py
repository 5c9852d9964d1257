"""Whatever pixel format an endpoint has and a viewer asks for, what is seen is
what is recorded. X6, T1."""
import struct

import demo
import numpy as np
import pytest
import rfb_client as rfb

import endpoints
import media
from peers import RAW, TIGHT, Xtightvnc
from test_peers import (COLOUR, add, connect, ended, is_near,
                        recorded_colour, rig, show)  # noqa: F401


def test_endpoint_with_a_colour_map(rig, tmp_path):
    """It is asked for true colour before its first picture, also when the
    viewer is content with what the relay says."""
    desk = Xtightvnc(rig.stack, rig.stack.ports.relay + 61, depth=8,
                     size=(640, 480)).start()
    add(rig, 'mapped', desk.options())
    with connect(rig, 'mapped', Silent) as c:
        show(c)
        assert is_near(c.picture[5, 5], COLOUR)
    assert is_near(recorded_colour(rig, 'mapped', tmp_path), COLOUR)


class Silent(rfb.Client):
    """Content with the format of ServerInit, as TigerVNC's viewer is."""

    def set_format(self):
        pass


def wire(bits, depth, true, maxima, shifts, big=0):
    return struct.pack('>BBBBHHHBBB3x', bits, depth, big, true, *maxima,
                       *shifts)


M8 = (255, 255, 255)
# As viewers ask: SSVNC -use8 and -use64, UltraVNC, TigerVNC's low colours;
# 32 bits of depth, with which servers disagree about ZRLE and Tight
FORMATS = {
    'ssvnc8': wire(8, 8, 1, (2, 2, 2), (0, 1, 2)),
    'ssvnc64': wire(8, 8, 1, (3, 3, 3), (0, 2, 4)),
    'ultra8': wire(8, 3, 1, (1, 1, 1), (2, 1, 0)),
    'bgr233': wire(8, 8, 1, (7, 7, 3), (0, 3, 6)),
    'rgb444': wire(16, 12, 1, (15, 15, 15), (8, 4, 0)),
    'rgb565be': wire(16, 16, 1, (31, 63, 31), (11, 5, 0), 1),
    'rgb101010': wire(32, 30, 1, (1023, 1023, 1023), (20, 10, 0)),
    'depth32': wire(32, 32, 1, M8, (16, 8, 0)),
    'map8': wire(8, 8, 0, (0, 0, 0), (0, 0, 0)),
}


class AnyFormat(rfb.Client):
    """Reads pictures as Raw alone; keeps the colour map it was sent."""
    form = None
    colour_map = None

    def set_format(self):
        self.send(b'\0\0\0\0' + self.form)

    def message(self):
        if self.stream.need(1) is None and self.stream.buffer[0] == 1:
            first, n = self.stream.unpack('>xxHH')
            entries = self.stream.unpack('>%dH' % (3 * n))
            self.colour_map = np.reshape(entries, (n, 3)) >> 8
            assert first == 0
            return
        super().message()

    def _picture(self, encoding, x, y, w, h):
        assert encoding == RAW, 'what is offered besides depends on formats'
        size = self.form[0] // 8
        if self.form[3] == 0:
            assert self.colour_map is not None, 'a picture before its map'
        self.raw = self.stream.read(w * h * size)
        self.fresh[y:y + h, x:x + w] = True


@pytest.fixture(scope='module')
def x11vnc(rig):
    desk = endpoints.X11vnc(rig.stack).start()
    rig.stack.ctl('endpoint', 'add', 'formats', '--team', 'demo',
                  *desk.direct_options())
    endpoints.run(['xsetroot', '-solid', '#ffffff'], rig.stack.user, desk.env)
    yield desk
    desk.stop()


@pytest.mark.parametrize('form', FORMATS)
def test_format(rig, x11vnc, tmp_path, form):
    """White is white in the recording, whatever the viewer asks for."""
    client = type('Form', (AnyFormat,), {'form': FORMATS[form]})
    with connect(rig, 'formats', client, encodings=(RAW,)) as c:
        show(c)
        if form == 'map8':
            assert len(c.colour_map) == 256
            assert is_near(c.colour_map[c.raw[-1]], (255, 255, 255))
    row = ended(rig, 'formats')
    assert row['end_code'] == 'normal', row
    segment = demo.wait_available(rig.stack, row['id'], 120)[-1]
    webm = rig.stack.path('tmp', f'{segment["id"]}.webm')
    rig.stack.ctl('recordings', 'fetch', segment['id'], '--output', webm,
                  '--ca', rig.stack.path('ca.pem'))
    picture = media.last_frame(webm, str(tmp_path / 'last.png'))
    assert picture[-5, -5] > 240   # luma


def test_depth_32_with_every_encoding(rig, x11vnc):
    """x11vnc packs ZRLE's pixels in 3 bytes then, the specification says 4:
    neither Tight nor ZRLE is asked for."""
    class Depth32(rfb.Client):
        def set_format(self):
            self.send(b'\0\0\0\0' + FORMATS['depth32'])

    with connect(rig, 'formats', Depth32,
                 encodings=(TIGHT, rfb.ZRLE, *rfb.USUAL)) as c:
        show(c)
        assert tuple(c.picture[-5, -5]) == (255, 255, 255)
        assert not {TIGHT, rfb.ZRLE} & {r[1] for r in c.rects}
    assert ended(rig, 'formats')['end_code'] == 'normal'
