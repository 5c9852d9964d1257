"""The WebM writer's own files, without a session around them: tools agree on
them, Chromium plays and seeks them, finished, growing, cut off and repaired.
X1, X4."""
import json
import os
import shutil
import subprocess

import conftest
import media
import pytest
from test_recording_plays import browser, play, site  # noqa: F401

FRAMES = 60
STEP_MS = 100
KEY_EVERY = 20
SIZE = (321, 203)


def tool(*args):
    """tests/unit/webm_make; what it printed."""
    path = os.path.join(conftest.BUILD, 'tests', 'unit', 'webm_make')
    r = subprocess.run([path, *map(str, args)], capture_output=True,
                       check=False)
    assert r.returncode == 0, r.stderr.decode()
    return json.loads(r.stdout)


@pytest.fixture(scope='module')
def finished(site):  # noqa: F811
    path = os.path.join(site[0], 'finished.webm')
    tool('make', path, FRAMES, STEP_MS)
    return path


@pytest.fixture(scope='module')
def growing(site):  # noqa: F811
    """A file whose writer was killed; lengths after each frame."""
    path = os.path.join(site[0], 'growing.webm')
    return path, tool('grow', path, FRAMES, STEP_MS)['ends']


def cut(growing, site, length, name):  # noqa: F811
    path = os.path.join(site[0], name)
    shutil.copy(growing[0], path)
    os.truncate(path, length)
    return path


def assert_whole(path, frames, duration_ms):
    """Every tool reads all of it, and none complains."""
    seen = media.probe(path)
    assert (seen['codec'], seen['frames']) == ('vp9', frames)
    assert (seen['width'], seen['height']) == SIZE
    assert abs(seen['duration'] * 1000 - duration_ms) <= 1
    media.mkvinfo_is_content(path)
    doc = json.loads(media.run(['mkvmerge', '-J', path]).stdout)
    assert doc['container']['recognized'] and doc['container']['supported']
    assert not doc['errors'] and not doc['warnings']
    assert [t['type'] for t in doc['tracks']] == ['video']
    assert doc['container']['properties']['duration'] == duration_ms * 10**6


def test_tools_agree_on_a_finished_file(finished):
    assert_whole(finished, FRAMES, FRAMES * STEP_MS)
    times = media.frame_times(finished)
    assert times == [n * STEP_MS / 1000 for n in range(FRAMES)]


def test_header_says_what_it_is(finished):
    doc = json.loads(media.run(['mkvmerge', '-J', finished]).stdout)
    properties = doc['container']['properties']
    assert properties['title'] == 'made by a test'
    assert properties['segment_uid'] == 'abcd' + '0' * 28
    assert properties['date_utc'] == '2026-01-01T00:00:00Z'
    assert properties['writing_application'].startswith('relaycam ')
    track = doc['tracks'][0]['properties']
    assert track['pixel_dimensions'] == '321x203'
    assert track['display_dimensions'] == '321x203'
    r = media.run(['ffprobe', '-v', 'error', '-of', 'json', '-show_streams',
                   '-show_format', finished])
    doc = json.loads(r.stdout)
    stream = doc['streams'][0]
    assert stream['color_range'] == 'tv'
    # BT.601 under either name: VP9's own header wins in some versions
    assert stream['color_space'] in ('smpte170m', 'bt470bg')
    assert stream['color_primaries'] == 'bt709'
    assert doc['format']['tags']['SESSION'] == '4711'


def test_cues_point_at_key_frames(finished):
    """A seek lands on the key frame before, by the cues."""
    for want, key in ((1.95, 0.0), (2.0, 2.0), (5.9, 4.0)):
        r = media.run(['ffprobe', '-v', 'error', '-read_intervals',
                       f'{want}%+#1', '-show_entries',
                       'packet=pts_time,flags', '-of', 'json', finished])
        packet = json.loads(r.stdout)['packets'][0]
        assert float(packet['pts_time']) == key
        assert packet['flags'].startswith('K')


def test_repair_of_cut_files(growing, site):  # noqa: F811
    """Cuts at frame borders, a byte beside them, and inside frames."""
    ends = growing[1]
    for n in (1, 2, 10, 19, 20, 21, 43, FRAMES):
        for more in (0, 1, 11) if n < FRAMES else (0,):
            path = cut(growing, site, ends[n - 1] + more, 'repair.webm')
            done = tool('repair', path)
            duration = (n - 1) * STEP_MS + 1
            assert (done['frames'], done['duration_ms']) == (n, duration)
            assert_whole(path, n, duration)
            assert tool('repair', path)['was_finished']


def test_cut_files_decode_without_repair(growing, site):  # noqa: F811
    ends = growing[1]
    for n in (1, 15, 30, 59):
        path = cut(growing, site, ends[n - 1] + 9, 'torn.webm')
        assert len(media.frame_times(path)) >= n
        media.run(['ffmpeg', '-v', 'fatal', '-i', path, '-f', 'null', '-'])


def test_chromium_plays_a_finished_file(browser, site, finished):  # noqa: F811
    out = play(browser, site, site[1] + '/finished.webm')
    assert (out['w'], out['h']) == SIZE
    assert abs(out['duration'] * 1000 - FRAMES * STEP_MS) <= 5
    assert abs(out['at'] - out['duration']) < 0.05
    assert out['frames'] > 0 and out['colours'] > 5


@pytest.mark.parametrize('want', [0.5, 3.3, 5.95])
def test_chromium_seeks(browser, site, finished, want):  # noqa: F811
    out = play(browser, site, site[1] + '/finished.webm', want)
    assert abs(out['at'] - want) < 0.01
    assert out['frames'] > 0 and out['colours'] > 5


@pytest.mark.parametrize('n', [1, 17, FRAMES])
def test_chromium_plays_a_growing_file(browser, site, growing, n):  # noqa: F811,E501
    ends = growing[1]
    # a torn frame behind the last whole one, where there is one
    name = f'growing-{n}.webm'
    cut(growing, site, ends[n - 1] + (13 if n < FRAMES else 0), name)
    out = play(browser, site, f'{site[1]}/{name}')
    assert (out['w'], out['h']) == SIZE
    assert out['frames'] > 0 and out['colours'] > 5


def test_chromium_seeks_a_repaired_file(browser, site, growing):  # noqa: F811
    cut(growing, site, growing[1][44] + 5, 'repaired.webm')
    done = tool('repair', os.path.join(site[0], 'repaired.webm'))
    url = site[1] + '/repaired.webm'
    out = play(browser, site, url)
    assert abs(out['duration'] * 1000 - done['duration_ms']) <= 5
    out = play(browser, site, url, 2.5)
    assert abs(out['at'] - 2.5) < 0.01
    assert out['colours'] > 5
