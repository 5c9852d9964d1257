"""A relay of several is killed, or restarted in turn: its sessions end in rows
with the reason, agents go to another one, its spool is finished when it is
back, and a restart breaks no session. X4, T1."""
import os

import pytest
from demo import wait_available
from process import run, tcp_answers, wait_until

import rfb_client as rfb
from nodes import Balancer, RelayNode, StorageNode
from paths import endpoints
from plain_server import Server

LOST_S = 10


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request, settings={'relay.node_lost_seconds': LOST_S,
                                    'relay.agent_seconds': 1})
    r.stack.settings['relay.agent_address'] = f'localhost:{r.stack.ports.web}'
    return r.start()


@pytest.fixture
def server(rig):
    s = Server('127.0.0.1')
    rig.stack.ctl('endpoint', 'add', 'desk9', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(s.port), '--allow-clear')
    yield s
    s.close()
    rig.stack.ctl('endpoint', 'remove', 'desk9')


@pytest.fixture
def b(rig):
    """A relay in the second place; whether it runs is the test's."""
    return RelayNode(rig.stack, 'b')


def technician(rig, ports):
    c = rfb.Client(ports.relay, rig.stack.path('ca.pem'), 'alice@desk9',
                   rig.password, (rfb.RAW,))
    c.request(incremental=False)
    c.run_until(c.covered, 60)
    return c


def running(rig):
    return rig.stack.sql('SELECT s.id FROM sessions s JOIN endpoints e ON '
                         "e.id = s.endpoint_id WHERE e.name = 'desk9' AND "
                         's.ended_at IS NULL')


def row(rig, session, columns):
    return rig.stack.sql(f"SELECT {columns} FROM sessions WHERE id = "
                         f"'{session}'")[0]


def test_a_killed_relay(rig, b, server):
    b.start()
    balancer = Balancer(rig.stack, 'agents', {
        'a': rig.stack.ports.web, 'b': b.ports.web}).start()
    balancer.only('b')
    state = rig.stack.path('home', 'agent')
    program = endpoints.own_copy(
        rig.stack, os.path.join(rig.stack.build, 'agent', 'relaycam-agent'))
    way = rig.stack.ctl_json('endpoint', 'add', 'laptop', '--team', 'demo',
                             '--kind', 'agent')
    run([program, 'enroll', '--relay', f'localhost:{balancer.port}', '--ca',
         rig.stack.path('ca.pem'), '--token', way['token'], '--state', state],
        rig.stack.user, rig.stack.env)
    agent = rig.stack.spawn('agent', [
        program, 'run', '--state', state, '--display',
        f'main=127.0.0.1:{server.port}'])

    def agent_node():
        rows = rig.stack.sql("SELECT agent_node FROM endpoints WHERE name = "
                             "'laptop' AND agent_node IS NOT NULL")
        return rows and rows[0][0]
    before = wait_until(agent_node, 60, 'the agent', agent)
    balancer.all()

    c = technician(rig, b.ports)
    (session,), = running(rig)
    assert row(rig, session, 'node_id') == [before]
    wait_until(lambda: any(n.endswith('.part') for _, _, names in os.walk(
        b.spool) for n in names), 60, 'a file in the spool', b.process)
    b.kill()
    c.close()
    code, reason = wait_until(
        lambda: (r := row(rig, session, 'end_code, end_reason'))[0] and r,
        60, 'the row of the session')
    assert (code, reason) == ('node_lost', 'the relay that carried it stopped')
    assert rig.stack.sql("SELECT 1 FROM audit WHERE action = 'session_lost' "
                         f"AND object = '{session}'")
    wait_until(lambda: agent_node() not in (None, [], before), 60,
               'the agent to be at the other relay', agent)
    # the volume is back: its storage finishes what lies there
    StorageNode(rig.stack, 'b', b.spool).start()
    files = wait_available(rig.stack, session)
    assert files
    assert rig.stack.sql("SELECT why FROM gaps WHERE session_id = "
                         f"'{session}' AND why <> 'node_lost'") == []
    assert rig.stack.ctl_json('check')['violations'] == []
    agent.stop()


def test_a_restart_breaks_no_session(rig, b, server):
    """SIGTERM, as systemd and Kubernetes send it: not ready, no new sessions,
    and those that run go on until they end."""
    b.start()
    c = technician(rig, b.ports)
    (session,), = running(rig)
    b.process.terminate()
    wait_until(lambda: not rig.stack.is_ready(b.ports.relay_metrics), 60,
               'it to be not ready', b.process)

    wait_until(lambda: not tcp_answers(b.ports.relay), 60,
               'its port to be closed', b.process)
    technician(rig, rig.stack.ports).close()    # the others take them
    for key in range(0x61, 0x64):
        c.key(key, 1)
        wait_until(lambda k=key: k in server.down(), 60, 'the key', b.process)
        c.key(key, 0)
        n = len(c.updates)
        c.request(incremental=False)
        c.run_until(lambda m=n: len(c.updates) > m, 60)
    assert b.process.poll() is None
    c.close()
    assert b.process.wait(60) == 0, b.process.log_tail()
    rig.stack.processes.remove(b.process)
    assert row(rig, session, 'end_code') == ['normal']
    StorageNode(rig.stack, 'b', b.spool).start()
    assert wait_available(rig.stack, session)
