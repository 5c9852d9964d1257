"""Real players on recordings whose pictures are known: finished, growing, cut
off; busy, and an hour with three key strokes. The table of docs/players.md is
what holds here. Run by tests/players/run: it takes minutes. X1, X4."""
import os

import pytest

import browsers
import conftest
import desktop
import media
import programs

KINDS = ['busy', 'quiet']
TORN = 900      # bytes of a cluster that is not whole


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp('players'))
    os.chmod(folder, 0o755)
    make = [('busy', desktop.BUSY, 60_000),
            ('quiet', desktop.QUIET, 3_600_000),
            ('short', desktop.SHORT, 21_800)]
    return {name: desktop.Recording(conftest.BUILD, folder, name, events, end)
            for name, events, end in make}


def assert_shown(recording, times, shown):
    wrong = [(t, n, recording.at(t)) for t, n in zip(times, shown)
             if n not in recording.at(t)]
    assert not wrong, wrong


def grown(recordings, kind, torn=0):
    """A path, its recording, and times within what is there."""
    r = recordings[kind]
    path = f'{r.path}.{"cut" if torn else "growing"}.webm'
    end = desktop.unfinished(r, path, 0.6, torn)
    return path, r, [t for t in r.times(30) if t < end][:10]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('still', [programs.ffmpeg_still, programs.mpv_still])
def test_a_still_at_a_time(recordings, kind, still):
    r = recordings[kind]
    times = r.times()
    assert_shown(r, times, [still(r.path, t) for t in times])


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('still', [programs.ffmpeg_still, programs.mpv_still])
def test_a_still_of_an_unfinished_file(recordings, kind, torn, still):
    path, r, times = grown(recordings, kind, torn)
    assert len(times) > 5
    assert_shown(r, times, [still(path, t) for t in times])


@pytest.mark.parametrize('mse', [False, True], ids=['video', 'mse'])
@pytest.mark.parametrize('kind', KINDS)
def test_chromium(recordings, kind, mse):
    r = recordings[kind]
    times = r.times()
    out = browsers.run('chromium', r.path, mse=mse, times=times)
    assert abs(out['duration'] - r.seconds) < 0.01
    assert_shown(r, times, out['numbers'])
    if mse:
        (start, end), = out['mse']['buffered']
        assert start == 0 and abs(end - r.seconds) < 0.5


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('mse', [False, True], ids=['video', 'mse'])
@pytest.mark.parametrize('kind', KINDS)
def test_chromium_unfinished(recordings, kind, mse, torn):
    path, r, times = grown(recordings, kind, torn)
    out = browsers.run('chromium', path, mse=mse, times=sorted(times))
    assert_shown(r, sorted(times), out['numbers'])


@pytest.mark.parametrize('kind', KINDS)
def test_mse_from_any_key_frame(recordings, kind):
    r = recordings[kind]
    with open(r.path, 'rb') as f:
        data = f.read()
    ends = desktop.clusters(data)
    keys = [a for a in ends[:-1] if desktop.is_key(data, a)]
    assert len(keys) > 2
    for at in keys[1:]:
        out = browsers.run('chromium', r.path, mse=True,
                           parts=[[0, ends[0]], [at, len(data)]])
        (_, end), = out['mse']['buffered']
        assert abs(end - r.seconds) < 0.5, at


@pytest.mark.parametrize('browser', ['chromium', 'firefox'])
@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_played_to_its_end(recordings, browser, kind):
    """Each picture at its time, and the right length. Firefox ends up to a
    second late."""
    r = recordings[kind]
    out = browsers.run(browser, r.path, rate=1)
    assert abs(out['duration'] - r.seconds) < 0.01
    assert -0.2 < out['play']['at'] - r.seconds < (
        1.1 if browser == 'firefox' else 0.1)
    for n, at in out['play']['seen']:
        assert n is None or n in r.at(at, early=0.26, late=0.5), (n, at)
    if kind == 'short':
        seen = [n for n, _ in out['play']['seen'] if n is not None]
        assert seen == [n for _, n in r.events]


@pytest.mark.parametrize('kind', KINDS)
def test_firefox_knows_the_length(recordings, kind):
    r = recordings[kind]
    out = browsers.run('firefox', r.path)
    assert abs(out['duration'] - r.seconds) < 0.01


@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_vlc_plays_to_the_end(recordings, kind):
    r = recordings[kind]
    programs.vlc_play(recordings['short'].path)     # its first start is slow
    took = programs.vlc_play(r.path)
    assert r.seconds - 0.5 < took < r.seconds + 20, took


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_gstreamer_gives_every_frame(recordings, kind):
    r = recordings[kind]
    times = media.frame_times(r.path)
    numbers = programs.gstreamer_numbers(r.path, desktop.SIZE)
    assert len(numbers) == len(times)
    assert_shown(r, times, numbers)


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_mp4_keeps_frames_and_length(recordings, kind, tmp_path):
    r = recordings[kind]
    out = str(tmp_path / 'out.mp4')
    programs.to_mp4(r.path, out)
    frames, _ = programs.ffmpeg_count(r.path)
    got, seconds = programs.ffmpeg_count(out)
    assert got == frames
    assert -0.01 < seconds - r.seconds < 1
    # its packets are in the order of decoding
    assert sorted(media.frame_times(out)) == pytest.approx(
        media.frame_times(r.path), abs=0.002)


def test_thumbnails(recordings, tmp_path):
    r = recordings['quiet']
    shown = programs.thumbnails(r.path, 300, str(tmp_path))
    assert 11 <= len(shown) <= 13
    for k, n in enumerate(shown):
        assert n in r.at(k * 300, late=1, early=12)
