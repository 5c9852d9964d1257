"""TigerVNC's viewer with each quality, compression level, encoding and number
of colours, the relay's page with each of its qualities, and x11vnc with
options that change what it sends: the session works, and the recording shows
what the technician saw. Run by tests/viewers/run. X6, T1."""
import numpy as np
import pytest
from process import wait_until
from test_matrix import (  # noqa: F401
    CLICK, TEXT, Matrix, changed, check_recording, matrix, wait_painted)

import endpoints
import paths
import viewers

# JPEG of the lowest quality, and eight colours, are far from the desktop, but
# no other picture is as near
LIKE = 0.7


def like(seen, desk, box):
    """The same picture, however coarse."""
    if seen is None or seen.shape != desk.shape or seen[box].std() == 0:
        return False
    return np.corrcoef(seen[box].ravel(), desk[box].ravel())[0, 1] > LIKE


def work(viewer, desk):
    """Types and clicks; returns the technician's last picture and the part of
    it that this changed."""
    everything = (slice(None), slice(None))
    before = desk.picture()
    assert before.std() > 30, 'a picture of one colour proves nothing'
    wait_until(lambda: like(viewer.picture(), before, everything), 60,
               'the desktop in the viewer', viewer.process)
    at = desk.heard()
    viewer.click(*CLICK)
    wait_until(lambda: desk.clicks(at), 30, 'the click', viewer.process)
    viewer.type(TEXT)
    viewer.enter()
    wait_until(lambda: len(desk.typed(at)) > len(TEXT), 30, 'the text',
               viewer.process)
    assert desk.typed(at) == TEXT + '\r'
    box = wait_painted(desk, before)
    after = desk.picture()
    # a line that is full makes box a tall one: only what differs counts
    new = np.abs(after - before) > 1
    assert not like(before, after, new), 'it would be alike without it'
    wait_until(lambda: like(viewer.picture(), after, new), 60,
               'what was typed, in the viewer', viewer.process)
    return settled(viewer), box


def settled(viewer):
    """Its picture, once it no longer gets sharper."""
    seen = [viewer.picture()]

    def stands():
        seen.append(viewer.picture())
        return len(seen) > 4 and all(np.array_equal(seen[-1], old)
                                     for old in seen[-5:-1])
    wait_until(stands, 60, 'a still picture', viewer.process)
    return seen[-1]


def a_session(matrix, way, viewer, folder):  # noqa: F811
    before = matrix.last_session()
    desk = way.ready()
    try:
        picture, box = work(viewer.start(), desk)
    finally:
        viewer.close()
    session = matrix.wait_ended(before)
    assert session['end_code'] == 'normal', session
    check_recording(matrix, session, picture, box, folder)
    way.over()


def tigervnc(matrix, server, options):  # noqa: F811
    way = matrix.path('direct', server)
    viewer = matrix.viewer('tigervnc', way, matrix.desk(server))
    viewer.options = ['-AutoSelect=0', *options]
    return way, viewer


SERVERS = ['xvnc', 'x11vnc']


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize('quality', range(10))
def test_each_quality(matrix, server, quality, tmp_path):  # noqa: F811
    a_session(matrix, *tigervnc(matrix, server, [
        '-PreferredEncoding=Tight', '-NoJPEG=0', f'-QualityLevel={quality}',
        '-CustomCompressLevel=1', f'-CompressLevel={9 - quality}']), tmp_path)


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize('encoding,compression', [
    *(('Tight', c) for c in range(10)), ('ZRLE', 0), ('ZRLE', 9)])
def test_each_compression_without_jpeg(matrix, server,  # noqa: F811
                                       encoding, compression, tmp_path):
    a_session(matrix, *tigervnc(matrix, server, [
        f'-PreferredEncoding={encoding}', '-NoJPEG=1',
        '-CustomCompressLevel=1', f'-CompressLevel={compression}']), tmp_path)


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize('encoding', ['Tight', 'ZRLE', 'Hextile', 'Raw'])
@pytest.mark.parametrize('colours', [0, 1, 2])
def test_each_number_of_colours(matrix, server, encoding,  # noqa: F811
                                colours, tmp_path):
    """8, 64 and 256."""
    a_session(matrix, *tigervnc(matrix, server, [
        f'-PreferredEncoding={encoding}', '-FullColor=0',
        f'-LowColorLevel={colours}']), tmp_path)


@pytest.mark.parametrize('server', endpoints.DESKS)
@pytest.mark.parametrize('quality', ['low', 'medium', 'high'])
def test_the_page_with_each_quality(matrix, server, quality,  # noqa: F811
                                    tmp_path):
    way = matrix.path('direct', server)
    viewer = matrix.viewer('novnc', way, matrix.desk(server))
    viewer.quality = quality
    a_session(matrix, way, viewer, tmp_path)
