"""The console's player on a session of 24 hours, while somebody drags the
head about, and for people who may not play it back (T3, T9, X5)."""
import random

import conftest
import pytest
from selenium.webdriver.common.action_chains import ActionChains

from console_page import ConsolePage
from player_page import PlayerPage
from player_rig import KnownSession, Part

HOUR_MS = 3_600_000


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def day(rig):
    """A key stroke every five minutes or so; two files."""
    chance = random.Random(5)

    def half(first):
        at, events = 0, []
        while at < 12 * HOUR_MS - 60_000:
            events.append((at, first + len(events)))
            at += chance.randrange(200_000, 400_000)
        return events
    return KnownSession(rig, [Part(half(0), 12 * HOUR_MS),
                              Part(half(1000), 12 * HOUR_MS)],
                        age_s=25 * 3600).store()


@pytest.fixture(scope='module')
def page(rig):
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    page.login('alice', rig.password)
    yield page
    page.close()


def test_any_time_of_a_day(page, day):
    player = PlayerPage(page).open(day.id)
    assert abs(player.state()['total'] - 24 * HOUR_MS) < 100
    chance = random.Random(3)
    for ms in [chance.uniform(0, 24 * HOUR_MS) for _ in range(8)] + [
            24 * HOUR_MS - 2000, 12 * HOUR_MS + 500]:
        player.seek(ms)
        assert player.number() in day.at(ms, 100, 100), ms
    player.until(lambda s: s['checked'] == 'good', 'green')
    assert not page.problems()


def test_quiet_hours_are_skipped(page, day):
    player = PlayerPage(page).open(day.id)
    player.keys('i')
    player.play()
    state = player.until(lambda s: s['ms'] > 20 * 60_000, 'twenty minutes',
                         timeout_s=90)
    player.pause()
    assert state['ms'] < 60 * 60_000
    assert 'saved' in page.text('.rcp-idle')
    page.js('localStorage.clear()')


def test_dragging_the_head_about(page, day):
    """Forty places in two seconds: the last one is shown, and nothing else
    is loaded afterwards."""
    player = PlayerPage(page).open(day.id)
    chance = random.Random(9)
    places = [chance.uniform(0, 24 * HOUR_MS) for _ in range(40)]
    page.driver.execute_async_script('''
const [places, done] = arguments;
const p = document.querySelector('rc-player');
const next = () => {
  if (places.length === 0) return done();
  p.seek(places.shift());
  setTimeout(next, 50);
};
next();''', places)
    player.settled(places[-1], 100)
    assert player.number() in day.at(places[-1], 100, 100)
    player.play()
    player.until(lambda s: s['ms'] > places[-1] + 1500, 'it plays on')
    assert not page.problems()


def test_hovering_shows_a_frame_of_a_file_that_does_not_play(page, day):
    player = PlayerPage(page).open(day.id)
    for ms in (18 * HOUR_MS, 6 * HOUR_MS, 23.5 * HOUR_MS):
        # a pixel of the bar is a minute and a half
        assert player.hover_number(ms) in day.at(ms, 2 * 60_000, 2 * 60_000)
    # it counts for nothing of what plays
    assert [f['seq'] for f in player.state()['files']] == [1]
    assert player.state()['ms'] < 1000
    assert not page.problems()


def test_zooming_shows_a_part(page, day):
    player = PlayerPage(page).open(day.id)
    player.seek(6 * HOUR_MS)
    for _ in range(4):
        page.click('Zoom in')
    span = player.js("return document.querySelector('rc-timeline').spanMs")
    assert abs(span - 1.5 * HOUR_MS) < 1000
    head = player.js('''
const t = document.querySelector('rc-timeline');
return t.fromMs + parseFloat(t.head.style.left) / 100 * t.spanMs;''')
    assert abs(head - 6 * HOUR_MS) < 1000
    for _ in range(4):
        page.click('Zoom out')
    assert player.js("return document.querySelector('rc-timeline').zoom") == 1


def test_who_may_not_play_it_back_is_told(rig, page, day):
    """A member who may control the endpoint sees when something was recorded,
    and no picture."""
    rig.stack._write(rig.stack.path('conf', 'mia.password'), 'correct horse\n')
    rig.stack.ctl('user', 'add', 'mia', '--team', 'demo', '--role', 'member',
                  '--password-file', rig.stack.path('conf', 'mia.password'))
    rig.stack.ctl('user', 'grant', 'mia', 'desk1', 'control')
    member = ConsolePage(page.url)
    try:
        member.login('mia', 'correct horse')
        member.open(f'/sessions/{day.id}/play')
        player = PlayerPage(member)
        state = player.until(lambda s: s['notice'], 'a notice')
        assert 'may not' in state['notice']
        assert state['ready'] == 0 and not state['buffered']
        assert player.spans('.rct-recording')
    finally:
        member.close()


# Answers of the console whose address a page's window.held matches wait until
# window.release() is called; window.asked has the address of each request.
HOLD = """
window.asked = [];
window.released = new Promise((done) => { window.release = done; });
const real = window.fetch;
window.fetch = async (url, ...rest) => {
  window.asked.push(String(url));
  const answer = await real(url, ...rest);
  if (window.held?.test(url)) await window.released;
  return answer;
};
window.held = new RegExp(%r);
"""


@pytest.mark.parametrize('held, wanted', [
    # the link is asked for without the row of the recording,
    (r'recordings/[0-9a-f-]{36}$', '/links'),
    # and the file is read without the timeline
    (r'/timeline', '.webm?')], ids=['link', 'file'])
def test_what_is_known_by_the_address_is_asked_at_once(page, day, held,
                                                       wanted):
    script = page.cdp('Page.addScriptToEvaluateOnNewDocument',
                      source=HOLD % held)
    try:
        page.driver.get(f'{page.url}/recordings/{day.parts[1].id}')
        page.until(lambda: page.js(
            'return window.asked?.some((url) => url.includes(arguments[0]))',
            wanted), wanted)
        assert page.js('return window.asked.some((url) => held.test(url))')
        page.js('window.release()')
        player = PlayerPage(page)
        player.until(lambda s: s['ready'] >= 2 and not s['seeking'],
                     'the first frame')
        player.pause()
        player.seek(day.parts[1].from_ms)
        assert player.number() in day.at(day.parts[1].from_ms, 100, 100)
        assert page.js("return window.asked.filter((url) => "
                       "url.endsWith('/links')).length") == 1
    finally:
        page.cdp('Page.removeScriptToEvaluateOnNewDocument',
                 identifier=script['identifier'])
    assert not page.problems()


def test_pointing_at_a_button_to_play_asks_ahead(rig, page, day):
    """The link is there before the click, once, and the audit log says so."""
    part = day.parts[1]

    def links():
        return rig.stack.sql(
            "SELECT detail ? 'ahead' FROM audit WHERE action = 'link' AND "
            f"object = '{part.id}' ORDER BY id")
    page.open(f'/sessions/{day.id}')
    before = len(links())
    button = page.until(lambda: page.css(f'a[href="/recordings/{part.id}"]'),
                        'the button')
    ActionChains(page.driver).move_to_element(button).perform()
    page.until(lambda: len(links()) == before + 1, 'a link')
    assert links()[-1] == ['t']
    button.click()
    player = PlayerPage(page)
    state = player.until(lambda s: s['ready'] >= 2 and not s['seeking'],
                         'the first frame')
    assert abs(state['ms'] - part.from_ms) < 60_000
    player.js("document.querySelector('rc-player').playback.pause()")
    player.seek(part.from_ms)
    assert player.number() in day.at(part.from_ms, 100, 100)
    assert len(links()) == before + 1
    # somebody who comes by the address gets a link that is no guess
    page.open(f'/recordings/{part.id}')
    player.until(lambda s: s['ready'] >= 2 and not s['seeking'],
                 'the first frame')
    assert links()[before:] == [['t'], ['f']]
    assert not page.problems()
