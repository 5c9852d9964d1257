"""Tests of endpoints that somebody asks for at the console: a relay connects to
a real Xvnc, logs in in full and says what came of it; technicians are not shut
out by them (T1, M7, X7)."""
import pytest
from conftest import make_rig
from process import wait_until

WAIT_S = 120


@pytest.fixture(scope='module')
def rig(request):
    # Xvnc's own preset
    rig = make_rig(request).start(extra=['-BlacklistTimeout', '10',
                                         '-BlacklistThreshold', '5'])
    add = ('endpoint', 'add')
    rig.stack.ctl(*add, 'gone', '--team', 'demo', '--host', '127.0.0.1',
                  '--port', '9', '--allow-clear')
    rig.stack.ctl(*add, 'laptop', '--team', 'demo', '--kind', 'agent')
    rig.stack.ctl(*add, 'parked', '--team', 'demo', '--kind', 'reverse')
    return rig


def ask(rig, endpoint):
    """As the console does; returns the problem, or ''."""
    (row,) = rig.stack.sql(
        "SELECT coalesce(r.problem, ''), coalesce(r.detail, '') FROM people p "
        'JOIN endpoints e ON e.team_id = p.team_id CROSS JOIN LATERAL '
        "console_endpoint_test(p.id, '{\"door\": \"console\"}', "
        "jsonb_build_object('id', e.id::text)) r WHERE p.name = 'alice' AND "
        f"e.name = '{endpoint}'")
    return row[0]


def again(rig):
    """As if a minute had passed."""
    rig.stack.sql("UPDATE endpoint_tests SET asked_at = asked_at - interval "
                  "'61 s'")


def result(rig, endpoint):
    """Whether it passed, and why."""
    def ended():
        rows = rig.stack.sql(
            'SELECT t.ok, t.detail FROM endpoint_tests t JOIN endpoints e ON '
            f"e.id = t.endpoint_id WHERE e.name = '{endpoint}' AND t.ended_at "
            'IS NOT NULL')
        return rows and rows[0]
    try:
        ok, detail = wait_until(ended, WAIT_S, f'the test of {endpoint}')
    except Exception as e:
        raise AssertionError(f'{e}\n{rig.log("relay")[-3000:]}') from e
    return ok == 't', detail


def run(rig, endpoint):
    again(rig)
    assert ask(rig, endpoint) == ''
    return result(rig, endpoint)


def test_a_right_endpoint_passes(rig):
    ok, detail = run(rig, 'desk1')
    assert ok and 'X509' in detail and '1280 x 800' in detail, detail
    audit = rig.stack.sql(
        "SELECT actor, action, detail->>'ok' FROM audit WHERE action LIKE "
        "'endpoint_test%' AND object = 'desk1' ORDER BY id")
    assert audit == [['alice', 'endpoint_test', ''],
                     ['relay', 'endpoint_tested', 'true']]
    # no session, no recording
    assert rig.stack.sql('SELECT count(*) FROM sessions') == [['0']]


def test_the_command_shuts_no_technician_out(rig):
    """relaycam endpoint test, and doctor, which tests all of them."""
    for _ in range(6):
        found = rig.stack.ctl_json('endpoint', 'test', 'desk1')
        assert found['ok'] and found['login'] == 'right', found
    viewer = rig.viewer().start()
    try:
        viewer.wait_for_window()
    finally:
        viewer.close()


def test_the_command_tries_the_password(rig):
    password = rig.stack.path('conf', 'wrong.password')
    rig.stack._write(password, 'wrong123\n')
    rig.stack.ctl('endpoint', 'set', 'desk1', '--password-file', password)
    try:
        with pytest.raises(Exception, match='refuses the stored password'):
            rig.stack.ctl('endpoint', 'test', 'desk1')
    finally:
        rig.stack.ctl('endpoint', 'set', 'desk1', '--password-file',
                      rig.stack.path('conf', 'desk1.password'))
    assert rig.stack.ctl_json('endpoint', 'test', 'desk1')['ok']


def test_tests_shut_no_technician_out(rig):
    """Xvnc refuses an address after five connections that did not log in."""
    for _ in range(8):
        assert run(rig, 'desk1')[0]
    viewer = rig.viewer().start()
    try:
        viewer.wait_for_window()
    finally:
        viewer.close()


@pytest.mark.parametrize('endpoint,why', [
    ('gone', 'endpoint gone (127.0.0.1:9) cannot be reached'),
    ('laptop', 'its agent never connected'),
    ('parked', 'No connection of its VNC server waits at a relay')])
def test_what_is_wrong_is_said(rig, endpoint, why):
    ok, detail = run(rig, endpoint)
    assert not ok and why in detail, detail


def test_an_agent_that_asks_for_consent_is_not_opened(rig):
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.consent=ask')
    try:
        ok, detail = run(rig, 'laptop')
        assert not ok and 'never enrolled' in detail
        # the relay would refuse it too, where the setting came meanwhile
        ok, detail = run(rig, 'desk1')
        assert not ok and 'consent' in detail
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.consent=off')


def test_a_wrong_password_is_said(rig):
    path = rig.stack.path('conf', 'wrong.password')
    rig.stack._write(path, 'not it\n')
    rig.stack.ctl('endpoint', 'add', 'wrong', '--team', 'demo', '--host',
                  'localhost', '--port', str(rig.stack.ports.endpoint),
                  '--password-file', path, '--ca', rig.stack.path('ca.pem'))
    ok, detail = run(rig, 'wrong')
    assert not ok and 'endpoint wrong' in detail, detail


def test_tests_are_bounded(rig):
    again(rig)
    assert ask(rig, 'desk1') == ''
    assert ask(rig, 'desk1') == 'busy'
    assert result(rig, 'desk1')[0]
    assert ask(rig, 'desk1') == 'busy'
    rig.stack.sql("UPDATE endpoint_tests SET asked_at = now() - interval "
                  "'11 s'")
    for n in range(9):
        rig.stack.sql(
            'WITH e AS (INSERT INTO endpoints (team_id, name, kind) SELECT id,'
            f" 'many{n}', 'reverse' FROM teams RETURNING id) INSERT INTO "
            'endpoint_tests (endpoint_id, asked_by, ended_at, ok) SELECT id, '
            "'alice', now(), true FROM e")
    rig.stack.sql("UPDATE endpoint_tests SET asked_at = now() - interval "
                  "'11 s'")
    assert ask(rig, 'desk1') == 'busy'
    again(rig)
    assert ask(rig, 'desk1') == ''
    assert result(rig, 'desk1')[0]


def test_a_test_that_no_relay_takes_ends(rig):
    run(rig, 'gone')
    rig.stack.sql(
        "UPDATE endpoint_tests t SET ended_at = NULL, ok = NULL, node_id = "
        "gen_random_uuid(), asked_at = now() - interval '61 s' FROM endpoints "
        "e WHERE e.id = t.endpoint_id AND e.name = 'gone'")
    ((ok, detail),) = rig.stack.sql(
        "SELECT console_endpoint_test_of(id)->>'ok', "
        "console_endpoint_test_of(id)->>'detail' FROM endpoints WHERE name = "
        "'gone'")
    assert (ok, detail) == ('false', 'No relay has answered; is one running?')
    assert run(rig, 'gone')[1].startswith('endpoint gone')
