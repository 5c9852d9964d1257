"""The players at the signed link of a recording that still grows, served by
relaycam-storage. Run by tests/players/run. X1."""
import pytest

import browsers
import desktop
import links
import media
import programs
from storage_fixtures import cluster  # noqa: F401
from test_players import (  # noqa: F401
    JUMPS_UNFINISHED, KINDS, assert_on_time, assert_played, assert_shown,
    numbers, recordings, until)


@pytest.fixture(scope='module')
def grown(recordings, cluster, tmp_path_factory):  # noqa: F811
    """kind -> (its link, the recording)"""
    env = links.start(tmp_path_factory.mktemp('storage'), cluster)
    all_ = {kind: (links.Link(env, r, 0.6), r)
            for kind, r in recordings.items()}
    yield all_
    for link, _ in all_.values():
        link.close()
    env.close()


def within(link, recording):
    times = sorted(t for t in recording.times(30) if t < link.end_s)[:10]
    assert len(times) > 5
    return times


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('still', [programs.ffmpeg_still, programs.mpv_still])
def test_a_still_at_a_time(grown, kind, still):
    link, r = grown[kind]
    times = within(link, r)
    assert_shown(r, times, [still(link.url, t) for t in times])


@pytest.mark.parametrize('kind,browser,mse', JUMPS_UNFINISHED)
def test_a_browser_seeks(grown, kind, browser, mse):
    link, r = grown[kind]
    times = within(link, r)
    out = browsers.run(browser, url=link.url, certificate=link.certificate,
                       mse=mse, times=times)
    assert_shown(r, times, out['numbers'])


@pytest.mark.parametrize('browser', ['chromium', 'firefox'])
def test_a_browser_plays_what_is_there(grown, browser):
    link, r = grown['short']
    out = browsers.run(browser, url=link.url, certificate=link.certificate,
                       rate=1)
    assert_on_time(r, out['play'], browser)
    assert_played(numbers(out['play']), until(r, link.end_s))


@pytest.mark.parametrize('kind', ['short', 'busy'])
def test_vlc_plays_what_is_there(grown, kind):
    link, r = grown[kind]
    took, seen = programs.vlc_play(link.url, link.certificate)
    assert took > link.end_s - 0.5
    assert_played(seen, until(r, link.end_s))


@pytest.mark.parametrize('kind', ['short', 'busy', 'quiet'])
def test_gstreamer_gives_every_frame(grown, kind, tmp_path):
    link, r = grown[kind]
    copy = tmp_path / 'copy.webm'
    copy.write_bytes(link.read())
    times = media.frame_times(str(copy))
    numbers = programs.gstreamer_numbers(link.url, desktop.SIZE)
    assert len(numbers) == len(times) > 5
    assert_shown(r, times, numbers)
