"""Endpoints behind relaycam-agent, with the real relay, a real desktop and
real viewers: T1, T4, C2, C3, C4, X6."""
import io
import os
import re
import subprocess

import demo
import pytest
from PIL import Image
from conftest import BUILD, make_rig
from process import run, tcp_answers, wait_until

import media
from agent_screen import Desktop
from test_access import Technician, refusal

NOTE = 'the note that the session is recorded'


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={'relay.agent_seconds': 2}).start(
        security='VncAuth')
    rig.desktop = Desktop(rig.endpoint.env)
    program = rig.stack.path('bin', 'relaycam-agent')
    with open(os.path.join(BUILD, 'agent', 'relaycam-agent'), 'rb') as f:
        rig.stack._write(program, f.read(), 0o755)
    return rig


class Laptop:
    """An enrolled endpoint whose agent runs on the demo desktop."""

    def __init__(self, rig, name, *options, env=None):
        self.rig, self.name = rig, name
        self.state = rig.stack.path('home', name)
        self.program = rig.stack.path('bin', 'relaycam-agent')
        self.options = ['--state', self.state, *options]
        self.env = {**rig.endpoint.env, **(env or {})}
        self.process = None

    def enroll(self):
        """With the line that `endpoint add` prints, and the stack's CA."""
        s = self.rig.stack
        way = s.ctl_json('endpoint', 'add', self.name, '--team', 'demo',
                         '--kind', 'agent', '--password-file',
                         s.path('conf', 'desk1.password'))
        words = way['command'].split()
        assert words[:2] == ['relaycam-agent', 'enroll']
        assert words[words.index('--token') + 1] == way['token']
        out = run([self.program, *words[1:words.index('--relay')],
                   '--relay', f'localhost:{s.ports.web}', '--ca',
                   s.path('ca.pem'), '--token', way['token'],
                   *self.options], s.user, self.env)
        assert f'endpoint {self.name} of team demo' in out
        self.token = way['token']
        return self

    def start(self):
        s = self.rig.stack
        self.process = s.spawn(f'agent-{self.name}', [
            self.program, 'run', '--display',
            f'main=127.0.0.1:{s.ports.endpoint}', *self.options],
            env=self.env)
        return self.wait('connected')

    def state_now(self):
        return next(e['state'] for e in self.rig.stack.ctl_json(
            'endpoint', 'list') if e['name'] == self.name)

    def wait(self, state):
        # an agent that was refused waits up to a minute before it calls again
        wait_until(lambda: self.state_now() == state, 120,
                   f'{self.name} to be {state}', self.process
                   if state == 'connected' else None)
        return self

    def stop(self):
        if self.process is not None:
            assert self.process.stop() == 0
            self.process = None

    def log(self):
        return self.rig.log(f'agent-{self.name}')


@pytest.fixture(scope='module')
def laptop(rig):
    return Laptop(rig, 'laptop').enroll().start()


@pytest.fixture
def viewer(rig):
    """viewer(login): viewers that are closed after the test."""
    open_ones = []

    def start(login, **kw):
        open_ones.append(rig.viewer(
            login, name=f'viewer{len(open_ones)}', **kw).start())
        return open_ones[-1]
    yield start
    for v in open_ones:
        v.close()


def last_session(rig):
    return rig.stack.sql('SELECT id, coalesce(end_code, \'\'), '
                         'coalesce(end_reason, \'\'), path, '
                         'coalesce(consent, \'\') FROM sessions '
                         'ORDER BY started_at DESC LIMIT 1')[0]


def shows_desktop(viewer):
    """The ground of the demo desktop, below its terminal. Before, there is
    the relay's waiting picture, and whoever types types for nobody."""
    ppm = Desktop(viewer.env).pixels()
    pixel = Image.open(io.BytesIO(ppm)).getpixel((20, 600)) if ppm else (0,)
    return all(abs(a - b) < 16 for a, b in zip(pixel, (0x2f, 0x48, 0x58)))


def types_into_terminal(rig, viewer, name, is_active=True):
    """Has the terminal of the desktop make a file; returns its path. The
    window manager takes a while to act on the click."""
    path = rig.stack.path('tmp', name)
    viewer.wait_for_window()
    wait_until(lambda: shows_desktop(viewer), 30, 'the desktop',
               viewer.process)
    viewer.xdotool('mousemove', '--window', viewer.window, '300', '300',
                   'click', '1')
    if is_active:
        wait_until(lambda: rig.endpoint.xdotool_try('getactivewindow') ==
                   rig.endpoint.terminal, 10, 'the terminal to be active')
    viewer.type(f'touch {path}\n', delay_ms=20)
    return path


def arrives(path):
    wait_until(lambda: os.path.exists(path), 20, 'what was typed')


def ended(rig, session):
    return wait_until(
        lambda: (row := last_session(rig))[0] == session and row[1] and row,
        20, 'the session to end')


# --- sessions ---

def test_session_is_recorded(rig, laptop, viewer, tmp_path):
    """Whole way: keys and pointer arrive, the user sees the note while it is
    recorded (C4), the file plays (T1)."""
    v = viewer('alice@laptop')
    arrives(types_into_terminal(rig, v, 'typed'))
    rig.desktop.until(rig.desktop.note, NOTE)
    demo.work(rig.endpoint, v, 3)
    session, _, _, path, _ = last_session(rig)
    assert path == 'agent'
    v.close()
    rig.desktop.until(lambda: rig.desktop.note() == b'', 'its end')
    ended(rig, session)
    segments = demo.wait_available(rig.stack, session, 60)
    assert len(segments) == 1
    out = tmp_path / 'f.webm'
    target = rig.stack.path('tmp', 'agent.webm')
    rig.stack.ctl('recordings', 'fetch', segments[0]['id'], '--output',
                  target, '--ca', rig.stack.path('ca.pem'))
    os.rename(target, out)
    info = media.probe(out)
    assert (info['width'], info['height']) == (1280, 800)
    assert info['duration'] > 3 and info['frames'] > 10


def test_secrets_are_in_no_log(rig, laptop):
    """The token, and the tickets of the sessions so far."""
    assert laptop.token not in rig.log('relay') + laptop.log()
    assert not re.search('[0-9a-f]{64}', laptop.log())
    assert rig.endpoint_password not in laptop.log()


def test_two_sessions_at_once(rig, laptop, viewer):
    first, second = viewer('alice@laptop'), viewer('alice@laptop')
    arrives(types_into_terminal(rig, first, 'first'))
    arrives(types_into_terminal(rig, second, 'second'))
    first.close()
    arrives(types_into_terminal(rig, second, 'second again'.replace(' ', '')))


def test_display_that_is_not_there(rig, laptop):
    assert 'display' in refusal(rig, 'alice@laptop/third', rig.password)


def test_server_that_is_not_there(rig, viewer):
    """The technician reads what the agent met."""
    other = Laptop(rig, 'noserver')
    other.enroll()
    with open(rig.stack.path('conf', 'noserver.conf'), 'w') as f:
        f.write('[agent]\ndisplays = main=127.0.0.1:1\n')
    os.chmod(f.name, 0o644)
    other.process = rig.stack.spawn('agent-noserver', [
        other.program, 'run', '--config', f.name, *other.options],
        env=other.env)
    other.wait('connected')
    why = refusal(rig, 'alice@noserver', rig.password)
    assert '127.0.0.1:1' in why and 'refused' in why.lower()
    other.stop()
    other.wait('away')
    why = refusal(rig, 'alice@noserver', rig.password)
    assert 'noserver' in why


def test_agent_killed_in_a_session(rig, viewer):
    """The technician's session ends at once, the next one works."""
    other = Laptop(rig, 'mortal').enroll().start()
    v = viewer('alice@mortal')
    arrives(types_into_terminal(rig, v, 'before'))
    session = last_session(rig)[0]
    other.process.kill()
    other.process.wait()
    ended(rig, session)
    other.start()
    arrives(types_into_terminal(rig, viewer('alice@mortal'), 'after'))
    other.stop()


# --- the control channel ---

def test_relay_restarted_under_a_connected_agent(rig, laptop, viewer):
    relay = next(p for p in rig.stack.processes if p.name == 'relay')
    connected = laptop.log().count('relay_connected')
    relay.kill()
    relay.wait()
    rig.stack.processes.remove(relay)
    rig.stack.start_relay()
    wait_until(lambda: laptop.log().count('relay_connected') > connected, 60,
               'the agent to come back', laptop.process)
    laptop.wait('connected')
    arrives(types_into_terminal(rig, viewer('alice@laptop'), 'restarted'))


def restart_relay(rig, **settings):
    relay = next(p for p in rig.stack.processes if p.name == 'relay')
    assert relay.stop(30) == 0
    rig.stack.processes.remove(relay)
    for key, value in settings.items():
        rig.stack.settings[f'relay.{key}'] = value
    rig.stack._write_conf()
    rig.stack.start_relay()


def test_agent_too_old(rig, laptop):
    """T4: named are the endpoint, its version and the one that is needed."""
    try:
        restart_relay(rig, agent_min_version='9.1.0')
        wait_until(lambda: '9.1.0' in laptop.log(), 60,
                   'the agent to be refused', laptop.process)
        why = refusal(rig, 'alice@laptop', rig.password)
        assert 'laptop' in why and '9.1.0' in why and '0.1.0' in why
    finally:
        restart_relay(rig, agent_min_version='0.1.0')
    laptop.wait('connected')


def test_revoked_agent_ends(rig):
    other = Laptop(rig, 'stolen').enroll().start()
    rig.stack.ctl('endpoint', 'revoke', 'stolen')
    process, other.process = other.process, None
    # whenever it comes back it is refused for good
    restart_relay(rig)
    assert process.wait(60) == 77
    assert 'enrol' in rig.log('agent-stolen')


def test_revoked_while_the_relay_could_not_hear(rig):
    """The notice of it is lost with the connection to the database."""
    other = Laptop(rig, 'unheard').enroll().start()
    process, other.process = other.process, None
    rig.stack.sql(
        "BEGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
        "pid <> pg_backend_pid() AND datname = current_database(); UPDATE "
        "endpoints SET agent_cert_sha256 = NULL WHERE name = 'unheard'; "
        "COMMIT")
    assert process.wait(60) == 77


def test_token_works_once(rig):
    other = Laptop(rig, 'once').enroll()
    r = subprocess.run([
        other.program, 'enroll', '--relay',
        f'localhost:{rig.stack.ports.web}', '--ca', rig.stack.path('ca.pem'),
        '--token', other.token, '--state', rig.stack.path('home', 'twice')],
        capture_output=True, text=True, env=other.env,
        user=rig.stack.user.pw_uid if os.getuid() == 0 else None)
    assert r.returncode == 77 and 'token' in r.stderr
    assert os.listdir(rig.stack.path('home', 'twice')) == []


# --- through a proxy ---

@pytest.fixture
def proxy(rig):
    """tinyproxy that lets CONNECT through to the relay's port only."""
    port = rig.stack.ports.relay + 50
    conf = rig.stack.path('conf', 'tinyproxy.conf')
    rig.stack._write(conf, f'''Port {port}
Listen 127.0.0.1
Timeout 600
Allow 127.0.0.1
LogLevel Connect
BasicAuth bob geheim1
ConnectPort {rig.stack.ports.web}
''')
    p = rig.stack.spawn('tinyproxy', ['tinyproxy', '-d', '-c', conf])
    wait_until(lambda: tcp_answers(port), 10, 'the proxy', p)
    p.port = port
    yield p
    p.stop()


def test_session_through_a_proxy(rig, proxy, viewer):
    """Enrolment, control channel and data channel are CONNECT requests; a
    wrong password is said in words."""
    url = f'http://bob:geheim1@127.0.0.1:{proxy.port}'
    other = Laptop(rig, 'office', '--proxy', url).enroll().start()
    arrives(types_into_terminal(rig, viewer('alice@office'), 'proxied'))
    asked = [line for line in rig.log('tinyproxy').splitlines()
             if f'CONNECT localhost:{rig.stack.ports.web}' in line]
    assert len(asked) >= 3
    other.stop()
    assert 'geheim1' not in other.log()
    wrong = Laptop(rig, 'office', '--proxy', url.replace('geheim1', 'x'))
    wrong.process = rig.stack.spawn('agent-wrong', [
        wrong.program, 'run', *wrong.options], env=wrong.env)
    wait_until(lambda: 'does not accept the name and password' in
               rig.log('agent-wrong'), 20, 'the refusal', wrong.process)
    wrong.stop()


# --- consent ---

@pytest.fixture
def asking(rig, laptop):
    """Unattended access asks for consent, for eight seconds."""
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.consent=ask', 'unattended.consent_seconds=8')
    laptop.wait('connected')
    yield
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.consent=off')


def test_full_control(rig, asking, viewer):
    v = viewer('alice@laptop')
    rig.desktop.answer('full')
    rig.desktop.gone()
    arrives(types_into_terminal(rig, v, 'allowed'))
    assert last_session(rig)[4] == 'full'


def test_view_only(rig, asking, viewer):
    """C3: keys do not arrive; the picture does."""
    v = viewer('alice@laptop')
    rig.desktop.answer('view')
    rig.desktop.gone()
    rig.desktop.until(rig.desktop.note, NOTE)
    path = types_into_terminal(rig, v, 'notallowed', is_active=False)
    assert last_session(rig)[4] == 'view'
    # what the end user types is shown, so the way to the screen is whole:
    # after that, what the technician typed before would be there too
    marker = rig.stack.path('tmp', 'own')
    rig.endpoint.xdotool('windowactivate', '--sync', rig.endpoint.terminal)
    rig.endpoint.xdotool('type', '--delay', '20', f'touch {marker}\n')
    arrives(marker)
    assert not os.path.exists(path)


def said_by_relay(rig, word):
    return [line for line in rig.log('relay').splitlines()
            if 'session_refused' in line and word in line]


def test_declined(rig, asking, viewer):
    """The technician is told, then sent away."""
    v = viewer('alice@laptop')
    rig.desktop.answer('decline')
    wait_until(lambda: said_by_relay(rig, 'declined'), 20, 'the refusal')
    rig.desktop.gone()
    wait_until(lambda: v.process.poll() is not None, 40,
               'the viewer to be sent away')


def test_nobody_answers(rig, asking, viewer):
    viewer('alice@laptop')
    rig.desktop.window()
    wait_until(lambda: said_by_relay(rig, 'answer'), 20, 'the refusal')
    rig.desktop.gone()


def test_technician_gives_up_while_waiting(rig, asking, viewer):
    """The question goes from the screen."""
    v = viewer('alice@laptop')
    rig.desktop.window()
    v.close()
    rig.desktop.gone()


def test_disabled_while_the_person_is_asked(rig, asking, viewer):
    """The question goes from the screen, the technician reads why."""
    path = rig.stack.path('tmp', 'carol.password')
    rig.stack._write(path, 'carols password\n')
    rig.stack.ctl('user', 'add', 'carol', '--team', 'demo', '--role',
                  'admin', '--password-file', path)
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.consent_seconds=120')
    v = viewer('carol@laptop', password='carols password')
    rig.desktop.window()
    rig.stack.ctl('user', 'disable', 'carol')
    wait_until(lambda: said_by_relay(rig, 'carol was disabled'), 20,
               'the refusal')
    rig.desktop.gone()
    wait_until(lambda: v.process.poll() is not None, 40,
               'the viewer to be sent away')


# --- attended ---

def test_attended_code(rig, viewer):
    s = rig.stack
    agent = s.spawn('agent-attend', [
        s.path('bin', 'relaycam-agent'), 'attend', '--relay',
        f'localhost:{s.ports.web}', '--ca', s.path('ca.pem'), '--display',
        f'127.0.0.1:{s.ports.endpoint}', '--password-file',
        s.path('conf', 'desk1.password')], env=rig.endpoint.env)
    code = ''.join(wait_until(lambda: re.search(
        r'Session code: (\d{3}) (\d{3}) (\d{3})', rig.log('agent-attend')),
        20, 'the code', agent).groups())
    rig.desktop.window('Session code')
    v = viewer(f'alice@{code}')
    rig.desktop.answer('full')
    arrives(types_into_terminal(rig, v, 'attended'))
    assert last_session(rig)[3:] == ['attended', 'full']
    assert agent.stop() == 0
    wait_until(lambda: v.process.poll() is not None, 20, 'the viewer to end')
    assert code not in [r[0] for r in s.sql('SELECT code FROM attended_codes')]
    t = Technician(rig)
    assert t.login(f'alice@{code}', rig.password)
    t.close()
