"""A person who is disabled, a right or a role that is taken back, an endpoint
that is removed or shut out: running sessions end within a second and say why;
those on their way do not begin. M7, T1, X7."""
import socket
import struct
import threading
import time

import pytest
from conftest import make_rig
from counter import Counter
from process import wait_until
from test_access import Technician, refusal

import rfb_client as rfb
from page_peer import PagePeer

PASSWORD = 'bobs password'
SOON_S = 1


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={
        'relay.reverse_clear': 'loopback'}).start()
    rig.stack._write(rig.stack.path('tmp', 'bob.password'), PASSWORD + '\n')
    rig.stack.ctl('user', 'add', 'bob', '--team', 'demo', '--role', 'member',
                  '--password-file', rig.stack.path('tmp', 'bob.password'))
    return rig


@pytest.fixture
def busy(rig):
    """A desktop that is drawn on all the time."""
    counter = Counter(rig.stack, rig.endpoint.env)
    wait_until(counter.lines, 10, 'the counter', counter.process)
    yield
    counter.stop()


@pytest.fixture
def bob(rig):
    rig.stack.ctl('user', 'enable', 'bob')
    rig.stack.ctl('user', 'set', 'bob', '--role', 'member')
    rig.stack.ctl('user', 'grant', 'bob', 'desk1', 'control', 'record')


@pytest.fixture
def copy(rig):
    """Another row for the same desktop, for tests that take it away."""
    rig.stack.sql(
        "INSERT INTO endpoints (team_id, name, host, port, secret_sealed, "
        "tls_ca_pem) SELECT team_id, 'copy', host, port, secret_sealed, "
        "tls_ca_pem FROM endpoints WHERE name = 'desk1'")
    rig.stack.ctl('user', 'grant', 'bob', 'copy', 'control')
    yield
    rig.stack.sql("UPDATE endpoints SET deleted_at = now() WHERE name = "
                  "'copy' AND deleted_at IS NULL")


def connect(rig, login='bob@desk1'):
    return rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'), login,
                      PASSWORD)


def last(rig):
    return rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]


def revoked_row(rig, session):
    """Of the audit log: when, and why."""
    rows = rig.stack.sql(
        "SELECT extract(epoch FROM at), detail->>'why' FROM audit WHERE "
        f"action = 'session_revoked' AND object = '{session}'")
    return (float(rows[0][0]), rows[0][1]) if rows else None


def check_ended(rig, session, words):
    wait_until(lambda: rig.stack.sql(
        "SELECT end_code = 'revoked' AND end_reason LIKE "
        f"'%{words}%' FROM sessions WHERE id = '{session}'") == [['t']], 20,
        'the row to say so')
    assert words in revoked_row(rig, session)[1]


def mouse(rig):
    words = rig.endpoint.xdotool('getmouselocation').split()
    return int(words[0][2:]), int(words[1][2:])


def disable(rig):
    rig.stack.ctl('user', 'disable', 'bob')
    return 'bob was disabled'


def take_right(rig):
    rig.stack.ctl('user', 'revoke', 'bob', 'desk1', 'control')
    return 'right of bob to connect to endpoint desk1 was taken back'


def lower_role(rig):
    """An admin needs no right of his own; a member does."""
    rig.stack.ctl('user', 'set', 'bob', '--role', 'member')
    return 'right of bob to connect to endpoint desk1'


def role_first(rig):
    rig.stack.ctl('user', 'set', 'bob', '--role', 'admin')
    rig.stack.ctl('user', 'revoke', 'bob', 'desk1')


@pytest.mark.parametrize('act', [disable, take_right, lower_role])
def test_viewer_reads_why(rig, bob, busy, act):
    if act is lower_role:
        role_first(rig)
    with connect(rig) as c:
        c.request(incremental=False)
        c.run_until(c.covered)
        c.pointer(321, 432)
        wait_until(lambda: mouse(rig) == (321, 432), 10, 'the pointer')
        session, bells = last(rig)['id'], c.bells
        before = rig.stack.sql('SELECT extract(epoch FROM now())')[0][0]
        words = act(rig)
        done_at = time.monotonic()
        c.run_until(lambda: c.bells > bells, what='the bell of the message')
        assert time.monotonic() - done_at < SOON_S + 1
        c.pointer(20, 700)
        # the message, and nothing behind it
        with pytest.raises((EOFError, OSError)):
            while True:
                c.message()
        assert max(r[0] for r in c.rects) - done_at < SOON_S
        assert mouse(rig) == (321, 432)
    check_ended(rig, session, words)
    assert 0 <= revoked_row(rig, session)[0] - float(before) < 5
    assert refusal(rig, 'bob@desk1', PASSWORD) is not None


def test_others_go_on(rig, bob):
    """Another right of the same person, and another person."""
    alice = Technician(rig)
    assert alice.login('alice@desk1', rig.password) is None
    alice.server_init()
    with connect(rig) as c:
        rig.stack.ctl('user', 'revoke', 'bob', 'desk1', 'record')
        wait_until(lambda: rig.stack.sql(
            "SELECT record FROM endpoint_rights r JOIN people p ON p.id = "
            "r.person_id WHERE p.name = 'bob'") == [['f']], 10, 'the right')
        c.request(incremental=False)
        c.run_until(c.covered)
        disable(rig)
        with pytest.raises((EOFError, OSError)):
            while True:
                c.message()
    alice.sock.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, 16, 16))
    assert alice.get(1) == b'\0'
    alice.close()


def test_browser(rig, bob):
    """The page is told what may be recorded, then why it ended."""
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.recording=off',
                  'unattended.manual_recording=on')
    try:
        with PagePeer(rig, 'bob@desk1', PASSWORD) as p:
            p.open_desktop()
            p.wait('status', may_record=True)
            rig.stack.ctl('user', 'revoke', 'bob', 'desk1', 'record')
            p.wait('status', may_record=False)
            p.send({'type': 'recording', 'do': 'start'})
            p.wait('error')
            words = take_right(rig)
            done_at = time.monotonic()
            m = p.wait('ended', code='revoked')
            assert p.texts[-1][0] - done_at < SOON_S
            assert words in m['reason']
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.recording=on',
                      'unattended.manual_recording=off')


def test_endpoint_removed(rig, bob, copy):
    with connect(rig, 'bob@copy') as c:
        session = last(rig)['id']
        rig.stack.ctl('endpoint', 'remove', 'copy')
        done_at = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            while True:
                c.message()
        assert time.monotonic() - done_at < 10
    check_ended(rig, session, 'endpoint copy was removed')


class Dialled:
    """A server in clear that dialled in; the relay loops back to itself."""

    def __init__(self, rig, name):
        self.rig, self.name = rig, name
        self.id = rig.stack.ctl_json('endpoint', 'add', name, '--team',
                                     'demo', '--kind', 'reverse',
                                     '--allow-clear')['id']
        rig.stack.ctl('user', 'grant', 'bob', name, 'control')

    def dial(self):
        s = socket.create_connection(
            ('127.0.0.1', self.rig.stack.ports.reverse), 20)
        s.sendall(b'ID:' + self.id.removeprefix('ID:').encode().ljust(
            247, b'\0') + b'RFB 003.003\n\0\0\0\1' + struct.pack(
            '>HH16sI', 64, 48, rfb.FORMAT, 0))
        wait_until(self.is_parked, 20, 'it to be parked')
        return s

    def is_parked(self):
        return self.rig.stack.sql(
            'SELECT parked_node IS NOT NULL FROM endpoints WHERE name = '
            f"'{self.name}'") == [['t']]


def closed(s):
    s.settimeout(20)
    try:
        while s.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


def test_endpoint_shut_out(rig, bob):
    """The session that has its connection, and one that waits."""
    d = Dialled(rig, 'kiosk')
    server = d.dial()
    t = Technician(rig)
    assert t.login('bob@kiosk', PASSWORD) is None
    t.server_init()
    waiting = d.dial()
    session = last(rig)['id']
    rig.stack.ctl('endpoint', 'revoke', 'kiosk')
    assert closed(server) and closed(waiting)
    check_ended(rig, session, 'endpoint kiosk was shut out')
    t.close()


def unheard(rig, sql):
    """Carries out sql while no relay listens: all their connections to the
    database end in the same transaction."""
    rig.stack.sql(
        "BEGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
        f"pid <> pg_backend_pid() AND datname = current_database(); {sql}; "
        'COMMIT')


def test_notice_that_was_lost(rig, bob):
    """After a reconnect all is asked for again: a session, a connection that
    waits, an agent's channel (which agents_check() does)."""
    d = Dialled(rig, 'kiosk2')
    waiting = d.dial()
    with connect(rig) as c:
        session = last(rig)['id']
        unheard(rig, "UPDATE people SET disabled = true WHERE name = 'bob'; "
                     "UPDATE endpoints SET reverse_secret_sha256 = "
                     "sha256('another') WHERE name = 'kiosk2'")
        with pytest.raises((EOFError, OSError)):
            while True:
                c.message()
        assert closed(waiting)
    check_ended(rig, session, 'bob was disabled')


def test_taken_back_on_the_way(rig, bob):
    """Between login and ServerInit, without a notice: the row is not made."""
    listener = socket.create_server(('127.0.0.1', 0))
    rig.stack.ctl('endpoint', 'add', 'slow', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', str(listener.getsockname()[1]),
                  '--allow-clear')
    rig.stack.ctl('user', 'grant', 'bob', 'slow', 'control')
    reasons = []
    t = threading.Thread(target=lambda: reasons.append(
        refusal(rig, 'bob@slow', PASSWORD)))
    t.start()
    server, _ = listener.accept()  # the login was right
    rig.stack.sql('SET CONSTRAINTS ALL IMMEDIATE; '
                  'ALTER TABLE endpoint_rights DISABLE TRIGGER right_access; '
                  "DELETE FROM endpoint_rights; "
                  'ALTER TABLE endpoint_rights ENABLE TRIGGER right_access')
    server.sendall(b'RFB 003.003\n\0\0\0\1' + struct.pack(
        '>HH16sI', 64, 48, rfb.FORMAT, 0))
    t.join(30)
    assert 'right of bob to connect to endpoint slow' in reasons[0]
    assert last(rig)['endpoint'] != 'slow'
    # and with the notice, before the endpoint has said a word
    rig.stack.ctl('user', 'grant', 'bob', 'slow', 'control')
    t = threading.Thread(target=lambda: reasons.append(
        refusal(rig, 'bob@slow', PASSWORD)))
    t.start()
    server2, _ = listener.accept()
    disable(rig)
    t.join(30)
    assert 'bob was disabled' in reasons[1]
    for s in (server, server2, listener):
        s.close()


def test_ticket_of_before(rig, bob):
    ticket = rig.stack.ctl_json('ticket', 'bob@desk1')['password']
    take_right(rig)
    assert 'may connect to' in refusal(rig, 'bob@desk1', ticket)


def test_check_finds_nothing(rig, bob):
    rig.stack.ctl('check')
