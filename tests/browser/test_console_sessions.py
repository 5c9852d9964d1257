"""Logging in, the list of sessions, and a session's files, in Chromium over a
console with rows of a test's own (T5, T7, T11)."""
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from console_env import PASSWORD, Console
from console_page import ConsolePage
from pg import Cluster

N = 230


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        c.sql("UPDATE teams SET time_zone = 'Europe/Berlin'")
        # the newest: three files on two monitors
        c.newest = c.ctl.session('2026-11-20 23:30Z', '2026-11-21 01:00:30Z')
        for seq, monitor in ((1, 1), (2, 2), (3, 1)):
            c.ctl.segment(c.newest, seq, monitor=monitor)
        failed = c.ctl.session('2026-11-20 08:00Z', '2026-11-20 09:00Z')
        c.ctl.segment(failed, 1, status='missing')
        busy = c.ctl.session('2026-11-19 08:00Z', '2026-11-19 09:00Z')
        c.ctl.segment(busy, 1, status='transfer')
        c.sql("UPDATE segments SET progress = 42 WHERE status = 'transfer'")
        c.sql("INSERT INTO sessions (id, team_id, endpoint_id, person_id, "
              "access, recorded, client_addr, started_at, ended_at, end_code,"
              " end_reason) SELECT gen_random_uuid(), e.team_id, e.id, p.id, "
              "'unattended', false, '127.0.0.1', t, t + interval '7 minutes',"
              " 'normal', 'the technician left' FROM endpoints e, people p, "
              "generate_series(1, %s) i, LATERAL (SELECT timestamptz "
              "'2026-11-01 08:00Z' + i * interval '1 minute' AS t) x WHERE "
              "e.name = 'desk1' AND p.name = 'adam'", (N,))
        yield c.start()
        assert c.stop() == 0, c.log()


@pytest.fixture(scope='module')
def page(console):
    page = ConsolePage(console.url)
    yield page
    page.close()


@pytest.fixture
def alice(page):
    page.logout()
    page.login('alice', PASSWORD)
    return page


def test_log_in(console, page):
    page.logout()
    page.open('/sessions?user=adam')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    page.until(lambda: page.focused() == 'user', 'focus in the first field')
    page.check('login')
    page.fill('User name', 'alice')
    page.fill('Password', 'wrong horse')
    page.click('Log in')
    page.wait_text('User name or password is wrong')
    assert page.css('#password').get_attribute('value') == ''
    page.problems()  # the refusal is in the browser's log too
    page.fill('Password', PASSWORD)
    page.keys(Keys.ENTER)
    # there where the link led
    page.until(lambda: page.path == '/sessions?user=adam', 'the list')
    page.settle()
    page.click('Log out')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    assert console.sql('SELECT count(*) FROM logins')[0][0] == 0


def test_first_page_is_small(alice):
    """Under 100 KB compressed, with all that a list needs."""
    alice.cdp('Network.clearBrowserCache')
    alice.open('/sessions')
    sizes = alice.js('''
return [...performance.getEntriesByType('navigation'),
  ...performance.getEntriesByType('resource')].map((e) => [e.name,
    e.encodedBodySize])''')
    assert len(sizes) > 10
    total = sum(s for _, s in sizes)
    print(f'{len(sizes)} files, {total} bytes')
    assert 10_000 < total < 100_000


def test_columns(alice):
    alice.open('/sessions')
    rows = alice.rows()
    assert rows[0][:4] == ['desk1', 'alice', '2026-11-21 00:30:00', '1:30:30']
    assert 'Uploaded' in rows[0] and '3' in rows[0]
    assert 'Failed' in rows[1]
    assert 'Under way 42%' in ' '.join(rows[2])
    assert 'Off' in rows[3]
    alice.check('sessions')


def test_filters_are_in_the_address(alice):
    alice.open('/sessions')
    alice.fill('Recording', 'failed')
    alice.until(lambda: len(alice.rows()) == 1, 'one row')
    assert alice.path == '/sessions?recording=failed'
    alice.click('Clear filters')
    alice.until(lambda: len(alice.rows()) > 1, 'all rows')
    alice.fill('To', '2026-11-20')
    alice.until(lambda: 'to=2026-11-20' in alice.path, 'the address')
    # the day is the team's: 23:30Z is the next one
    alice.until(lambda: '2026-11-20' in ' '.join(alice.rows()[0]), 'rows')
    alice.fill('From', '2026-11-20')
    alice.until(lambda: len(alice.rows()) == 1, 'one day')
    alice.open('/sessions?user=nobody')
    alice.wait_text('No session found')
    alice.check('sessions-none')


def test_rows_are_filled_anew_but_not_the_one_with_the_focus(alice):
    """A row that scrolls out of sight gives its element to another session;
    the focus must not get to that one."""
    alice.open('/sessions')
    alice.until(lambda: len(alice.rows()) >= 20, 'rows')
    alice.js("document.querySelectorAll('tr[data-row] [data-main]')[2].focus();"
             "window.first = document.querySelector('tr[data-row]')")
    href = alice.js('return document.activeElement.href')
    alice.js('scrollTo(0, document.body.scrollHeight)')
    alice.until(lambda: alice.js(
        "return !document.querySelector(`a[href='${arguments[0]}']`)",
        href.replace(alice.url, '')), 'other rows')
    assert alice.js('return document.activeElement.tagName') == 'BODY'
    assert alice.js('return window.first.isConnected')  # shows another one
    # and each row shows what is its own
    seen = alice.js("return [...document.querySelectorAll('tr[data-row]')].map("
                    "(r) => [r.ariaRowIndex, r.dataset.row])")
    assert len({i for i, _ in seen}) == len({s for _, s in seen}) == len(seen)
    rows = [int(i) for i, _ in seen]
    assert rows == list(range(rows[0], rows[0] + len(rows)))


def test_whole_list_by_scrolling(alice):
    """Rows out of sight are not in the document."""
    alice.open('/sessions')
    alice.until(lambda: 'row' in alice.text('.table-foot'), 'the count')
    for _ in range(40):
        alice.js('scrollTo(0, document.body.scrollHeight)')
        alice.settle()
        if 'that is all' in alice.text('.table-foot'):
            break
    alice.until(lambda: f'{N + 3} rows' in alice.text('.table-foot'), 'all')
    alice.js('scrollTo(0, document.body.scrollHeight)')
    alice.until(lambda: '2026-11-01 09:01:00' in alice.rows()[-1],
                'the last row')
    assert len(alice.all('tr[data-row]')) < 100
    last = int(alice.all('tr[data-row]')[-1].get_attribute('aria-rowindex'))
    assert last == N + 4  # the heading is the first
    # the other order from here on has its first page only
    alice.click('Started')
    alice.until(lambda: alice.path == '/sessions?order=asc', 'the address')
    alice.until(alice.rows, 'rows of the new list')
    alice.click('Started')
    alice.until(lambda: alice.path == '/sessions', 'the address')
    alice.js('scrollTo(0, 0)')
    alice.until(lambda: '1:30:30' in alice.rows()[0], 'the first row')


def test_sort(alice):
    alice.open('/sessions')
    alice.click('Started')
    alice.until(lambda: alice.path == '/sessions?order=asc', 'the address')
    alice.until(lambda: alice.rows()[0][2] == '2026-11-01 09:01:00', 'rows')
    heading = alice.css('th.c-time')
    assert heading.get_attribute('aria-sort') == 'ascending'


def test_rows_by_keyboard(alice):
    alice.open('/sessions')
    first = alice.css('tr[data-row] a[data-main]')
    alice.js('arguments[0].focus()', first)
    alice.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    second = alice.js("return document.activeElement.closest('tr')"
                      ".getAttribute('aria-rowindex')")
    assert second == '3'
    alice.keys(Keys.ARROW_UP)
    # the menu of the row, by its button, and back
    button = alice.css('tr[data-row] .c-menu button')
    alice.js('arguments[0].focus()', button)
    alice.keys(Keys.ENTER)
    alice.until(lambda: alice.focused() == 'Play', 'the menu')
    alice.keys(Keys.ARROW_DOWN)
    assert alice.focused() == 'Show files'
    alice.keys(Keys.ESCAPE)
    assert alice.focused().startswith('Actions for desk1')
    alice.keys(Keys.ENTER)
    alice.until(lambda: alice.focused() == 'Play', 'the menu')
    alice.keys(Keys.END, Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
    alice.until(lambda: alice.path.startswith('/sessions/'), 'the files')


def test_files_by_monitor(console, alice):
    alice.open(f'/sessions/{console.newest}')
    alice.wait_text('Monitor 2')
    sections = [[li.find_element(By.CSS_SELECTOR, 'b').text
                 for li in s.find_elements(By.CSS_SELECTOR, 'li')]
                for s in alice.all('section.monitor')]
    # monitor 1 has files 1 and 3 at 08:01Z and 08:03Z
    assert sections == [
        ['2026-11-20 09:01:00 · 1:00', '2026-11-20 09:03:00 · 1:00'],
        ['2026-11-20 09:02:00 · 1:00']]
    for name in ('Play', 'Copy link', 'Download'):
        assert len([e for e in alice.all('.files a, .files button')
                    if e.text == name]) == 3
    alice.check('session')


def test_member_without_playback_sees_no_files(console, page):
    page.logout()
    console.sql("INSERT INTO sessions (id, team_id, endpoint_id, person_id, "
                "access, recorded, client_addr, started_at, ended_at, "
                "end_code, end_reason) SELECT gen_random_uuid(), e.team_id, "
                "e.id, p.id, 'unattended', true, '127.0.0.1', now() - "
                "interval '1 hour', now(), 'normal', 'left' FROM endpoints e,"
                " people p WHERE e.name = 'desk1' AND p.name = 'mia'")
    (own,), = console.sql("SELECT s.id FROM sessions s JOIN people p ON "
                          "p.id = s.person_id WHERE p.name = 'mia'")
    console.ctl.segment(str(own), 1)
    page.login('mia', PASSWORD)
    assert len(page.rows()) == 1
    page.open(f'/sessions/{own}')
    page.wait_text('your role may not play recordings')
    assert page.all('.files') == []
    page.problems()
    page.open(f'/sessions/{console.newest}')
    page.wait_text('You may not do that')
    page.problems()


def test_page_that_does_not_exist(alice):
    alice.open('/nothing')
    alice.wait_text('This page does not exist')
    alice.problems()  # the 404 itself
    alice.check('not-found')
    alice.click('Go to Sessions')
    alice.until(lambda: alice.path == '/sessions', 'the list')


def test_colours_are_remembered(alice):
    alice.open('/sessions')
    alice.click('Dark')
    back = "return getComputedStyle(document.body).backgroundColor"
    dark = alice.js(back)
    alice.open('/sessions')
    assert alice.js(back) == dark
    alice.click('As the system')
    assert alice.js(back) != dark
    assert alice.js("return localStorage.length") == 0


def test_menu_of_a_phone(alice):
    alice.screen(390, 844)
    try:
        alice.open('/sessions')
        alice.click('Open the menu')
        alice.until(lambda: alice.css('.side a[href="/sessions"]')
                    .is_displayed(), 'the menu')
        alice.keys(Keys.ESCAPE)
        alice.until(lambda: not alice.css('.side a[href="/sessions"]')
                    .is_displayed(), 'the page')
    finally:
        alice.screen(1440, 900)


def test_console_that_goes_away(console, alice):
    alice.open('/sessions')
    alice.cdp('Network.emulateNetworkConditions', offline=True, latency=0,
              downloadThroughput=-1, uploadThroughput=-1)
    try:
        alice.fill('Technician', 'adam')
        alice.wait_text('The console does not answer')
    finally:
        alice.cdp('Network.emulateNetworkConditions', offline=False,
                  latency=0, downloadThroughput=-1, uploadThroughput=-1)
    alice.click('Try again')
    alice.until(lambda: alice.rows() and alice.rows()[0][1] == 'adam',
                'the rows')
    alice.problems()
