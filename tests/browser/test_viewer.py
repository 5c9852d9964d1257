"""The browser's way in: the page, login by password and by ticket, the
desktop in the browser, the toolbar; by the real relay, recorded. C3, C4, C5,
T9, X6."""
import os
import socket
import ssl
import subprocess

import demo
import numpy as np
import pytest
from conftest import make_rig
from PIL import Image
from process import wait_until
from selenium.webdriver.common.keys import Keys
from viewer_page import Page, sentence

UPGRADE = ('GET /session HTTP/1.1\r\nHost: localhost:{port}\r\n{origin}'
           'Upgrade: websocket\r\nConnection: Upgrade\r\n'
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
           'Sec-WebSocket-Version: 13\r\n\r\n')


@pytest.fixture(scope='module')
def rig(request):
    """Recording by hand: the toolbar shows all it has."""
    rig = make_rig(request).start()
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.recording=off',
                  'unattended.manual_recording=on',
                  'unattended.max_session_s=50m',
                  'unattended.warn_seconds=0')
    # a clock would make two pictures of one desktop differ
    rig.endpoint.xdotool('windowkill', rig.endpoint.clock)
    return rig


@pytest.fixture(scope='module')
def page(rig):
    page = Page(rig.stack.ports.web)
    yield page
    page.close()


@pytest.fixture
def session(rig, page):
    """Alice on desk1, at 1:1 and the best quality; ended afterwards."""
    page.open('#endpoint=desk1&user=alice')
    page.login('alice', 'desk1', rig.password)
    page.wait_connected()
    page.set_picture('high', 'one')
    yield page
    if page.view == 'session':
        page.disconnect()


def ticket(rig):
    return rig.stack.ctl_json('ticket', 'alice@desk1')['password']


def file_in(rig, name):
    """A path that the desktop's terminal may write, not there yet."""
    path = rig.stack.path('tmp', name)
    if os.path.exists(path):
        os.unlink(path)
    return path


def wait_content(path):
    def read():
        try:
            with open(path, encoding='utf-8') as f:
                return f.read()
        except OSError:
            return ''
    return wait_until(read, 10, path)


def focus_terminal(rig, page):
    """Clicks into the terminal's window."""
    page.click_desktop(300, 300)
    wait_until(lambda: rig.endpoint.xdotool('getwindowfocus').strip() ==
               rig.endpoint.terminal, 10, 'the terminal to have the focus')


def is_near(rig, x, y):
    """The pointer is at x, y of the desktop; in the browser's window the
    picture may lie half a pixel off."""
    words = rig.endpoint.xdotool('getmouselocation').split()
    at = [int(word.split(':')[1]) for word in words[:2]]
    return abs(at[0] - x) <= 1 and abs(at[1] - y) <= 1


def request(rig, text):
    """Sends a request over TLS; returns the answer's first line."""
    context = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
    with socket.create_connection(('localhost', rig.stack.ports.web),
                                  10) as s:
        with context.wrap_socket(s, server_hostname='localhost') as t:
            t.sendall(text.encode())
            return t.makefile('rb').readline().decode().strip()


def test_login_by_password(rig, page):
    page.open('#endpoint=desk1&user=alice')
    assert page.driver.current_url == page.url
    assert page.at('person').get_attribute('value') == 'alice'
    page.login('alice', 'desk1', 'wrong')
    wait_until(lambda: page.text('login-problem'), 20, 'the refusal')
    assert page.view == 'login'
    page.login('alice', 'desk1', rig.password)
    page.wait_connected()
    assert page.text('endpoint-name') == 'desk1'
    page.disconnect()
    assert page.text('ended-title') == 'You have disconnected'
    row = rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]
    assert row['id'] in page.text('ended-facts')
    page.at('again').click()
    assert page.view == 'login'
    assert page.at('endpoint').get_attribute('value') == 'desk1'
    assert page.at('password').get_attribute('value') == ''


def test_login_by_ticket_once(rig, page):
    text = ticket(rig)
    page.open(f'#ticket={text}')
    # neither the address bar nor the history keeps it
    assert page.driver.current_url == page.url
    page.wait_connected()
    page.disconnect()
    page.open(f'#ticket={text}')
    wait_until(lambda: page.view == 'login' and page.text('login-problem'),
               20, 'the refusal')
    assert text not in rig.log('relay')


def test_page_loads_without_a_complaint(rig, page):
    page.problems()
    page.open()
    page.wait_view('login')
    assert page.problems() == []


def test_desktop_is_seen(rig, session, tmp_path):
    shot = str(tmp_path / 'desktop.png')
    # a pointer that this viewer moved is drawn by the viewer, not by Xvnc
    session.click_desktop(1200, 700)

    def same():
        rig.endpoint.screenshot(shot)
        want = np.asarray(Image.open(shot).convert('RGB')).astype(int)
        got = session.canvas()
        if got.shape != want.shape:
            return False
        # JPEG of the best quality; most of the desktop comes without loss
        off = np.abs(got.astype(int) - want).max(axis=2)
        return off.max() <= 24 and (off == 0).mean() >= 0.98
    wait_until(same, 20, 'the browser to show the desktop')
    session.screenshot(str(tmp_path / 'viewer.png'))
    keep = os.environ.get('RELAYCAM_SCREENSHOTS')
    if keep:
        session.screenshot(os.path.join(keep, 'viewer.png'))


def test_keys_and_pointer_arrive(rig, session):
    path = file_in(rig, 'typed')
    focus_terminal(rig, session)
    session.type(f'echo "Hello, <World> {{1}}" > {path}\n')
    assert wait_content(path) == 'Hello, <World> {1}\n'
    session.click_desktop(1111, 666)
    wait_until(lambda: is_near(rig, 1111, 666), 10, 'the pointer')


def test_clipboard_both_ways(rig, session):
    session.at('clipboard').click()
    session.at('clip-out').send_keys('from the browser, 5 €')
    session.at('clip-send').click()
    wait_until(lambda: subprocess.run(
        ['timeout', '2', 'xclip', '-o', '-selection', 'clipboard'],
        env=rig.endpoint.env, capture_output=True,
        text=True).stdout == 'from the browser, 5 €', 10,
        'the text on the desktop')
    owner = rig.stack.spawn(
        'xclip', ['bash', '-c', 'printf "from the desktop, ü" | '
                  'xclip -quiet -selection clipboard -i'],
        env=rig.endpoint.env)
    wait_until(lambda: session.at('clip-in').get_attribute('value') ==
               'from the desktop, ü', 10, 'the text in the browser', owner)
    session.at('clipboard').click()


def test_keys_that_the_browser_keeps(rig, session):
    """Ctrl-Alt-Del and the like reach a program on the desktop."""
    log = file_in(rig, 'xev')
    rig.stack.spawn('xev', [
        'bash', '-c', f'exec xev -event keyboard -geometry 200x200+1000+500 '
        f'-name keylog > {log}'], env=rig.endpoint.env)
    window = rig.endpoint.window('keylog')
    rig.endpoint.xdotool('windowactivate', '--sync', window)
    session.at('ctrl-alt-del').click()

    def seen():
        with open(log, encoding='utf-8') as f:
            text = f.read()
        return all(f'{key})' in text
                   for key in ('Control_L', 'Alt_L', 'Delete'))
    wait_until(seen, 10, 'Ctrl-Alt-Del')
    rig.endpoint.xdotool('windowkill', window)


def test_text_is_typed_where_there_is_no_clipboard(rig, session):
    path = file_in(rig, 'by_keys')
    focus_terminal(rig, session)
    session.at('clipboard').click()
    session.at('clip-out').clear()
    session.at('clip-out').send_keys(f'echo "Straße & <b>" > {path}')
    session.at('clip-type').click()
    session.type('\n')
    assert wait_content(path) == 'Straße & <b>\n'


def test_keyboard_reaches_the_bar_and_comes_back(session):
    """The desktop takes every key: one chord is the way out."""
    active = 'return document.activeElement.id || document.activeElement' \
        '.tagName'
    session.click_desktop(1200, 700)
    assert session.driver.execute_script(active) == 'CANVAS'
    session.chord(Keys.CONTROL, Keys.ALT, Keys.SHIFT)
    assert session.driver.execute_script(active) == 'view-only'
    session.type(Keys.TAB)
    assert session.driver.execute_script(active) == 'clipboard'
    session.type(Keys.ESCAPE)
    assert session.driver.execute_script(active) == 'CANVAS'


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_bar_fits_a_small_screen(session, scheme):
    """One row at 1024 x 700, with a recording and its button."""
    with session.screen(1024, 700, scheme):
        bar = session.at('bar').rect
        assert bar['height'] < 60
        for button in session.at('bar').find_elements('css selector',
                                                      'button, select'):
            if button.is_displayed():
                assert button.rect['x'] + button.rect['width'] <= 1024
        keep = os.environ.get('RELAYCAM_SCREENSHOTS')
        if keep:
            session.screenshot(os.path.join(keep, f'{scheme}.png'))


def test_recording_by_hand(rig, session, tmp_path):
    """C4, C5: the indicator says what is so; a file comes out."""
    assert session.text('recording') == 'Not recorded'
    session.at('record').click()
    wait_until(lambda: session.text('recording') == 'Recording', 10,
               'the indicator')
    focus_terminal(rig, session)
    path = file_in(rig, 'recorded')
    session.type(f'echo yes > {path}\n')
    wait_content(path)
    session.at('record').click()
    wait_until(lambda: session.text('recording') == 'Not recorded', 10,
               'the indicator')
    row = rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]
    session.disconnect()
    assert len(demo.wait_available(rig.stack, row['id'])) == 1


def test_recording_by_hand_needs_the_right(rig, page):
    """C1: who may connect may not record, even from a page that lies."""
    path = rig.stack.path('tmp', 'bob.password')
    rig.stack._write(path, 'bobs password\n')
    rig.stack.ctl('user', 'add', 'bob', '--team', 'demo', '--role', 'member',
                  '--password-file', path)
    rig.stack.ctl('user', 'grant', 'bob', 'desk1', 'control')

    def connect():
        page.open('#endpoint=desk1&user=bob')
        page.login('bob', 'desk1', 'bobs password')
        page.wait_connected()
        return rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]['id']

    try:
        row = connect()
        assert not page.at('record').is_enabled()
        page.send_text_past_the_page('{"type":"recording","do":"start"}')
        wait_until(lambda: page.texts('error'), 10, 'the refusal')
        assert 'no right to record' in page.texts('error')[-1]['text']
        assert page.text('recording') == 'Not recorded'
        page.disconnect()
        assert rig.stack.sql("SELECT count(*) FROM audit WHERE action = "
                             f"'recording_started' AND object = '{row}'"
                             )[0][0] == '0'
        # with the right it is allowed, from the next session on
        rig.stack.ctl('user', 'grant', 'bob', 'desk1', 'record')
        row = connect()
        page.at('record').click()
        wait_until(lambda: page.text('recording') == 'Recording', 10,
                   'the indicator')
        page.disconnect()
        assert len(demo.wait_available(rig.stack, row)) == 1
    finally:
        if page.view == 'session':
            page.disconnect()


def test_frame_rate(rig, session):
    assert session.chosen('frame-rate') == '0'
    session.choose('frame-rate', 10)
    wait_until(lambda: [t for t in session.texts('status')
                        if t['frame_rate'] == 10], 10, 'the new rate')
    assert session.chosen('frame-rate') == '10'
    # from elsewhere, such as the console: the page follows
    row = rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]
    rig.stack.sql("SELECT session_command(NULL, "
                  f"'{row['id']}', 'frame_rate', '25')")
    wait_until(lambda: session.chosen('frame-rate') == '25', 10,
               'a rate that is not in the list')


def test_commands_that_are_refused(session):
    """A sentence for the person; the session goes on."""
    for text in ('{"type":"frame_rate","fps":61}',
                 '{"type":"monitor","index":7}', '{"type":"dance"}'):
        before = len(session.texts('error'))
        session.send_text_past_the_page(text)
        wait_until(lambda: len(session.texts('error')) > before, 10, text)
        assert sentence(session.texts('error')[-1]['text']) in \
            session.text('toasts')
    assert session.view == 'session'


def test_view_only(rig, session):
    """C3: what is typed does not arrive, even from a page that lies."""
    focus_terminal(rig, session)
    session.at('view-only').click()
    wait_until(lambda: session.at('view-only').get_attribute(
        'aria-pressed') == 'true', 10, 'view only')
    path, other = file_in(rig, 'unseen'), file_in(rig, 'seen')
    for character in f'touch {path}':
        session.send_key_past_the_page(ord(character))
    session.send_key_past_the_page(0xff0d)
    session.at('view-only').click()
    wait_until(lambda: session.at('view-only').get_attribute(
        'aria-pressed') == 'false', 10, 'full control')
    focus_terminal(rig, session)
    for character in f'echo yes > {other}':
        session.send_key_past_the_page(ord(character))
    session.send_key_past_the_page(0xff0d)
    wait_content(other)
    assert not os.path.exists(path)


def test_time_left(session):
    """T9: the session may last 50 minutes here; under an hour it shows."""
    assert session.text('time-left').startswith(('50 min', '49 min'))


def test_warning_and_end(rig, page):
    """T9: a real dialog before the end, and the reason after it."""
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.max_session_s=12',
                  'unattended.warn_seconds=8')
    try:
        page.open('#endpoint=desk1&user=alice')
        page.login('alice', 'desk1', rig.password)
        page.wait_connected()
        wait_until(lambda: page.at('warning').get_attribute('open'), 12,
                   'the warning')
        assert page.text('warning-text')
        page.driver.find_element('css selector', '#warning button').click()
        assert not page.at('warning').get_attribute('open')
        page.wait_view('ended')
        assert page.texts('ended')[-1]['code'] == 'max_duration'
        assert page.text('ended-reason') == \
            sentence(page.texts('ended')[-1]['reason'])
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.max_session_s=50m',
                      'unattended.warn_seconds=0')


def test_endpoint_closes(rig, session):
    clients = subprocess.run(
        ['tigervncconfig', '-disconnect'], env=rig.endpoint.env,
        capture_output=True, text=True)
    assert clients.returncode == 0, clients.stderr
    session.wait_view('ended')
    assert 'endpoint closed' in session.text('ended-reason')


PLAIN_NOVNC = """
const [user, password, done] = arguments;
const element = document.createElement('div');
element.style = 'width: 800px; height: 500px';
document.body.append(element);
import('/novnc/core/rfb.js').then(({ default: RFB }) => {
  const rfb = new RFB(element, `wss://${location.host}/websockify`,
    { credentials: { username: user, password } });
  rfb.addEventListener('connect', () => {
    const canvas = element.querySelector('canvas');
    const size = [canvas.width, canvas.height];
    rfb.addEventListener('disconnect', () => done(size));
    rfb.disconnect();
  });
  rfb.addEventListener('securityfailure', (event) =>
    done(event.detail.reason));
});
"""


def test_another_novnc(rig, page):
    """X6: noVNC as it comes logs in by itself, with no page of ours."""
    page.open()
    page.wait_view('login')
    page.driver.set_script_timeout(30)
    run = page.driver.execute_async_script
    assert run(PLAIN_NOVNC, 'alice@desk1', rig.password) == [1280, 800]
    page.open()
    page.wait_view('login')
    assert 'password' in run(PLAIN_NOVNC, 'alice@desk1', 'wrong')


def test_other_origins_are_refused(rig):
    port = rig.stack.ports.web
    good = f'Origin: https://localhost:{port}\r\n'
    bad = ('Origin: https://evil.example\r\n',
           f'Origin: http://localhost:{port}\r\n',
           'Origin: https://localhost\r\n', 'Origin: null\r\n', '')
    assert request(rig, UPGRADE.format(port=port, origin=good)) == \
        'HTTP/1.1 101 Switching Protocols'
    for origin in bad:
        assert request(rig, UPGRADE.format(port=port, origin=origin)) == \
            'HTTP/1.1 403 Forbidden', origin


def test_requests_that_are_refused(rig):
    port = rig.stack.ports.web
    host = f'Host: localhost:{port}\r\n'
    for text, status in (
            (f'GET /../conf/ca.key HTTP/1.1\r\n{host}\r\n', 404),
            (f'GET /%2e%2e/ca.pem HTTP/1.1\r\n{host}\r\n', 404),
            (f'POST / HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx', 405),
            (f'GET / HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx', 400),
            (f'GET / HTTP/1.1\r\n{host}{host}\r\n', 400),
            (f'GET /session HTTP/1.1\r\n{host}\r\n', 426),
            (f'GET / HTTP/1.1\r\n{host}X: {"x" * 9000}\r\n\r\n', 431)):
        assert request(rig, text).startswith(f'HTTP/1.1 {status} '), text
