"""Twelve tabs of one browser: one event stream for all, each one live, and
each answers clicks. And every page by keyboard alone."""
import pytest

from console_env import PASSWORD
from console_fixtures import cluster, console  # noqa: F401
from console_page import DESKTOP
from page_fixtures import page  # noqa: F401
from storage_env import wait_for

N = 12
PATHS = ['/connect', '/sessions', '/active-sessions', '/recordings',
         '/settings', '/settings/single-sign-on', '/settings/webhooks', '/endpoints', '/people', '/tokens', '/audit',
         '/account']


# a click on a link of the menu until its heading is drawn
CLICK = '''
const [href, title, done] = arguments;
const start = performance.now();
const look = () => document.querySelector('h1')?.textContent === title
  ? done(performance.now() - start) : requestAnimationFrame(look);
document.querySelector(`.side a[href="${href}"]`).click();
look();
'''


def test_twelve_tabs(console, page):
    driver = page.driver
    first = driver.current_window_handle
    tabs = [first]
    for _ in range(N - 1):
        driver.switch_to.new_window('tab')
        tabs.append(driver.current_window_handle)
    for tab in tabs:
        driver.switch_to.window(tab)
        page.open('/sessions')
        page.wait_text('No sessions yet')
    wait_for('one stream', lambda: console.metric('event_streams') == 1)
    console.ctl.session()
    for tab in tabs:
        driver.switch_to.window(tab)
        page.until(lambda: len(page.rows()) == 1, 'the new session')
    assert console.metric('event_streams') == 1
    for tab in tabs:
        driver.switch_to.window(tab)
        # the first click loads the view's module
        took = [driver.execute_async_script(CLICK, *to) for to in (
            ('/recordings', 'Recordings'), ('/sessions', 'Sessions')) * 3]
        assert min(took[0::2]) < 300 and min(took[1::2]) < 300, took
    assert not page.problems()
    for tab in tabs[1:]:
        driver.switch_to.window(tab)
        driver.close()
    driver.switch_to.window(first)
    assert console.metric('event_streams') == 1
    # whoever logs out ends it
    page.click('Log out')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    wait_for('no stream', lambda: console.metric('event_streams') == 0)
    page.login('alice', PASSWORD)


@pytest.mark.parametrize('path', PATHS)
def test_every_page_by_keyboard(page, path):
    page.open(path)
    page.tab_through()
    assert not page.problems()


@pytest.mark.parametrize('width,height', [(320, 568), (3840, 2160)])
def test_every_page_from_320_pixels_to_4k(page, width, height):
    page.screen(width, height)
    try:
        for path in PATHS:
            page.open(path)
            assert page.js('return document.documentElement.scrollWidth'
                           ) <= width, path
            page.picture(f'{path[1:].replace("/", "-")}-{width}')
    finally:
        page.screen(*DESKTOP)
