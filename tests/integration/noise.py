"""Noise on a desktop: what compresses worst. noise.py DISPLAY X Y W H HZ"""
import os
import sys
import time

IMAGES = 8  # more than a codec keeps as references


def main(display, x, y, w, h, hz):
    from Xlib import X, display as xdisplay
    d = xdisplay.Display(display)
    root = d.screen().root
    win = root.create_window(x, y, w, h, 0, X.CopyFromParent,
                             override_redirect=1)
    win.map()
    gc = win.create_gc()
    images = []
    rows = 32  # a request holds 256 KiB
    for _ in range(IMAGES):
        pm = win.create_pixmap(w, h, d.screen().root_depth)
        for top in range(0, h, rows):
            n = min(rows, h - top)
            pm.put_image(gc, 0, top, w, n, X.ZPixmap, d.screen().root_depth,
                         0, os.urandom(w * n * 4))
        images.append(pm)
    d.sync()
    n, due = 0, time.monotonic()
    while True:
        win.copy_area(gc, images[n % IMAGES], 0, 0, w, h, 0, 0)
        d.sync()
        if n == 0:
            print('ready', flush=True)
        n += 1
        due = max(due + 1 / hz, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6]))
