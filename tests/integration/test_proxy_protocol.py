"""HAProxy in front of every port, with send-proxy-v2 and its checks: each
client counts for its own address, checks cost nothing and leave no trace, and
nobody else may say whose connection it is. M7."""
import os
import re
import socket
import ssl
import struct
import subprocess
from types import SimpleNamespace

import pytest
import requests
from process import tcp_answers, wait_until
from nodes import ask_haproxy
from ports import free_ports
from test_access import Technician

BALANCER, CLIENT, STRANGER = '127.0.0.2', '127.0.0.9', '127.0.0.3'
HANDSHAKE_S = 10
SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
DOORS = {'relay': 'relay', 'web': 'relay', 'reverse': 'relay',
         'session_first': 'relay', 'files': 'storage', 'console': 'console'}

HAPROXY = """
global
    stats socket {state}/haproxy.sock mode 600
defaults
    mode tcp
    timeout connect 20s
    timeout client 60s
    timeout server 60s
    default-server source {balancer} send-proxy-v2 check check-send-proxy \
inter 50ms fastinter 50ms downinter 50ms
"""
DOOR = """
listen {name}
    bind 127.0.0.1:{port}
    server one 127.0.0.1:{to}
"""


def header(client, command=0x21, family=0x11, extra=b''):
    body = socket.inet_aton(client) + socket.inet_aton('127.0.0.1') + \
        struct.pack('>HH', 40000, 5900) + extra
    return SIGNATURE + struct.pack('>BBH', command, family, len(body)) + body


UNKNOWN = SIGNATURE + struct.pack('>BBH', 0x21, 0, 0)


def wrong_login():
    body = b'{"user": "alice", "password": "wrong"}'
    return (b'POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n'
            b'Content-Type: application/json\r\nContent-Length: '
            b'%d\r\n\r\n' % len(body) + body)


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request, settings={
        f'{s}.proxy_protocol_from': f'{BALANCER}, 2001:db8::/32'
        for s in ('relay', 'storage', 'console')} | {
        'relay.handshake_seconds': HANDSHAKE_S, 'console.workers': '1',
        'relay.login_seconds': 60, 'relay.login_dialog_seconds': 60}).start()
    r.stack.start_console()
    return r


@pytest.fixture(scope='module')
def front(rig, request):
    """Ports of HAProxy by the names of ours."""
    ports = free_ports()
    conf = rig.stack.path('conf', 'haproxy.cfg')
    with open(conf, 'w', encoding='ascii') as f:
        f.write(HAPROXY.format(state=rig.stack.path('run'),
                               balancer=BALANCER))
        for name in DOORS:
            f.write(DOOR.format(name=name, port=getattr(ports, name),
                                to=getattr(rig.stack.ports, name)))
    os.chmod(conf, 0o644)
    p = rig.stack.spawn('haproxy', ['/usr/sbin/haproxy', '-db', '-f', conf])
    wait_until(lambda: os.path.exists(rig.stack.path('run', 'haproxy.sock'))
               and tcp_answers(ports.relay), 60, 'HAProxy', p)
    return ports


def balancer_says(rig, command):
    return ask_haproxy(rig.stack.path('run', 'haproxy.sock'), command)


def metric(rig, port, name):
    text = requests.get(f'http://127.0.0.1:{port}/metrics', timeout=60).text
    found = re.search(rf'^{name} (\d+)', text, re.M)
    assert found, text
    return int(found[1])


def behind(rig, ports):
    """A rig whose relay is the balancer."""
    return SimpleNamespace(stack=SimpleNamespace(
        path=rig.stack.path, ports=SimpleNamespace(relay=ports.relay)))


def audited(rig, action):
    return rig.stack.sql("SELECT coalesce(detail->>'client', '') FROM audit "
                         f"WHERE action = '{action}'")


def test_technicians_keep_their_addresses(rig, front):
    t = Technician(behind(rig, front), timeout=60, source=(CLIENT, 0))
    assert t.login('alice@desk1', rig.password) is None
    t.server_init()
    rows = rig.stack.sql('SELECT client_addr FROM sessions '
                         'WHERE ended_at IS NULL')
    assert rows == [[CLIENT]]
    t.close()
    # failures are counted for who failed, not for the balancer
    t = Technician(behind(rig, front), timeout=60, source=(CLIENT, 0))
    assert 'password' in t.login('alice@desk1', 'wrong')
    t.close()
    wait_until(lambda: audited(rig, 'login_failed') == [[CLIENT]], 60,
               'the failure in the audit log')


def context(rig, alpn=()):
    ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
    if alpn:
        ctx.set_alpn_protocols(list(alpn))
    return ctx


def test_each_port_is_reached(rig, front):
    """TLS to the end at each of them, and the address behind it."""
    def over_tls(door, alpn=()):
        s = socket.create_connection(('127.0.0.1', getattr(front, door)), 60,
                                     (CLIENT, 0))
        return context(rig, alpn).wrap_socket(s, server_hostname='localhost')

    with over_tls('web', ['http/1.1']) as s:
        s.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert s.recv(15) == b'HTTP/1.1 200 OK'
    with over_tls('web', ['relaycam-agent/1']) as s:
        assert s.selected_alpn_protocol() == 'relaycam-agent/1'
    with over_tls('reverse') as s:
        s.sendall(b'ID:nobody-AAAAAAAAAAAAAAAAAAAA'.ljust(250, b'\0'))
        assert s.recv(100) == b''
    with over_tls('session_first') as s:
        assert s.recv(12) == b'RFB 003.008\n'
    with over_tls('files') as s:
        s.sendall(b'GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert s.recv(12) == b'HTTP/1.1 404'
    with over_tls('console') as s:
        s.sendall(wrong_login())
        assert s.recv(12) == b'HTTP/1.1 401'
    wait_until(lambda: audited(rig, 'login_failed') == [[CLIENT], [CLIENT]],
               60, 'the failure at the console')


def test_loopback_behind_the_balancer_is_not_the_relays_own(rig, front):
    """A one-time password in clear is for viewers on this machine; who comes
    from elsewhere to a balancer on this machine is not."""
    s = socket.create_connection(
        ('127.0.0.1', rig.stack.ports.session_first), 60, (BALANCER, 0))
    with s:
        s.sendall(header('203.0.113.7') + b'RFB 003.008\n')
        assert read_to_end(s) == b''


def test_an_unknown_client_is_trusted_by_nobody(rig, front):
    """A header that says PROXY of an unknown family: neither this machine's
    nor the balancer's own connection."""
    for sent, heard in ((UNKNOWN, read_to_end),
                        (header('127.0.0.1'), lambda s: s.recv(3))):
        with socket.create_connection(
                ('127.0.0.1', rig.stack.ports.session_first), 60,
                (BALANCER, 0)) as s:
            s.sendall(sent + b'RFB 003.008\n')
            assert heard(s) == (b'' if sent == UNKNOWN else b'RFB')
    with socket.create_connection(('127.0.0.1', rig.stack.ports.console), 60,
                                  (BALANCER, 0)) as s:
        s.sendall(UNKNOWN)
        with context(rig).wrap_socket(s, server_hostname='localhost') as t:
            t.sendall(wrong_login())
            assert t.recv(12) == b'HTTP/1.1 401'
    wait_until(lambda: ['unknown'] in audited(rig, 'login_failed'), 60,
               'the failure in the audit log')


def test_checks_leave_no_trace(rig, front):
    ports = rig.stack.ports

    def checks():
        return metric(rig, ports.relay_metrics,
                      'relaycam_relay_proxy_checks_total')

    def counted():
        return [metric(rig, ports.relay_metrics, f'relaycam_relay_{m}')
                for m in ('connections_total', 'refused_total',
                          'turned_away_total', 'login_failures_total',
                          'evicted_total')]
    # connections of the tests before are over
    wait_until(lambda: metric(rig, ports.relay_metrics,
                              'relaycam_relay_sessions_active') == 0, 60,
               'the sessions to end')
    before, at = counted(), checks()
    logs = {n: len(rig.log(n)) for n in ('relay', 'storage', 'console')}
    wait_until(lambda: checks() >= at + 100, 120, 'a hundred checks')
    assert counted() == before
    for name, length in logs.items():
        new = rig.log(name)[length:]
        assert BALANCER not in new, new
        assert name == 'relay' or 'connection_closed' not in new, new
    # all servers are up: the checks that came through HAProxy were answered
    rows = [line.split(',') for line in balancer_says(
        rig, 'show stat').splitlines()]
    up = {r[0] for r in rows if len(r) > 17 and r[1] == 'one' and
          r[17] == 'UP'}
    assert up == set(DOORS)
    assert audited(rig, 'login_abandoned') == []


def read_to_end(s):
    try:
        data = b''
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


HOSTILE = {
    'none': b'RFB 003.008\n',
    'tls': bytes([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]) + bytes(500),
    'version 1': b'PROXY TCP4 203.0.113.7 127.0.0.1 40000 5900\r\n',
    'another version': header('203.0.113.7', command=0x31),
    'another command': header('203.0.113.7', command=0x22),
    'too long': SIGNATURE + b'\x21\x11\xff\xff' + bytes(3000),
    'udp': header('203.0.113.7', family=0x12),
    'a socket of its machine': SIGNATURE + b'\x21\x31\0\xd8' + bytes(216),
    'too short for its addresses': SIGNATURE + b'\x21\x11\0\4' + bytes(4),
    'an extension too long': header('203.0.113.7', extra=b'\5\xff\xff'),
    'a wrong checksum': header('203.0.113.7', extra=b'\3\0\4abcd'),
    'half of it': header('203.0.113.7')[:20],
    'nothing': b'',
}


def test_what_is_no_header_is_closed(rig):
    """None of it is a connection of that door, and none waits for long."""
    waiting = []
    for door in DOORS:
        for what, data in HOSTILE.items():
            s = socket.create_connection(
                ('127.0.0.1', getattr(rig.stack.ports, door)), 60,
                (BALANCER, 0))
            s.sendall(data)
            waiting.append((door, what, s))
    for door, what, s in waiting:
        with s:
            assert read_to_end(s) == b'', (door, what)


@pytest.mark.parametrize('door', list(DOORS))
def test_others_cannot_say_who_they_are(rig, door):
    at = len(rig.log(DOORS[door]))
    s = socket.create_connection(
        ('127.0.0.1', getattr(rig.stack.ports, door)), 60, (STRANGER, 0))
    with s:
        s.sendall(header('198.51.100.77') + b'RFB 003.008\n')
        read_to_end(s)
    assert '198.51.100.77' not in rig.log(DOORS[door])[at:]
    assert rig.stack.sql("SELECT count(*) FROM audit WHERE detail::text LIKE "
                         "'%198.51.100.77%'") == [['0']]


@pytest.mark.parametrize('program', ['relay', 'storage', 'console'])
def test_a_wrong_network_ends_the_start(rig, program):
    r = subprocess.run(
        [rig.stack.path('bin', f'relaycam-{program}'), '--config',
         rig.stack.conf_file, '--set', f'{program}.metrics_listen=127.0.0.1:0',
         '--set', f'{program}.proxy_protocol_from=balancer.example.com'],
        capture_output=True, text=True, timeout=120, **rig.stack._as_user())
    assert r.returncode == 78, r.stderr
    assert 'balancer.example.com' in r.stderr
