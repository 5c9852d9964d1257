"""OpenID providers for the tests of single sign-on: the real one of
tests/oidc, one that misbehaves as it is told, and a browser that goes the way
of the redirects.

    provider = Provider(folder, cert, key, {'u1': {'email': ...}})
    fake = FakeProvider(cert, key, claims={'sub': 'u1'})
"""
import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from Cryptodome.Hash import SHA256
from Cryptodome.PublicKey import RSA
from Cryptodome.Signature import pkcs1_15

from ctl import ROOT
from storage_env import free_port, wait_for

FOLDER = os.path.join(ROOT, 'tests', 'oidc')
CLIENT = 'relay cam+1'  # both are form-encoded before they become Basic
SECRET = 'p+/=&%:" ~z'
CALLBACK = '/api/v1/login/single-sign-on/callback'


def b64(data):
    if isinstance(data, int):
        data = data.to_bytes((data.bit_length() + 7) // 8, 'big')
    if isinstance(data, (dict, str, list)):
        data = (data if isinstance(data, str) else json.dumps(data)).encode()
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


class Key:
    """An RSA key of 2048 bits."""

    def __init__(self, kid):
        self.kid = kid
        self.rsa = RSA.generate(2048)

    def public(self):
        return {'kty': 'RSA', 'use': 'sig', 'alg': 'RS256', 'kid': self.kid,
                'n': b64(self.rsa.n), 'e': b64(self.rsa.e)}

    def private(self):
        k = self.rsa
        return {**self.public(), 'd': b64(k.d), 'p': b64(k.p), 'q': b64(k.q),
                'dp': b64(k.d % (k.p - 1)), 'dq': b64(k.d % (k.q - 1)),
                'qi': b64(pow(k.q, -1, k.p))}

    def sign(self, text):
        return pkcs1_15.new(self.rsa).sign(SHA256.new(text.encode()))


def node():
    """The Node.js of tests/oidc; Debian 12's is too old for the provider."""
    name = {'x86_64': 'x64', 'aarch64': 'arm64'}[os.uname().machine]
    return os.path.join(FOLDER, 'node_modules', f'node-linux-{name}', 'bin',
                        'node')


class Provider:
    """npm oidc-provider. people: {login and sub: claims}."""

    def __init__(self, folder, cert, key, people, host='localhost', port=None):
        self.folder = folder
        self.port = port or free_port()
        self.issuer = f'https://{host}:{self.port}'
        self.keys = [Key('first')]
        self.config = {
            'issuer': self.issuer, 'port': self.port, 'cert': str(cert),
            'key': str(key), 'people': people, 'clients': []}
        self.process = None

    def serve(self, *redirect_uris):
        self.config['clients'] = [{
            'client_id': CLIENT, 'client_secret': SECRET,
            'redirect_uris': list(redirect_uris),
            'scope': 'openid profile email groups'}]
        return self.start()

    def start(self):
        self.config['jwks'] = {'keys': [k.private() for k in self.keys]}
        path = self.folder / 'provider.json'
        path.write_text(json.dumps(self.config))
        log = self.folder / 'provider.log'
        with open(log, 'wb') as f:
            self.process = subprocess.Popen(
                [node(), os.path.join(FOLDER, 'provider.mjs'), str(path)],
                stdout=f, stderr=f, stdin=subprocess.DEVNULL)

        def ready():
            assert self.process.poll() is None, log.read_text()
            return 'ready' in log.read_text()
        wait_for('the provider', ready, 60)
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind='application/json'):
        data = body if isinstance(body, bytes) else (
            body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self, form):
        p = self.server.provider
        path = urllib.parse.urlsplit(self.path).path
        name = {'/.well-known/openid-configuration': 'discovery',
                '/jwks': 'jwks', '/token': 'token', '/me': 'userinfo'}.get(
                    path)
        if name is None:
            return self.answer(404, {})
        p.asked.append((name, form, dict(self.headers)))
        if name in p.hold:
            p.hold[name].wait(60)
        status, body = getattr(p, name)(form)
        return self.answer(status, body)

    def do_GET(self):
        self.serve({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length'])).decode()
        self.serve(dict(urllib.parse.parse_qsl(body)))


class FakeProvider:
    """Answers as it is told: `claims` and `header` (over the good ones; None takes
    one away), `sign`, `answers` (name: status and body instead of the usual ones), `hold` (name:
    threading.Event to wait for). `asked` has every request."""

    def __init__(self, cert, key):
        self.port = free_port()
        self.issuer = f'https://localhost:{self.port}'
        self.server = ThreadingHTTPServer(('127.0.0.1', self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.server.provider = self
        self.server.handle_error = lambda *args: None  # clients that left
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.key = Key('k1')
        self.reset()

    def reset(self):
        self.claims, self.header, self.sign = {}, {}, None
        self.info = {'sub': 'u1', 'preferred_username': 'mia'}
        self.published = [self.key.public()]
        self.answers, self.hold, self.asked = {}, {}, []
        self.more = {}
        self.nonce = 'none'

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def discovery(self, form):
        return self.answers.get('discovery') or (200, {
            'issuer': self.issuer,
            'authorization_endpoint': f'{self.issuer}/auth',
            'token_endpoint': f'{self.issuer}/token',
            'userinfo_endpoint': f'{self.issuer}/me',
            'jwks_uri': f'{self.issuer}/jwks', **self.more})

    def jwks(self, form):
        return self.answers.get('jwks') or (200, {'keys': self.published})

    def id_token(self):
        now = int(time.time())
        claims = {'iss': self.issuer, 'aud': CLIENT, 'sub': 'u1',
                  'nonce': self.nonce, 'iat': now, 'exp': now + 300,
                  **self.claims}
        header = {'alg': 'RS256', 'kid': self.key.kid, **self.header}
        claims, header = ({k: v for k, v in d.items() if v is not None}
                          for d in (claims, header))
        text = f'{b64(header)}.{b64(claims)}'
        return f'{text}.{b64((self.sign or self.key.sign)(text))}'

    def token(self, form):
        return self.answers.get('token') or (200, {
            'access_token': 'at', 'token_type': 'Bearer', 'expires_in': 60,
            'id_token': self.id_token()})

    def userinfo(self, form):
        return self.answers.get('userinfo') or (200, self.info)

    def count(self, name):
        return sum(a[0] == name for a in self.asked)


def hs256(secret):
    return lambda text: hmac.new(secret, text.encode(),
                                 hashlib.sha256).digest()


class Browser:
    """Cookies at the console and at the provider, and the way between."""

    def __init__(self, console, verify):
        self.console = console
        self.site, self.other = requests.Session(), requests.Session()
        for s in (self.site, self.other):
            s.trust_env = False
            s.verify = str(verify)
        self.site.headers['Accept'] = 'text/html,*/*;q=0.8'

    def start(self, team='demo', **params):
        """To the console; its answer."""
        return self.site.get(
            f'{self.console.url}/api/v1/login/single-sign-on',
            params={'team': team, **params}, allow_redirects=False,
            timeout=60)

    def begin(self, **params):
        """The parameters of the authorization request."""
        r = self.start(**params)
        assert r.status_code == 303, (r.text, self.console.log()[-2000:])
        self.location = r.headers['Location']
        return dict(urllib.parse.parse_qsl(
            urllib.parse.urlsplit(self.location).query))

    def sign_in(self, user, **params):
        """Logs in at the real provider; the URL that it sends us back to."""
        self.begin(**params)
        r = self.other.get(self.location, allow_redirects=False, timeout=60)
        while True:
            url = urllib.parse.urljoin(r.url, r.headers.get('Location', ''))
            if url.startswith(self.console.url):
                return url
            if r.is_redirect:
                r = self.other.get(url, allow_redirects=False, timeout=60)
                continue
            assert r.status_code == 200, r.text
            form = re.search(r'<form[^>]*action="([^"]+)"', r.text)
            assert form and 'name="login"' in r.text, r.text
            r = self.other.post(
                urllib.parse.urljoin(r.url, form[1]),
                data={'prompt': 'login', 'login': user, 'password': 'x'},
                allow_redirects=False, timeout=60)

    def come_back(self, url):
        return self.site.get(url, allow_redirects=False, timeout=60)

    def answer(self, fake, code='c1', **params):
        """As if the fake provider had sent us back."""
        query = self.begin()
        fake.nonce = query['nonce']
        params = {'code': code, 'state': query['state'], **params}
        return self.come_back(
            f'{self.console.url}{CALLBACK}?' + urllib.parse.urlencode(
                {k: v for k, v in params.items() if v is not None}))

    def me(self):
        return self.site.get(f'{self.console.url}/api/v1/me', timeout=60)
