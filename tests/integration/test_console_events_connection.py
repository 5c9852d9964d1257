"""The connection of an event stream once it was taken away from evhttp: its
end, what its client sends, and what it leaves behind."""
import os
import signal
import socket
import ssl

import pytest

from console_events import Listener
from console_fixtures import cluster, console  # noqa: F401 (fixtures)
from storage_env import wait_for


def open_raw(console, version='1.1', more=b''):
    """A stream as bytes, read up to its first event."""
    alice = console.login('alice')
    context = ssl.create_default_context(cafile=str(console.cert))
    raw = socket.create_connection(('127.0.0.1', console.port))
    tls = context.wrap_socket(raw, server_hostname='localhost',
                              suppress_ragged_eofs=False)
    tls.settimeout(60)
    cookie = alice.http.cookies['__Host-relaycam']
    tls.sendall(f'GET /api/v1/events HTTP/{version}\r\nHost: localhost\r\n'
                f'Cookie: __Host-relaycam={cookie}\r\n\r\n'.encode() + more)
    text = b''
    while b'event: ready' not in text:
        part = tls.recv(4096)
        assert part, (text, console.log()[-3000:])
        text += part
    return tls, text


def rest(tls):
    """All up to close_notify; a connection without one raises."""
    text = b''
    while part := tls.recv(65536):
        text += part
    return text


def descriptors(console):
    return sum(len(os.listdir(f'/proc/{p}/fd')) for p in console.workers())


@pytest.mark.parametrize('version, end', [
    ('1.1', b'\r\n0\r\n\r\n'), ('1.0', b'')])
def test_a_server_that_stops_ends_its_streams(console, version, end):
    tls, head = open_raw(console, version)
    assert (b'\r\nTransfer-Encoding: chunked\r\n' in head) == bool(end)
    assert b'\r\nConnection: close\r\n' in head
    console.process.send_signal(signal.SIGTERM)
    text = head + rest(tls)
    assert text.endswith(end), text[-100:]
    assert (b'\r\n0\r\n\r\n' in text) == bool(end)
    tls.close()
    assert console.process.wait(60) == 0
    console.start()


def test_what_a_listener_sends_is_dropped(console):
    again = b'GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n'
    tls, text = open_raw(console, more=again)
    tls.sendall(again)
    made = console.ctl.session(end=None)
    while made.encode() not in text:
        part = tls.recv(4096)
        assert part, (text, console.log()[-3000:])
        text += part
    assert text.count(b'HTTP/1.1 ') == 1
    tls.close()
    wait_for('its end', lambda: console.metric('event_streams') == 0, 60)


def test_a_listener_that_sends_too_much_is_closed(console):
    tls, _ = open_raw(console)
    tls.sendall(b'x' * 40000)
    assert console.metric('event_streams') == 1
    try:
        while console.metric('event_streams') == 1:
            tls.sendall(b'x' * 40000)
    except OSError:
        pass
    wait_for('its end', lambda: console.metric('event_streams') == 0, 60)
    tls.close()


def test_streams_leave_nothing_behind(console):
    """No descriptor, and no place among the connections."""
    alice = console.login('alice')
    with Listener(alice) as events:
        events.until('ready')
    wait_for('its end', lambda: console.metric('event_streams') == 0, 60)
    before = descriptors(console)
    for how in ('close', 'abort'):
        held = [Listener(alice) for _ in range(15)]
        for events in held:
            events.until('ready')
        assert console.metric('event_streams') == 15
        assert descriptors(console) >= before + 15
        for events in held:
            if how == 'abort':
                events.answer.fp.raw._sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER,
                    b'\1\0\0\0\0\0\0\0')
            events.close()
        wait_for('their end', lambda: console.metric('event_streams') == 0, 60)
        wait_for('their descriptors',
                 lambda: descriptors(console) <= before, 60)


def test_connections_that_stream_count_as_logged_in(console):
    """Streams keep their places: beyond max_logged_in nobody gets in, and
    when one ends there is room again."""
    console.stop()
    console.settings |= {'console.max_logged_in': '3', 'console.workers': '1'}
    console.start()
    try:
        alice = console.login('alice')
        alice.http.close()
        held = [Listener(alice) for _ in range(3)]
        for events in held:
            events.until('ready')
        assert alice.get('me').status_code == 503
        alice.http.close()
        held[0].close()
        wait_for('room', lambda: alice.get('me').status_code == 200, 60)
        for events in held:
            events.close()
    finally:
        console.stop()
        del console.settings['console.max_logged_in']
        console.settings['console.workers'] = '2'
        console.start()
