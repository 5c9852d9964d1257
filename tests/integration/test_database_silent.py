"""A database that is silent, full, read-only or slow to commit falsifies no
record: nobody who lives is written off, people read the true reason, and what
happened meanwhile is written when it is back. X2, X4, X7."""
import hashlib
import hmac
import json
import socket
import ssl
import struct
import subprocess
import time

import pytest
import requests
from counter import Counter
from process import wait_until

from agent_peer import CODE, CONTROL, HELLO, WELCOME, Channel, frame, text
from rfb_client import Client
from stalling import Deaf, Full, Silent, Way, make_tcp_rig
from test_access import Technician, refusal
from test_faults import ended

ANSWER_S, LOST_S = 2, 9     # settings of make_tcp_rig
LATE = 30                   # for a machine that is busy


class Relay2:
    """Another relay of the installation, with a way of its own."""

    def __init__(self, stack):
        self.stack = stack
        self.way = Way(stack.way.target)
        base = stack.ports.relay + 40
        self.metrics = base + 2
        self.process = stack.spawn('relay2', [
            stack.path('bin', 'relaycam-relay'), '--config', stack.conf_file,
            *(a for k, v in {
                'database.url': stack.url([self.way.port]),
                'relay.listen': f'127.0.0.1:{base}',
                'relay.web_listen': f'127.0.0.1:{base + 1}',
                'relay.metrics_listen': f'127.0.0.1:{self.metrics}',
                'relay.reverse_listen': f'127.0.0.1:{base + 3}',
                'relay.session_ports': ''}.items()
              for a in ('--set', f'{k}={v}'))])
        wait_until(lambda: ready(self.metrics) == 'ready', LATE, 'relay 2',
                   self.process)

    def stop(self):
        self.way.go_on()
        self.process.stop(40)
        self.stack.processes.remove(self.process)
        self.way.close()


def ready(port):
    """What /readyz says."""
    try:
        return requests.get(f'http://127.0.0.1:{port}/readyz', timeout=5,
                            proxies={'http': None}).text.strip()
    except requests.ConnectionError:
        return None


@pytest.fixture(scope='module')
def rig(request):
    return make_tcp_rig(request, **{
        'relay.agent_seconds': '600', 'relay.reverse_clear': 'loopback',
        'relay.login_seconds': '40'}).start()


@pytest.fixture
def way(rig):
    yield rig.stack.way
    rig.stack.way.go_on()
    wait_ready(rig)


def wait_ready(rig):
    for port in (rig.stack.ports.relay_metrics,
                 rig.stack.ports.storage_metrics):
        wait_until(lambda p=port: ready(p) in ('ready', 'ok'), LATE,
                   f'readyz at {port}')


def relay_ready(rig):
    return ready(rig.stack.ports.relay_metrics)


@pytest.fixture(scope='module')
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, LATE, 'the counter', c.process)
    yield c
    c.stop()


class Running:
    """A session whose pictures the technician gets."""

    def __init__(self, rig, counter):
        self.rig, self.counter = rig, counter
        before = {r[0] for r in rig.stack.sql('SELECT id FROM sessions')}
        self.client = Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                             'alice@desk1', rig.password)
        self.client.request(incremental=False)
        self.id, = {r[0] for r in rig.stack.sql(
            'SELECT id FROM sessions')} - before
        self.works()

    def works(self):
        """Two more pictures come."""
        have = len(self.client.updates)
        self.client.run_until(lambda: len(self.client.updates) > have + 1,
                              LATE)

    def work_until(self, done, timeout_s, what):
        end = time.monotonic() + timeout_s
        while not done():
            self.works()
            assert time.monotonic() < end, what

    def row(self, what):
        return self.rig.stack.sql(
            f"SELECT {what} FROM sessions WHERE id = '{self.id}'")[0]

    def audited(self, action):
        return int(self.rig.stack.sql(
            f"SELECT count(*) FROM audit WHERE action = '{action}' AND "
            f"object = '{self.id}'")[0][0])

    def end(self):
        self.client.close()
        row = ended(self.rig, {'id': self.id}, LATE)
        assert row['end_code'] == 'normal'
        assert self.row('recording, ended_mono_ns IS NOT NULL') == ['f', 't']
        assert self.audited('session_end') == 1


class Agent:
    """A control channel, without the program behind it."""

    def __init__(self, rig, mode, certificate=None):
        ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
        ctx.set_alpn_protocols([CONTROL])
        if certificate:
            ctx.load_cert_chain(*certificate)
        sock = socket.create_connection(
            ('127.0.0.1', rig.stack.ports.web), 20)
        self.channel = Channel(
            ctx.wrap_socket(sock, server_hostname='localhost'))
        self.channel.send(frame(HELLO, struct.pack('>HB', 2, mode) +
                                text('0.1.0') + text('pc') + text('test') +
                                b'\1' + text('main') + text('')))
        self.channel.message(WELCOME)
        if mode == 1:
            body = self.channel.message(CODE)
            self.code = body[2:11].decode()

    def close(self):
        self.channel.close()


@pytest.fixture
def connected(rig):
    """An enrolled agent, an attended one and a parked server; what the
    database says of them."""
    stack = rig.stack
    pem, key = stack.path('tmp', 'agent.pem'), stack.path('tmp', 'agent.key')
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         '/CN=pc', '-keyout', key, '-out', pem], check=True,
        capture_output=True)
    with open(pem, encoding='ascii') as f:
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest()
    stack.ctl('endpoint', 'add', 'pc', '--kind', 'agent')
    stack.sql(f"UPDATE endpoints SET agent_cert_sha256 = '\\x{pin}' WHERE "
              "name = 'pc' AND deleted_at IS NULL")
    reverse = stack.ctl_json('endpoint', 'add', 'calls', '--kind', 'reverse',
                             '--allow-clear')
    things = [Agent(rig, 0, (pem, key)), Agent(rig, 1)]
    parked = socket.create_connection(('127.0.0.1', stack.ports.reverse), 20)
    parked.sendall(
        f"ID:{reverse['id'].removeprefix('ID:')}".encode().ljust(250, b'\0') +
        b'RFB 003.003\n\0\0\0\1' + struct.pack(
            '>HH16sI', 64, 48, bytes([32, 24, 0, 1, 0, 255, 0, 255, 0, 255,
                                      16, 8, 0, 0, 0, 0]), 0))
    things.append(parked)
    code = things[1].code

    def state():
        return stack.sql(
            'WITH e AS (SELECT * FROM endpoints WHERE deleted_at IS NULL) '
            "SELECT (SELECT agent_node FROM e WHERE name = 'pc'), "
            "(SELECT agent_channel FROM e WHERE name = 'pc'), "
            "(SELECT parked_node FROM e WHERE name = 'calls'), "
            f"(SELECT node_id FROM attended_codes WHERE code = '{code}')")[0]
    wait_until(lambda: all(state()), LATE, 'all to be connected')
    yield state
    for t in things:
        t.close()
    for name in ('pc', 'calls'):
        stack.ctl('endpoint', 'remove', name)


def check(rig):
    out = subprocess.run(
        [rig.stack.path('bin', 'relaycam'), '--config', rig.stack.conf_file,
         'check'], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stdout


@pytest.fixture
def relay2(rig):
    r = Relay2(rig.stack)
    yield r
    r.stop()


def beats(rig):
    """Seconds since the last heartbeats, the oldest first."""
    return [float(r[0]) for r in rig.stack.sql(
        'SELECT extract(epoch FROM clock_timestamp() - heartbeat_at) FROM '
        "nodes WHERE program = 'relay' AND stopped_at IS NULL ORDER BY 1 "
        'DESC')]


# --- F1: nobody who lives is written off ---

def test_a_pause_writes_nobody_off(rig, counter, way, relay2, connected):
    """Longer than the limit, for both; each may be the first to be back."""
    s = Running(rig, counter)
    before = connected()
    for last in (way, relay2.way):
        first = relay2.way if last is way else way
        way.stall()
        relay2.way.stall()
        s.work_until(lambda: min(beats(rig)) > LOST_S + 2, 60,
                     'the pause to last')
        assert relay_ready(rig) == 'the database does not answer'
        assert ready(relay2.metrics) == 'the database does not answer'
        first.go_on()
        s.work_until(lambda: min(beats(rig)) < 2, LATE, 'the first one')
        last.go_on()
        s.work_until(lambda: max(beats(rig)) < 4, LATE, 'the other one')
        # and after the time in which it might have been
        since = time.monotonic()
        s.work_until(lambda: time.monotonic() > since + LOST_S + 3, 60, '')
        assert s.row('ended_at') == ['']
        assert connected() == before
    assert s.audited('session_lost') == 0
    s.end()
    check(rig)


def test_who_was_cut_off_alone_is_put_right(rig, counter, way, relay2,
                                            connected):
    """Relay 2 cannot know better; when it turns out, rows and audit say so."""
    s = Running(rig, counter)
    before = connected()
    way.stall()
    s.work_until(lambda: s.row('end_code') == ['node_lost'], 60,
                 'relay 2 to give it up')
    assert s.audited('session_lost') == 1
    assert connected() == ['', '', '', '']
    s.works()
    way.go_on()
    s.work_until(lambda: s.row('ended_at') == [''], LATE, 'the correction')
    assert s.row('end_code, end_reason, recording') == ['', '', 't']
    assert s.audited('session_lost_corrected') == 1
    wait_until(lambda: connected() == before, LATE, 'all to be there again')
    assert rig.stack.sql('SELECT count(*) FROM gaps WHERE session_id = '
                         f"'{s.id}'") == [['0']]
    s.end()
    assert s.audited('session_lost_corrected') == 1
    check(rig)


def test_an_end_while_written_off_is_the_end(rig, counter, way, relay2):
    s = Running(rig, counter)
    way.stall()
    s.work_until(lambda: s.row('end_code') == ['node_lost'], 60,
                 'relay 2 to give it up')
    s.client.close()
    wait_until(lambda: f'session_end session={s.id}' in rig.log('relay'),
               LATE, 'the end')
    way.go_on()
    wait_until(lambda: s.row('end_code') == ['normal'], LATE, 'its row')
    assert s.audited('session_lost_corrected') == 1
    assert s.audited('session_end') == 1


def test_a_dead_relay_is_written_off(rig, relay2):
    """The rule still has its use."""
    stack = rig.stack
    stack.sql("INSERT INTO sessions (id, team_id, endpoint_id, person_id, "
              "node_id, access, recorded, client_addr, started_at) SELECT "
              "gen_random_uuid(), p.team_id, e.id, p.id, n.id, "
              "'unattended', false, 'x', now() FROM people p, endpoints e, "
              f"nodes n WHERE p.name = 'alice' AND e.name = 'desk1' AND n.id "
              "= (SELECT id FROM nodes WHERE program = 'relay' ORDER BY "
              "started_at DESC LIMIT 1)")
    relay2.process.kill()
    relay2.process.wait()
    began = time.monotonic()
    wait_until(lambda: stack.sql("SELECT count(*) FROM sessions WHERE "
                                 "client_addr = 'x' AND end_code = "
                                 "'node_lost'") == [['1']], 60, 'its end')
    assert time.monotonic() - began > LOST_S - 2
    stack.sql("INSERT INTO audit (actor, action, object) SELECT 'test', "
              "'session_start', id::text FROM sessions WHERE client_addr = "
              "'x'")


# --- F1, F3: commits that hang ---

@pytest.fixture
def no_standby(rig):
    """Commits wait for a standby that is not there."""
    def standby(names):
        rig.stack.sql(f"ALTER SYSTEM SET synchronous_standby_names = "
                      f"'{names}'")
        rig.stack.sql('SELECT pg_reload_conf()')
    yield lambda: standby('nobody')
    standby('')
    wait_ready(rig)


def test_commits_that_hang(rig, counter, no_standby, relay2):
    s = Running(rig, counter)
    no_standby()
    began = time.monotonic()
    s.work_until(lambda: relay_ready(rig) == 'the database does not answer',
                 LATE, 'readyz')
    print('readyz after', time.monotonic() - began)
    # its beginning cannot be noted; what it was told is true
    reasons = []
    while not any('could not be noted' in r for r in reasons):
        began = time.monotonic()
        reasons.append(refusal(rig, 'alice@desk1', rig.password))
        took = time.monotonic() - began
        assert "relay's database does not answer" in reasons[-1], reasons
        assert took < ANSWER_S * 3 + 3, took
    print('refused after', took)
    s.work_until(lambda: max(beats(rig)) > LOST_S + 2 or
                 time.monotonic() > began + LOST_S + 5, 60, 'the limit')
    # what hangs there is cancelled, not left behind
    assert int(rig.stack.sql('SELECT count(*) FROM pg_stat_activity')
               [0][0]) < 35
    rig.stack.sql("ALTER SYSTEM RESET synchronous_standby_names")
    rig.stack.sql('SELECT pg_reload_conf()')
    wait_ready(rig)
    s.works()
    assert s.row('ended_at') == [''] and s.audited('session_lost') == 0
    # those who never began have ended
    wait_until(lambda: rig.stack.sql(
        'SELECT count(*) FROM sessions WHERE ended_at IS NULL') == [['1']],
        LATE, 'the others to be over')
    s.end()
    check(rig)


# --- F3: connected, and silent ---

def assert_file_is_not_denied(rig):
    """A link whose file is elsewhere: that is not known now."""
    key, expires = 'demo/desk1/x.webm', int(time.time()) + 600
    with open(rig.stack.path('conf', 'link.key'), 'rb') as f:
        sign = hmac.new(f.read(), f'relaycam-file\n{key}\n{expires}'.encode(),
                        'sha256').hexdigest()
    r = requests.get(
        f'https://localhost:{rig.stack.ports.files}/files/{key}?expires='
        f'{expires}&signature={sign}', timeout=20,
        verify=rig.stack.path('ca.pem'), proxies={'https': None})
    assert r.status_code == 503 and 'database is away' in r.text
    assert r.headers['Retry-After']


def test_silence_is_noticed(rig, counter, way):
    s = Running(rig, counter)
    lines = rig.log('relay').count('database_silent')
    way.stall()
    began = time.monotonic()
    # one that comes at once
    t = Technician(rig)
    reason = t.login('alice@desk1', rig.password)
    took = time.monotonic() - began
    t.close()
    assert "relay's database does not answer" in reason
    assert took < ANSWER_S + 3, took
    s.work_until(lambda: relay_ready(rig) == 'the database does not answer'
                 and ready(rig.stack.ports.storage_metrics) ==
                 'the database does not answer', LATE, 'readyz of both')
    noticed = time.monotonic() - began
    assert rig.log('relay').count('database_silent') > lines
    assert 'database_silent' in rig.log('storage')
    # from now on at once
    began = time.monotonic()
    assert "database does not answer" in refusal(rig, 'alice@desk1',
                                                 rig.password)
    at_once = time.monotonic() - began
    assert at_once < 2
    assert_file_is_not_denied(rig)
    print(f'login refused after {took:.1f} s, readyz after {noticed:.1f} s, '
          f'then after {at_once:.2f} s')
    # a session ends while nobody can be told
    s.works()
    s.client.close()
    wait_until(lambda: f'session_end session={s.id}' in rig.log('relay'),
               LATE, 'the end')
    way.go_on()
    wait_ready(rig)
    s.end()
    assert Technician(rig).login('alice@desk1', rig.password) is None
    assert 'away_ms' in rig.log('relay')


def test_an_idle_relay_notices_too(rig, way):
    way.stall()
    wait_until(lambda: relay_ready(rig) == 'the database does not answer',
               LATE, 'readyz')
    way.go_on()
    wait_ready(rig)


def test_the_command_line_says_that_it_waits(rig):
    deaf = Deaf()
    argv = [rig.stack.path('bin', 'relaycam'), '--config',
            rig.stack.conf_file, '--set',
            f'database.url={rig.stack.url([deaf.port])}']
    try:
        doctor = subprocess.run([*argv, 'doctor'], capture_output=True,
                                text=True, timeout=60)
        assert doctor.returncode == 1
        assert f'connected, and no answer for {ANSWER_S} s' in doctor.stdout
        with pytest.raises(subprocess.TimeoutExpired) as e:
            subprocess.run([*argv, 'team', 'list'], capture_output=True,
                           timeout=3 * ANSWER_S)
        assert b'still waiting' in e.value.stderr
    finally:
        deaf.close()


# --- what cannot be written ---

def test_read_only_is_no_end(rig, counter):
    """As after a failover to a standby: 25006."""
    s = Running(rig, counter)
    sql = rig.stack.sql
    sql('ALTER DATABASE relaycam SET default_transaction_read_only = on')
    sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE '
        "datname = 'relaycam' AND pid <> pg_backend_pid()")
    try:
        s.work_until(lambda: 'read-only' in (relay_ready(rig) or ''), LATE,
                     'readyz')
        assert 'database' in refusal(rig, 'alice@desk1', rig.password)
        s.works()
        s.client.close()
    finally:
        sql('BEGIN READ WRITE; ALTER DATABASE relaycam RESET '
            'default_transaction_read_only; COMMIT')
        sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE '
            "datname = 'relaycam' AND pid <> pg_backend_pid()")
    wait_ready(rig)
    s.end()
    # each loop has a connection of its own
    wait_until(lambda: Technician(rig).login(
        'alice@desk1', rig.password) is None, LATE, 'a login')


def test_what_is_never_taken_is_not_lost_in_silence(rig, counter):
    s = Running(rig, counter)
    rig.stack.sql('ALTER TABLE sessions ADD CONSTRAINT odd CHECK (end_code <> '
                  "'normal') NOT VALID")
    try:
        s.client.close()
        detail, = wait_until(lambda: rig.stack.sql(
            "SELECT detail FROM audit WHERE action = 'row_lost' AND object = "
            "'session end'"), LATE, 'the audit row')[0]
    finally:
        rig.stack.sql('ALTER TABLE sessions DROP CONSTRAINT odd')
    detail = json.loads(detail)
    assert detail['sqlstate'] == '23514'
    assert detail['parameters'][:2] == [s.id, 'normal']
    assert 'row_lost' in rig.log('relay')


# --- F2: several hosts ---

def test_hosts_have_their_turn(request):
    """A silent one and a full one before the one that works: each program
    gets there, every time."""
    silent, full = Silent(), Full()
    rig = make_tcp_rig(request)
    rig.stack.hosts = [silent.port, full.port]
    try:
        began = time.monotonic()
        rig.start()
        print('started after', time.monotonic() - began)
        # loops, heartbeat; storage with two connections
        assert silent.n_connections >= 4 and full.n_connections >= 4
        for _ in range(3):
            rig.stack.sql(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
                "WHERE datname = 'relaycam' AND pid <> pg_backend_pid()")
            wait_until(lambda: 'ready' != relay_ready(rig), LATE, 'the loss')
            began = time.monotonic()
            wait_ready(rig)
            print('back after', time.monotonic() - began)
        began = time.monotonic()
        out = subprocess.run(
            [rig.stack.path('bin', 'relaycam'), '--config',
             rig.stack.conf_file, 'endpoint', 'list'], capture_output=True,
            text=True, timeout=60)
        took = time.monotonic() - began
        assert out.returncode == 0 and 'desk1' in out.stdout, out.stderr
        print('the command line took', took)
    finally:
        silent.close()
        full.close()
