"""PostgreSQL's primary is killed and its standby promoted: sessions and their
recordings go on, new logins are refused in words meanwhile, and served
again. X4, T1."""
import time

import pytest
from demo import wait_available
from process import wait_until

import rfb_client as rfb
from plain_server import Server
from standby import Standby
from test_access import Technician


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request)
    r.standby = Standby(r.stack)
    r.start()
    r.standby.start()
    r.stack.start_console()
    return r


def answer(rig):
    """What a login at the relay comes to: None, or the reason."""
    t = Technician(rig, timeout=120)
    try:
        reason = t.login('alice@desk9', rig.password)
        if reason is None:
            t.server_init()
        return reason
    finally:
        t.close()


def test_the_standby_takes_over(rig):
    stack, standby = rig.stack, rig.standby
    server = Server('127.0.0.1')
    stack.ctl('endpoint', 'add', 'desk9', '--team', 'demo', '--host',
              '127.0.0.1', '--port', str(server.port), '--allow-clear')
    c = rfb.Client(stack.ports.relay, stack.path('ca.pem'), 'alice@desk9',
                   rig.password, (rfb.RAW,))
    c.request(incremental=False)
    c.run_until(c.covered, 60)

    def works(key):
        c.key(key, 1)
        wait_until(lambda: key in server.down(), 60, 'the key')
        c.key(key, 0)
        n = len(c.updates)
        c.request(incremental=False)
        c.run_until(lambda: len(c.updates) > n, 60)
    works(0x61)
    (session,), = standby.sql('SELECT id FROM sessions WHERE ended_at IS NULL')
    standby.kill_primary()
    works(0x62)
    reason = answer(rig)
    assert 'database' in reason and 'refused until it is back' in reason or \
        'cannot be checked' in reason, reason
    for port in (stack.ports.relay_metrics, stack.ports.storage_metrics,
                 stack.ports.console_metrics):
        wait_until(lambda p=port: not stack.is_ready(p), 60, 'not ready')
    works(0x63)
    standby.promote()
    began = time.monotonic()
    wait_until(lambda: answer(rig) is None, 60, 'a login')
    print(f'served again after {time.monotonic() - began:.1f} s')
    for port in (stack.ports.relay_metrics, stack.ports.storage_metrics,
                 stack.ports.console_metrics):
        wait_until(lambda p=port: stack.is_ready(p), 60, 'ready')
    works(0x64)
    assert standby.sql('SELECT ended_at IS NULL, end_code IS NULL FROM '
                       f"sessions WHERE id = '{session}'") == [['t', 't']]
    c.close()
    assert wait_available(stack, session)
    assert standby.sql('SELECT end_code FROM sessions WHERE id = '
                       f"'{session}'") == [['normal']]
    assert standby.sql('SELECT * FROM gaps') == []
    # sessions that looked in meanwhile ended as well
    wait_until(lambda: standby.sql('SELECT 1 FROM sessions WHERE ended_at IS '
                                   'NULL') == [], 60, 'all to end')
    wait_until(lambda: standby.sql(
        "SELECT 1 FROM segments WHERE status <> 'available'") == [], 120,
        'all to be stored')
    assert stack.ctl_json('check')['violations'] == []
    server.close()
