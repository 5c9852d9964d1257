"""A minute of office work on a real 1600x900 Xvnc: 11 s of typing into a
spreadsheet (Gnumeric), 8 s of scrolling it, 10 s of reading a page in Chromium
with the wheel, 9 s of writing in a form of that page, 4 s of changing between
the two windows, 18 s of nothing but the caret that blinks in the form.

usage: workload_office.py [--scale S] [--screenshot FILE]

Sheet, page and pictures come from seeds. No file outside of the desktop's
folder is read or written, nothing is asked of a network.
"""
import itertools
import os
import random
import time

from workload import (Desktop, do_idle, noise_picture, pause_until, prose,
                      show, type_until)

COLUMNS, ROWS = 18, 600
PICTURES = 6
MARGIN = 40  # pixels of the desktop around the windows
CHROMIUM = ['chromium', '--no-sandbox', '--test-type', '--disable-gpu',
            '--no-first-run', '--no-default-browser-check', '--disable-sync',
            '--disable-background-networking', '--disable-component-update',
            '--disable-extensions', '--password-store=basic',
            '--force-device-scale-factor=1', '--lang=en',
            '--proxy-server=127.0.0.1:9']  # nothing listens there


# --- what the windows show ------------------------------------------------

def sheet():
    """Comma-separated: names, amounts, dates."""
    rng = random.Random(31)
    yield 'number,name,' + ','.join(
        f'{prose(rng.random(), 1)} {i}' for i in range(COLUMNS - 2))
    for row in range(1, ROWS):
        cells = [f'{rng.randrange(100000) / 100:.2f}' if i % 3 else
                 f'2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}'
                 for i in range(COLUMNS - 2)]
        yield f'{row},{prose(rng.random(), 2)},' + ','.join(cells)


def write_pictures(folder):
    import numpy
    from PIL import Image
    rng = numpy.random.default_rng(32)
    for i in range(PICTURES):
        colour, light = (numpy.stack([noise_picture(numpy, rng, 240, 360)
                                      for _ in range(n)], -1) for n in (3, 1))
        field = 0.3 * colour + 0.7 * light
        Image.fromarray((field * 255).astype('uint8')).save(
            os.path.join(folder, f'picture{i}.jpg'), quality=88)


def page():
    """An article with pictures at its right, a table and a form."""
    rng = random.Random(33)
    yield ('<!DOCTYPE html><meta charset="utf-8"><title>page</title><style>'
           'body{font:16px/1.5 "DejaVu Sans";width:1340px;margin:20px 60px}'
           'img{float:right;clear:right;margin:0 0 16px 40px}'
           'td{border:1px solid #bbb;padding:2px 10px}tr:nth-child(even)'
           '{background:#eef3f8}h2{color:#235}pre{background:#f4f4ee}'
           'textarea{font:16px/1.4 "DejaVu Sans Mono";width:860px}</style>'
           '<form><p><textarea id="text" rows="8"></textarea></form>')
    for i in range(24):
        yield f'<h2>{i + 1}. {prose(rng.random(), 5).capitalize()}</h2>'
        if i % 4 == 0:
            yield f'<img src="picture{i // 4}.jpg" width="360" height="240">'
        if i % 5 == 3:
            yield '<table>' + ''.join(
                '<tr>' + ''.join(f'<td>{rng.randrange(10 ** 6)}'
                                 for _ in range(7)) + '</tr>'
                for _ in range(8)) + '</table>'
        if i % 6 == 2:
            yield '<pre>' + '\n'.join(prose(rng.random(), 9)
                                      for _ in range(8)) + '</pre>'
        for _ in range(3):
            yield f'<p>{prose(rng.random(), 70).capitalize()}.'


def write_files(folder):
    with open(os.path.join(folder, 'sheet.csv'), 'w') as f:
        f.write('\n'.join(sheet()) + '\n')
    write_pictures(folder)
    with open(os.path.join(folder, 'page.html'), 'w') as f:
        f.write('\n'.join(page()))
    settings = os.path.join(folder, '.config', 'gtk-3.0')
    os.makedirs(settings)
    with open(os.path.join(settings, 'settings.ini'), 'w') as f:
        f.write('[Settings]\ngtk-enable-animations=false\n'
                'gtk-font-name=DejaVu Sans 10\n')


# --- what is done ---------------------------------------------------------

def click(desk, x, y):
    for is_pressed in (False, True, False):
        desk.point(x, y, is_pressed)


def cells():
    """What is typed into a column, from the top."""
    rng = random.Random(34)
    while True:
        yield f'{rng.randrange(10 ** 5) / 100}\n'
        yield f'=sum(d2:d{rng.randrange(5, 60)})\n'
        yield f'{prose(rng.random(), 2)}\n'


def do_sheet_typing(desk, end):
    desk.raise_window(desk.sheet)
    click(desk, desk.size[0] // 3, desk.size[1] // 3)
    type_until(desk, end, cells())


def do_sheet_scrolling(desk, end):
    """A page at a time, then row by row, as a key that is held."""
    while time.monotonic() < end:
        for key, n, delay in (('Page_Down', 5, 250), ('Down', 30, 40),
                              ('Page_Up', 3, 250)):
            if time.monotonic() < end:
                desk.xdotool('key', '--repeat', n, '--delay', delay, key)


def do_page_scrolling(desk, end):
    """Some turns of the wheel, some reading; now and then back."""
    desk.raise_window(desk.browser)
    desk.point(desk.size[0] // 2, desk.size[1] // 2)
    for i in itertools.count():
        if time.monotonic() >= end:
            return
        desk.xdotool('click', '--repeat', 4, '--delay', 60,
                     4 if i % 5 == 4 else 5)
        pause_until(min(end, time.monotonic() + 0.7))


def do_page_writing(desk, end):
    desk.xdotool('key', 'ctrl+Home')
    x, y = desk.place(desk.browser)
    click(desk, x + 400, y + 180)
    type_until(desk, end, (prose(i, 14) + '\n' for i in itertools.count(35)))


def do_changing(desk, end):
    for window in itertools.cycle((desk.sheet, desk.browser)):
        # the form keeps the caret for what follows
        if time.monotonic() >= end - 0.7:
            break
        desk.raise_window(window)
        pause_until(time.monotonic() + 0.7)
    desk.raise_window(desk.browser)


class Office(Desktop):
    """A spreadsheet and a page in a browser, one over the other."""

    size = (1600, 900)
    text = (160, 260, 768, 512)  # cells, and the page left of its pictures
    phases = (('sheet_typing', 11, do_sheet_typing),
              ('sheet_scrolling', 8, do_sheet_scrolling),
              ('page_scrolling', 10, do_page_scrolling),
              ('page_writing', 9, do_page_writing),
              ('changing', 4, do_changing), ('idle', 18, do_idle))

    def open_windows(self):
        write_files(self.dir)
        self.env.update(
            DBUS_SESSION_BUS_ADDRESS='disabled:', GSETTINGS_BACKEND='memory',
            NO_AT_BRIDGE='1', XDG_RUNTIME_DIR=self.path('tmp'))
        w, h = (side - 2 * MARGIN for side in self.size)
        self.spawn('gnumeric', ['gnumeric', '--no-splash', 'sheet.csv'])
        self.sheet = self.window('sheet.csv - Gnumeric', 60)
        self.spawn('chromium', [
            *CHROMIUM, f'--user-data-dir={self.path("profile")}',
            f'--window-position={MARGIN},{MARGIN}', f'--window-size={w},{h}',
            f'file://{self.path("page.html")}'])
        self.browser = self.window('page - Chromium', 60)
        for window in (self.browser, self.sheet):
            self.xdotool('windowsize', '--sync', window, w, h - 24)
            self.xdotool('windowmove', window, MARGIN, MARGIN)
            self.raise_window(window)

    def raise_window(self, window):
        self.xdotool('windowactivate', '--sync', window)


if __name__ == '__main__':
    show(Office)
