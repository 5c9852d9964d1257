"""Attended access from the browser: the code that the end user reads out, the
wait for consent, and what each answer leads to. C2, C3, C4."""
import os
import re

import pytest
from conftest import BUILD, make_rig
from process import wait_until
from viewer_page import Page, sentence

# answers once it is told what: the person who thinks about it
ASK = 'while ! cat {answer} 2>/dev/null; do sleep 0.1; done'


class EndUser:
    """Someone with the agent's program in attended mode."""

    def __init__(self, rig):
        self.rig = rig
        self.answer_file = rig.stack.path('tmp', 'answer')
        secret = rig.stack.path('conf', 'desk1.password')
        agent = os.path.join(rig.stack.path('bin'), 'relaycam-agent')
        with open(os.path.join(BUILD, 'agent', 'relaycam-agent'),
                  'rb') as f:
            rig.stack._write(agent, f.read(), 0o755)
        self.process = rig.stack.spawn('agent', [
            agent, 'attend', '--relay', f'localhost:{rig.stack.ports.web}',
            '--ca', rig.stack.path('ca.pem'), '--display',
            f'127.0.0.1:{rig.stack.ports.endpoint}', '--password-file',
            secret, '--state', rig.stack.path('home'), '--set',
            f'agent.consent_command={ASK.format(answer=self.answer_file)}',
            '--set', 'agent.indicator_command=sleep 1000'],
            env=rig.endpoint.env)
        self.code = wait_until(self._read_code, 20, 'the code', self.process)

    def _read_code(self):
        found = re.search(r'\b(\d{3}) ?(\d{3}) ?(\d{3})\b',
                          self.rig.log('agent'))
        return ''.join(found.groups()) if found else None

    def answer(self, what):
        self.rig.stack._write(self.answer_file, what + '\n', 0o644)

    def forget(self):
        if os.path.exists(self.answer_file):
            os.unlink(self.answer_file)


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request).start(security='VncAuth')
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'attended.consent=ask')
    return rig


@pytest.fixture(scope='module')
def user(rig):
    return EndUser(rig)


@pytest.fixture(scope='module')
def page(rig):
    page = Page(rig.stack.ports.web)
    yield page
    page.close()


@pytest.fixture
def waiting(rig, user, page):
    """Alice has called; the question stands."""
    user.forget()
    page.open('#user=alice')
    # as it is read out, in groups
    code = f'{user.code[:3]} {user.code[3:6]} {user.code[6:]}'
    page.login('alice', code, rig.password)
    wait_until(lambda: page.view == 'wait' and page.text('wait-title') ==
               'Waiting for consent', 20, 'the page to say so')
    assert page.text('wait-text') == sentence(
        page.texts('waiting')[-1]['text']) != '.'
    keep = os.environ.get('RELAYCAM_SCREENSHOTS')
    if keep:
        page.screenshot(os.path.join(keep, 'waiting.png'))
    yield page
    if page.view == 'session':
        page.disconnect()


def test_full_control(user, waiting):
    user.answer('full')
    waiting.wait_connected()
    assert waiting.text('recording') == 'Recording'
    assert waiting.at('view-only').is_enabled()


def test_view_only(user, waiting):
    user.answer('view')
    waiting.wait_connected()
    button = waiting.at('view-only')
    assert button.get_attribute('aria-pressed') == 'true'
    assert not button.is_enabled()
    assert 'View only' in button.get_attribute('title')
    assert not waiting.at('ctrl-alt-del').is_enabled()


def test_declined(user, waiting):
    user.answer('decline')
    waiting.wait_view('login')
    assert 'declined' in waiting.text('login-problem')


def test_technician_gives_up(rig, user, waiting):
    waiting.at('wait-cancel').click()
    waiting.wait_view('login')
    assert waiting.text('login-problem') == ''
    # nothing of it is left: the next call asks anew
    wait_until(lambda: not [
        s for s in rig.stack.ctl_json('sessions', 'list', '--limit', '5')
        if s['ended_at'] is None], 10, 'the end of it')
