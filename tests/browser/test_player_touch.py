"""The player under a finger, on a phone's screen (T11, WCAG 2.2: 2.5.7 and
2.5.8)."""
import conftest
import pytest

from console_page import DESKTOP, PHONE, ConsolePage
from player_page import PlayerPage
from player_rig import KnownSession, Part

TOTAL_MS = 60_000
SMALL = 320, 640


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def session(rig):
    return KnownSession(rig, [
        Part([(250 * i, i) for i in range(240)], TOTAL_MS)]).store()


@pytest.fixture
def player(rig, session):
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    try:
        page.login('alice', rig.password)
        page.screen(*PHONE)
        page.cdp('Emulation.setTouchEmulationEnabled', enabled=True,
                 maxTouchPoints=2)
        yield PlayerPage(page).open(session.id)
    finally:
        page.screen(*DESKTOP)
        page.close()


def box(player, css):
    return player.js('''
const e = document.querySelector(arguments[0]);
e.scrollIntoView({block: 'center'});
const b = e.getBoundingClientRect();
return [b.left, b.top, b.width, b.height];''', css)


def fingers(player, kind, *points):
    player.page.cdp('Input.dispatchTouchEvent', type=kind, touchPoints=[
        {'x': x, 'y': y, 'id': i} for i, (x, y) in enumerate(points)])


def touch(player, *points):
    """A finger that comes down, moves from point to point and leaves."""
    first, *rest = points
    fingers(player, 'touchStart', first)
    for point in rest:
        fingers(player, 'touchMove', point)
    fingers(player, 'touchEnd')


def middle(player, css):
    left, top, width, height = box(player, css)
    return left + width / 2, top + height / 2


def test_a_tap_plays_and_pauses(player):
    for css in ('.rcp-bar .rcp-button', '.rcp-stage'):
        touch(player, middle(player, css))
        player.until(lambda s: s['playing'], f'playing by {css}')
        touch(player, middle(player, css))
        player.until(lambda s: not s['playing'], f'a pause by {css}')
    assert not player.page.problems()


def test_a_finger_on_the_timeline_seeks(player, session):
    left, top, width, height = box(player, 'rc-timeline [role=slider]')
    y = top + height / 2
    touch(player, (left + width / 3, y))
    state = player.until(lambda s: not s['seeking'] and s['ready'] >= 2 and
                         abs(s['ms'] - TOTAL_MS / 3) < TOTAL_MS / 20, 'a third')
    assert player.number() in session.at(state['ms'], 100, 100)
    # along it, and off it: the last place counts
    touch(player, (left + width / 3, y), (left + width / 2, y + 10),
          (left + width * 2 / 3, y + 60))
    state = player.until(lambda s: not s['seeking'] and s['ready'] >= 2 and
                         abs(s['ms'] - TOTAL_MS * 2 / 3) < TOTAL_MS / 20,
                         'two thirds')
    assert player.number() in session.at(state['ms'], 100, 100)
    # nothing of the page moved meanwhile
    assert abs(box(player, 'rc-timeline [role=slider]')[0] - left) < 2


TIP = """
const tip = document.querySelector('rc-timeline .rct-tip'), b = tip.getBoundingClientRect();
return tip.hidden ? null : {text: tip.innerText, left: b.left, right: b.right,
  image: !!tip.querySelector('img')?.complete};"""


def test_a_finger_that_rests_shows_time_and_frame(player, session):
    player.page.screen(*SMALL)
    player.seek(TOTAL_MS / 2)   # of which a frame is kept
    left, top, width, height = box(player, 'rc-timeline [role=slider]')
    y = top + height / 2
    for share in (0.5, 0, 1):   # in the middle and at both ends
        x = min(max(left + width * share, left + 1), left + width - 1)
        fingers(player, 'touchStart', (x, y))
        tip = player.page.until(lambda: (t := player.js(TIP)) and
                                t['image'] and t, 'time and frame')
        assert '0:' in tip['text']
        assert tip['left'] >= 0 and tip['right'] <= SMALL[0]
        fingers(player, 'touchEnd')
        player.page.until(lambda: player.js(TIP) is None, 'the time to go')
    assert not player.page.problems()


@pytest.mark.parametrize('css', ['.rcp-stage', 'rc-timeline [role=slider]'])
def test_two_fingers_break_nothing(player, css):
    """A pinch on the video enlarges the page; on the timeline the first finger
    alone counts. Nothing begins to play, and one finger works afterwards."""
    player.page.screen(*SMALL)
    player.seek(TOTAL_MS / 4)
    x, y = middle(player, css)
    fingers(player, 'touchStart', (x, y))
    fingers(player, 'touchStart', (x, y), (x + 40, y))
    for far in (60, 90, 120):
        fingers(player, 'touchMove', (x, y), (x + far, y))
    fingers(player, 'touchMove', (x, y))    # the second one leaves
    fingers(player, 'touchEnd')
    state = player.until(lambda s: not s['seeking'] and s['ready'] >= 2,
                         'a frame')
    assert not state['playing']
    at = TOTAL_MS / 4 if css == '.rcp-stage' else TOTAL_MS / 2
    assert abs(state['ms'] - at) < TOTAL_MS / 20
    assert not player.js(
        "return document.querySelector('rc-timeline').isDragging === true")
    # what the gesture enlarged is small again before the next finger comes
    player.page.cdp('Emulation.resetPageScaleFactor')
    player.page.until(lambda: player.js(
        'const v = visualViewport;'
        'return v.scale === 1 && v.offsetLeft === 0 && v.offsetTop === 0'),
        'the whole page')
    left, top, width, height = box(player, 'rc-timeline [role=slider]')
    touch(player, (left + width * 3 / 4, top + height / 2))
    player.until(lambda s: not s['seeking'] and
                 abs(s['ms'] - TOTAL_MS * 3 / 4) < TOTAL_MS / 20, 'a seek')
    assert not player.page.problems()


@pytest.mark.parametrize('size', [PHONE, SMALL])
def test_all_of_it_has_room(player, size):
    player.page.screen(*size)
    small = player.js('''
return [...document.querySelectorAll('rc-player button, rc-player select, rc-player input')]
  .filter(e => e.offsetParent !== null).map(e => {
    const b = (e.closest('label') || e).getBoundingClientRect();
    return [e.getAttribute('aria-label') || e.textContent, b.width, b.height];
  }).filter(([, w, h]) => w < 24 || h < 24);''')
    assert not small
    assert player.js('return document.documentElement.scrollWidth') <= size[0]
