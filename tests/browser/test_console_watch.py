"""From connecting to watching one's own recording, in Chromium over a whole
Relaycam: nothing is done but by the console's pages (T5, T6, T11, X1)."""
import hashlib
import os
import zipfile

import pytest
from conftest import make_rig
from console_page import ConsolePage
from process import wait_until
from selenium.webdriver.common.by import By


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp('downloads')


@pytest.fixture(scope='module')
def page(rig, downloads):
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}',
                       downloads)
    page.login('alice', rig.password)
    yield page
    page.close()


@pytest.fixture(scope='module')
def other(rig):
    """A second person's browser, without a login."""
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    yield page
    page.close()


class Viewer:
    """The browser viewer inside the console."""

    def __init__(self, page):
        self.page = page
        self.driver = page.driver

    def __enter__(self):
        frame = self.page.until(lambda: self.page.css('iframe'), 'the viewer')
        self.driver.switch_to.frame(frame)
        return self

    def __exit__(self, *args):
        self.driver.switch_to.default_content()

    def view(self):
        return self.driver.execute_script(
            'return document.body.dataset.view')

    def has_picture(self):
        return self.driver.execute_script(
            "const c = document.querySelector('#desktop canvas');"
            "return !!c && c.width > 0")


def recording(rig):
    rows = rig.stack.ctl_json('sessions', 'list', '--limit', '1')
    return rows[0]


def test_connect_inside_the_console(rig, page):
    page.click('Connect', '.side')
    page.until(lambda: page.path == '/connect', 'the list')
    page.settle()
    page.wait_text('desk1')
    page.check('connect')
    page.click('Connect to desk1')
    page.until(lambda: page.path == '/connect/desk1', 'the viewer')
    with Viewer(page) as viewer:
        page.until(lambda: viewer.view() == 'session', 'the session')
        page.until(viewer.has_picture, 'a picture')
    page.check('viewer')
    page.problems()


def test_active_session_grows_and_is_ended(rig, page, other):
    other.login('alice', rig.password)
    other.click('Active sessions')
    other.until(lambda: other.rows(), 'the session')
    row = other.rows()[0]
    assert row[:2] == ['desk1', 'alice']
    assert 'Recording' in row
    first = row[3]
    other.until(lambda: other.rows()[0][3] != first, 'the time to move')
    other.check('active-sessions')
    # an order, seen by the technician's page
    other.js('arguments[0].click()', other.css('.c-menu button'))
    other.click('Frame rate …', '.menu')
    other.fill('Frames per second', '5')
    other.check('active-rate')
    other.click('Set', 'dialog')
    other.until(lambda: '5 per second' in str(other.rows()), 'the rate')
    assert recording(rig)['frame_rate'] in (5, '5')
    # watch it while it runs
    other.click('Watch alice at desk1')
    other.until(lambda: other.path.endswith('/play'), 'the player')
    other.until(lambda: other.js(
        "const v = document.querySelector('video');"
        "return !!v && v.readyState >= 2 && v.videoWidth > 0"), 'a picture')
    # the player asked for what was not written yet: in the browser's log
    other.problems()
    # and end it, with a reason that the technician reads
    other.click('Active sessions')
    other.until(lambda: other.rows(), 'the session')
    other.js('arguments[0].click()', other.css('.c-menu button'))
    other.click('End the session …', '.menu')
    other.fill('Reason', 'maintenance at noon')
    other.click('End session', 'dialog')
    other.wait_text('Nobody is connected')
    with Viewer(page) as viewer:
        page.until(lambda: viewer.view() == 'ended', 'the end')
        assert 'Maintenance at noon' in viewer.driver.find_element(
            By.ID, 'ended-reason').text
    other.check('active-none')


def test_own_recording_is_three_clicks_away(rig, page):
    page.click('Sessions')
    page.until(lambda: page.rows(), 'the session')
    # it arrives in storage while one looks
    page.until(lambda: 'Uploaded' in page.rows()[0], 'the upload', 180)
    page.js('arguments[0].click()', page.css('.icon-link'))
    page.until(lambda: page.all('.files li'), 'its files')
    files = page.all('.files li')
    assert len(files) == 2  # another frame rate began a new one
    page.check('session-files')
    page.click('Play', '.page-head')
    page.until(lambda: page.path.endswith('/play'), 'the player')
    start = page.until(lambda: page.js(
        "const v = document.querySelector('video');"
        "return v && v.videoWidth > 0 ? [v.currentTime] : null"), 'a picture')
    page.js("document.querySelector('video').play()")
    page.until(lambda: page.js(
        "return document.querySelector('video').currentTime") > start[0],
        'time to advance')
    page.picture('play-desktop-light')


def test_copied_link_plays_without_an_account(rig, page, other):
    page.open(f'/sessions/{recording(rig)["id"]}')
    page.until(lambda: page.all('.files li'), 'its files')
    page.cdp('Browser.grantPermissions', origin=page.url, permissions=[
        'clipboardReadWrite', 'clipboardSanitizedWrite'])
    page.css('.files li .actions button').click()
    page.wait_text('The link is on the clipboard')
    link = page.driver.execute_async_script(
        'navigator.clipboard.readText().then(arguments[0], arguments[0])')
    assert link.startswith(f'https://localhost:{rig.stack.ports.files}/')
    other.logout()
    other.driver.get(link)
    other.until(lambda: other.js(
        "const v = document.querySelector('video');"
        "return !!v && v.videoWidth > 0"), 'a picture')


def test_downloads_can_be_cancelled_and_arrive_whole(rig, page, downloads):
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == 2, 'the files')
    page.js('arguments[0].click()', page.css('thead .c-check input'))
    # slow enough to be cancelled
    page.cdp('Network.emulateNetworkConditions', offline=False, latency=0,
             downloadThroughput=300, uploadThroughput=-1)
    page.js('arguments[0].click()', page.css('.bulk button'))
    page.until(lambda: 'Downloading' in page.text('table'), 'the state')
    page.check('recordings-downloads')
    for button in page.all('.downloads [aria-label^="Cancel"]'):
        page.js('arguments[0].click()', button)
    page.until(lambda: page.text('.downloads').count('Cancelled') == 2,
               'both cancelled')
    assert os.listdir(downloads) == []
    page.cdp('Network.emulateNetworkConditions', offline=False, latency=0,
             downloadThroughput=-1, uploadThroughput=-1)
    for button in page.all('.downloads li button'):
        page.js('arguments[0].click()', button)
    page.until(lambda: page.text('.downloads').count('Saved') == 2, 'both')
    rows = rig.stack.ctl_json('recordings', 'list', '--session',
                              recording(rig)['id'])
    want = {r['sha256'] for r in rows}

    def arrived():
        names = [n for n in os.listdir(downloads) if n.endswith('.webm')]
        return len(names) == 2 and {
            hashlib.sha256((downloads / n).read_bytes()).hexdigest()
            for n in names} == want
    wait_until(arrived, 30, 'the files')
    assert all(n.startswith('desk1_monitor-') for n in os.listdir(downloads))
    page.problems()


def test_several_arrive_as_one_zip(rig, page, downloads):
    page.open('/recordings')
    page.until(lambda: len(page.rows()) == 2, 'the files')
    page.js('arguments[0].click()', page.css('thead .c-check input'))
    page.click('Download 2 as ZIP', '.bulk')
    path = downloads / '2 recordings.zip'
    wait_until(path.exists, 60, 'the ZIP')
    page.until(lambda: 'Saved' in page.text('.downloads'), 'its end')
    rows = rig.stack.ctl_json('recordings', 'list', '--session',
                              recording(rig)['id'])
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        assert {hashlib.sha256(z.read(n)).hexdigest()
                for n in z.namelist()} == {r['sha256'] for r in rows}
    page.problems()


def test_vnc_file_leads_a_viewer_to_the_relay(rig, page, downloads):
    page.open('/connect')
    page.until(lambda: page.rows(), 'the endpoint')
    page.js('arguments[0].click()', page.css('.c-menu button'))
    page.click('Save a .vnc file', '.menu')
    path = downloads / 'desk1.vnc'
    wait_until(path.exists, 30, 'the file')
    page.wait_text('alice@desk1')
    page.js('arguments[0].click()', page.css('.c-menu button'))
    page.click('One-time login …', '.menu')
    page.wait_text('It works once')
    ticket = {d.find_element(By.CSS_SELECTOR, 'dt').text:
              d.find_element(By.CSS_SELECTOR, '.mono').text
              for d in page.all('.value')}
    page.check('connect-ticket')
    assert ticket['Address'] == f'localhost:{rig.stack.ports.relay}'
    before = len(rig.stack.ctl_json('sessions', 'list', '--limit', '20'))
    viewer = rig.viewer(ticket['User name'], ticket['Password'])
    # the viewer runs as another account
    copy = rig.stack.path('tmp', 'desk1.vnc')
    rig.stack._write(copy, path.read_text(), 0o644)
    viewer.address = copy
    viewer.start()
    viewer.wait_for_window()
    assert len(rig.stack.ctl_json('sessions', 'list', '--limit', '20')
               ) == before + 1
    viewer.close()
