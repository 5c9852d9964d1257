"""An end user: a screen with a window manager, and a hand for the mouse."""
import io
import os
import subprocess
import time

from PIL import Image

TITLE = 'Remote access'
TIMEOUT_S = 20


class Desktop:
    """A screen that somebody else started."""

    def __init__(self, env):
        self.env = env

    @staticmethod
    def until(check, what):
        deadline = time.monotonic() + TIMEOUT_S
        while not (value := check()):
            assert time.monotonic() < deadline, f'{what}: not there'
            time.sleep(0.05)
        return value

    def run(self, *argv):
        r = subprocess.run(argv, env=self.env, capture_output=True, text=True)
        return r.stdout if r.returncode == 0 else ''

    def windows(self, title=TITLE):
        return self.run('xdotool', 'search', '--onlyvisible', '--name',
                        f'^{title}$').split()

    def window(self, title=TITLE):
        """Waits for one and for its picture to be drawn."""
        found = self.until(lambda: self.windows(title), f'window "{title}"')
        self.until(lambda: self.colours(found[0]) > 1, 'its picture')
        return found[0]

    def colours(self, window):
        """How many a window shows: one is a window nobody has drawn yet."""
        ppm = self.pixels(window)
        return len(Image.open(io.BytesIO(ppm)).getcolors(1 << 24)) \
            if ppm else 0

    def gone(self, title=TITLE):
        self.until(lambda: not self.windows(title), f'no "{title}"')

    def geometry(self, window):
        out = self.run('xdotool', 'getwindowgeometry', '--shell', window)
        return {k: int(v) for k, v in (
            line.split('=') for line in out.splitlines())}

    def pixels(self, window='root'):
        """PPM of a window, b'' when it is not there."""
        name = ['-root'] if window == 'root' else ['-id', window]
        dump = subprocess.run(['xwd', '-silent', *name], env=self.env,
                              capture_output=True)
        return subprocess.run(
            ['convert', 'xwd:-', '-depth', '8', 'ppm:-'], input=dump.stdout,
            capture_output=True, check=True).stdout if not dump.returncode \
            else b''

    def note(self):
        """The strip in the upper right corner that says what is recorded
        (it has no name to look for): its pixels, or b''."""
        picture = Image.open(io.BytesIO(self.pixels())).convert('RGB')
        strip = picture.crop((picture.width - 300, 0, picture.width, 30))
        return strip.tobytes() if strip.getpixel(
            (strip.width - 3, 4)) == (0xa0, 0x10, 0x20) else b''

    def answer(self, which):
        """Clicks a button of zenity's question: decline, full, view from
        the left, each a third, at the lower edge."""
        window = self.window()
        g = self.geometry(window)
        place = ('view', 'full', 'decline').index(which)
        self.run('xdotool', 'mousemove', '--window', window,
                 str(g['WIDTH'] - 83 - 156 * place), str(g['HEIGHT'] - 25),
                 'click', '1')

    def key(self, name):
        self.window()
        self.run('xdotool', 'key', name)

    def picture(self, path):
        Image.open(io.BytesIO(self.pixels())).save(path)


class Screen(Desktop):
    """Xvfb and openbox, with a display number of its own."""

    def __init__(self, folder, size='1280x800x24'):
        self.folder = str(folder)
        number = os.path.join(self.folder, 'display')
        with open(number, 'w') as f:
            self.server = subprocess.Popen(
                ['Xvfb', '-screen', '0', size, '-nolisten', 'tcp',
                 '-displayfd', str(f.fileno())], pass_fds=(f.fileno(),),
                stderr=subprocess.DEVNULL)
        self.name = ':' + self.until(
            lambda: open(number).read().strip(), 'the X server')
        super().__init__({**os.environ, 'DISPLAY': self.name})
        self.manager = subprocess.Popen(
            ['openbox'], env=self.env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.until(lambda: '_NET_SUPPORTING_WM_CHECK(WINDOW)' in self.run(
            'xprop', '-root'), 'the window manager')

    def stop(self):
        for p in (self.manager, self.server):
            p.terminate()
            p.wait(10)
