"""Firefox over Marionette, its own remote protocol (Debian has no geckodriver):
one page, as much of it as tests of the console need."""
import base64
import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

LIMIT_S = 120
PREFS = {
    'media.autoplay.default': 0, 'media.autoplay.blocking_policy': 0,
    'datareporting.policy.dataSubmissionEnabled': False,
    'toolkit.telemetry.enabled': False, 'app.update.enabled': False,
    'app.normandy.enabled': False, 'browser.shell.checkDefaultBrowser': False,
    'browser.aboutwelcome.enabled': False,
    'network.captive-portal-service.enabled': False,
    'network.connectivity-service.enabled': False,
    'services.settings.server': '', 'extensions.update.enabled': False,
    # a canvas that resists fingerprints has other pixels
    'privacy.resistFingerprinting': False,
    'media.suspend-bkgnd-video.enabled': False,
}

# What goes wrong in a page, from its first line on.
WATCH = '''
window.wrong = [];
addEventListener('error', (e) => wrong.push(e.message || `not loaded: ${e.target.src || e.target.href}`), true);
addEventListener('unhandledrejection', (e) => wrong.push(String(e.reason)));
addEventListener('securitypolicyviolation', (e) => wrong.push(`${e.violatedDirective}: ${e.blockedURI}`));
'''

NAMED = '''
const [wanted, scope] = arguments;
return [...document.querySelectorAll(
  `${scope} :is(a, button, input, select, textarea, [role=menuitem])`)]
  .find((e) => e.checkVisibility() && (e.innerText?.trim() === wanted ||
    e.getAttribute('aria-label') === wanted ||
    [...(e.labels || [])].some((l) => l.innerText.trim() === wanted)));
'''


class MarionetteError(AssertionError):
    pass


class FirefoxPage:
    def __init__(self, url, size=(1440, 900), prefs=None):
        self.url = url
        self.profile = tempfile.mkdtemp(prefix='rc-firefox-')
        self.log = os.path.join(self.profile, 'log')
        with open(os.path.join(self.profile, 'user.js'), 'w',
                  encoding='ascii') as f:
            for name, value in {**PREFS, **(prefs or {}),
                                'marionette.port': 0}.items():
                f.write(f'user_pref({json.dumps(name)}, '
                        f'{json.dumps(value)});\n')
        with open(self.log, 'wb') as out:
            self.process = subprocess.Popen(
                ['firefox-esr', '--headless', '--marionette', '--no-remote',
                 '--window-size', f'{size[0]},{size[1]}', '--profile',
                 self.profile], stdout=out, stderr=out,
                env={**os.environ, 'HOME': self.profile})
        self.ids = itertools.count(1)
        self.socket = None
        try:
            self.socket = socket.create_connection(
                ('127.0.0.1', self._port()), 10)
            self.socket.settimeout(LIMIT_S)
            self.stream = self.socket.makefile('rb')
            self._read()    # who it is
            self.command('WebDriver:NewSession', acceptInsecureCerts=True)
            self.command('WebDriver:SetTimeouts', script=LIMIT_S * 1000,
                         pageLoad=LIMIT_S * 1000)
        except BaseException:
            self.close()
            raise

    def _port(self):
        """The port that it took, from a file in its profile."""
        path = os.path.join(self.profile, 'MarionetteActivePort')
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                with open(path, encoding='ascii') as f:
                    text = f.read()
            except FileNotFoundError:
                text = ''
            if text.strip():
                return int(text)
            assert self.process.poll() is None and time.monotonic() < end, (
                f'no Firefox: {self._tail()}')
            time.sleep(0.1)

    def _tail(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()[-2000:]

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    # --- the protocol ----------------------------------------------------------

    def _read(self):
        size = b''
        while (c := self.stream.read(1)) != b':':
            assert c, f'Firefox has gone: {self._tail()}'
            size += c
        return json.loads(self.stream.read(int(size)))

    def command(self, name, **args):
        text = json.dumps([0, next(self.ids), name, args]).encode()
        self.socket.sendall(b'%d:%s' % (len(text), text))
        _, _, error, result = self._read()
        if error:
            raise MarionetteError(f'{name}: {error["error"]} {error["message"]}')
        return result.get('value', result) if isinstance(result, dict) else result

    # --- a page ------------------------------------------------------------------

    def open(self, path):
        self.command('WebDriver:Navigate', url=self.url + path)
        self.js(f'if (!window.wrong) {{ {WATCH} }}')

    def js(self, script, *args):
        return self.command('WebDriver:ExecuteScript', script=script,
                            args=list(args), newSandbox=False, sandbox=None)

    def later(self, script, *args):
        """The same; the script calls its last argument back."""
        return self.command('WebDriver:ExecuteAsyncScript', script=script,
                            args=list(args), newSandbox=False, sandbox=None)

    def until(self, done, what):
        end = time.monotonic() + LIMIT_S
        while not (value := done()):
            assert time.monotonic() < end, (
                f'not seen in {LIMIT_S} s: {what}; the page: '
                f'{self.text()[:900]}; {self.problems()}')
            time.sleep(0.05)
        return value

    @contextlib.contextmanager
    def inside(self, css):
        """Within the document of a frame for a while."""
        frame = self.js('return document.querySelector(arguments[0])', css)
        self.command('WebDriver:SwitchToFrame', element=next(iter(frame.values())))
        try:
            yield
        finally:
            self.command('WebDriver:SwitchToFrame')

    @contextlib.contextmanager
    def another_tab(self):
        """In front of this one for a while."""
        here = self.command('WebDriver:GetWindowHandle')
        there = self.command('WebDriver:NewWindow', type='tab', focus=True)
        self.command('WebDriver:SwitchToWindow', handle=there['handle'], focus=True)
        try:
            yield
        finally:
            self.command('WebDriver:CloseWindow')
            self.command('WebDriver:SwitchToWindow', handle=here, focus=True)

    def text(self, selector='body'):
        return self.js('return document.querySelector(arguments[0])'
                       '?.innerText || ""', selector)

    def wait_text(self, text, selector='body'):
        self.until(lambda: text in self.text(selector), text)

    def _named(self, name, scope):
        return self.until(lambda: self.js(NAMED, name, scope), name)

    def click(self, name, scope=''):
        element = self._named(name, scope)
        self.command('WebDriver:ElementClick', id=next(iter(element.values())))

    def fill(self, name, text, scope=''):
        element = next(iter(self._named(name, scope).values()))
        self.command('WebDriver:ElementClear', id=element)
        self.command('WebDriver:ElementSendKeys', id=element, text=text)

    def keys(self, keys):
        """To what has the focus; keys beyond text: WebDriver's code points."""
        element = self.js('return document.activeElement')
        self.command('WebDriver:ElementSendKeys',
                     id=next(iter(element.values())), text=keys)

    @property
    def path(self):
        return self.js('return location.pathname + location.search')

    def picture(self, name):
        keep = os.environ.get('RELAYCAM_SCREENSHOTS')
        if keep:
            png = self.command('WebDriver:TakeScreenshot', full=False)
            with open(os.path.join(keep, f'{name}.png'), 'wb') as f:
                f.write(base64.b64decode(png))

    def problems(self):
        return self.js('return window.wrong || []')
