"""Orders to a session whose relay cannot be reached through the database:
they wait there, and are carried out once when it is back (T5, X4)."""
import json

import pytest
import requests
from process import StartError, wait_until
from stalling import make_tcp_rig

import rfb_client as rfb

LATE = 60


@pytest.fixture(scope='module')
def rig(request):
    return make_tcp_rig(request).start()


def is_ready(rig):
    try:
        return requests.get(
            f'http://127.0.0.1:{rig.stack.ports.relay_metrics}/readyz',
            timeout=5, proxies={'http': None}).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture
def away(rig):
    """The relay has no database: nothing comes through, and it knows."""
    def leave():
        rig.stack.way.stall()
        wait_until(lambda: not is_ready(rig), LATE, 'readyz to say so')

    def back():
        rig.stack.way.go_on()
        wait_until(lambda: is_ready(rig), LATE, 'readyz to be well')
    leave.back = back
    yield leave
    back()


@pytest.fixture
def session(rig):
    """Client and id of a running session."""
    with rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                    'alice@desk1', rig.password) as client:
        client.request(incremental=False)
        client.run_until(client.covered)
        yield client, rig.stack.sql(
            'SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY '
            'started_at DESC LIMIT 1')[0][0]


def order(rig, session, command, value=''):
    assert rig.stack.sql(f"SELECT session_command(NULL, '{session}', "
                         f"'{command}', '{value}')") == [['']]


def outcomes(rig, session):
    return [(d['command'], d['value']) for d, in (
        [json.loads(text)] for text, in rig.stack.sql(
            "SELECT detail FROM audit WHERE action = 'session_command_done' "
            f"AND object = '{session}' ORDER BY id"))]


def waiting(rig):
    return rig.stack.sql('SELECT count(*) FROM session_orders')[0][0]


def test_orders_wait(rig, away, session):
    _, sid = session
    away()
    # the command line says that it waits
    with pytest.raises(StartError, match='the order waits'):
        rig.stack.ctl('sessions', 'frame-rate', sid, '7')
    order(rig, sid, 'view_only', 'on')
    order(rig, sid, 'frame_rate', '9')
    assert waiting(rig) == '3'
    away.back()
    wait_until(lambda: rig.stack.sql(
        f"SELECT frame_rate, view_only FROM sessions WHERE id = '{sid}'") ==
        [['9', 't']], LATE, 'the orders to be carried out')
    wait_until(lambda: waiting(rig) == '0', LATE, 'them to be taken away')
    # each once, in their order
    want = [('frame_rate', '7'), ('view_only', 'on'), ('frame_rate', '9')]
    wait_until(lambda: outcomes(rig, sid) == want, LATE, 'the audit log')
    # and those of a relay that is there, at once
    rig.stack.ctl('sessions', 'frame-rate', sid, '0')
    wait_until(lambda: waiting(rig) == '0', LATE, 'it to be taken away')
    want.append(('frame_rate', '0'))
    wait_until(lambda: outcomes(rig, sid) == want, LATE, 'the audit log')


def test_end_waits(rig, away, session):
    client, sid = session
    away()
    order(rig, sid, 'end', 'enough of that')
    away.back()
    with pytest.raises((EOFError, OSError)):
        while True:
            client.message()
    wait_until(lambda: rig.stack.sql(
        f"SELECT end_reason FROM sessions WHERE id = '{sid}'") ==
        [['enough of that']], LATE, 'the row of the end')


def test_a_warning_does_not_come_late(rig, away, session):
    client, sid = session
    away()
    bells = client.bells
    order(rig, sid, 'warn', 'this is old')
    rig.stack.sql("UPDATE session_orders SET given_at = given_at - "
                  "interval '5 min'")
    order(rig, sid, 'warn', 'this is new')
    away.back()
    client.run_until(lambda: client.bells > bells, LATE, 'the bell')
    wait_until(lambda: outcomes(rig, sid) == [('warn', 'this is new')], LATE,
               'the audit log')


def test_orders_of_ended_sessions_go(rig, session):
    """One that came too late is no order for anybody."""
    _, sid = session
    ended = rig.stack.sql(
        'SELECT id FROM sessions WHERE ended_at IS NOT NULL LIMIT 1')
    if not ended:
        pytest.fail('no session has ended before this one')
    rig.stack.sql(
        'INSERT INTO session_orders (session_id, command, value, given_by, '
        f"is_own) VALUES ('{ended[0][0]}', 'end', '', 'test', false)")
    order(rig, sid, 'frame_rate', '3')
    wait_until(lambda: waiting(rig) == '0', LATE, 'both to be gone')
