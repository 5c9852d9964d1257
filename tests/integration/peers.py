"""Servers that say little of what they can, or say it in ways of their own:
TightVNC's Xvnc, and a scripted one for what no program here sends.

    desk = Xtightvnc(stack, port, depth=8).start()
    stack.ctl('endpoint', 'add', 'tight', '--team', 'demo', *desk.options())
"""
import os
import socket
import struct
import subprocess
import threading

from process import tcp_answers, wait_until

RAW, TIGHT = 0, 7
USUAL = struct.pack('>BBBBHHHBBB3x', 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class Server:
    """Listens on self.port, without a password."""

    def options(self):
        return ['--host', '127.0.0.1', '--port', str(self.port),
                '--allow-clear']


class Xtightvnc(Server):
    """Knows no ExtendedDesktopSize, no fences, no QEMU keys, and closes at a
    message that it does not know. At depth 8 it has a colour map."""

    def __init__(self, stack, port, depth=24, colour='#2f4858',
                 size=(800, 600)):
        self.stack, self.port = stack, port
        self.depth, self.size, self.colour = depth, size, colour

    def start(self):
        # it takes no -displayfd: numbers beyond those that others look for
        for number in range(300 + self.port % 200, 600):
            if not os.path.exists(f'/tmp/.X11-unix/X{number}') and \
                    not os.path.exists(f'/tmp/.X{number}-lock'):
                break
        s = self.stack
        self.env = {**s.env, 'DISPLAY': f':{number}'}
        pseudo = ['-cc', '3'] if self.depth == 8 else []
        self.process = s.spawn(f'xtightvnc-{self.depth}', [
            'Xtightvnc', f':{number}', '-geometry', '%dx%d' % self.size,
            '-depth', str(self.depth), *pseudo, '-rfbport', str(self.port),
            '-localhost', '-alwaysshared', '-desktop', 'TightVNC'])
        wait_until(lambda: tcp_answers(self.port), 30, 'Xtightvnc',
                   self.process)
        wait_until(lambda: subprocess.run(
            ['xsetroot', '-solid', self.colour], env=self.env, cwd='/',
            stderr=subprocess.DEVNULL).returncode == 0, 30,
            'the display', self.process)
        return self

    def log(self):
        with open(self.stack.path('log', f'xtightvnc-{self.depth}.log'),
                  encoding='utf-8', errors='replace') as f:
            return f.read()


class Scripted(Server, threading.Thread):
    """RFB 3.8, security None; knows SetPixelFormat, SetEncodings, requests,
    keys, pointer, cut text. picture(encodings): the rectangles that answer a
    request that is not incremental."""

    def __init__(self, size, picture, pf=USUAL):
        super().__init__(daemon=True)
        self.size, self.picture, self.pf = size, picture, pf
        self.got = []          # every message, type first
        self.encodings = ()
        self.unknown = None    # a message that ended it
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            try:
                with sock, sock.makefile('rb') as stream:
                    self._serve(sock, stream)
            except (OSError, struct.error):
                pass

    def stop(self):
        self.listener.close()

    def _serve(self, sock, stream):
        sock.sendall(b'RFB 003.008\n')
        stream.read(12)
        sock.sendall(b'\1\1')
        stream.read(1)
        sock.sendall(b'\0\0\0\0')
        stream.read(1)
        sock.sendall(struct.pack('>HH', *self.size) + self.pf +
                     struct.pack('>I', 8) + b'scripted')
        while self._message(sock, stream):
            pass

    def _message(self, sock, stream):
        kind = struct.unpack('>B', stream.read(1))[0]
        if kind == 2:
            n = struct.unpack('>xH', stream.read(3))[0]
            self.encodings = struct.unpack(f'>{n}i', stream.read(4 * n))
            body = self.encodings
        elif kind == 6:
            n = struct.unpack('>3xi', stream.read(7))[0]
            body = (n, stream.read(abs(n)))
        elif kind in (0, 3, 4, 5):
            body = (stream.read({0: 19, 3: 9, 4: 7, 5: 5}[kind]),)
        else:
            self.unknown = kind
            return False
        self.got.append((kind, *body))
        if kind == 3 and not body[0][0]:
            rects = self.picture(self.encodings)
            sock.sendall(struct.pack('>BxH', 0, len(rects)) + b''.join(rects))
        return True


def rect(x, y, w, h, encoding, payload):
    return struct.pack('>HHHHi', x, y, w, h, encoding) + payload


def compact(n):
    """A length as Tight has it."""
    if n < 128:
        return bytes([n])
    if n < 16384:
        return bytes([n & 127 | 128, n >> 7])
    return bytes([n & 127 | 128, n >> 7 & 127 | 128, n >> 14])
