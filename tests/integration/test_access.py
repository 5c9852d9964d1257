"""Who gets in, and what a refused technician reads. T2, M7, X7."""
import os
import re
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import demo
import pytest
from process import wait_until


class Technician:
    """The viewer's side of VeNCrypt X509Plain by hand, to read refusals and
    measure times; real viewers are used wherever a picture matters."""

    source = None  # the address it comes from: (host, 0)

    def __init__(self, rig, timeout=40, source=None):
        ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
        s = socket.create_connection(('127.0.0.1', rig.stack.ports.relay),
                                     timeout, source or self.source)
        self.sock = s
        assert self.get(12) == b'RFB 003.008\n'
        s.sendall(b'RFB 003.008\n')
        assert self.get(2) == b'\x01\x13'
        s.sendall(b'\x13')
        assert self.get(2) == b'\0\2'
        s.sendall(b'\0\2')
        assert self.get(6) == b'\0\1\0\0\1\6'
        s.sendall(struct.pack('>I', 262))
        assert self.get(1) == b'\1'
        self.sock = ctx.wrap_socket(s, server_hostname='localhost')

    def get(self, n):
        data = b''
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError(f'closed after {len(data)} of {n} bytes')
            data += piece
        return data

    def login(self, user, password):
        """None when let in, otherwise the reason."""
        u, p = user.encode(), password.encode()
        self.sock.sendall(struct.pack('>II', len(u), len(p)) + u + p)
        if struct.unpack('>I', self.get(4))[0] == 0:
            return None
        n = struct.unpack('>I', self.get(4))[0]
        return self.get(n).decode()

    def server_init(self):
        self.sock.sendall(b'\0')  # not shared: the relay shares all the same
        head = self.get(24)
        name = self.get(struct.unpack('>I', head[20:])[0])
        return struct.unpack('>HH', head[:4]), name

    def close(self):
        self.sock.close()


def refusal(rig, user, password, source=None):
    t = Technician(rig, source=source)
    try:
        return t.login(user, password)
    finally:
        t.close()


def scalar(rig, query):
    return rig.stack.sql(query)[0][0]


@pytest.fixture(autouse=True)
def forgiven(rig, request, monkeypatch):
    """Each test comes from an address without failed logins behind it."""
    rig.stack.sql('DELETE FROM login_failures')
    rig.stack.sql('UPDATE people SET failed_logins = 0, '
                  'last_failed_at = NULL')
    n = request.session.items.index(request.node)
    monkeypatch.setattr(Technician, 'source', (f'127.0.1.{n + 1}', 0))


def test_right_password_gets_the_desktop(rig):
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    size, name = t.server_init()
    assert size == (1280, 800)
    assert b'demo desktop' in name
    t.close()


@pytest.mark.parametrize('sign', ['@', ':', '#'])
def test_three_ways_to_name_an_endpoint(rig, sign):
    t = Technician(rig)
    assert t.login(f'alice{sign}desk1', rig.password) is None
    t.close()


def test_wrong_password_and_unknown_person_read_the_same(rig):
    a = refusal(rig, 'alice@desk1', 'wrong')
    b = refusal(rig, 'nobody@desk1', 'wrong')
    assert a == b
    assert 'password' in a


def test_wrong_passwords_are_counted_and_slowed_down(rig):
    times = []
    for _ in range(4):
        began = time.monotonic()
        assert refusal(rig, 'alice@desk1', 'wrong') is not None
        times.append(time.monotonic() - began)
    # the answer does not wait for the count
    wait_until(lambda: int(scalar(
        rig, "SELECT failed_logins FROM people WHERE name = 'alice'")) >= 4,
        60, 'four failures')
    assert int(scalar(rig, "SELECT failed_logins FROM people "
                           "WHERE name = 'alice'")) == 4
    # each try waits longer than the one before it
    # half a second after the first, then doubling; load only adds to it
    assert all(t >= d for t, d in zip(times, (0, 0.5, 1, 2))), times
    assert int(scalar(rig, "SELECT count(*) FROM audit "
                           "WHERE action = 'login_failed'")) >= 4


def test_codes_are_not_tried_for_free_with_the_right_password(rig):
    times = []
    refusal(rig, 'alice@nosuch', rig.password)  # whose name has no failures
    for code in range(100000000, 100000004):
        began = time.monotonic()
        assert 'no such session code' in refusal(rig, f'alice@{code}',
                                                 rig.password)
        times.append(time.monotonic() - began)
    assert times[3] > times[0] + 1, times
    # the right password elsewhere does not make them forgotten
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    t.close()
    assert int(scalar(rig, "SELECT failed FROM login_failures WHERE "
                           "client_addr = 'codes tried by alice'")) == 4


def test_tries_at_the_same_time_are_slowed_together(rig):
    """As many connections as one likes: no more passwords are checked. And
    who comes from elsewhere gets in meanwhile."""
    path = rig.stack.path('tmp', 'carol.password')
    rig.stack._write(path, 'carols password\n')
    rig.stack.ctl('user', 'add', 'carol', '--team', 'demo', '--role', 'admin',
                  '--password-file', path)
    source, answered = ('127.0.2.1', 0), []
    began = time.monotonic()

    def guess(n):
        reason = refusal(rig, f'victim{n % 3}@desk1', f'guess {n}', source)
        answered.append(time.monotonic() - began)
        return reason

    with ThreadPoolExecutor(24) as pool:
        guesses = [pool.submit(guess, n) for n in range(24)]
        wait_until(lambda: len(answered) >= 4, 20, 'the first guesses')
        for user, password in (('carol@desk1', 'carols password'),
                               ('alice@desk1', rig.password)):
            t = Technician(rig)
            assert t.login(user, password) is None
            t.close()
        reasons = [g.result() for g in guesses]
    checked = [r for r in reasons if 'password is wrong' in r]
    # four at a time while nothing failed; then 4 s, 8 s, 16 s
    assert len(checked) <= 4 + 3
    assert all('took too long' in r for r in reasons if r not in checked)
    assert int(scalar(rig, "SELECT failed FROM login_failures WHERE "
                           "client_addr = '127.0.2.1'")) == len(checked)


def test_a_name_under_attack_lets_its_owner_in(rig):
    """Guesses at one name from many addresses are slowed together; its owner,
    who was here before, does not notice."""
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    t.close()
    began_all = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        guesses = [pool.submit(refusal, rig, 'alice@desk1', f'guess {n}',
                               (f'127.0.3.{n + 1}', 0)) for n in range(20)]
        wait_until(lambda: int(scalar(
            rig, "SELECT failed_logins FROM people WHERE name = 'alice'"))
            >= 4, 20, 'the name to be slowed down')
        began = time.monotonic()
        t = Technician(rig)
        assert t.login('alice@desk1', rig.password) is None
        t.close()
        assert time.monotonic() - began < 3
        wrong = sum('password is wrong' in g.result() for g in guesses)
    # four while nothing had failed, then one each second, as each address is
    # new: not all at once
    assert wrong <= 5 + time.monotonic() - began_all


def test_success_forgets_failures(rig):
    refusal(rig, 'alice@desk1', 'wrong')
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    t.close()
    wait_until(lambda: scalar(rig, "SELECT failed_logins FROM people WHERE "
                                   "name = 'alice'") == '0', 5,
               'the counter to be reset')


def test_unknown_endpoint_is_named(rig):
    assert 'nosuch' in refusal(rig, 'alice@nosuch', rig.password)


def test_name_without_endpoint_is_explained(rig):
    assert '@' in refusal(rig, 'alice', rig.password)


def test_endpoint_down_is_told(rig):
    rig.stack.ctl('endpoint', 'add', 'down1', '--team', 'demo', '--host',
                  '127.0.0.1', '--port', '1')
    reason = refusal(rig, 'alice@down1', rig.password)
    assert 'down1' in reason and 'refused' in reason.lower(), reason


def test_endpoint_without_tls_is_refused_unless_allowed(rig):
    """A second desktop that offers None only."""
    clear = demo.start_with_displayfd(rig.stack, 'clear', [
        'Xtigervnc', '-geometry', '640x480', '-depth', '24', '-rfbport',
        str(rig.stack.ports.relay + 30), '-localhost', '-SecurityTypes',
        'None'])[0]
    rig.stack.ctl('endpoint', 'add', 'clear1', '--team', 'demo', '--host',
                  'localhost', '--port', str(rig.stack.ports.relay + 30))
    assert 'TLS' in refusal(rig, 'alice@clear1', rig.password)
    rig.stack.ctl('endpoint', 'set', 'clear1', '--team', 'demo',
                  '--allow-clear')
    t = Technician(rig)
    assert t.login('alice@clear1', rig.password) is None
    assert t.server_init()[0] == (640, 480)
    t.close()
    clear.stop()


def test_wrong_stored_password_is_told(rig):
    path = rig.stack.path('tmp', 'wrong.password')
    rig.stack._write(path, 'wrongone\n')
    rig.stack.ctl('endpoint', 'add', 'locked1', '--team', 'demo', '--host',
                  'localhost', '--port', str(rig.stack.ports.endpoint),
                  '--password-file', path, '--ca', rig.stack.path('ca.pem'))
    reason = refusal(rig, 'alice@locked1', rig.password)
    assert 'password' in reason and 'endpoint' in reason, reason


def test_endpoint_with_another_certificate_is_refused(rig):
    rig.stack.ctl('endpoint', 'add', 'pinned1', '--team', 'demo', '--host',
                  'localhost', '--port', str(rig.stack.ports.endpoint),
                  '--password-file', rig.stack.path('conf', 'desk1.password'),
                  '--pin', '00' * 32)
    reason = refusal(rig, 'alice@pinned1', rig.password)
    assert 'certificate' in reason, reason


def test_member_without_right_is_refused_until_granted(rig):
    path = rig.stack.path('tmp', 'bob.password')
    rig.stack._write(path, 'bobs password\n')
    rig.stack.ctl('user', 'add', 'bob', '--team', 'demo', '--role', 'member',
                  '--password-file', path)
    assert 'desk1' in refusal(rig, 'bob@desk1', 'bobs password')
    rig.stack.ctl('user', 'grant', 'bob', 'desk1', 'control')
    t = Technician(rig)
    assert t.login('bob@desk1', 'bobs password') is None
    t.close()
    rig.stack.ctl('user', 'disable', 'bob')
    assert refusal(rig, 'bob@desk1', 'bobs password') == \
        refusal(rig, 'nobody@desk1', 'x')


def test_recording_off_records_nothing(rig):
    """T2: the setting holds for sessions that start after it."""
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.recording=off')
    try:
        t = Technician(rig)
        assert t.login('alice@desk1', rig.password) is None
        t.server_init()
        t.close()
        row = wait_until(lambda: [
            s for s in rig.stack.ctl_json('sessions', 'list', '--limit', '1')
            if s['ended_at']], 10, 'the session to end')[0]
        assert scalar(rig, "SELECT recorded FROM sessions WHERE id = "
                           f"'{row['id']}'") == 'f'
        assert scalar(rig, "SELECT count(*) FROM segments WHERE session_id "
                           f"= '{row['id']}'") == '0'
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.recording=on')


def test_bytes_before_tls_end_the_connection(rig):
    s = socket.create_connection(('localhost', rig.stack.ports.relay), 10)
    s.sendall(b'RFB 003.008\n\x13\0\2' + struct.pack('>I', 262) +
              b'\0\0\0\5\0\0\0\5alicex')
    data = b''
    while piece := s.recv(4096):
        data += piece
    assert data.endswith(b'\0\1\0\0\1\6') or data.endswith(b'\0\1\0\0\1\6\1')
    s.close()


def test_old_viewer_reads_what_to_use(rig):
    s = socket.create_connection(('localhost', rig.stack.ports.relay), 10)
    s.recv(12)
    s.sendall(b'RFB 003.003\n')
    data = b''
    while piece := s.recv(4096):
        data += piece
    assert data[:4] == b'\0\0\0\0'
    assert b'TLS' in data[8:]
    s.close()


def test_garbage_is_closed_and_others_go_on(rig):
    for junk in (b'GET / HTTP/1.1\r\n\r\n', os.urandom(4096),
                 b'RFB 999.999\n' * 50, b'\x16\x03\x01' + os.urandom(200)):
        s = socket.create_connection(('localhost', rig.stack.ports.relay), 15)
        s.settimeout(15)
        s.sendall(junk)
        while True:
            try:
                if not s.recv(4096):
                    break
            except ConnectionResetError:
                break
        s.close()
    test_right_password_gets_the_desktop(rig)


def test_password_is_in_no_log(rig):
    refusal(rig, 'alice@desk1', 'secret-that-must-not-be-logged')
    for name in ('relay', 'storage'):
        text = rig.log(name)
        assert 'secret-that-must-not-be-logged' not in text
        assert rig.password not in text
        assert rig.endpoint_password not in text
        assert not re.search(r'AddressSanitizer|runtime error', text)
