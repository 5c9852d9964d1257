"""A quiet recording, a key stroke every three seconds, is whole in Chromium's
MediaSource and <video>, and ffmpeg's stills are of the asked time. All players,
and an hour: tests/players/run. X1."""
import os

import pytest

import browsers
import conftest
import desktop
import programs


@pytest.fixture(scope='module')
def quiet(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('quiet'))
    return desktop.Recording(conftest.BUILD, folder, 'short', desktop.SHORT,
                             21_800)


def key_frames(path):
    """(bytes of the header, offsets of clusters that begin with a key frame,
    the file's length)"""
    with open(path, 'rb') as f:
        data = f.read()
    return desktop.clusters(data)[0], [
        a for a, _ in desktop.key_clusters(data)], len(data)


def test_mediasource_has_it_without_a_hole(quiet):
    out = browsers.run('chromium', quiet.path, mse=True, times=[2.5, 11, 21])
    (start, end), = out['mse']['buffered']
    assert start == 0 and abs(end - quiet.seconds) < 0.5
    assert out['numbers'] == [1, 4, 7]


def test_mediasource_from_a_later_key_frame(quiet):
    head, keys, length = key_frames(quiet.path)
    assert len(keys) == 2
    out = browsers.run('chromium', quiet.path, mse=True,
                       parts=[[0, head], [keys[1], length]])
    (start, end), = out['mse']['buffered']
    assert 11 < start < 13 and abs(end - quiet.seconds) < 0.5


def test_video_shows_each_picture_at_its_time(quiet):
    """Never early; how late a machine draws is its own."""
    out = browsers.run('chromium', quiet.path, rate=1)
    for s in out['play']['framed']:
        assert s['n'] is None or s['n'] in quiet.at(s['frame'], early=0.05), s
    seen = [s for s in out['play']['polled'] if s['n'] is not None]
    assert [s['n'] for s in seen] == [n for _, n in quiet.events]
    for s, (ms, _) in zip(seen, quiet.events):
        assert s['clock'] - ms / 1000 > -0.3, s
    assert abs(out['play']['at'] - quiet.seconds) < 0.1
    assert out['play']['took'] > quiet.seconds - 0.5


def test_stills_are_of_the_asked_time(quiet):
    times = quiet.times()
    shown = [programs.ffmpeg_still(quiet.path, t) for t in times]
    assert all(n in quiet.at(t) for t, n in zip(times, shown)), (times, shown)


def test_mp4_keeps_every_frame(quiet, tmp_path):
    out = os.path.join(tmp_path, 'out.mp4')
    programs.to_mp4(quiet.path, out)
    frames, _ = programs.ffmpeg_count(quiet.path)
    got, seconds = programs.ffmpeg_count(out)
    assert got == frames and -0.01 < seconds - quiet.seconds < 1
