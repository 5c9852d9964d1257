"""A technician whose viewer tries to hide from the recording what it shows or
does. test_evasion.py uses the single tricks, tests/chaos/run plays all of
them in random order."""
import random
import struct
import time

import counter
from look import Look, read_counter
from rfb_client import (CONTINUOUS, COPYRECT, EXT_DESKTOP_SIZE, FENCE, FORMAT,
                        HEXTILE, LAST_RECT, RAW, RRE, Client)

# 32 bits as FORMAT, the colours in the byte that FORMAT does not use
PADDING = struct.pack('>BBBBHHHBBB3x', 32, 24, 0, 1, 7, 7, 3, 24, 27, 30)
# FORMAT with the most significant byte first
BIG_ENDIAN = FORMAT[:2] + b'\1' + FORMAT[3:]

SIZES = ((1280, 800), (1024, 768), (1111, 777), (1400, 1050))
TOO_LARGE = ((11000, 11000), (9000, 9000), (65535, 65535))
COUNTER = (4 + counter.WIDTH, 4 + counter.HEIGHT + counter.STRIP)


# --- single tricks ----------------------------------------------------------

def set_format(c, pixel_format):
    c.send(b'\0\0\0\0' + pixel_format)


def switch_format(c, pixel_format, seconds):
    """Requests everything in FORMAT, and sets another format while the update
    may be on its way."""
    set_format(c, FORMAT)
    c.request(incremental=False)
    time.sleep(seconds)     # the moment of the attack: no right one exists
    set_format(c, pixel_format)


def repeat_format(c):
    """Sets the format that is set already, and never requests the last
    rows."""
    set_format(c, FORMAT)
    c.request(area=(0, 0, c.width, c.height - 10))


def type_text(c, text):
    for ch in text:
        c.key(ord(ch), True)
        c.key(ord(ch), False)


# --- a technician that plays them all ---------------------------------------

class FourBytes(Client):
    """Keeps all four bytes of a pixel, so that a picture can be read in
    whichever format it came, and calls on_update after each update and
    on_resize before the desktop gets another size."""

    order = (2, 1, 0, 3)
    on_update = staticmethod(lambda: None)
    on_resize = staticmethod(lambda: None)

    def _resize(self, w, h):
        if (w, h) != (self.width, self.height):
            self.on_resize()
        super()._resize(w, h)

    def _update(self):
        super()._update()
        self.on_update()


def read_any_format(picture):
    """The counter is black and white: its brightest byte tells."""
    top = picture[:COUNTER[1]].max(axis=2, keepdims=True)
    return read_counter(top.repeat(2, axis=2))


class Hostile(Look):
    """Plays one trick after the other, each for up to 3 s. seed: of their
    order; the same seed gives the same tricks."""

    kind = 'hostile'
    client_class = FourBytes
    read = staticmethod(read_any_format)
    encodings = (EXT_DESKTOP_SIZE, LAST_RECT, FENCE, CONTINUOUS)

    def __init__(self, stack, desktop, password, seed=0):
        self.random = random.Random(seed)
        drawing = self.random.choice(
            [(RAW,), (HEXTILE, RAW), (RRE, COPYRECT, RAW)])
        super().__init__(stack, desktop, password,
                         encodings=drawing + self.encodings)
        self.played = []
        self.resized = []   # when; what it was shown ended there

    def _look(self):
        c = self.client
        c.auto = False
        c.on_update = self._on_update
        c.on_resize = lambda: self.resized.append(time.monotonic_ns())
        while not self.is_leaving:
            trick = self.random.choices(list(TRICKS), TRICKS.values())[0]
            self.played.append(trick.__name__)
            self._end_s = time.monotonic() + self.random.uniform(0.5, 3)
            trick(self)
            set_format(c, FORMAT)
            c.request(incremental=False)
            self._read(self.random.uniform(0.2, 1))

    def _on_update(self):
        self.client.rects.clear()
        value = self.read(self.client.picture)
        if value is not None:
            self.seen.append((value, time.monotonic_ns()))

    def _read(self, seconds):
        self.client.run_for(seconds)

    def _repeat(self, act, seconds):
        """Acts, and reads for so many seconds, until the trick is over."""
        while time.monotonic() < self._end_s and not self.is_leaving:
            act()
            self._read(seconds)

    # --- the tricks ---------------------------------------------------------

    def requests_all(self):
        """An ordinary viewer."""
        self._repeat(self.client.request, 0.05)

    def repeats_format(self):
        self._repeat(lambda: repeat_format(self.client), 0.05)

    def switches_format(self):
        def act():
            switch_format(self.client,
                          self.random.choice((PADDING, BIG_ENDIAN)),
                          self.random.uniform(0, 0.05))
        self._repeat(act, 0.1)

    def requests_parts(self):
        """With the counter whole or not at all: half of it reads as another
        value."""
        def act():
            c, r = self.client, self.random
            x = r.choice((0, COUNTER[0] + r.randrange(200)))
            w = r.randrange(1 if x else COUNTER[0], c.width - x)
            h = r.randrange(COUNTER[1], c.height)
            c.request(incremental=r.random() < 0.5, area=(x, 0, w, h))
        self._repeat(act, 0.03)

    def requests_one_pixel(self):
        self._repeat(lambda: self.client.request(
            incremental=False, area=(0, 0, 1, 1)), 0.02)

    def requests_too_often(self):
        self._repeat(lambda: self.client.request(incremental=False), 0.005)

    def resizes(self):
        def act():
            size = self.random.choice(
                SIZES if self.random.random() < 0.9 else TOO_LARGE)
            self.client.set_desktop_size(*size, [(0, 0, *size)])
            self.client.request(incremental=False)
        self._repeat(act, self.random.uniform(0.05, 0.8))

    def updates_continuously(self):
        c = self.client
        if not c.ends:      # the server does not know them
            return
        c.continuous(True, area=(0, 0, 16, 16))
        self._repeat(c.request, 0.2)
        c.continuous(False)

    def stops_reading(self):
        self.client.request(incremental=False)
        time.sleep(self.random.uniform(0.5, 2.5))   # the trick itself

    def types_without_requests(self):
        def act():
            type_text(self.client, 'evil')
            self.client.pointer(self.random.randrange(700),
                                self.random.randrange(500))
            self.client.cut_text('copied')
        self._repeat(act, 0.05)

    def breaks_off(self):
        """In the middle of a message of its own, and of an update."""
        c = self.client
        c.request(incremental=False)
        c.send(struct.pack('>BBHi', 2, 0, 100, RAW))
        c.stream.deadline = time.monotonic() + self.random.uniform(0, 0.5)
        try:
            c.stream.need(1000)
        except TimeoutError:
            pass
        self.is_leaving = True


# how often each against the others
TRICKS = {Hostile.requests_all: 2, Hostile.repeats_format: 3,
          Hostile.switches_format: 4, Hostile.requests_parts: 2,
          Hostile.requests_one_pixel: 2, Hostile.requests_too_often: 2,
          Hostile.resizes: 2, Hostile.updates_continuously: 1,
          Hostile.stops_reading: 2, Hostile.types_without_requests: 2,
          Hostile.breaks_off: 0.5}
