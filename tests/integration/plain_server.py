"""A VNC server of the tests' own, without a password, that tells what it was
sent."""
import socket
import struct
import threading
import time

import rfb_client as rfb

W, H = 320, 240


def exactly(s, n):
    """n bytes of a socket."""
    data = b''
    while len(data) < n:
        piece = s.recv(n - len(data))
        assert piece, 'closed'
        data += piece
    return data


class Server:
    """A VNC server without a password. It answers requests for all; `draws`:
    the others too, ten times a second. Like x11vnc and QEMU it leaves down what
    is down when a viewer goes. early: what it sends behind its ServerInit."""

    def __init__(self, host, draws=False, early=b''):
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.draws = draws
        self.early = early
        self.sockets = []
        self.closed = 0
        self.inputs = []    # (4, down, keysym), (5, buttons, x, y),
                            # (255, down, keysym, keycode)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(s)
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _serve(self, s):
        try:
            self._speak(s)
        except OSError:
            pass
        self.closed += 1

    def _speak(self, s):
        stream = s.makefile('rb')

        def read(n):
            data = stream.read(n)
            if len(data) < n:
                raise OSError('closed')
            return data
        s.sendall(b'RFB 003.008\n')
        read(12)
        s.sendall(b'\1\1')
        read(1)
        s.sendall(b'\0\0\0\0')
        read(1)
        s.sendall(struct.pack('>HH16sI', W, H, rfb.FORMAT, 4) + b'fake' +
                  self.early)
        picture = struct.pack('>BxHHHHHi', 0, 1, 0, 0, W, H, 0) + bytes(
            W * H * 4)
        while True:
            kind = read(1)[0]
            body = read({0: 19, 3: 9, 4: 7, 5: 5, 255: 11}[kind]) \
                if kind != 2 else read(4 * struct.unpack('>xH', read(3))[0])
            self._note(kind, body)
            if kind == 3 and (self.draws or not body[0]):
                if body[0]:
                    time.sleep(0.1)
                s.sendall(picture)

    def _note(self, kind, body):
        if kind == 4:
            self.inputs.append((4, *struct.unpack('>B2xI', body)))
        elif kind == 5:
            self.inputs.append((5, *struct.unpack('>BHH', body)))
        elif kind == 255:
            self.inputs.append((255, *struct.unpack('>xHII', body)))

    def down(self):
        """What is down: keysyms, ('code', N) of QEMU's, ('buttons', N)."""
        down = set()
        for kind, *rest in list(self.inputs):
            if kind == 5:
                down = {d for d in down if not isinstance(d, tuple) or
                        d[0] != 'buttons'}
                if rest[0]:
                    down.add(('buttons', rest[0]))
                continue
            key = rest[1] if kind == 4 else ('code', rest[2])
            (down.add if rest[0] else down.discard)(key)
        return down

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()
