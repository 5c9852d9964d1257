"""A minute at a desktop, the same every time: 12 s of typing in a terminal,
6 s of a log scrolling by, 6 s of dragging a window by its title, 6 s of a
480x270 film, 30 s of nothing (nothing blinks, no clock).

usage: workload.py [--scale S] [--screenshot FILE]

Real programs on a real X server (Xvnc); xdotool types, and moves the mouse
unless a viewer does (Desktop.point). What they show comes from seeds; only
the instants vary with the machine. A scale shortens every phase alike.
"""
import argparse
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, 'captures')
sys.path.insert(0, os.path.join(HERE, '..', '..', 'deploy', 'quickstart'))

from demo import start_with_displayfd  # noqa: E402
from process import Process, run, wait_until  # noqa: E402

WIDTH, HEIGHT = 1920, 1080
FILM_SIZE, FILM_RATE, FILM_SECONDS = (480, 270), 25, 8

# Where the text is: of the terminal x, y, w, h, inside its border.
TERMINAL = (64, 88, 960, 800)
TERMINAL_LETTER = (9, 18)  # pixels
LETTER_MS = 80  # 12 letters a second, a good typist
DRAG_HZ = 60

WORDS = ('the relay keeps every byte of a session and shows it again to '
         'whoever may see it a technician opens the settings of a printer '
         'reads three lines of a log closes one window and asks the person '
         'at the other end to try once more with the cable in').split()


def digest(*paths):
    """Names what these files would produce; part of a cached file's name."""
    h = hashlib.sha256()
    for path in paths:
        with open(path, 'rb') as f:
            h.update(f.read())
    return h.hexdigest()[:12]


# --- what the windows show ------------------------------------------------

def prose(seed, n_words):
    rng = random.Random(seed)
    return ' '.join(rng.choice(WORDS) for _ in range(n_words))


def commands(seed):
    """What is typed, for ever: shell lines that answer with a few more."""
    rng = random.Random(seed)
    while True:
        yield f'grep -n {rng.choice(WORDS)} letter.txt | head -n 4\n'
        yield f'echo {prose(rng.random(), 9)}\n'
        yield f'sed -n {rng.randrange(1, 30)},+3p letter.txt\n'


def log_lines(seed, n):
    rng = random.Random(seed)
    for i in range(n):
        level = rng.choice(('\033[32mok\033[0m', 'info',
                            '\033[33mwarning\033[0m',
                            '\033[1;31mfailed\033[0m'))
        yield (f'[{i:5}/{n}] {level} module_{rng.randrange(400):03}.c: '
               f'{prose(rng.random(), rng.randrange(3, 11))}')


def write_texts(folder):
    with open(os.path.join(folder, 'letter.txt'), 'w') as f:
        for i in range(40):
            f.write(prose(i, 11) + '\n')
    with open(os.path.join(folder, 'log.txt'), 'w') as f:
        f.write('\n'.join(log_lines(7, 400)) + '\n')


def noise_picture(numpy, rng, height, width):
    """A field with the spectrum of photographs (amplitude 1/f), 0..1."""
    fy = numpy.fft.fftfreq(height)[:, None]
    fx = numpy.fft.rfftfreq(width)[None, :]
    f = numpy.sqrt(fx * fx + fy * fy)
    f[0, 0] = 1
    phase = rng.uniform(0, 2 * numpy.pi, f.shape)
    field = numpy.fft.irfft2(numpy.exp(1j * phase) / f ** 1.25,
                             (height, width))
    field -= field.min()
    return field / field.max()


def film_frames(numpy):
    """A camera pans over fields and shores, with hard edges; something
    crosses; there is grain. RGB frames."""
    rng = numpy.random.default_rng(20)
    w, h = FILM_SIZE
    land = numpy.stack([noise_picture(numpy, rng, h * 2, w * 2)
                        for _ in range(3)], -1)
    light, shore = (noise_picture(numpy, rng, h * 2, w * 2)[..., None]
                    for _ in range(2))
    scene = (0.25 * land + 0.75 * light) * numpy.array([235, 245, 215])
    scene *= numpy.where(shore > numpy.median(shore), 1.0, 0.55)
    yy, xx = numpy.mgrid[0:h, 0:w]
    for i in range(FILM_RATE * FILM_SECONDS):
        t = i / (FILM_RATE * FILM_SECONDS)
        x = int(w * (0.5 + 0.45 * numpy.sin(6.3 * t)))
        y = int(h * (0.4 + 0.35 * numpy.cos(4.1 * t)))
        frame = scene[y:y + h, x:x + w].copy()
        d = (xx - w * (1.2 * t - 0.1)) ** 2 + (yy - h * 0.6) ** 2 * 2
        ball = numpy.clip(1.3 - d / 2200, 0, 1)[..., None]
        frame += ball * (numpy.array([200, 90, 60]) - frame)
        frame += rng.normal(0, 3, (h, w, 1))
        yield numpy.clip(frame, 0, 255).astype('uint8').tobytes()


def film():
    """Path of the film (H.264, made once)."""
    import numpy
    os.makedirs(WORK, exist_ok=True)
    path = os.path.join(WORK, f'film-{digest(__file__)}.mp4')
    if os.path.exists(path):
        return path
    w, h = FILM_SIZE
    p = subprocess.Popen(
        ['ffmpeg', '-v', 'error', '-y', '-f', 'rawvideo', '-pix_fmt',
         'rgb24', '-s', f'{w}x{h}', '-r', str(FILM_RATE), '-i', '-',
         '-c:v', 'libx264', '-threads', '1', '-preset', 'medium', '-crf',
         '23', '-pix_fmt', 'yuv420p', '-f', 'mp4', path + '.new'],
        stdin=subprocess.PIPE)
    for frame in film_frames(numpy):
        p.stdin.write(frame)
    p.stdin.close()
    if p.wait() != 0:
        raise RuntimeError('the film could not be made')
    os.rename(path + '.new', path)
    return path


# --- the desktop ----------------------------------------------------------

class Desktop:
    """An Xvnc with a window manager; self.socket is where its RFB server
    listens. A workload is a subclass: what is open, what is done with it."""

    size = (WIDTH, HEIGHT)
    text = TERMINAL  # x, y, w, h: where letters are judged
    phases = ()      # (name, seconds, function of desktop and end)

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='rc-desk-')
        os.makedirs(self.path('tmp'))
        self.socket = self.path('rfb')
        self.processes = []
        self.env = {'PATH': '/usr/bin:/bin', 'HOME': self.dir, 'TZ': 'UTC',
                    'LANG': 'C.UTF-8'}

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def spawn(self, name, argv, **kw):
        kw.setdefault('env', self.env)
        kw.setdefault('cwd', self.dir)
        p = Process(name, argv, self.path(f'{name}.log'), **kw)
        self.processes.append(p)
        return p

    def start(self):
        if os.getuid() == 0:
            os.makedirs('/tmp/.X11-unix', exist_ok=True)
            os.chmod('/tmp/.X11-unix', 0o1777)
        w, h = self.size
        server, display = start_with_displayfd(self, 'xvnc', [
            'Xtigervnc', '-geometry', f'{w}x{h}', '-depth', '24',
            '-SecurityTypes', 'None', '-rfbport', '-1', '-rfbunixpath',
            self.socket, '-AlwaysShared', '-desktop', 'bench'])
        wait_until(lambda: os.path.exists(self.socket), 10, 'Xvnc', server)
        self.env['DISPLAY'] = display
        run(['xsetroot', '-solid', '#2f4858'], env=self.env)
        self.spawn('openbox', ['openbox'])
        self.open_windows()
        return self

    def open_windows(self):
        raise NotImplementedError

    def terminal(self, title, geometry, script):
        self.spawn(title, ['xterm', '-fa', 'DejaVu Sans Mono', '-fs', '11',
                           '-geometry', geometry, '-title', title, '-e',
                           'bash', '--norc', '-c', script])

    def stop(self):
        while self.processes:
            self.processes.pop().stop(5)
        shutil.rmtree(self.dir, ignore_errors=True)

    def xdotool(self, *args):
        return run(['xdotool', *args], env=self.env).strip()

    def _search(self, title):
        r = subprocess.run(['xdotool', 'search', '--onlyvisible', '--name',
                            f'^{title}$'], env=self.env, text=True,
                           capture_output=True)
        return r.stdout.split()

    def window(self, title, limit_s=20):
        return wait_until(lambda: self._search(title), limit_s,
                          f'the window "{title}"')[0]

    def point(self, x, y, is_pressed=False):
        """Moves the mouse, holds or lets go its left button."""
        self.xdotool('mousemove', x, y,
                     'mousedown' if is_pressed else 'mouseup', 1)

    def place(self, window):
        """x, y of a window's inside, under the title."""
        text = run(['xwininfo', '-id', window], env=self.env)
        return tuple(int(re.search(rf'Absolute upper-left {axis}: +(-?\d+)',
                                   text).group(1)) for axis in 'XY')

    def screenshot(self, path):
        """As PPM or PNG, by the name's ending."""
        run(['ffmpeg', '-v', 'error', '-y', '-f', 'x11grab', '-video_size',
             f'{self.size[0]}x{self.size[1]}', '-i', self.env['DISPLAY'],
             '-frames:v', '1', path], env=self.env)


# --- what is done on it ---------------------------------------------------

def pause_until(t):
    time.sleep(max(0.0, t - time.monotonic()))


def type_until(desk, end, lines):
    """Types lines, each of them whole; the last one as far as it gets."""
    for line in lines:
        room = int((end - time.monotonic()) * 1000 / LETTER_MS)
        if room > 0:
            desk.xdotool('type', '--delay', LETTER_MS, '--', line[:room])
        if room < len(line):
            return


def do_typing(desk, end):
    x, y, w, h = TERMINAL
    for is_pressed in (False, True, False):
        desk.point(x + w // 2, y + h // 2, is_pressed)
    type_until(desk, end, commands(3))


def do_scrolling(desk, end):
    """The log in the terminal, 30 lines a second."""
    script = 'while read -r l; do echo "$l"; sleep 0.033; done <log.txt'
    desk.xdotool('key', 'ctrl+c')
    desk.xdotool('type', '--delay', 2, '--', script + '\n')
    pause_until(end)
    desk.xdotool('key', 'ctrl+c')


def do_dragging(desk, end):
    """The letter by its title, in a bent path over the terminal."""
    x, y = desk.place(desk.letter)
    x, y = x + 200, y - 10
    desk.point(x, y)
    began = now = time.monotonic()
    while now < end:
        part = (now - began) / (end - began)
        back = abs(part * 2 - 1)  # 1 .. 0 .. 1
        desk.point(x - int(900 * (1 - back)),
                   y + int(280 * (1 - back) * back * 4), True)
        pause_until(now + 1 / DRAG_HZ)
        now = time.monotonic()
    desk.point(x, y)


def do_video(desk, end):
    player = desk.spawn('film', [
        'ffplay', '-v', 'error', '-an', '-loop', '0', '-window_title',
        'film', '-left', '1240', '-top', '620', desk.film],
        env={**desk.env, 'SDL_VIDEODRIVER': 'x11',
             'SDL_RENDER_DRIVER': 'software', 'SDL_AUDIODRIVER': 'dummy'})
    desk.window('film')
    pause_until(end)
    player.stop(5)


def do_idle(desk, end):
    pause_until(end)


class Minute(Desktop):
    """Two terminals, one of them to work in, and a film."""

    phases = (('typing', 12, do_typing), ('scrolling', 6, do_scrolling),
              ('dragging', 6, do_dragging), ('video', 6, do_video),
              ('idle', 30, do_idle))

    def open_windows(self):
        self.film = film()
        write_texts(self.dir)
        self.terminal('letter', '70x22+1130+90',
                      'cat letter.txt; exec sleep 1000')
        self.terminal('work', f'{TERMINAL[2] // TERMINAL_LETTER[0]}x'
                      f'{TERMINAL[3] // TERMINAL_LETTER[1]}'
                      f'+{TERMINAL[0]}+{TERMINAL[1] - 24}',
                      "exec env PS1='desk$ ' bash --norc")
        self.letter, self.work = self.window('letter'), self.window('work')


def perform(desk, scale=1.0, phases=None):
    """Does it all; returns [(phase, start s, end s)], 0 is the call."""
    start = due = time.monotonic()
    done = []
    for name, seconds, do in phases or desk.phases:
        began = time.monotonic()
        due += seconds * scale
        do(desk, due)
        pause_until(due)
        done.append((name, round(began - start, 3), round(due - start, 3)))
    return done


def show(desktop):
    """The command line of a workload: does it once, to be looked at."""
    p = argparse.ArgumentParser(description=desktop.__doc__.split('\n')[0])
    p.add_argument('--scale', type=float, default=1.0)
    p.add_argument('--screenshot')
    args = p.parse_args()
    desk = desktop()
    try:
        desk.start()
        for phase in desk.phases:
            print(*perform(desk, args.scale, (phase,))[0], flush=True)
            if args.screenshot:
                base, ext = os.path.splitext(args.screenshot)
                desk.screenshot(f'{base}-{phase[0]}{ext}')
    finally:
        desk.stop()


if __name__ == '__main__':
    show(Minute)
