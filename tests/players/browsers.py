"""Chromium and Firefox ESR with page.html: a browser is started for one job and
posts what it saw. No driver: Debian has none for Firefox."""
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

from storage_env import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = int(os.environ.get("LIMIT_S", "300"))
PORT = free_port()
ORIGIN = f'http://127.0.0.1:{PORT}'     # of the page, for storage.cors_origin

CHROMIUM = ['chromium', '--headless', '--no-sandbox', '--disable-gpu',
            '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update',
            '--disable-sync', '--ignore-certificate-errors',
            '--autoplay-policy=no-user-gesture-required']
FIREFOX_PREFS = {
    'media.autoplay.default': 0, 'media.autoplay.blocking_policy': 0,
    'datareporting.policy.dataSubmissionEnabled': False,
    'toolkit.telemetry.enabled': False, 'app.update.enabled': False,
    'app.normandy.enabled': False, 'browser.shell.checkDefaultBrowser': False,
    'browser.aboutwelcome.enabled': False, 'network.captive-portal-service.'
    'enabled': False, 'network.connectivity-service.enabled': False,
    'services.settings.server': '', 'extensions.update.enabled': False,
    # a canvas that resists fingerprints has other pixels
    'privacy.resistFingerprinting': False,
    'media.suspend-bkgnd-video.enabled': False}


class Handler(SimpleHTTPRequestHandler):
    """The page, the job, its result, and files by byte ranges."""

    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass    # the browser was ended

    def answer(self, status, body, kind, headers=()):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass    # a player may have seen enough

    def do_GET(self):
        if self.path == '/job':
            return self.answer(200, json.dumps(self.server.job).encode(),
                               'application/json')
        if self.path.startswith('/file/'):
            return self.file(self.server.file)
        with open(os.path.join(HERE, 'page.html'), 'rb') as f:
            return self.answer(200, f.read(), 'text/html')

    def file(self, path):
        with open(path, 'rb') as f:
            data = f.read()
        asked = self.headers.get('Range')
        headers = [('Accept-Ranges', 'bytes')]
        if asked is None:
            return self.answer(200, data, 'video/webm', headers)
        first, last = asked.removeprefix('bytes=').split('-')
        first, last = int(first), int(last or len(data) - 1)
        if first >= len(data):
            return self.answer(416, b'', 'video/webm', [
                ('Content-Range', f'bytes */{len(data)}')])
        last = min(last, len(data) - 1)
        return self.answer(206, data[first:last + 1], 'video/webm', headers + [
            ('Content-Range', f'bytes {first}-{last}/{len(data)}')])

    def do_POST(self):
        n = int(self.headers['Content-Length'])
        self.server.result = json.loads(self.rfile.read(n))
        self.answer(200, b'', 'text/plain')
        self.server.done.set()


def _exception(url, certificate):
    """Firefox's own form of a certificate that a person has accepted."""
    with open(certificate, encoding='ascii') as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    digest = hashlib.sha256(der).hexdigest().upper()
    digest = ':'.join(digest[i:i + 2] for i in range(0, len(digest), 2))
    return (f'{urlparse(url).netloc}:\tOID.2.16.840.1.101.3.4.2.1\t{digest}'
            '\t\n')


def _firefox(profile, url, certificate):
    with open(os.path.join(profile, 'user.js'), 'w', encoding='ascii') as f:
        for name, value in FIREFOX_PREFS.items():
            f.write(f'user_pref({json.dumps(name)}, {json.dumps(value)});\n')
    if certificate:
        with open(os.path.join(profile, 'cert_override.txt'), 'w',
                  encoding='ascii') as f:
            f.write(_exception(url, certificate))
    return ['firefox-esr', '--headless', '--no-remote', '--profile', profile]


def run(browser, path=None, url=None, certificate=None, **job):
    """Plays a file, or a link whose storage lets ORIGIN read it; certificate:
    the file of that storage's. Returns what page.html saw."""
    server = ThreadingHTTPServer(('127.0.0.1', PORT), Handler)
    server.daemon_threads = True
    server.file, server.done, server.result = path, threading.Event(), None
    server.job = {'url': url or '/file/' + os.path.basename(path), **job}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp(prefix='rc-player-')
    argv = _firefox(profile, url, certificate) if browser == 'firefox' else \
        CHROMIUM + [f'--user-data-dir={profile}']
    process = subprocess.Popen(
        argv + [ORIGIN], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, 'HOME': profile},
        start_new_session=True)
    try:
        assert server.done.wait(LIMIT_S), f'{browser} did not answer'
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.shutdown()
        server.server_close()
        shutil.rmtree(profile, ignore_errors=True)
    assert 'error' not in server.result, server.result
    return server.result
