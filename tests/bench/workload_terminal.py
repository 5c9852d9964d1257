"""Work in an 80x24 terminal on a real 800x480 Xvnc, as over ssh: 8 s of
commands, 8 s of a build's output at 400 lines a second, 8 s of a list of
processes painted anew in place, 6 s of lines of progress, 15 s of nothing,
5 s of commands, 10 s of nothing.

usage: workload_terminal.py [--scale S] [--screenshot FILE]

What is printed comes from seeds, in pieces as ssh delivers them: some lines
at a time, 20 pieces a second. capture.with_hours makes hours of the two
phases of nothing.
"""
import os
import random

from workload import (Desktop, TERMINAL_LETTER, commands, do_idle, log_lines,
                      pause_until, prose, show, type_until, write_texts)

COLUMNS, ROWS = 80, 24
PIECES_S = 20
PLACE = (40, 24)  # of the window, under its title

# Pieces end with a byte of 0; one is written every 1/PIECES_S s.
PLAYER = f'''import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
with open(sys.argv[1], 'rb') as f:
    pieces = f.read().split(b'\\0')
due = time.monotonic()
for piece in pieces:
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()
    due += 1 / {PIECES_S}
    time.sleep(max(0, due - time.monotonic()))
'''


# --- what is printed ------------------------------------------------------

def build_pieces(seconds=8, lines_s=400):
    lines = log_lines(41, lines_s * seconds)
    for _ in range(PIECES_S * seconds):
        yield ''.join(next(lines)[:COLUMNS + 20] + '\n'
                      for _ in range(lines_s // PIECES_S))


def process_pieces(seconds=8, hz=2):
    """A list in place, as top's: cursor home, lines that change in parts."""
    rng = random.Random(42)
    names = [prose(i, 1) + 'd' for i in range(ROWS - 4)]
    yield '\033[2J'
    for _ in range(hz * seconds):
        load = ' '.join(f'{rng.random() * 4:.2f}' for _ in range(3))
        lines = [f'tasks {rng.randrange(200, 240)}, load {load}',
                 '\033[7m{:<80}\033[m'.format(
                     '    PID USER      PR    VIRT     RES  %CPU COMMAND')]
        for i, name in enumerate(names):
            lines.append(f'{1200 + i * 7:7} root      20 {90000 + i * 100:7} '
                         f'{rng.randrange(9000):7} {rng.random() * 99:5.1f} '
                         f'{name:<30}')
        yield '\033[H' + '\n'.join(lines) + '\n'
        yield from [''] * (PIECES_S // hz - 1)


def progress_pieces(seconds=6):
    n = PIECES_S * seconds
    yield '\033[2J\033[H'
    for i in range(n):
        bar = '=' * (i * 50 // n)
        name = f'package-{i // 20}.tar'
        yield f'\r{name:<16}[{bar:<50}] {i * 100 // n:3}%'
        if i % 20 == 19:
            yield '\n'


OUTPUTS = {'build': build_pieces, 'processes': process_pieces,
           'progress': progress_pieces}


# --- what is done ---------------------------------------------------------

def do_commands(desk, end):
    type_until(desk, end, commands(43))


def printing(name):
    def do(desk, end):
        desk.xdotool('key', 'ctrl+c')
        desk.xdotool('type', '--delay', 5, '--',
                     f'python3 play.py {name}.out\n')
        pause_until(end)
        desk.xdotool('key', 'ctrl+c')
    return do


class Terminal(Desktop):
    """A terminal of 80x24 letters."""

    size = (800, 480)
    text = (*PLACE, COLUMNS * TERMINAL_LETTER[0], ROWS * TERMINAL_LETTER[1])
    phases = (('commands', 8, do_commands), ('build', 8, printing('build')),
              ('processes', 8, printing('processes')),
              ('progress', 6, printing('progress')), ('idle', 15, do_idle),
              ('commands', 5, do_commands), ('idle', 10, do_idle))

    def open_windows(self):
        write_texts(self.dir)
        with open(self.path('play.py'), 'w') as f:
            f.write(PLAYER)
        for name, pieces in OUTPUTS.items():
            with open(self.path(f'{name}.out'), 'w') as f:
                f.write('\0'.join(pieces()))
        x, y = PLACE
        self.terminal('work', f'{COLUMNS}x{ROWS}+{x}+{y - 24}',
                      "exec env PS1='server$ ' bash --norc")
        work = self.window('work')
        self.xdotool('windowactivate', '--sync', work)
        self.point(x + 100, y + 100)


if __name__ == '__main__':
    show(Terminal)
