"""People read and type: who was asked for a password has login_dialog_seconds
for it, at each listener, and no more. X6."""
import os
import socket
import ssl
import struct
import time

import pytest
from conftest import make_rig

import plain_server
from test_access import Technician

LOGIN_S, DIALOG_S = 8, 30


@pytest.fixture(scope='module')
def rig(request):
    return make_rig(request, settings={
        'relay.handshake_seconds': 10, 'relay.login_seconds': LOGIN_S,
        'relay.login_dialog_seconds': DIALOG_S}).start()


class Page:
    """noVNC at /websockify, in small frames."""

    def __init__(self, rig):
        ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
        port = rig.stack.ports.web
        self.sock = ctx.wrap_socket(
            socket.create_connection(('localhost', port), 20),
            server_hostname='localhost')
        self.sock.sendall(
            f'GET /websockify HTTP/1.1\r\nHost: localhost:{port}\r\n'
            f'Origin: https://localhost:{port}\r\nUpgrade: websocket\r\n'
            'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
            'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'.encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.sock.recv(1)
        assert b' 101 ' in head
        self.data = b''

    def read(self, n):
        """n bytes of the stream; pings are passed over."""
        while len(self.data) < n:
            first, length = plain_server.exactly(self.sock, 2)
            payload = plain_server.exactly(self.sock, length)
            self.data += payload if first & 15 == 2 else b''
        data, self.data = self.data[:n], self.data[n:]
        return data

    def send(self, data):
        mask = os.urandom(4)
        self.sock.sendall(bytes([0x82, 0x80 | len(data)]) + mask + bytes(
            b ^ mask[i & 3] for i, b in enumerate(data)))

    def ask_for_password(self):
        """Up to where noVNC shows its dialog."""
        assert self.read(12) == b'RFB 003.008\n'
        self.send(b'RFB 003.008\n')
        assert self.read(2) == b'\1\x13'
        self.send(b'\x13')
        assert self.read(2) == b'\0\2'
        self.send(b'\0\2')
        assert self.read(1) == b'\0'
        assert self.read(5) == b'\1\0\0\1\0'
        self.send(struct.pack('>I', 256))
        return self


def port_of_one_time_passwords(rig):
    """A viewer on loopback that shows its password dialog."""
    s = socket.create_connection(
        ('127.0.0.1', rig.stack.ports.session_first), 20)
    read = plain_server.exactly
    assert read(s, 12) == b'RFB 003.008\n'
    s.sendall(b'RFB 003.008\n')
    assert read(s, 2) == b'\1\2'
    s.sendall(b'\2')
    assert len(read(s, 16)) == 16
    return s


def test_a_dialog_may_stay_open(rig):
    began = time.monotonic()
    typing = Technician(rig)
    silent = [Technician(rig).sock, Page(rig).ask_for_password().sock,
              port_of_one_time_passwords(rig)]
    # one that was asked for nothing yet, and says nothing
    mute = Page(rig).sock
    asked = time.monotonic()
    while time.monotonic() - began < LOGIN_S + 4:
        time.sleep(0.2)     # a person types
    if time.monotonic() - asked < DIALOG_S - 5:
        assert all(map(is_open, silent))
    typing.sock.setblocking(True)
    assert typing.login('alice@desk1', rig.password) is None
    typing.server_init()
    # nobody holds a place for longer, and a slow sender neither
    mute.setblocking(True)
    mute.settimeout(LOGIN_S + 10)
    assert ended(mute), 'it was never asked'
    left = [silent[0], silent[2]]
    for n in range(DIALOG_S + 20):
        for s in list(left):
            if not is_open(s):
                left.remove(s)
                continue
            try:
                s.setblocking(True)
                s.send(b'\0')
            except OSError:
                left.remove(s)
        if not left:
            break
        time.sleep(1)
    assert not left
    assert time.monotonic() - asked > DIALOG_S - 2
    for s in silent:
        s.close()
    typing.sock.close()


def is_open(s):
    s.setblocking(False)
    try:
        while s.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        pass
    return False


def ended(s):
    """True when the relay closes it within the socket's timeout."""
    try:
        while s.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
