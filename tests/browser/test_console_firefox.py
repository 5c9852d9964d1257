"""The console in Firefox over the real stack: first run, login, lists by
keyboard, and the player, whose pictures are known."""
import base64
import re

import conftest
import pytest

from firefox_page import FirefoxPage
from player_page import PICTURE, PLAY_OVER, STATE
from player_rig import KnownSession, Part, number_in


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def page(rig):
    page = FirefoxPage(f'https://localhost:{rig.stack.ports.console}')
    yield page
    page.close()


@pytest.fixture(scope='module')
def session(rig):
    def busy(first, n):
        return [(250 * i, first + i) for i in range(n)]
    return KnownSession(rig, [
        Part(busy(0, 80), 20000),
        Part(busy(300, 60), 15000, reason='resolution', size=(800, 600)),
    ]).store()


def test_first_run(rig, page):
    rig.stack.ctl('team', 'add', 'second')
    out = rig.stack.ctl('console', 'first-run-link', '--team', 'second')
    page.open('/first-run' + re.search(r'/first-run(#\S+)', out)[1])
    page.wait_text('Your user name')
    page.picture('firefox-first-run')
    page.fill('Your user name', 'frida')
    page.fill('Password', 'correct horse')
    page.click('Make the owner and go on')
    page.until(lambda: page.path == '/connect', 'the next step')
    page.wait_text('No endpoints')
    assert page.problems() == []


def test_login_and_lists(rig, page, session):
    page.click('Log out')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    page.open('/login')
    page.fill('User name', 'alice')
    page.fill('Password', rig.password)
    page.click('Log in')
    page.until(lambda: not page.path.startswith('/login'), 'the console')
    for path in ('connect', 'sessions', 'active-sessions', 'settings',
                 'endpoints', 'people', 'tokens', 'audit', 'account',
                 'recordings'):
        page.open('/' + path)
        page.until(lambda: page.js(
            "return !!document.querySelector('h1') && "
            "!document.querySelector('[aria-busy=true]')"), path)
        wide = page.js('return document.documentElement.scrollWidth')
        assert wide <= page.js('return innerWidth'), path
        page.picture(f'firefox-{path}')
        assert page.problems() == [], path
    assert page.js("return document.querySelectorAll('tr[data-row]').length"
                   ) == len(session.parts)
    page.js("document.querySelector('[data-main]').focus()")
    page.keys('\ue015')    # down
    assert page.js("return document.activeElement.closest('tr')"
                   ".getAttribute('aria-rowindex')") == '3'


def number(page):
    """That of the picture, once it stays."""
    seen = []

    def look():
        seen.append(number_in(base64.b64decode(page.js(PICTURE))))
        return len(seen) > 3 and seen[-1] is not None and len(
            set(seen[-4:])) == 1
    page.until(look, 'a number that stays')
    return seen[-1]


def test_player(page, session):
    def state(probe, what):
        return page.until(lambda: (s := page.js(STATE)) is not None and
                          probe(s) and s, what)

    page.open(f'/sessions/{session.id}/play')
    state(lambda s: s['ready'] >= 2 and not s['seeking'], 'the first picture')
    page.js("document.querySelector('rc-player').playback.pause()")
    second = session.parts[1]
    for ms in (0, 7300, 19800, second.from_ms + 50, second.from_ms + 8100,
               session.total_ms - 300, 3100):
        page.js("document.querySelector('rc-player').seek(arguments[0])", ms)
        s = state(lambda s: not s['seeking'] and s['ready'] >= 2 and
                  abs(s['ms'] - ms) <= 60, f'the picture of {ms}')
        part = second if ms >= second.from_ms else session.parts[0]
        assert tuple(s['size']) == part.size
        assert number(page) in session.at(ms, 100, 100), ms
    page.picture('firefox-player')
    tries = []
    while not tries or tries[-1] <= 2000:   # a busy machine may be late
        assert len(tries) < 6, f'the next file is not there in time: {tries}'
        for ms in (0, second.from_ms - 2500):
            page.js("document.querySelector('rc-player').seek(arguments[0])",
                    ms)
            state(lambda s: not s['seeking'] and s['ready'] >= 2, 'the seek')
        tries.append(page.later(PLAY_OVER, second.from_ms)[1])
    state(lambda s: s['checked'] == 'good', 'the check')
    assert page.problems() == []
