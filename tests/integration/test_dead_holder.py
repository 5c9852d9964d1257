"""The relay to which an endpoint is connected is dead, and the rows do not say
so yet: technicians at another relay are told at once, not after
connect_seconds; and an agent that greeted that relay in vain can be reached
where it stayed. X4, T4."""
import threading

import pytest
from process import wait_until

from agent_peer import make_certificate
from nodes import RelayNode, at, dial_in
from plain_server import Server
from test_access import Technician
from test_database_silent import Agent

# longer than any test: here relays are written off by hand
LOST_S = 600
CONNECT_S = 120


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request, settings={'relay.connect_seconds': CONNECT_S,
                                    'relay.node_lost_seconds': LOST_S})
    r.stack.settings['relay.agent_address'] = f'localhost:{r.stack.ports.web}'
    return r.start()


@pytest.fixture
def server():
    s = Server('127.0.0.1')
    yield s
    s.close()


def refusal(rig, user):
    t = Technician(rig, timeout=60)
    try:
        return t.login(user, rig.password)
    finally:
        t.close()


def dead_holder(rig, server, name):
    """A relay at which the endpoint waits is killed; its id."""
    b = RelayNode(rig.stack, name).start()
    way = rig.stack.ctl_json('endpoint', 'add', name, '--team', 'demo',
                             '--kind', 'reverse', '--allow-clear')
    dial_in(b.ports.reverse, way['id'], server.port)
    where = wait_until(lambda: rig.stack.sql(
        f"SELECT parked_node FROM endpoints WHERE name = '{name}' AND "
        'parked_node IS NOT NULL'), 60, 'it to wait', b.process)[0][0]
    b.kill()
    return where


def write_off(rig, node):
    """What a relay does about another one that is lost, as far as it concerns
    endpoints."""
    rig.stack.sql('UPDATE endpoints SET agent_node = NULL, agent_channel = '
                  f"NULL WHERE agent_node = '{node}'")
    rig.stack.sql(f"SELECT pg_notify('relaycam_node', '{node}')")


@pytest.mark.parametrize('name, said', [
    ('silent', f"heartbeat_at = heartbeat_at - interval '{LOST_S} s'"),
    ('stopped', 'stopped_at = now()')])
def test_a_silent_relay_is_not_waited_for(rig, server, name, said):
    where = dead_holder(rig, server, name)
    rig.stack.sql(f"UPDATE nodes SET {said} WHERE id = '{where}'")
    assert 'the relay that it is connected to does not answer' in refusal(
        rig, f'alice@{name}')


def test_who_waits_for_a_relay_is_told_that_it_is_lost(rig, server):
    """Its heartbeat is young: the session asks that relay."""
    where = dead_holder(rig, server, 'lost')
    said = []
    t = threading.Thread(target=lambda: said.append(refusal(
        rig, 'alice@lost')), daemon=True)
    t.start()

    def is_told():      # it may not ask yet
        write_off(rig, where)
        return said or not t.is_alive()
    wait_until(is_told, 60, 'the refusal')
    assert 'the relay that it was connected to stopped' in said[0]


def channel(rig):
    return rig.stack.sql("SELECT agent_channel, agent_node FROM endpoints "
                         "WHERE name = 'pc' AND deleted_at IS NULL")[0]


@pytest.mark.parametrize('end', ['close', 'kill'])
def test_an_agent_stays_where_it_was(rig, tmp_path, end):
    """It greeted another relay while its own was silent. That one has written
    its row when the agent closes the second channel, or when it dies."""
    pem, key, pin = make_certificate(str(tmp_path), 'pc', 'DNS:pc')
    rig.stack.ctl('endpoint', 'add', 'pc', '--team', 'demo', '--kind', 'agent')
    rig.stack.sql("UPDATE endpoints SET agent_cert_sha256 = "
                  f"'\\x{pin.replace(':', '')}' WHERE name = 'pc' AND "
                  'deleted_at IS NULL')
    b = RelayNode(rig.stack, f'greeted-{end}').start()
    first = Agent(rig, 0, (pem, key))
    before = wait_until(lambda: (r := channel(rig))[0] and r, 60, 'the row')
    second = Agent(at(rig, b.ports), 0, (pem, key))
    wait_until(lambda: channel(rig)[1] not in ('', before[1]), 60,
               'the row of the second channel', b.process)
    if end == 'kill':
        there = channel(rig)[1]
        b.kill()
        write_off(rig, there)
    second.close()
    wait_until(lambda: channel(rig) == before, 60, 'the row of the first')
    first.close()
    wait_until(lambda: channel(rig)[0] == '', 60, 'it to be gone')
    rig.stack.ctl('endpoint', 'remove', 'pc')
    if end == 'close':
        b.stop()
