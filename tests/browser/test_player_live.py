"""The console's player on a session that still runs, and on links that die
after seconds (T5, T6, X1, X3)."""
import threading
import time

import conftest
import demo
import pytest
import requests
from process import wait_until

from console_page import ConsolePage
from player_page import PlayerPage
from player_rig import KnownSession, Part

LINK_SECONDS = 15


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request, settings={
        'store.link_seconds': str(LINK_SECONDS)}).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def page(rig):
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    page.login('alice', rig.password)
    yield page
    page.close()


@pytest.fixture
def work(rig):
    """A technician who works until it is left."""
    viewer = rig.viewer().start()
    stop = threading.Event()

    def run():
        while not stop.is_set():
            demo.work(rig.endpoint, viewer, 2)
    worker = threading.Thread(target=run)
    worker.start()

    def leave():
        stop.set()
        worker.join()
        viewer.close()
    yield leave
    if not stop.is_set():
        leave()


def active(rig):
    return [s for s in rig.stack.ctl_json('sessions', 'list')
            if s['ended_at'] is None]


def test_a_running_session_grows_and_can_be_followed(rig, page, work):
    session = wait_until(
        lambda: [s for s in active(rig) if rig.stack.sql(
            "SELECT 1 FROM segments WHERE status = 'recording' AND "
            f"session_id = '{s['id']}'")], 60, 'a session that is recorded')[0]
    player = PlayerPage(page).open(session['id'], paused=False)
    state = player.until(lambda s: s['live'] and s['playing'] and
                         s['total'] > 3000, 'live')
    grown = player.until(lambda s: s['total'] > state['total'] + 3000,
                         'more of it')
    assert grown['state'] == 'active'
    player.until(lambda s: s['total'] - s['ms'] < 4000, 'the live edge')
    # who looks elsewhere loses nothing: frames that were followed and the
    # clusters that hold them make one range
    for is_hidden in ('true', 'false'):
        fed = player.js('''
Object.defineProperty(document, 'hidden', {configurable: true, value: %s});
document.dispatchEvent(new Event('visibilitychange'));
return document.querySelector('rc-player').playback.fedToMs;''' % is_hidden)
        seen = player.until(lambda s, since=fed: s['fed'] > since + 2500,
                            'more of it')
        assert len(seen['buffered']) == 1
        assert seen['buffered'][0][1] * 1000 > seen['fed'] - 100
    # back, and live again
    player.pause()
    player.seek(500)
    assert not player.state()['live']
    player.page.click('Go live')
    player.until(lambda s: s['live'] and s['total'] - s['ms'] < 4000,
                 'the live edge again')
    assert not [s for s in player.stalls() if s[0] == 'error']
    # the end, and what is signed by then
    work()
    player.until(lambda s: s['state'] == 'ended' and not s['live'],
                 'the end of the session')
    player.until(lambda s: s['checked'] == 'good',
                 'green, once it is stored')
    assert not page.problems()


def test_who_pauses_until_it_is_stored_sees_no_red(rig, page, work):
    """What was followed lies behind the size of the last look."""
    session = wait_until(
        lambda: [s for s in active(rig) if rig.stack.sql(
            "SELECT 1 FROM segments WHERE status = 'recording' AND "
            f"session_id = '{s['id']}'")], 60, 'a session that is recorded')[0]
    player = PlayerPage(page).open(session['id'], paused=False)
    player.until(lambda s: s['live'] and s['playing'], 'live')
    player.pause()
    # as much as is kept ready: nothing more is taken
    player.until(lambda s: s['fed'] - s['ms'] > 20_000, 'enough', 120)
    work()
    state = player.until(lambda s: s['checked'] in ('good', 'bad'), 'a check',
                         120)
    assert state['checked'] == 'good', state
    # it goes on to the end
    player.play()
    player.js("document.querySelector('rc-player').setSpeed(4)")
    player.until(lambda s: s['ended'] or s['total'] - s['ms'] < 500, 'the end')
    state = player.state()
    assert state['checked'] == 'good' and not state['notice'], state
    assert not page.problems()
    page.js('localStorage.clear()')


def test_links_are_renewed_without_a_stutter(rig, page):
    """Half a minute of links that live for half of that."""
    session = KnownSession(rig, [
        Part([(250 * i, i) for i in range(400)], 100_000)]).store()
    player = PlayerPage(page).open(session.id)
    player.js('window.stalls.length = 0')
    player.play()
    began = time.monotonic()
    player.until(lambda s: s['renewed'] >= 3 and s['ms'] > 30_000,
                 'a third link', timeout_s=180)
    assert time.monotonic() - began > 1.5 * LINK_SECONDS
    assert not player.stalls()
    player.pause()
    # what was not read before needs a living link
    player.seek(90_000)
    assert player.number() in session.at(90_000, 100, 100)


def test_a_copied_link_plays_without_an_account_until_it_dies(rig, page):
    session = KnownSession(rig, [Part([(0, 1), (1000, 2)], 5000)]).store()

    def copied():
        return page.driver.execute_async_script('''
const [id, done] = arguments;
fetch('/api/v1/me').then(r => r.json()).then(me => fetch(
  `/api/v1/recordings/${id}/links`, {method: 'POST', headers: {
    'X-CSRF-Token': me.csrf_token}})).then(r => r.json()).then(
  link => done(link.url));''', session.parts[0].id)
    stranger = ConsolePage(page.url)

    def opens():
        """A busy machine may take longer than a link lives."""
        url = copied()
        stranger.driver.get(url)
        until = time.monotonic() + LINK_SECONDS
        while time.monotonic() < until:
            if stranger.js(
                    "return document.querySelector('video')?.videoWidth"):
                return url
            time.sleep(0.1)
        return None
    try:
        url = wait_until(opens, 120, 'a picture')
        wait_until(lambda: requests.get(url, verify=rig.stack.path(
            'ca.pem'), timeout=30).status_code == 403, 60, 'its end')
        stranger.driver.delete_all_cookies()
        stranger.driver.get(url)
        assert 'This link has expired' in stranger.text()
    finally:
        stranger.close()
