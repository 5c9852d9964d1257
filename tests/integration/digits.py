"""A number of three digits in greys, so small that it is recorded like a
clock: each value replaces the one before, pixel by pixel, which a counter of
counter.py does not.

As a program: digits.py DISPLAY X Y HZ draws it."""
import os
import subprocess
import sys
import time

SIDE, DIGITS, BASE = 14, 3, 8
WIDTH = SIDE * DIGITS
VALUES = BASE ** DIGITS
GREYS = [20 + 30 * d for d in range(BASE)]


def digits(n):
    return [n // BASE ** i % BASE for i in range(DIGITS)]


def value(greys):
    """Of three greys; None if one of them is none of ours."""
    found = [min(range(BASE), key=lambda d: abs(GREYS[d] - g)) for g in greys]
    if any(abs(GREYS[d] - g) > 10 for d, g in zip(found, greys)):
        return None
    return sum(d * BASE ** i for i, d in enumerate(found))


def draw(display, x, y, hz):
    from Xlib import X, display as xdisplay
    d = xdisplay.Display(display)
    root = d.screen().root
    w = root.create_window(x, y, WIDTH, SIDE, 0, X.CopyFromParent,
                           background_pixel=0, override_redirect=1)
    w.map()
    pm = w.create_pixmap(WIDTH, SIDE, d.screen().root_depth)
    gc = w.create_gc()
    n, due = 0, time.monotonic()
    while True:
        for i, digit in enumerate(digits(n)):
            gc.change(foreground=GREYS[digit] * 0x010101)
            pm.fill_rectangle(gc, i * SIDE, 0, SIDE, SIDE)
        w.configure(stack_mode=X.Above)
        w.copy_area(gc, pm, 0, 0, WIDTH, SIDE, 0, 0)
        d.sync()
        print(n, flush=True)
        n = (n + 1) % VALUES
        due += 1 / hz
        time.sleep(max(0, due - time.monotonic()))


def read(path, x, y):
    """The value of every frame of a recording; None before it was drawn."""
    import numpy
    r = subprocess.run(
        ['ffmpeg', '-v', 'error', '-i', path, '-vf',
         f'crop={WIDTH}:{SIDE}:{x}:{y}:exact=1,format=gray', '-vsync',
         'passthrough', '-f', 'rawvideo', '-'], capture_output=True)
    assert r.returncode == 0, r.stderr.decode()[-1000:]
    frames = numpy.frombuffer(r.stdout, dtype=numpy.uint8).reshape(
        -1, SIDE, WIDTH)
    return [value([float(f[4:-4, i * SIDE + 4:(i + 1) * SIDE - 4].mean())
                   for i in range(DIGITS)]) for f in frames]


class Digits:
    """The program, on an endpoint's desktop."""

    def __init__(self, stack, env, x, y, hz):
        import shutil
        self.log = stack.path('tmp', 'digits.log')
        program = stack.path('bin', 'digits.py')
        shutil.copyfile(__file__, program)
        os.chmod(program, 0o755)
        with open(self.log, 'wb') as f:
            os.chmod(self.log, 0o666)
            self.process = stack.spawn(
                'digits', ['/usr/bin/python3', program, env['DISPLAY'], x, y,
                           hz], env=env, stdout=f)

    def is_drawn(self):
        return os.path.getsize(self.log) > 0

    def stop(self):
        self.process.stop(5)


if __name__ == '__main__':
    draw(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
