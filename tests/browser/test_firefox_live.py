"""Firefox on a running session: the browser viewer inside the console, watching
live beside it, and a clip of what was recorded (T2, X1, M5)."""
import base64
import json
import subprocess

import conftest
import media
import pytest
from ctl import CTL
from process import wait_until

from counter import Counter
from firefox_page import FirefoxPage
from player_page import PICTURE, STATE
from player_rig import number_in

AT = 700, 300   # of the counter on the desktop

# What the viewer's canvas shows, inside its frame.
CANVAS = '''
const c = document.querySelector('#desktop canvas');
return c && c.width > 0 ? c.toDataURL('image/png').split(',')[1] : null;
'''


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp('downloads')


def log_in(rig, page):
    page.open('/login')
    page.fill('User name', 'alice')
    page.fill('Password', rig.password)
    page.click('Log in')
    page.until(lambda: not page.path.startswith('/login'), 'the console')
    return page


@pytest.fixture(scope='module')
def page(rig, downloads):
    page = FirefoxPage(f'https://localhost:{rig.stack.ports.console}',
                       prefs={'browser.download.folderList': 2,
                              'browser.download.dir': str(downloads),
                              'browser.download.useDownloadDir': True,
                              'browser.download.alwaysOpenPanel': False})
    yield log_in(rig, page)
    page.close()


@pytest.fixture(scope='module')
def counter(rig):
    counter = Counter(rig.stack, rig.endpoint.env, *AT)
    wait_until(counter.lines, 60, 'the counter', counter.process)
    yield counter
    counter.stop()


def number_of(png):
    return number_in(base64.b64decode(png), AT) if png else None


def state(page, probe, what):
    return page.until(lambda: (s := page.js(STATE)) is not None and
                      probe(s) and s, what)


def test_viewer_and_watching_live(rig, page, counter):
    page.open('/connect')
    page.click('Connect to desk1')
    page.until(lambda: page.js("return !!document.querySelector('iframe')"),
               'the viewer')
    with page.inside('iframe'):
        shown = page.until(lambda: number_of(page.js(CANVAS)),
                           'the counter in the viewer')
        later = page.until(lambda: (n := number_of(page.js(CANVAS))) and
                           n > shown and n, 'the counter to move')
    assert shown >= counter.lines()[0][0]
    session = wait_until(lambda: rig.stack.sql(
        "SELECT session_id FROM segments WHERE status = 'recording'"),
        60, 'a recording')[0][0]
    with page.another_tab():
        page.open(f'/sessions/{session}/play')
        state(page, lambda s: s['live'] and s['playing'] and s['ready'] >= 2,
              'live')
        seen = page.until(
            lambda: (n := number_of(page.js(PICTURE))) and n >= later and n,
            'what the viewer showed')
        page.until(lambda: (n := number_of(page.js(PICTURE))) and
                   n > seen + 8, 'two seconds more')
        page.picture('firefox-live')
        page.js("document.querySelector('rc-player').seek(300)")
        state(page, lambda s: not s['live'] and not s['seeking'], 'the start')
        page.click('Go live')
        state(page, lambda s: s['live'] and s['total'] - s['ms'] < 4000,
              'the live edge again')
        assert page.problems() == []
    assert page.problems() == []
    # the technician leaves; what was watched is stored
    page.open('/sessions')
    wait_until(lambda: rig.stack.sql(
        f"SELECT 1 FROM segments WHERE session_id = '{session}' GROUP BY "
        "session_id HAVING bool_and(status = 'available')"), 60,
        'the recording to be stored')


def saved(downloads):
    """The clip and its manifest, once both are whole."""
    for path in downloads.glob('*.webm'):
        try:
            manifest = json.loads(path.with_suffix('.json').read_text())
        except (OSError, ValueError):
            continue
        if path.stat().st_size == manifest['bytes']:
            return path, manifest
    return None


def test_clip(rig, page, downloads, tmp_path):
    (session, recording, key), = rig.stack.sql(
        'SELECT session_id, id, object_key FROM segments ORDER BY seq '
        'LIMIT 1')
    page.open(f'/sessions/{session}/play')
    state(page, lambda s: s['ready'] >= 2 and not s['seeking'], 'a picture')
    for ms, mark in ((200, '['), (1900, ']')):
        page.js("document.querySelector('rc-player').playback.pause();"
                "document.querySelector('rc-player').seek(arguments[0])", ms)
        state(page, lambda s, at=ms: not s['seeking'] and
              abs(s['ms'] - at) <= 60, f'the picture of {ms}')
        page.keys(mark)
    page.keys('c')
    page.until(lambda: 'the key frame at' in page.text('.rcp-clip-what'),
               'where it begins')
    page.picture('firefox-clip')
    page.js("document.querySelector('#rcp-clip-reason').focus()")
    page.keys('complaint 4711')
    page.js("document.querySelector('.rcp-clip-dialog .rcp-primary').click()")
    page.until(lambda: page.js(
        "return !!document.querySelector('.rcp-clip-made li')"), 'the clip')
    # Firefox lets one of two downloads pass by itself: the buttons do the rest
    for button in ('Save the clip', 'Save the manifest'):
        if not saved(downloads):
            page.click(button, '.rcp-clip-dialog')
    path, manifest = page.until(lambda: saved(downloads), 'clip and manifest')
    assert (manifest['person'], manifest['reason']) == (
        'alice', 'complaint 4711')
    assert media.frame_times(str(path))
    keys = tmp_path / 'keys'
    keys.write_text(rig.stack.ctl('evidence-key', 'export'))
    original = rig.stack.path('recordings', key)[:-5] + '.json'
    r = subprocess.run([CTL, 'verify', '--json', '--key', str(keys),
                        str(path), '--original', original],
                       capture_output=True, text=True, timeout=120)
    f, = json.loads(r.stdout)['files']
    assert f['result'] == 'good' and f['clip']['recording'] == recording, f
    assert page.problems() == []
