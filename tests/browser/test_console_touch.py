"""Lists of the console under a finger, on a phone's screen: a long press opens
the menu of a row, as a right click does (M5, WCAG 2.2: 2.5.7)."""
import pytest
from selenium.webdriver.common.keys import Keys

from console_env import Console
from console_page import DESKTOP, PHONE
from page_fixtures import page  # noqa: F401
from pg import Cluster

# Safari on iOS has no such event, nor does Chromium make one of the touch of
# a test.
NO_CONTEXT_MENU = '''
document.addEventListener('contextmenu', (e) => {
  e.preventDefault();
  e.stopImmediatePropagation();
}, {capture: true});
'''

# A finger that comes down and slips; browsers take one that slips far for a
# scroll, so these are events without a browser's own deed.
SLIP = '''
const [row, by] = arguments, b = row.getBoundingClientRect();
for (const [type, x] of [['pointerdown', 20], ['pointermove', 20 + by]])
  row.dispatchEvent(new PointerEvent(type, {bubbles: true, pointerType: 'touch',
    isPrimary: true, clientX: b.left + x, clientY: b.top + 20}));
'''

# Returns whether the browser shows its own menu.
RIGHT_CLICK = '''
return arguments[0].dispatchEvent(new PointerEvent('contextmenu', {
  bubbles: true, cancelable: true, pointerType: 'touch', clientX: 40, clientY: 90}));
'''


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        session = c.ctl.session('2026-11-20 08:00Z', '2026-11-20 09:00Z')
        for seq in (1, 2, 3):
            c.ctl.segment(session, seq, size=seq << 20)
        yield c.start()
        assert c.stop() == 0, c.log()


@pytest.fixture
def phone(page):
    page.screen(*PHONE)
    page.cdp('Emulation.setTouchEmulationEnabled', enabled=True,
             maxTouchPoints=2)
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == 3, 'all rows')
    yield page
    page.cdp('Emulation.setTouchEmulationEnabled', enabled=False)
    page.screen(*DESKTOP)


def middle(phone, css):
    x, y = phone.js('''
const e = document.querySelector(arguments[0]);
e.scrollIntoView({block: 'center'});
const b = e.getBoundingClientRect();
return [b.left + b.width / 2, b.top + b.height / 2];''', css)
    return {'x': x, 'y': y}


def touch(phone, kind, *points):
    phone.cdp('Input.dispatchTouchEvent', type=kind, touchPoints=list(points))


def press_long(phone, css):
    """A finger that stays until there is a menu, then leaves."""
    at = middle(phone, css)
    touch(phone, 'touchStart', at)
    phone.until(lambda: phone.focused() == 'Play', 'the menu')
    touch(phone, 'touchEnd')
    # whatever follows the finger's leaving has come
    phone.driver.execute_async_script(
        'const [done] = arguments; setTimeout(done, 400);')
    assert phone.focused() == 'Play'
    assert len(phone.all('[role=menu]')) == 1
    assert phone.path == '/recordings'


@pytest.mark.parametrize('css', ['tr[data-row] .c-size',
                                 'tr[data-row] [data-main]'])
def test_a_long_press_opens_the_menu(phone, css):
    phone.js(NO_CONTEXT_MENU)
    press_long(phone, css)
    phone.keys(Keys.ESCAPE)
    phone.until(lambda: not phone.all('[role=menu]'), 'the list')
    assert not phone.problems()


def test_what_is_chosen_next_is_done(phone):
    """The click that is left out is the one of the press alone."""
    phone.js(NO_CONTEXT_MENU)
    press_long(phone, 'tr[data-row] .c-size')
    at = phone.js('''
const b = [...document.querySelectorAll('[role=menuitem]')].find(
  (e) => e.innerText.startsWith('Properties')).getBoundingClientRect();
return {x: b.left + b.width / 2, y: b.top + b.height / 2};''')
    touch(phone, 'touchStart', at)
    touch(phone, 'touchEnd')
    phone.wait_text('SHA-256')
    phone.keys(Keys.ESCAPE)
    phone.until(lambda: not phone.all('dialog'), 'the list')
    # a tap is a tap
    at = middle(phone, 'tr[data-row] [data-main]')
    touch(phone, 'touchStart', at)
    touch(phone, 'touchEnd')
    phone.until(lambda: phone.path.startswith('/recordings/'), 'the player')


def test_a_finger_that_slips_scrolls(phone):
    row = phone.css('tr[data-row]')
    phone.js(SLIP, row, 15)
    phone.driver.execute_async_script(
        'const [done] = arguments; setTimeout(done, 1000);')
    assert not phone.all('[role=menu]')
    phone.js(SLIP, row, 5)
    phone.until(lambda: phone.focused() == 'Play', 'the menu')
    # a browser that makes a right click of it comes too late
    assert not phone.js(RIGHT_CLICK, row)
    assert phone.focused() == 'Play'
    phone.keys(Keys.ESCAPE)
    phone.until(lambda: not phone.all('[role=menu]'), 'the list')
    # or early enough, and then is the only one
    phone.js(SLIP, row, 5)
    assert not phone.js(RIGHT_CLICK, row)
    phone.until(lambda: phone.focused() == 'Play', 'the menu')
    phone.keys(Keys.ESCAPE)
    phone.driver.execute_async_script(
        'const [done] = arguments; setTimeout(done, 1000);')
    assert not phone.all('[role=menu]')
