"""The page's side of the WebSocket /session, after docs/browser-viewer.md and
without a browser: JSON texts, and the RFB stream as bytes."""
import json
import os
import socket
import ssl
import struct
import time

REQUEST = ('GET /session HTTP/1.1\r\nHost: localhost:{0}\r\n'
           'Origin: https://localhost:{0}\r\nUpgrade: websocket\r\n'
           'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
           'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{1}\r\n')
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class PagePeer:
    def __init__(self, rig, user, password, host='localhost', fields=''):
        ctx = ssl.create_default_context(cafile=rig.stack.path('ca.pem'))
        port = rig.stack.ports.web
        self.sock = ctx.wrap_socket(
            socket.create_connection((host, port), 20),
            server_hostname='localhost')
        self.sock.sendall(REQUEST.format(port, fields).encode())
        self.data = b''
        while b'\r\n\r\n' not in self.data:
            self.data += self._some()
        head, self.data = self.data.split(b'\r\n\r\n', 1)
        assert b' 101 ' in head.split(b'\r\n')[0], head
        self.rfb = b''
        self.texts = []     # (time, message), all of them
        self.send({'type': 'login', 'user': user, 'password': password})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()

    def _some(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError('the relay closed the connection')
        return piece

    def _need(self, n):
        while len(self.data) < n:
            self.data += self._some()
        data, self.data = self.data[:n], self.data[n:]
        return data

    def _frame(self, opcode, payload):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([0x80 | opcode]) + (
            bytes([0x80 | n]) if n < 126 else
            bytes([0x80 | 126]) + struct.pack('>H', n))
        self.sock.sendall(head + mask + bytes(
            b ^ mask[i & 3] for i, b in enumerate(payload)))

    def send(self, message):
        self._frame(TEXT, json.dumps(message).encode())

    def send_rfb(self, data):
        self._frame(BINARY, data)

    def take(self):
        """One frame of the relay's. Returns the message of a text frame."""
        first, n = self._need(2)
        if n == 126:
            n, = struct.unpack('>H', self._need(2))
        elif n == 127:
            n, = struct.unpack('>Q', self._need(8))
        payload = self._need(n)
        if first & 15 == TEXT:
            self.texts.append((time.monotonic(), json.loads(payload)))
            return self.texts[-1][1]
        if first & 15 == CLOSE:
            raise EOFError('the relay closed the WebSocket')
        if first & 15 == PING:
            self._frame(PONG, payload)
        else:
            self.rfb += payload
        return None

    def wait(self, type_, **fields):
        """The next text of this type with these values."""
        self.sock.settimeout(20)
        while True:
            m = self.take()
            if m is not None and m['type'] == type_ and all(
                    m.get(k) == v for k, v in fields.items()):
                return m

    def read_rfb(self, n):
        while len(self.rfb) < n:
            self.take()
        data, self.rfb = self.rfb[:n], self.rfb[n:]
        return data

    def open_desktop(self):
        """RFB up to ServerInit. Returns its size."""
        self.wait('accepted')
        assert self.read_rfb(12) == b'RFB 003.008\n'
        self.send_rfb(b'RFB 003.008\n')
        assert self.read_rfb(2) == b'\1\1'
        self.send_rfb(b'\1')
        assert self.read_rfb(4) == b'\0\0\0\0'
        self.send_rfb(b'\1')
        w, h = struct.unpack('>HH', self.read_rfb(4))
        self.read_rfb(16)
        self.read_rfb(struct.unpack('>I', self.read_rfb(4))[0])
        return w, h

    def request(self, incremental=False, area=(0, 0, 16, 16)):
        self.send_rfb(struct.pack('>BBHHHH', 3, incremental, *area))
