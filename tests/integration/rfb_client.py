"""A viewer of the tests' own: RFB 3.8 over VeNCrypt X509Plain, with Raw,
CopyRect, RRE, Hextile, ZRLE and the desktop's size. It keeps the picture it was
sent, pixel by pixel, and every rectangle it came in, and fails on whatever a
strict viewer would fail on.

    with Client(port, ca, 'alice@desk1', password) as c:
        c.request(incremental=False)
        c.run_until(lambda: c.covered())
        c.picture      # rows x columns x (R, G, B)
"""
import operator
import socket
import ssl
import struct
import threading
import time
import zlib

import numpy as np

RAW, COPYRECT, RRE, HEXTILE, ZRLE = 0, 1, 2, 5, 16
LAST_RECT, DESKTOP_SIZE, EXT_DESKTOP_SIZE = -224, -223, -308
FENCE, CONTINUOUS, DESKTOP_NAME, CURSOR = -312, -313, -307, -239
USUAL = (HEXTILE, ZRLE, COPYRECT, RAW, EXT_DESKTOP_SIZE, DESKTOP_SIZE,
         LAST_RECT, CURSOR)
# 32 bits, depth 24, least byte first: blue, green, red, nothing
FORMAT = struct.pack('>BBBBHHHBBB3x', 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class ProtocolError(AssertionError):
    pass


class Stream:
    """Blocking reads of exactly n bytes, until a deadline."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.deadline = None

    def need(self, n):
        while len(self.buffer) < n:
            left = 10 if self.deadline is None else \
                self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f'{n} bytes did not come')
            self.sock.settimeout(left)
            data = self.sock.recv(65536)
            if not data:
                raise EOFError('the relay closed the connection')
            self.buffer += data

    def read(self, n):
        self.need(n)
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def unpack(self, form):
        return struct.unpack(form, self.read(struct.calcsize(form)))


class Client:
    order = (2, 1, 0)   # red, green, blue among a pixel's four bytes

    def __init__(self, port, ca, user, password, encodings=USUAL,
                 small_window=False, host='localhost'):
        self.user, self.password = user, password
        sock = socket.create_connection((host, port), 10)
        if small_window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.stream = Stream(sock)
        self.picture = self._blank(1, 1)
        self.inflate = zlib.decompressobj()
        self.screens = []
        self.rects = []         # (time, encoding, x, y, w, h)
        self.updates = []       # (time, number of rectangles that draw)
        self.sizes = []         # every size the desktop was given
        self.bells = self.ends = self.fences = 0
        self.name = None
        self.is_continuous = False
        self.auto = True        # asks again after each update
        self.fresh = None       # what was drawn since forget()
        self.pointer_at = (0, 0)
        self.reader = None
        try:
            self._handshake(ca)
            self.set_format()
            self.set_encodings(encodings)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def read_on(self):
        """Reads whatever comes, in a thread, until the connection ends."""
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()

    def _drain(self):
        try:
            self.run_for(3600)
        except (OSError, EOFError, ValueError, AssertionError, struct.error):
            pass

    def shutdown(self):
        """close(2) alone would wait for the thread that reads."""
        try:
            self.stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the relay was first

    def close(self):
        if self.reader is not None:
            # the next connection gets the same descriptor: a thread that
            # still reads it takes that one's bytes
            self.shutdown()
            self.reader.join(60)
            assert not self.reader.is_alive(), 'the reader does not end'
            self.reader = None
        self.stream.sock.close()

    # --- handshake ----------------------------------------------------------

    def _handshake(self, ca):
        s = self.stream
        assert s.read(12) == b'RFB 003.008\n'
        s.sock.sendall(b'RFB 003.008\n')
        kinds = s.read(s.read(1)[0])
        assert 19 in kinds, kinds
        s.sock.sendall(b'\x13')
        assert s.read(2) == b'\0\2'
        s.sock.sendall(b'\0\2')
        assert s.read(1) == b'\0'
        subs = s.unpack('>%dI' % s.read(1)[0])
        assert 262 in subs, subs
        s.sock.sendall(struct.pack('>I', 262))
        assert s.read(1) == b'\1' and not s.buffer
        context = ssl.create_default_context(cafile=ca)
        s.sock = context.wrap_socket(s.sock, server_hostname='localhost')
        user, password = self.user.encode(), self.password.encode()
        s.sock.sendall(struct.pack('>II', len(user), len(password)) + user +
                       password)
        s.deadline = time.monotonic() + 40
        if s.unpack('>I')[0] != 0:
            reason = s.read(s.unpack('>I')[0]).decode()
            raise ConnectionRefusedError(reason)
        s.sock.sendall(b'\1')
        w, h = s.unpack('>HH')
        s.read(16)
        self.name = s.read(s.unpack('>I')[0]).decode()
        s.deadline = None
        self._resize(w, h)

    # --- what a viewer sends ------------------------------------------------

    def send(self, data):
        self.stream.sock.settimeout(10)
        self.stream.sock.sendall(data)

    def set_format(self):
        self.send(b'\0\0\0\0' + FORMAT)

    def set_encodings(self, encodings):
        self.encodings = tuple(encodings)
        self.send(struct.pack('>BBH%di' % len(encodings), 2, 0,
                              len(encodings), *encodings))

    def request(self, incremental=True, area=None):
        x, y, w, h = area or (0, 0, self.width, self.height)
        self.send(struct.pack('>BBHHHH', 3, incremental, x, y, w, h))

    def continuous(self, on, area=None):
        x, y, w, h = area or (0, 0, self.width, self.height)
        self.is_continuous = on
        self.send(struct.pack('>BBHHHH', 150, on, x, y, w, h))

    def key(self, keysym, down):
        self.send(struct.pack('>BBHI', 4, down, 0, keysym))

    def pointer(self, x, y, buttons=0):
        self.pointer_at = (x, y)
        self.send(struct.pack('>BBHH', 5, buttons, x, y))

    def cut_text(self, text):
        data = text.encode('latin-1')
        self.send(struct.pack('>B3xI', 6, len(data)) + data)

    def set_desktop_size(self, w, h, screens):
        self.send(struct.pack('>BxHHBx', 251, w, h, len(screens)) + b''.join(
            struct.pack('>IHHHHI', n, *s, 0) for n, s in enumerate(screens)))

    # --- what comes ---------------------------------------------------------

    @property
    def width(self):
        return self.picture.shape[1]

    @property
    def height(self):
        return self.picture.shape[0]

    def _blank(self, w, h):
        return np.zeros((h, w, len(self.order)), np.uint8)

    def _resize(self, w, h):
        self.sizes.append((w, h))
        if (w, h) == (self.width, self.height):
            return
        old = self.picture
        self.picture = self._blank(w, h)
        keep_h, keep_w = min(h, old.shape[0]), min(w, old.shape[1])
        self.picture[:keep_h, :keep_w] = old[:keep_h, :keep_w]
        self.fresh = np.zeros((h, w), bool)

    def forget(self):
        """From here on `covered` counts anew."""
        self.fresh = np.zeros((self.height, self.width), bool)

    def covered(self):
        return self.fresh is not None and bool(self.fresh.all())

    def run_until(self, done, timeout_s=10, what='the picture'):
        """Takes messages until done() holds between two of them."""
        self.stream.deadline = time.monotonic() + timeout_s
        try:
            while not done():
                self.message()
        except TimeoutError:
            raise AssertionError(f'{what} did not come in {timeout_s} s') \
                from None
        finally:
            self.stream.deadline = None

    def run_for(self, seconds):
        self.stream.deadline = time.monotonic() + seconds
        try:
            while True:
                self.stream.need(1)
                self.stream.deadline = time.monotonic() + 10
                self.message()
                self.stream.deadline = min(
                    self.stream.deadline, time.monotonic() + seconds)
                if self._is_late(seconds):
                    return
        except TimeoutError:
            if self.stream.buffer:
                raise AssertionError('half a message came') from None
        finally:
            self.stream.deadline = None
            self._end_at = None

    _end_at = None

    def _is_late(self, seconds):
        if self._end_at is None:
            self._end_at = time.monotonic() + seconds
        self.stream.deadline = self._end_at
        return time.monotonic() >= self._end_at

    def message(self):
        s = self.stream
        kind = s.read(1)[0]
        if kind == 0:
            self._update()
        elif kind == 2:
            self.bells += 1
        elif kind == 3:
            length = s.unpack('>3xi')[0]
            s.read(abs(length))
        elif kind == 150:
            self.ends += 1
        elif kind == 248:
            flags, length = s.unpack('>3xIB')
            payload = s.read(length)
            self.fences += 1
            if not flags & 0x80000000:
                raise ProtocolError('a fence nobody asked for')
            self.send(struct.pack('>B3xIB', 248, flags & 0x7fffffff & 7,
                                  length) + payload)
        else:
            raise ProtocolError(f'unknown message {kind}')

    def _update(self):
        s = self.stream
        n = s.unpack('>xH')[0]
        drawn, resized = 0, False
        for _ in range(n):
            x, y, w, h, encoding = s.unpack('>HHHHi')
            self.rects.append((time.monotonic(), encoding, x, y, w, h))
            if encoding == LAST_RECT:
                break
            if encoding in (DESKTOP_SIZE, EXT_DESKTOP_SIZE):
                resized |= self._size(encoding, x, y, w, h)
            elif encoding == CURSOR:
                s.read(w * h * 4 + (w + 7) // 8 * h)
            elif encoding == DESKTOP_NAME:
                s.read(s.unpack('>I')[0])
            else:
                self._picture(encoding, x, y, w, h)
                drawn += 1
        self.updates.append((time.monotonic(), drawn))
        if self.auto and not self.is_continuous:
            self.request(incremental=not resized)

    def _size(self, encoding, x, y, w, h):
        s = self.stream
        if encoding == EXT_DESKTOP_SIZE:
            n = s.unpack('>B3x')[0]
            screens = [s.unpack('>IHHHHI') for _ in range(n)]
            if x == 1 and y != 0:
                return False
            self.screens = [screen[1:5] for screen in screens]
        was = (self.width, self.height)
        self._resize(w, h)
        return was != (w, h)

    def _picture(self, encoding, x, y, w, h):
        if x + w > self.width or y + h > self.height:
            raise ProtocolError(f'{(x, y, w, h)} is outside the '
                                f'{self.width}x{self.height} desktop')
        if encoding not in self.encodings:
            raise ProtocolError(f'encoding {encoding} was not offered')
        decode = {RAW: self._raw, COPYRECT: self._copy, RRE: self._rre,
                  HEXTILE: self._hextile, ZRLE: self._zrle}[encoding]
        self.picture[y:y + h, x:x + w] = decode(w, h)
        self.fresh[y:y + h, x:x + w] = True

    def _raw(self, w, h):
        bgrx = np.frombuffer(self.stream.read(4 * w * h), np.uint8)
        return bgrx.reshape(h, w, 4)[:, :, self.order]

    def _copy(self, w, h):
        x, y = self.stream.unpack('>HH')
        return self.picture[y:y + h, x:x + w].copy()

    def _rre(self, w, h):
        out = self._blank(w, h)
        n = self.stream.unpack('>I')[0]
        out[:] = self._pixel()
        for _ in range(n):
            colour = self._pixel()
            x, y, rw, rh = self.stream.unpack('>HHHH')
            out[y:y + rh, x:x + rw] = colour
        return out

    def _pixel(self):
        return operator.itemgetter(*self.order)(self.stream.read(4))

    def _hextile(self, w, h):
        s = self.stream
        out = self._blank(w, h)
        back = fore = 0
        for ty in range(0, h, 16):
            for tx in range(0, w, 16):
                th, tw = min(16, h - ty), min(16, w - tx)
                tile = out[ty:ty + th, tx:tx + tw]
                bits = s.read(1)[0]
                if bits & 1:
                    tile[:] = self._raw(tw, th)
                    continue
                if bits & 2:
                    back = self._pixel()
                if bits & 4:
                    fore = self._pixel()
                tile[:] = back
                for _ in range(s.read(1)[0] if bits & 8 else 0):
                    colour = self._pixel() if bits & 16 else fore
                    xy, wh = s.read(2)
                    sx, sy = xy >> 4, xy & 15
                    tile[sy:sy + (wh & 15) + 1,
                         sx:sx + (wh >> 4) + 1] = colour
        return out

    def _zrle(self, w, h):
        packed = self.stream.read(self.stream.unpack('>I')[0])
        data = Bytes(self.inflate.decompress(packed))
        out = np.empty((h, w, 3), np.uint8)
        for ty in range(0, h, 64):
            for tx in range(0, w, 64):
                th, tw = min(64, h - ty), min(64, w - tx)
                out[ty:ty + th, tx:tx + tw] = data.tile(tw, th)
        if data.at != len(data.data):
            raise ProtocolError('ZRLE data left over')
        return out


class Bytes:
    """Inflated ZRLE, read tile by tile."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, n):
        if self.at + n > len(self.data):
            raise ProtocolError('ZRLE data too short')
        self.at += n
        return self.data[self.at - n:self.at]

    def pixels(self, n):
        bgr = np.frombuffer(self.read(3 * n), np.uint8)
        return bgr.reshape(n, 3)[:, ::-1]

    def run(self):
        n = 1
        while (byte := self.read(1)[0]) == 255:
            n += 255
        return n + byte

    def tile(self, w, h):
        kind = self.read(1)[0]
        if kind == 0:
            return self.pixels(w * h).reshape(h, w, 3)
        if kind == 1:
            return np.broadcast_to(self.pixels(1), (h, w, 3))
        if kind <= 16:
            return self.packed(kind, w, h)
        if kind == 128:
            return self.runs(w, h, None)
        if kind >= 130:
            return self.runs(w, h, self.pixels(kind - 128))
        raise ProtocolError(f'ZRLE tile of kind {kind}')

    def packed(self, n, w, h):
        palette = self.pixels(n)
        bits = 1 if n == 2 else 2 if n <= 4 else 4
        line = (w * bits + 7) // 8
        rows = np.frombuffer(self.read(line * h), np.uint8).reshape(h, line)
        one = np.unpackbits(rows, axis=1)[:, :w * bits].reshape(h, w, bits)
        index = one @ (1 << np.arange(bits)[::-1])
        return palette[index]

    def runs(self, w, h, palette):
        out, n = np.empty((w * h, 3), np.uint8), 0
        while n < w * h:
            if palette is None:
                colour, length = self.pixels(1)[0], self.run()
            else:
                index = self.read(1)[0]
                colour = palette[index & 127]
                length = self.run() if index & 128 else 1
            out[n:n + length] = colour
            n += length
        if n != w * h:
            raise ProtocolError('a ZRLE run leaves its tile')
        return out.reshape(h, w, 3)
