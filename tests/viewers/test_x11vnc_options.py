"""x11vnc with options that make what it sends another picture than that of
its screen: smaller, turned, a part, with a cache below it. The session works,
and the recording shows what the technician saw. Run by tests/viewers/run. X6,
T1."""
import numpy as np
import pytest
from PIL import Image
from process import wait_until
from test_levels import like, settled
from test_matrix import (  # noqa: F401
    TEXT, check_recording, matrix, wait_painted)

import endpoints
import paths


class Desk(endpoints.X11vnc):
    """screen: the part of its picture that shows the screen."""
    NAME = 'x11vnc-as-is'
    PORT_OFFSET = 4

    def shown(self):
        """What it sends of its screen."""
        return self.picture()


class Half(Desk):
    NAME = 'x11vnc-half'
    PORT_OFFSET = 5
    options = '-scale', '1/2'

    def shown(self):
        whole = self.picture()
        return whole.reshape(whole.shape[0] // 2, 2, -1, 2).mean((1, 3))


class Uneven(Desk):
    """512 x 384 would be half; pixels are mixed."""
    NAME = 'x11vnc-uneven'
    PORT_OFFSET = 6
    options = '-scale', '0.7'

    def shown(self):
        whole = self.picture()
        size = int(whole.shape[1] * 0.7), int(whole.shape[0] * 0.7)
        return np.asarray(Image.fromarray(whole.astype(np.float32)).resize(
            size, Image.BOX), dtype=np.float64)


class Turned(Desk):
    NAME = 'x11vnc-turned'
    PORT_OFFSET = 7
    options = '-rotate', '90'

    def shown(self):
        return np.rot90(self.picture(), -1)


class Clipped(Desk):
    NAME = 'x11vnc-clipped'
    PORT_OFFSET = 8
    options = '-clip', '640x480+100+50'

    def shown(self):
        return self.picture()[50:530, 100:740]


class Cached(Desk):
    """Its cache lies below the screen, as a part of the desktop."""
    NAME = 'x11vnc-cached'
    PORT_OFFSET = 9
    options = '-ncache', '4'


@pytest.mark.parametrize('kind', [Half, Uneven, Turned, Clipped, Cached])
def test_x11vnc(matrix, kind, tmp_path):  # noqa: F811
    desk = kind(matrix.stack).start()
    try:
        way = paths.Direct(matrix.stack, desk).prepare()
        a_session(matrix, way, desk, tmp_path)
    finally:
        desk.stop()


def a_session(matrix, way, desk, folder):  # noqa: F811
    before = matrix.last_session()
    viewer = matrix.viewer('libvncclient', way, desk)
    try:
        viewer.start()
        height, width = desk.shown().shape

        def seen():
            """The part that shows the screen, or None."""
            whole = viewer.picture()
            return None if whole is None else whole[:height, :width]
        everything = (slice(None), slice(None))
        wait_until(lambda: like(seen(), desk.shown(), everything), 60,
                   'the desktop in the viewer', viewer.process)
        at = desk.heard()
        viewer.click(width // 2, height // 2)
        wait_until(lambda: desk.clicks(at), 30, 'the click', viewer.process)
        old = desk.picture()
        viewer.type(TEXT)
        viewer.enter()
        wait_until(lambda: desk.typed(at) == TEXT + '\r', 30, 'the text',
                   viewer.process)
        wait_painted(desk, old)
        wait_until(lambda: like(seen(), desk.shown(), everything), 60,
                   'what was typed, in the viewer', viewer.process)
        picture = settled(viewer)
    finally:
        viewer.close()
    session = matrix.wait_ended(before)
    assert session['end_code'] == 'normal', session
    check_recording(matrix, session, picture, (slice(0, height),
                                               slice(0, width)), folder)
