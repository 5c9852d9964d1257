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
# the last: with MediaSource; Firefox's <video> jumps to the next key frame in a
# file without Cues
JUMPS_UNFINISHED = [
    *((kind, 'chromium', mse) for kind in KINDS for mse in (False, True)),
    *((kind, 'firefox', True) for kind in KINDS)]
JUMPS = [*JUMPS_UNFINISHED, *((kind, 'firefox', False) for kind in KINDS)]
TORN = 900      # bytes of a cluster that is not whole
LIMIT_S = 100   # how late a machine may be


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


def assert_played(seen, events):
    """All that was drawn, in order; a busy machine may show less of what
    stood for a moment only."""
    want = [n for _, n in events]
    stood = [n for (t, n), (then, _) in zip(events, events[1:])
             if then - t > 1000] + want[-1:]
    assert [n for n in want if n in seen] == [n for n in seen if n in want]
    assert set(stood) <= set(seen), seen
    assert len(set(seen)) > len(want) // 2


def until(recording, second):
    return [(t, n) for t, n in recording.events if t <= second * 1000]


def numbers(played):
    return [s['n'] for s in played['polled'] if s['n'] is not None]


def grown_to(recordings, kind, torn=0):
    """A path, its recording, and the second up to which it is there."""
    r = recordings[kind]
    path = f'{r.path}.{"cut" if torn else "growing"}.webm'
    return path, r, desktop.unfinished(r, path, 0.6, torn)


def grown(recordings, kind, torn=0):
    """A path, its recording, and times within what is there."""
    path, r, end = grown_to(recordings, kind, torn)
    return path, r, [t for t in r.times(30) if t < end][:10]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('still', [programs.ffmpeg_still, programs.mpv_still,
                                   programs.vlc_still])
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


@pytest.mark.parametrize('kind,browser,mse', JUMPS)
def test_a_browser_seeks(recordings, kind, browser, mse):
    r = recordings[kind]
    times = r.times()
    out = browsers.run(browser, r.path, mse=mse, times=times)
    # a frame that is the last of what Firefox was given by then has the length
    # of the one before it
    longer = 1 if mse and browser == 'firefox' else 0.01
    assert -0.01 < out['duration'] - r.seconds < longer
    assert_shown(r, times, out['numbers'])
    if mse:
        (start, end), = out['mse']['buffered']
        assert start == 0 and -0.5 < end - r.seconds < max(longer, 0.5)


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('kind,browser,mse', JUMPS_UNFINISHED)
def test_a_browser_seeks_in_an_unfinished_file(recordings, kind, browser, mse,
                                               torn):
    path, r, times = grown(recordings, kind, torn)
    out = browsers.run(browser, path, mse=mse, times=sorted(times))
    assert_shown(r, sorted(times), out['numbers'])


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('kind', KINDS)
def test_firefox_video_jumps_to_the_next_key_frame(recordings, kind, torn):
    """At most, in a file without Cues."""
    path, r, times = grown(recordings, kind, torn)
    with open(path, 'rb') as f:
        data = f.read()
    keys = [ms / 1000 for _, ms in desktop.key_clusters(data)]
    times = [t for t in sorted(times) if t < keys[-1]][:5]
    assert len(times) > 3
    for t, n in zip(times, browsers.run('firefox', path,
                                        times=times)['numbers']):
        key = min(k for k in keys if k >= t)
        assert n in r.at(t) | r.at(key), (t, n, key)


@pytest.mark.parametrize('kind', KINDS)
def test_mse_from_any_key_frame(recordings, kind):
    r = recordings[kind]
    with open(r.path, 'rb') as f:
        data = f.read()
    ends = desktop.clusters(data)
    keys = [a for a, _ in desktop.key_clusters(data)]
    assert len(keys) > 2
    for at in keys[1:]:
        out = browsers.run('chromium', r.path, mse=True,
                           parts=[[0, ends[0]], [at, len(data)]])
        (_, end), = out['mse']['buffered']
        assert abs(end - r.seconds) < 0.5, at


def assert_on_time(recording, played, browser):
    """Nothing is seen before its time, by the clock of the machine. On a busy
    one Firefox's currentTime stands still while pictures change, and the frame
    that it names is one that it will show; Chromium's is the one that it
    shows."""
    for s in played['framed'] if browser == 'chromium' else ():
        assert s['n'] is None or s['n'] in recording.at(s['frame'],
                                                        late=0.26), s
    for s in played['polled']:
        assert s['n'] is None or s['n'] in recording.at(
            s['clock'], early=0.3, late=LIMIT_S), s


@pytest.mark.parametrize('browser', ['chromium', 'firefox'])
@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_played_to_its_end(recordings, browser, kind):
    r = recordings[kind]
    out = browsers.run(browser, r.path, rate=1)
    assert abs(out['duration'] - r.seconds) < 0.01
    assert -0.1 < out['play']['at'] - r.seconds < 0.1
    assert out['play']['took'] > r.seconds - 0.5
    assert_on_time(r, out['play'], browser)
    assert_played(numbers(out['play']), r.events)


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('browser', ['chromium', 'firefox'])
def test_an_unfinished_file_is_played_to_its_end(recordings, browser, torn):
    path, r, end = grown_to(recordings, 'short', torn)
    out = browsers.run(browser, path, rate=1)
    assert out['play']['took'] > end - 0.5
    assert_on_time(r, out['play'], browser)
    assert_played(numbers(out['play']), until(r, end))


@pytest.mark.parametrize('kind', KINDS)
def test_firefox_knows_the_length(recordings, kind):
    r = recordings[kind]
    out = browsers.run('firefox', r.path)
    assert abs(out['duration'] - r.seconds) < 0.01


@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_vlc_plays_to_the_end(recordings, kind):
    r = recordings[kind]
    took, seen = programs.vlc_play(r.path)
    assert took > r.seconds - 0.5
    assert_played(seen, r.events)


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_vlc_plays_an_unfinished_file(recordings, kind, torn):
    path, r, end = grown_to(recordings, kind, torn)
    took, seen = programs.vlc_play(path)
    assert took > end - 0.5
    assert_played(seen, until(r, end))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('state', ['growing', 'repaired'])
def test_vlc_starts_at_a_time(recordings, state, kind):
    """Without Cues; and cut off, which VLC does not get over, but repaired."""
    torn = TORN if state == 'repaired' else 0
    path, r, times = grown(recordings, kind, torn)
    times = times[:4]
    if torn:
        programs.run([f'{conftest.BUILD}/tests/unit/webm_make', 'repair',
                      path])
    assert_shown(r, times, [programs.vlc_still(path, t) for t in times])


@pytest.mark.parametrize('torn', [0, TORN], ids=['growing', 'cut'])
@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_gstreamer_gives_every_frame_of_an_unfinished_file(recordings, kind,
                                                           torn):
    path, r, _ = grown_to(recordings, kind, torn)
    times = media.frame_times(path)
    numbers = programs.gstreamer_numbers(path, desktop.SIZE)
    assert len(numbers) == len(times) > 5
    assert_shown(r, times, numbers)


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_gstreamer_gives_every_frame(recordings, kind):
    r = recordings[kind]
    times = media.frame_times(r.path)
    numbers = programs.gstreamer_numbers(r.path, desktop.SIZE)
    assert len(numbers) == len(times)
    assert_shown(r, times, numbers)


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_gstreamer_remux_has_the_same_key_frames(recordings, kind, tmp_path):
    """matroskamux writes a cue for each frame that vp9parse takes for one."""
    r = recordings[kind]
    out = str(tmp_path / 'out.mkv')
    programs.gstreamer_remux(r.path, out)
    with open(r.path, 'rb') as f:
        data = f.read()
    assert programs.cue_count(out) == len(desktop.key_clusters(data))


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


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
@pytest.mark.parametrize('copy', [programs.ffmpeg_copy,
                                  programs.mkvmerge_copy])
def test_a_copy_is_whole(recordings, kind, copy, tmp_path):
    r = recordings[kind]
    path = str(tmp_path / 'copy.webm')
    copy(r.path, path)
    assert media.frame_times(path) == media.frame_times(r.path)
    out = browsers.run('chromium', path, mse=True)
    (start, end), = out['mse']['buffered']
    assert start == 0 and -0.5 < end - r.seconds < 1


def test_thumbnails(recordings, tmp_path):
    r = recordings['quiet']
    shown = programs.thumbnails(r.path, 300, str(tmp_path))
    assert 11 <= len(shown) <= 13
    for k, n in enumerate(shown):
        assert n in r.at(k * 300, late=1, early=12)
