"""The queue of recordings that nobody has reviewed or watched, the mark in the
list, in the properties and beside the player, by keyboard alone (M5, X7)."""
import pytest
from selenium.webdriver.common.keys import Keys

from console_env import Console
from page_fixtures import page  # noqa: F401
from pg import Cluster

N = 4


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    """N recordings of a session of mia's, and one of alice's."""
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        session = c.ctl.session('2026-11-20 08:00Z', '2026-11-20 09:00Z')
        c.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE "
              "name = 'mia') WHERE id = %s", (session,))
        c.ids = [c.ctl.segment(session, seq) for seq in range(1, N + 1)]
        own = c.ctl.session('2026-11-20 08:30Z', '2026-11-20 08:50Z')
        c.own = c.ctl.segment(own, 1)
        c.sql("UPDATE segments SET started_at = started_at + interval '1 hour'"
              ' WHERE id = %s', (c.own,))
        c.session = session
        yield c.start()
        assert c.stop() == 0, c.log()


@pytest.fixture(autouse=True)
def unmarked(console):
    console.sql("UPDATE segments SET reviewed_by = NULL, reviewed_at = NULL, "
                "review_remark = '', watched_at = NULL")


def reviewed(console):
    return {str(i): (by, remark) for i, by, remark in console.sql(
        'SELECT id, reviewed_by, review_remark FROM segments WHERE '
        'reviewed_by IS NOT NULL')}


def queue(page, n=N + 1):
    page.open('/recordings')
    page.click('To review', '.tabs')
    page.wait_text('the oldest first', '.lead')
    page.settle()
    page.until(lambda: len(page.rows()) == n, f'{n} rows')


def focused_row(page):
    """The number of the recording whose row has the focus."""
    return page.js("return document.activeElement.matches('[data-main]') && "
                   "document.activeElement.getAttribute('href').slice(-36)")


def test_the_queue_by_keyboard(console, page):
    """The oldest first; R asks, Enter marks, and the next row has the
    focus."""
    queue(page)
    assert page.path == '/recordings?review=open'
    page.js("document.querySelector('tr[data-row] [data-main]').focus()")
    assert focused_row(page) == console.ids[0]
    for n, gid in enumerate(console.ids[:2], 1):
        page.keys('r')
        page.until(lambda: page.focused() == 'remark', 'the dialog')
        if n == 1:
            page.check('review-dialog')
        page.keys('fine', Keys.ENTER)
        page.until(lambda: len(page.rows()) == N + 1 - n, 'one row less')
        page.until(lambda: focused_row(page) not in (gid, False),
                   'the next row')
        assert reviewed(console)[gid] == ('alice', 'fine')
    page.check('recordings-review')
    page.click('Reviewed', '.tabs')
    page.until(lambda: len(page.rows()) == 2, 'both that are marked')
    page.wait_text('Reviewed by alice')
    page.click('All', '.tabs')
    page.until(lambda: len(page.rows()) == N + 1, 'all rows')


def test_others_marks_come_by_themselves(console, page):
    queue(page)
    console.sql("UPDATE segments SET reviewed_by = 'adam', reviewed_at = now()"
                ' WHERE id = %s', (console.ids[1],))
    page.until(lambda: len(page.rows()) == N, 'one row less')
    console.sql('UPDATE segments SET reviewed_by = NULL, reviewed_at = NULL '
                'WHERE id = %s', (console.ids[1],))
    page.until(lambda: len(page.rows()) == N + 1, 'it is back')


def menu(page, gid):
    page.js('''arguments[0].closest('tr').querySelector('.c-menu button')
               .click()''', page.css(f'[href$="{gid}"]'))


def test_menu_and_properties(console, page):
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == N + 1, 'all rows')
    menu(page, console.own)
    page.until(lambda: page.focused() == 'Play', 'the menu')
    own = page.named('Mark as reviewed …', '.menu')
    assert own.get_attribute('aria-disabled') == 'true'
    assert 'your own session' in own.get_attribute('title')
    page.keys(Keys.ESCAPE)
    menu(page, console.ids[2])
    page.click('Mark as reviewed …', '.menu')
    page.fill('Remark', 'as agreed')
    page.click('Mark as reviewed', 'dialog')
    page.until(lambda: not page.all('dialog'), 'the list')
    page.wait_text('Reviewed by alice')
    menu(page, console.ids[2])
    page.click('Properties …')
    page.wait_text('as agreed', 'dialog')
    page.keys(Keys.ESCAPE)
    menu(page, console.ids[2])
    page.click('Take the review back', '.menu')
    page.until(lambda: reviewed(console) == {}, 'no review')


def test_several_at_once(console, page):
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == N + 1, 'all rows')
    page.js("document.querySelector('thead input').click()")
    page.click(f'Review {N} …', '.bulk')
    page.click('Mark as reviewed', 'dialog')
    page.until(lambda: len(reviewed(console)) == N, 'all that may be')
    assert console.own not in reviewed(console)


def test_a_refusal_in_between(console, page):
    """What was done before it is not asked for again."""
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == N + 1, 'all rows')
    page.js("document.querySelector('thead input').click()")
    page.click(f'Review {N} …', '.bulk')
    page.until(lambda: page.focused() == 'remark', 'the dialog')
    console.sql("UPDATE segments SET reviewed_by = 'adam', reviewed_at = now()"
                ' WHERE id = %s', (console.ids[1],))
    page.click('Mark as reviewed', 'dialog')
    page.wait_text('adam has reviewed it already', 'dialog')
    console.sql('UPDATE segments SET reviewed_by = NULL, reviewed_at = NULL '
                'WHERE id = %s', (console.ids[1],))
    page.click('Mark as reviewed', 'dialog')
    page.until(lambda: len(reviewed(console)) == N, 'all that may be')
    assert {by for by, _ in reviewed(console).values()} == {'alice'}
    page.problems()     # 409


def test_not_watched(console, page):
    page.open('/recordings?review=unwatched')
    page.until(lambda: len(page.rows()) == N + 1, 'all rows')
    console.sql(
        "INSERT INTO audit (team_id, actor, action, object) SELECT team_id, "
        "'adam', 'link_opened', id::text FROM segments WHERE id = %s",
        (console.ids[0],))
    page.until(lambda: len(page.rows()) == N, 'one row less')


def test_nothing_is_left(console, page):
    console.sql("UPDATE segments SET reviewed_by = 'adam', reviewed_at = "
                'now()')
    page.open('/recordings?review=open')
    page.wait_text('Nothing to review')
    page.check('recordings-review-none')


def test_beside_the_player(console, page):
    """Enter marks, Enter leads to the next one; of a session all its files.
    """
    page.open(f'/recordings/{console.ids[0]}')
    page.wait_text('Not reviewed', '.review-bar')
    page.click('Mark as reviewed …', '.review-bar')
    page.until(lambda: page.focused() == 'remark', 'the dialog')
    page.keys(Keys.ENTER)
    page.wait_text('Reviewed by alice', '.review-bar')
    assert len(reviewed(console)) == N
    page.until(lambda: page.focused() == 'Next to review', 'the next step')
    # alice's own is passed over: nothing is left
    page.keys(Keys.ENTER)
    page.wait_text('No other recording is waiting', '.toasts')
    page.click('Take the review back', '.review-bar')
    page.until(lambda: reviewed(console) == {}, 'no review')
    page.open(f'/recordings/{console.own}')
    page.wait_text('your own session', '.review-bar')
    page.click('Next to review', '.review-bar')
    page.until(lambda: page.path == f'/recordings/{console.ids[0]}',
               'the next one')
    page.click('Mark as reviewed …', '.review-bar')
    page.click(f'All {N} files of this session that are not reviewed yet',
               'dialog')
    page.click('Mark as reviewed', 'dialog')
    page.wait_text(f'1 of {N} files reviewed', '.review-bar')
    assert set(reviewed(console)) == {console.ids[0]}
