"""What a test desktop shows: a terminal program that fills its window with a
pattern and writes down what reaches it.

usage: terminal.py LOG

LOG gets "ready", then a line for each byte typed ("k <hex>") and for each
press of the left button ("c <x hex> <y hex>", pixels from the window's top
left corner), as the guest of guest.S does on its serial port. xterm and foot
both report clicks in pixels (mode 1016 with SGR coordinates).
"""
import os
import re
import sys
import tty

CLICK = re.compile(rb'\x1b\[<(\d+);(-?\d+);(-?\d+)([Mm])')


def paint():
    columns, lines = os.get_terminal_size(0)
    out = ['\x1b[?25l\x1b[?1000h\x1b[?1006h\x1b[?1016h\x1b[2J']
    for y in range(lines):
        text = ''.join(chr(0x21 + (x * 7 + y * 13) % 94)
                       for x in range(columns - 1))
        out.append(f'\x1b[{y + 1};1H\x1b[1;37;{40 + y // 3 % 7}m{text}')
    # what is typed appears on the fourth line
    out.append('\x1b[4;1H\x1b[0;30;47m')
    show(''.join(out))


def show(text):
    os.write(1, text.encode())


def take(data, log):
    """Writes down what is whole in data; returns the rest."""
    while data:
        if data[0] == 0x1b:
            click = CLICK.match(data)
            if click is None:
                return data
            button, x, y = (int(v) for v in click.groups()[:3])
            if button == 0 and click[4] == b'M':
                # the terminal counts from 1
                log.write(f'c {x - 1:04x} {y - 1:04x}\n')
                show(f' {x - 1},{y - 1} ')
            data = data[click.end():]
            continue
        log.write(f'k {data[0]:02x}\n')
        show(chr(data[0]) if 0x20 <= data[0] < 0x7f else ' ')
        data = data[1:]
    return data


def main():
    with open(sys.argv[1], 'w', encoding='ascii', buffering=1) as log:
        tty.setraw(0)
        paint()
        log.write('ready\n')
        rest = b''
        while piece := os.read(0, 4096):
            rest = take(rest + piece, log)


main()
