"""A machine with a relay vanishes without a word: its agents are at another
address within seconds, however rarely the relay would have pinged them. X4."""
import os

import pytest
from process import Process, run, wait_until

import network
from paths import endpoints

pytestmark = pytest.mark.skipif(not network.is_possible(),
                                reason='makes networks')
BIND_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture(scope='module')
def rig(request):
    """What else notices a silent relay takes an hour."""
    from conftest import make_rig
    r = make_rig(request, settings={'relay.agent_seconds': 3600,
                                    'relay.peer_lost_seconds': 3600})
    r.stack.settings['relay.web_listen'] = f'0.0.0.0:{r.stack.ports.web}'
    return r.start()


@pytest.fixture
def machine():
    m = network.Machine()
    yield m
    m.remove()


@pytest.fixture
def addresses(machine):
    """Two of this machine, as of two relays."""
    prefix, last = machine.near.rsplit('.', 1)
    other = f'{prefix}.{(int(last) + 128) % 256}'
    network.ip('addr', 'add', f'{other}/32', 'dev', f'{machine.name}b')
    network.ip('-n', machine.name, 'route', 'add', other, 'dev', 'eth0')
    return machine.near, other


@pytest.fixture
def agent(rig, machine, addresses):
    s = rig.stack
    state, hosts = s.path('home', 'agent'), s.path('conf', 'hosts')
    with open(hosts, 'w', encoding='ascii') as f:
        f.writelines(f'{a} localhost\n' for a in addresses)
    os.chmod(hosts, 0o644)
    program = endpoints.own_copy(
        s, os.path.join(s.build, 'agent', 'relaycam-agent'))
    way = s.ctl_json('endpoint', 'add', 'laptop', '--team', 'demo', '--kind',
                     'agent')
    run([program, 'enroll', '--relay', f'localhost:{s.ports.web}', '--ca',
         s.path('ca.pem'), '--token', way['token'], '--state', state],
        s.user, s.env)
    p = Process('agent', machine.argv(
        'unshare', '-m', 'sh', '-c', BIND_HOSTS, hosts, 'setpriv', '--reuid',
        str(s.user.pw_uid), '--regid', str(s.user.pw_gid), '--clear-groups',
        '--', program, 'run', '--state', state, '--set',
        'agent.peer_lost_seconds=3600', '--display', 'main=127.0.0.1:1'),
        s.path('log', 'agent.log'), None, env=s.env)
    yield p
    p.stop()


def channel(rig):
    rows = rig.stack.sql("SELECT agent_channel FROM endpoints WHERE name = "
                         "'laptop' AND agent_channel IS NOT NULL")
    return rows[0][0] if rows else None


def relays_address(machine):
    """Where the agent's one connection leads to."""
    lines = run(machine.argv('ss', '-Htn', 'state',
                             'established')).splitlines()
    assert len(lines) == 1, lines
    return lines[0].split()[3].rsplit(':', 1)[0]


def log(agent):
    with open(agent.log_path, encoding='utf-8') as f:
        return f.read()


def test_an_agent_leaves_a_silent_address(rig, machine, addresses, agent):
    wait_until(lambda: 'relay_connected' in log(agent), 60, 'the agent', agent)
    first = channel(rig)
    at = relays_address(machine)
    assert at in addresses
    network.ip('-n', machine.name, 'neigh', 'replace', at, 'lladdr',
               '02:00:00:00:00:01', 'dev', 'eth0', 'nud', 'permanent')
    wait_until(lambda: channel(rig) not in (None, first), 60,
               'another channel', agent)
    # a row is written before the agent hears that it is welcome
    wait_until(lambda: 'reason="the relay does not answer"' in log(agent), 60,
               'the agent to say why', agent)
