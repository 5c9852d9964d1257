"""Two relays on one database: a technician at one of them reaches what is
connected to the other, and what was tried or used at one counts at the other,
also after kill -9. T2, T4, X4, X7."""
import os
import socket
import time

import pytest
from demo import wait_available
from process import run, wait_until

import rfb_client as rfb
from nodes import RelayNode, at, dial_in
from paths import endpoints
from plain_server import H, W, Server
from test_access import Technician, refusal


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request)
    r.stack.settings['relay.agent_address'] = f'localhost:{r.stack.ports.web}'
    return r.start()


@pytest.fixture(scope='module')
def b(rig):
    return RelayNode(rig.stack, 'b').start()


@pytest.fixture
def server():
    s = Server('127.0.0.1', early=b'\2')     # a bell
    yield s
    s.close()


def session_of(rig, endpoint):
    return rig.stack.sql(
        'SELECT s.id, s.node_id FROM sessions s JOIN endpoints e ON e.id = '
        f"s.endpoint_id WHERE e.name = '{endpoint}' ORDER BY s.started_at "
        'DESC LIMIT 1')[0]


def look_and_type(rig, ports, endpoint, server):
    """A session that shows the server's desktop and types there."""
    with rfb.Client(ports.relay, rig.stack.path('ca.pem'),
                    f'alice@{endpoint}', rig.password, (rfb.RAW,)) as c:
        c.request(incremental=False)
        c.run_until(c.covered, 60)
        assert c.picture.shape[:2] == (H, W)
        assert c.bells >= 1
        c.key(0x61, 1)
        wait_until(lambda: 0x61 in server.down(), 60, 'the key')
        c.key(0x61, 0)
        return session_of(rig, endpoint)


def test_a_server_that_dialled_in_at_the_other(rig, b, server):
    way = rig.stack.ctl_json('endpoint', 'add', 'calls', '--team', 'demo',
                             '--kind', 'reverse', '--allow-clear')

    def parked_at():
        rows = rig.stack.sql("SELECT parked_node FROM endpoints WHERE name = "
                             "'calls' AND parked_node IS NOT NULL")
        return rows and rows[0][0]
    for _ in range(2):  # and again after a session
        dial_in(b.ports.reverse, way['id'], server.port)
        there = wait_until(parked_at, 60, 'it to wait', b.process)
        session, node = look_and_type(rig, rig.stack.ports, 'calls', server)
        assert node != there
        assert wait_available(rig.stack, session)
        wait_until(lambda: not parked_at(), 60, 'the row')
    # at its own relay as always
    dial_in(b.ports.reverse, way['id'], server.port)
    wait_until(parked_at, 60, 'it to wait', b.process)
    assert look_and_type(rig, b.ports, 'calls', server)[1] == there


def test_a_parked_server_that_is_gone_is_said(rig, b, server):
    """The row still says that it waits there."""
    way = rig.stack.ctl_json('endpoint', 'add', 'went', '--team', 'demo',
                             '--kind', 'reverse', '--allow-clear')
    s = dial_in(b.ports.reverse, way['id'], server.port)
    where = wait_until(lambda: rig.stack.sql(
        "SELECT parked_node FROM endpoints WHERE name = 'went' AND "
        'parked_node IS NOT NULL'), 60, 'it to wait')[0][0]
    s.shutdown(2)
    wait_until(lambda: rig.stack.sql(
        "SELECT parked_node FROM endpoints WHERE name = 'went' AND "
        'parked_node IS NULL'), 60, 'it to be gone')
    rig.stack.sql(f"UPDATE endpoints SET parked_node = '{where}' WHERE name ="
                  " 'went'")
    assert 'does not wait there any more' in refusal(
        rig, 'alice@went', rig.password)


def agent(rig, *args):
    program = endpoints.own_copy(
        rig.stack, os.path.join(rig.stack.build, 'agent', 'relaycam-agent'))
    return [program, *args, '--ca', rig.stack.path('ca.pem')] \
        if args[0] != 'run' else [program, *args]


def test_an_agent_that_is_at_the_other(rig, b, server):
    state = rig.stack.path('home', 'agent')
    way = rig.stack.ctl_json('endpoint', 'add', 'laptop', '--team', 'demo',
                             '--kind', 'agent')
    run(agent(rig, 'enroll', '--relay', f'localhost:{b.ports.web}', '--token',
              way['token'], '--state', state), rig.stack.user, rig.stack.env)
    p = rig.stack.spawn('agent', agent(
        rig, 'run', '--state', state, '--display',
        f'main=127.0.0.1:{server.port}'))
    there = wait_until(lambda: rig.stack.sql(
        "SELECT agent_node FROM endpoints WHERE name = 'laptop' AND "
        'agent_node IS NOT NULL'), 60, 'the agent', p)[0][0]
    assert look_and_type(rig, rig.stack.ports, 'laptop', server)[1] != there
    assert look_and_type(rig, b.ports, 'laptop', server)[1] == there


def ticket(rig, endpoint='desk1'):
    return rig.stack.ctl_json('ticket', f'alice@{endpoint}')['password']


def let_in(where, password, user='alice@desk1', source=None):
    t = Technician(where, timeout=120, source=source)
    try:
        reason = t.login(user, password)
        if reason is None:
            t.server_init()
        return reason
    finally:
        t.close()


def test_a_ticket_is_used_once_for_all(rig, b):
    for first, second in ((rig.stack.ports, b.ports),
                          (b.ports, rig.stack.ports)):
        one = ticket(rig)
        assert let_in(at(rig, first), one) is None
        assert 'not valid' in let_in(at(rig, second), one)


def test_guesses_and_tickets_outlive_kill_9(rig):
    """The relay is killed in the moment of its answer: what it answered is
    known to the others."""
    c = RelayNode(rig.stack, 'c').start()
    source = ('127.0.2.1', 0)
    one = ticket(rig)
    try:
        t = Technician(at(rig, c.ports), timeout=120, source=source)
        assert t.login('alice@desk1', one) is None
        t.close()
        for _ in range(4):
            t = Technician(at(rig, c.ports), timeout=120, source=source)
            assert 'password' in t.login('alice@desk1', 'wrong')
    finally:
        c.kill()
    t.close()
    assert rig.stack.sql("SELECT failed FROM login_failures WHERE "
                         "client_addr = '127.0.2.1'") == [['4']]
    assert 'not valid' in let_in(at(rig, rig.stack.ports), one)


def dial_wrong(ports, source):
    """A server with an ID that nobody has; until the relay closes."""
    s = socket.create_connection(('127.0.0.1', ports.reverse), 60,
                                 (source, 0))
    with s:
        s.settimeout(120)
        s.sendall(b'ID:nobody-AAAAAAAAAAAAAAAAAAAA'.ljust(250, b'\0'))
        try:
            assert s.recv(100) == b''
        except ConnectionResetError:
            pass


def wrong_ticket(rig, ports, source):
    t = Technician(at(rig, ports), timeout=120, source=(source, 0))
    try:
        assert 'not valid' in t.login('alice@desk1', 'rct_' + 'x' * 43)
    finally:
        t.close()


@pytest.mark.parametrize('guess', ['an ID', 'a ticket'])
def test_guesses_of_machines_and_tickets_count_everywhere(rig, b, guess):
    """By address. What the other relay wrote makes the next one wait here: five
    wrong ones 8 s from the last, however slow the machine is."""
    source = {'an ID': '127.0.3.1', 'a ticket': '127.0.3.2'}[guess]

    def try_at(ports):
        if guess == 'an ID':
            dial_wrong(ports, source)
        else:
            wrong_ticket(rig, ports, source)
    try_at(b.ports)
    wait_until(lambda: rig.stack.sql(
        'SELECT failed FROM login_failures WHERE client_addr = '
        f"'{source}'") == [['1']], 60, 'the row', b.process)
    began = time.monotonic()
    rig.stack.sql('UPDATE login_failures SET failed = 5, last_at = '
                  f"clock_timestamp() WHERE client_addr = '{source}'")
    try_at(rig.stack.ports)
    assert time.monotonic() - began > 6
    wait_until(lambda: rig.stack.sql(
        'SELECT failed FROM login_failures WHERE client_addr = '
        f"'{source}'") == [['6']], 60, 'the row')
