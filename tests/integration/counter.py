"""A counter that can be read back from every frame of a recording: 24 squares
in black and white at a corner of the desktop, in Gray code, so that a picture
taken between two drawings still reads as one of the two values. A strip below
them changes its colour with each value: a square alone is so little that it is
recorded like a clock, twice a second.

As a program: counter.py DISPLAY X Y HZ draws it and writes "value monotonic_ns"
lines to standard output."""
import os
import subprocess
import sys
import time

SIDE, BITS, EDGE = 12, 24, 6
WIDTH, HEIGHT = SIDE * (BITS + 2) + 2 * EDGE, SIDE + 2 * EDGE
STRIP = 48  # pixels, of its height


def gray(n):
    return n ^ (n >> 1)


def ungray(g):
    n = 0
    while g:
        n ^= g
        g >>= 1
    return n


def draw(display, x, y, hz):
    from Xlib import X, display as xdisplay
    d = xdisplay.Display(display)
    root = d.screen().root
    w = root.create_window(x, y, WIDTH, HEIGHT + STRIP, 0, X.CopyFromParent,
                           background_pixel=0x808080, override_redirect=1)
    w.map()
    pm = w.create_pixmap(WIDTH, HEIGHT + STRIP, d.screen().root_depth)
    gc = w.create_gc(foreground=0x808080)
    pm.fill_rectangle(gc, 0, 0, WIDTH, HEIGHT)
    n, due = 0, time.monotonic()
    while True:
        bits = [1] + [gray(n) >> i & 1 for i in range(BITS)] + [0]
        for i, bit in enumerate(bits):
            gc.change(foreground=0xffffff if bit else 0)
            pm.fill_rectangle(gc, EDGE + i * SIDE, EDGE, SIDE, SIDE)
        gc.change(foreground=0x406080 if n % 2 else 0x806040)
        pm.fill_rectangle(gc, 0, HEIGHT, WIDTH, STRIP)
        w.configure(stack_mode=X.Above)
        w.copy_area(gc, pm, 0, 0, WIDTH, HEIGHT + STRIP, 0, 0)
        d.sync()
        print(n, time.monotonic_ns(), flush=True)
        n += 1
        due += 1 / hz
        time.sleep(max(0, due - time.monotonic()))


def read(path, x=0, y=0):
    """The counter's value in every frame of a recording, None where it does
    not read as one (before it was drawn)."""
    import numpy
    r = subprocess.run(
        ['ffmpeg', '-v', 'error', '-i', path, '-vf',
         f'crop={WIDTH}:{HEIGHT}:{x}:{y}:exact=1,format=gray', '-vsync',
         'passthrough', '-f', 'rawvideo', '-'], capture_output=True)
    assert r.returncode == 0, r.stderr.decode()[-1000:]
    frames = numpy.frombuffer(r.stdout, dtype=numpy.uint8).reshape(
        -1, HEIGHT, WIDTH)
    values = []
    for f in frames:
        cells = [f[EDGE + 3:EDGE + SIDE - 3,
                   EDGE + i * SIDE + 3:EDGE + (i + 1) * SIDE - 3].mean()
                 for i in range(BITS + 2)]
        if cells[0] < 200 or cells[-1] > 55 or any(
                80 < c < 175 for c in cells):
            values.append(None)
        else:
            values.append(ungray(sum((c > 127) << i
                                     for i, c in enumerate(cells[1:-1]))))
    return values


class Counter:
    """The program, on an endpoint's desktop."""

    def __init__(self, stack, env, x=4, y=4, hz=4):
        self.log = stack.path('tmp', 'counter.log')
        self.at = (x, y)
        with open(self.log, 'w', encoding='ascii'):
            pass
        os.chmod(self.log, 0o666)
        with open(self.log, 'ab') as f:
            self.process = stack.spawn(
                'counter', ['/usr/bin/python3', _reachable(stack),
                            env['DISPLAY'], x, y, hz], env=env, stdout=f)

    def lines(self):
        with open(self.log, encoding='ascii') as f:
            return [tuple(map(int, line.split())) for line in f
                    if line.endswith('\n')]

    def stop(self):
        self.process.stop(5)


def _reachable(stack):
    """The sources may lie where the service account cannot read."""
    import shutil
    target = stack.path('bin', 'counter.py')
    shutil.copyfile(__file__, target)
    os.chmod(target, 0o755)
    return target


if __name__ == '__main__':
    draw(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
