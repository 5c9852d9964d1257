"""The list of recordings in Chromium over a console with rows of a test's own
(M1, M5, M6, M7)."""
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from console_env import PASSWORD, Console
from page_fixtures import page  # noqa: F401
from pg import Cluster

STATES = ('recording', 'transfer', 'downloaded', 'encoding', 'available',
          'missing', 'encoding_failed', 'corrupted', 'expired', 'deleted')


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        c.ids = {}
        session = c.ctl.session('2026-11-20 08:00Z', '2026-11-20 09:00Z')
        for seq, status in enumerate(STATES, 1):
            c.ids[status] = c.ctl.segment(session, seq, status=status,
                                          size=seq << 20)
        c.sql("UPDATE segments SET progress = 37 WHERE status = 'transfer'")
        c.sql("UPDATE segments SET legal_hold = true WHERE status = "
              "'available'")
        c.sql("UPDATE segments SET ended_at = NULL, duration_ms = NULL, bytes"
              " = NULL, sha256 = NULL WHERE status = 'recording'")
        yield c.start()
        assert c.stop() == 0, c.log()


@pytest.fixture
def recordings(page):
    page.open('/recordings')
    page.until(lambda: len(page.rows()) >= len(STATES), 'all rows')
    return page


def row(page, status):
    """The row that shows a status."""
    return page.until(lambda: next(
        (r for r in page.all('tr[data-row]') if status in r.text), None),
        status)


def test_statuses_say_what_follows(console, recordings):
    texts = [' '.join(r) for r in recordings.rows()]
    for status, follows in (
            ('Recording', 'Goes to storage when it ends'),
            ('Transfer in progress 37%', 'Then it is available'),
            ('Waiting for encoding', 'Then it is encoded'),
            ('Encoding failed', 'Tried again at the next start'),
            ('Missing', 'Put the file back'),
            ('Expired', 'The file is gone')):
        assert any(status in t and follows in t for t in texts), (status,
                                                                  texts)
    recordings.check('recordings')
    # the percentage moves while one looks
    console.sql("UPDATE segments SET progress = 81 WHERE status = "
                "'transfer'")
    recordings.wait_text('81%')


def test_disk_space(recordings):
    recordings.wait_text('Used', '.space')
    recordings.css('.space summary').click()
    recordings.wait_text('desk1', '.space')


def test_filters(recordings):
    recordings.fill('Status', 'missing')
    recordings.until(lambda: len(recordings.rows()) == 1, 'one row')
    recordings.click('Clear filters')
    recordings.until(lambda: len(recordings.rows()) > 1, 'all rows')
    recordings.fill('Device name', 'ESK')       # a part of desk1
    recordings.until(lambda: 'device=ESK' in recordings.path, 'the address')
    recordings.settle()
    recordings.until(lambda: len(recordings.rows()) >= len(STATES), 'all')
    recordings.fill('Device name', 'none')
    recordings.wait_text('No recording found')
    recordings.check('recordings-none')
    recordings.click('Clear filters')
    recordings.fill('From', '2026-11-21')
    recordings.wait_text('No recording found')


def test_notes_by_double_click(console, recordings):
    ActionChains(recordings.driver).double_click(
        row(recordings, 'Available').find_element(
            'css selector', '.c-size')).perform()
    recordings.until(lambda: recordings.focused() == 'notes', 'the dialog')
    recordings.check('recordings-notes')
    recordings.keys('ticket 4711')
    recordings.click('Save')
    recordings.until(lambda: not recordings.all('dialog'), 'the list')
    recordings.wait_text('Has notes')
    assert console.sql('SELECT notes FROM segments WHERE id = %s',
                       (console.ids['available'],)) == [('ticket 4711',)]
    assert console.audited('notes')[0] == 'alice'


def test_menu_by_right_click_and_by_keyboard(recordings):
    target = row(recordings, 'Available')
    ActionChains(recordings.driver).context_click(
        target.find_element('css selector', '.c-size')).perform()
    recordings.until(lambda: recordings.focused() == 'Play', 'the menu')
    recordings.check('recordings-menu')
    recordings.keys(Keys.ESCAPE)
    link = target.find_element('css selector', '[data-main]')
    recordings.js('arguments[0].focus()', link)
    # what the browser makes of the menu key and of Shift+F10
    recordings.js('''
const box = arguments[0].getBoundingClientRect();
arguments[0].dispatchEvent(new PointerEvent('contextmenu', {bubbles: true,
  cancelable: true, button: 0, clientX: 0, clientY: 0}))''', link)
    recordings.until(lambda: recordings.focused() == 'Play', 'the menu')
    recordings.keys(Keys.END)
    assert recordings.focused() == 'Delete …'
    recordings.keys(Keys.ESCAPE)
    assert recordings.js('return document.activeElement === arguments[0]',
                         link)


def test_properties(console, recordings):
    recordings.js('arguments[0].click()', row(
        recordings, 'Available').find_element('css selector',
                                              '.c-menu button'))
    recordings.click('Properties …')
    recordings.wait_text('SHA-256')
    text = recordings.text('dialog')
    for said in ('5.0 MiB (5,242,880 bytes)', '640 × 480', 'VP9',
                 'abababab', console.ids['available'], 'itself refuses to'):
        assert said in text
    recordings.check('recordings-properties')
    recordings.keys(Keys.ESCAPE)
    recordings.until(lambda: not recordings.all('dialog'), 'the list')


def test_lock_delete_unlock(console, recordings):
    """A locked one cannot be deleted; a deletion needs a reason (M6)."""
    def menu():
        found = next(r for r in recordings.all('tr[data-row]')
                     if 'Corrupted' in r.text or 'Deleted' in r.text)
        recordings.js('arguments[0].click()', found.find_element(
            'css selector', '.c-menu button'))
    recordings.fill('Status', 'corrupted')
    recordings.until(lambda: len(recordings.rows()) == 1, 'one row')
    menu()
    recordings.click('Lock', '.menu')
    recordings.wait_text('nobody can delete it')
    menu()
    delete = recordings.named('Delete …')
    assert delete.get_attribute('aria-disabled') == 'true'
    assert delete.get_attribute('title') == 'It is locked. Unlock it first.'
    recordings.click('Unlock', '.menu')
    recordings.wait_text('is unlocked')
    menu()
    recordings.click('Delete …', '.menu')
    recordings.until(lambda: recordings.focused() == 'reason', 'the dialog')
    recordings.check('recordings-delete')
    recordings.click('Delete', 'dialog')
    assert recordings.all('dialog')  # without a reason it stays
    recordings.fill('Reason', 'damaged, case 12')
    recordings.click('Delete', 'dialog')
    recordings.wait_text('1 recording was deleted')
    (status, detail), = console.sql(
        'SELECT status, status_detail FROM segments WHERE id = %s',
        (console.ids['corrupted'],))
    assert (status, detail) == ('deleted', 'damaged, case 12')
    assert console.audited('delete')[2]['value'] == 'damaged, case 12'


def test_several(console, recordings):
    boxes = recordings.all('tbody .c-check input')
    boxes[1].click()
    ActionChains(recordings.driver).key_down(Keys.SHIFT).click(
        recordings.all('tbody .c-check input')[4]).key_up(
            Keys.SHIFT).perform()
    recordings.wait_text('4 recordings selected')
    recordings.check('recordings-selected')
    recordings.click('Select none')
    recordings.js('arguments[0].click()', recordings.css(
        'thead .c-check input'))
    recordings.wait_text(f'{len(STATES)} recordings selected')
    recordings.js('arguments[0].click()', recordings.css('.bulk button'))
    # nothing serves these files here: the downloads fail and say so
    recordings.wait_text('Try again', '.downloads')
    recordings.problems()


def test_admin_of_the_team_but_not_an_owner_sees_none(console, page):
    """T3: playback is the owners' unless the team says otherwise."""
    page.logout()
    page.login('adam', PASSWORD)
    page.open('/recordings')
    page.wait_text('No recordings yet')
    page.wait_text('Disk space')
    console.set_playback('admin')
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == len(STATES), 'all rows')
    console.set_playback('owner')
    page.logout()
    page.login('mia', PASSWORD)
    page.open('/recordings')
    page.wait_text('No recordings yet')
    assert page.all('.space') == []
    page.problems()
    page.logout()
    page.login('alice', PASSWORD)
