"""Any viewer, any endpoint, any path: each combination logs in, shows the
desktop, carries keyboard and pointer to it, ends with its viewer, and leaves
a recording that plays and shows the desktop. X6, T1.

All of it real: servers of endpoints.py, viewers of viewers.py."""
import shutil

import demo
import numpy as np
import pytest
from conftest import make_rig
from process import wait_until

import endpoints
import media
import paths
import viewers

TEXT = 'Relay 42, cam!'
CLICK = (300, 200)
# decibels: JPEG and lossy VP9 stay above, another picture stays under 15
ALIKE = 28


class Matrix:
    """A stack, its four desktops and the paths to them (each started when
    first asked for) and a screen for viewers."""

    def __init__(self, rig, screen):
        self.stack = rig.stack
        self.password = rig.password
        self.screen = screen
        self.desks = {}
        self.paths = {}

    def desk(self, name):
        if name not in self.desks:
            self.desks[name] = endpoints.DESKS[name](self.stack).start()
        return self.desks[name]

    def path(self, name, server):
        if (name, server) not in self.paths:
            self.paths[name, server] = paths.PATHS[name](
                self.stack, self.desk(server)).prepare()
        return self.paths[name, server]

    def viewer(self, name, path, desk):
        return viewers.VIEWERS[name](
            self.screen, desk.SIZE, f'alice@{path.endpoint}', self.password)

    def last_session(self):
        rows = self.stack.ctl_json('sessions', 'list', '--limit', '1')
        return rows[0] if rows else None

    def wait_ended(self, before):
        """The session that came after `before`, once it is over."""
        def ended():
            s = self.last_session()
            return s if s and s['ended_at'] and (
                before is None or s['id'] != before['id']) else None
        return wait_until(ended, 20, 'the end of the session')

    def fetch(self, segment, path):
        private = self.stack.path('tmp', 'fetched.webm')
        self.stack.ctl('recordings', 'fetch', segment['id'], '--output',
                       private, '--ca', self.stack.path('ca.pem'))
        shutil.move(private, path)
        return path


@pytest.fixture(scope='module')
def matrix(request):
    rig = make_rig(request)
    rig.stack.start()
    rig.password = demo.ensure_demo_team(rig.stack, 'unused')
    with viewers.Screen(rig.stack) as screen:
        yield Matrix(rig, screen)


def alike(a, b, box=(slice(None), slice(None))):
    return a is not None and a.shape == b.shape and \
        media.psnr(a, b) >= ALIKE and media.psnr(a[box], b[box]) >= ALIKE


def changed(a, b):
    """The rows and columns in which two pictures differ."""
    rows, columns = np.nonzero(np.abs(a - b) > 1)
    return (slice(rows.min(), rows.max() + 1),
            slice(columns.min(), columns.max() + 1))


def wait_shown(viewer, desk, what, box=(slice(None), slice(None))):
    """Until the viewer shows what the desktop shows."""
    wait_until(lambda: alike(viewer.picture(), desk.picture(), box), 20, what,
               viewer.process)


def use(viewer, desk):
    """Types and clicks as a technician; returns the desktop's last picture
    and the part of it that this changed."""
    before = desk.picture()
    assert before.std() > 30, 'a picture of one colour proves nothing'
    wait_shown(viewer, desk, 'the desktop in the viewer')
    at = desk.heard()
    viewer.click(*CLICK)
    wait_until(lambda: desk.clicks(at), 10, 'the click on the desktop',
               viewer.process)
    viewer.type(TEXT)
    viewer.enter()
    wait_until(lambda: len(desk.typed(at)) > len(TEXT), 10,
               'the text on the desktop', viewer.process)
    assert desk.typed(at) == TEXT + '\r'
    (x, y), = desk.clicks(at)
    assert abs(x - CLICK[0]) <= 1 and abs(y - CLICK[1]) <= 1, (x, y)
    box = wait_painted(desk, before)
    wait_shown(viewer, desk, 'what was typed, in the viewer', box)
    after = desk.picture()
    assert not alike(before, after, box), 'box would be alike without it'
    return after, box


def wait_painted(desk, before):
    """Until the desktop shows what it heard: notes come before paint. A
    letter is at least 8 pixels wide."""
    def box():
        now = desk.picture()
        b = changed(before, now) if np.any(np.abs(now - before) > 1) else None
        return b if b and b[1].stop - b[1].start >= 8 * len(TEXT) - 8 \
            else None
    return wait_until(box, 10, 'the text on the desktop\'s screen')


def check_recording(matrix, session, picture, box, folder):
    segments = demo.wait_available(matrix.stack, session['id'])
    assert len(segments) == 1
    path = matrix.fetch(segments[0], str(folder / 'recording.webm'))
    p = media.probe(path)
    assert (p['height'], p['width']) == picture.shape
    assert p['frames'] == segments[0]['frames'] > 1
    last = media.last_frame(path, str(folder / 'last.png'))
    assert alike(last, picture, box), (media.psnr(last, picture),
                                       media.psnr(last[box], picture[box]))


@pytest.mark.parametrize('viewer', viewers.VIEWERS)
@pytest.mark.parametrize('path', paths.PATHS)
@pytest.mark.parametrize('server', endpoints.DESKS)
def test_any(matrix, server, path, viewer, tmp_path):
    before = matrix.last_session()
    way = matrix.path(path, server)
    desk = way.ready()
    program = matrix.viewer(viewer, way, desk)
    try:
        picture, box = use(program.start(), desk)
    finally:
        program.close()
    session = matrix.wait_ended(before)
    assert session['end_code'] == 'normal', session
    assert session['path'] == path
    check_recording(matrix, session, picture, box, tmp_path)
    way.over()


def test_leaving_the_page_ends_the_session(matrix):
    """Browsers keep a page that was left, with its connection, to be shown
    again when the user comes back."""
    before = matrix.last_session()
    way = matrix.path('direct', 'xvnc')
    program = matrix.viewer('novnc', way, way.ready())
    try:
        program.start().page.driver.get('about:blank')
        assert matrix.wait_ended(before)['end_code'] == 'normal'
        program.page.driver.back()
        program.page.wait_view('ended')
    finally:
        program.close()
