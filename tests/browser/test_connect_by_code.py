"""Connect in the console, over a whole Relaycam with a real agent: by a session
code that an end user reads out, and to one of several displays (attended
access, C2)."""
import re

import pytest
from process import wait_until

from agent_screen import Desktop
from console_page import ConsolePage
from test_agent import Laptop, rig  # noqa: F401
from test_console_watch import Viewer


@pytest.fixture(scope='module')
def page(rig):  # noqa: F811
    rig.stack.start_console()
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}')
    page.login('alice', rig.password)
    yield page
    page.close()


def wait_session(page):
    with Viewer(page) as viewer:
        page.until(lambda: viewer.view() == 'session', 'the session')
        page.until(viewer.has_picture, 'a picture')


def last_target(rig):  # noqa: F811
    return rig.stack.sql('SELECT e.kind, k.target FROM tickets k JOIN '
                         'endpoints e ON e.id = k.endpoint_id ORDER BY k.id '
                         'DESC LIMIT 1')[0]


def test_session_code(rig, page):  # noqa: F811
    s = rig.stack
    agent = s.spawn('agent-attend', [
        s.path('bin', 'relaycam-agent'), 'attend', '--relay',
        f'localhost:{s.ports.web}', '--ca', s.path('ca.pem'), '--display',
        f'127.0.0.1:{s.ports.endpoint}', '--password-file',
        s.path('conf', 'desk1.password')], env=rig.endpoint.env)
    code = wait_until(lambda: re.search(
        r'Session code: (\d{3} \d{3} \d{3})', rig.log('agent-attend')),
        60, 'the code', agent)[1]
    page.open('/connect')
    page.fill('Session code', code)
    page.click('Connect by code')
    page.until(lambda: page.path == '/connect/' + code.replace(' ', ''),
               'the viewer')
    page.wait_text(f'Connected to {code}')
    Desktop(rig.endpoint.env).answer('full')
    wait_session(page)
    assert last_target(rig) == ['attended', '']
    page.click('Leave')
    assert agent.stop() == 0
    page.problems()     # the viewer's connection was cut off


def test_wrong_code_says_what_it_is(page):
    page.open('/connect')
    page.fill('Session code', '999 999-999')
    page.click('Connect by code')
    page.wait_text('There is no such session code.')
    page.problems()     # the answer 422


def test_display_of_several(rig, page):  # noqa: F811
    at = f'127.0.0.1:{rig.stack.ports.endpoint}'
    laptop = Laptop(rig, 'laptop', '--display', f'main={at},second={at}')
    laptop.enroll().start()
    page.open('/connect')
    page.click('Connect to laptop')
    page.wait_text('Which display of laptop?')
    page.check('connect-display')
    page.click('second', 'dialog')
    page.click('Connect', 'dialog')
    page.until(lambda: page.path == '/connect/laptop?display=second',
               'the viewer')
    wait_session(page)
    assert last_target(rig) == ['agent', '/second']
    page.click('Leave')
    laptop.stop()
    page.problems()     # the viewer's connection was cut off
