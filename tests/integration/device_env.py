"""An endpoint whose agent hands captures over to relaycam-storage: by the real
tus-js-client (tests/tus), and by requests made by hand."""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import uuid

from storage_env import BUILD, ROOT, wait_for
from test_capture import MAKE, Capture

TUS = os.path.join(ROOT, 'tests', 'tus')
CTL = os.path.join(BUILD, 'ctl', 'relaycam')


def seal(data, public_key, name):
    """As docs/device-captures.md has it, by libsodium itself."""
    sodium = ctypes.CDLL(ctypes.util.find_library('sodium'))
    assert sodium.sodium_init() >= 0
    key, box = os.urandom(32), ctypes.create_string_buffer(80)
    assert sodium.crypto_box_seal(
        box, key, ctypes.c_ulonglong(32), bytes(public_key)) == 0
    state = ctypes.create_string_buffer(
        sodium.crypto_secretstream_xchacha20poly1305_statebytes())
    header = ctypes.create_string_buffer(24)
    sodium.crypto_secretstream_xchacha20poly1305_init_push(state, header, key)
    out = b'RCsealed' + box.raw + header.raw
    parts = [data[i:i + 1000] for i in range(0, len(data), 1000)]
    for i, part in enumerate(parts):
        chunk = ctypes.create_string_buffer(len(part) + 17)
        sodium.crypto_secretstream_xchacha20poly1305_push(
            state, chunk, None, part, ctypes.c_ulonglong(len(part)),
            uuid.UUID(name).bytes, ctypes.c_ulonglong(16),
            ctypes.c_ubyte(3 if i + 1 == len(parts) else 0))
        out += struct.pack('>I', len(chunk.raw)) + chunk.raw
    return out


def certificate(folder, name):
    """A key and a certificate of its own, as an agent makes them."""
    paths = [os.path.join(folder, f'{name}.{kind}') for kind in ('crt', 'key')]
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
         f'/CN={name}', '-out', paths[0], '-keyout', paths[1]],
        check=True, capture_output=True)
    with open(paths[0], encoding='ascii') as f:
        der = ssl.PEM_cert_to_DER_cert(f.read())
    return (*paths, hashlib.sha256(der).digest())


class Device:
    """An enrolled endpoint, and what it sends to storage."""

    def __init__(self, env):
        self.env = env
        self.cert, self.key, self.sha256 = certificate(env.dir, 'agent')
        env.rows("UPDATE endpoints SET kind = 'agent', host = NULL, port = NULL, "
                 'agent_cert_sha256 = %s WHERE id = %s',
                 self.sha256, env.endpoint_id)
        env.settings.update({
            'storage.captures': 'on',
            'storage.capture_key_file': f'{env.dir}/capture.key',
            'storage.scan_seconds': '1'})
        self.changes = None

    def use(self, **changes):
        """Storage runs with these settings."""
        if self.env.process is None or self.changes != changes:
            self.env.stop()
            self.env.start(**changes)
            self.changes = changes
        return self.env

    def capture(self, frames=20, order=True, is_copy=False):
        """One that its session wants; .file has its bytes."""
        c = Capture(self.env, frames=frames, width=64, height=64)
        c.file = os.path.join(self.env.dir, c.id)
        self.make(c)
        self.env.rows(
            'INSERT INTO sessions (id, team_id, endpoint_id, person_id, '
            'access, recorded, client_addr, started_at) VALUES (%s, %s, %s, '
            "%s, 'unattended', true, '', now())", c.session,
            self.env.team_id, self.env.endpoint_id, self.env.person_id)
        c.ordered = {k: v for k, v in c.meta.items()
                     if k not in ('desktop_name', 'pixel_format')}
        if order:
            self.env.rows(
                'INSERT INTO device_captures (id, session_id, endpoint_id, '
                'meta, is_copy) VALUES (%s, %s, %s, %s, %s)', c.id, c.session,
                self.env.endpoint_id, json.dumps(c.ordered), is_copy)
        return c

    def make(self, c, **changes):
        """Its file, whose first block says what is changed."""
        if os.path.exists(c.file):
            os.unlink(c.file)
        subprocess.run([MAKE, c.file, json.dumps({**c.meta, **changes}), '64',
                        '64', str(c.start), str(c.frames)],
                       check=True, timeout=60)
        self.measure(c)

    def measure(self, c):
        with open(c.file, 'rb') as f:
            c.bytes = f.read()
        c.digest = base64.b64encode(hashlib.sha256(c.bytes).digest()).decode()

    def wait(self, what, probe):
        try:
            return wait_for(what, probe, 60)
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.env.log()[-3000:]}') from e

    def wait_status(self, c, status):
        return self.wait(status, lambda: (
            r := c.row()) and r['status'] == status and r)

    def wait_size(self, c, size):
        """So many bytes of it are in the spool."""
        path = os.path.join(self.env.spool, 'uploads', f'{c.id}.data')
        self.wait(f'{size} bytes', lambda: os.path.getsize(path) == size)

    def begin_append(self, c, at, body, **fields):
        """A request that says it brings the rest, and brings only that."""
        s = self.connect()
        lines = ''.join(f'{k.replace("_", "-")}: {v}\r\n'
                        for k, v in fields.items())
        s.sendall((f'PATCH /captures/{c.id} HTTP/1.1\r\nHost: x\r\n'
                   'Tus-Resumable: 1.0.0\r\nContent-Type: '
                   'application/offset+octet-stream\r\n'
                   f'Upload-Offset: {at}\r\n{lines}'
                   f'Content-Length: {len(c.bytes) - at}\r\n\r\n').encode()
                  + body)
        return s

    def import_(self, c):
        return subprocess.run(
            [CTL, '--set', f'database.url={self.env.url}', '--set',
             f'spool.dir={self.env.spool}', 'recordings', 'import', c.file],
            capture_output=True, text=True, timeout=60)

    def url(self, c=None):
        base = f'https://127.0.0.1:{self.env.files_port}/captures'
        return f'{base}/{c.id}' if c else base

    def send(self, c, **options):
        """With tus-js-client; what it printed, a dict a line."""
        options = {'url': self.url(), 'file': c.file, 'id': c.id,
                   'digest': c.digest, 'cert': self.cert, 'key': self.key,
                   'ca': f'{self.env.dir}/tls.crt', **options}
        r = subprocess.run(
            ['node', os.path.join(TUS, 'upload.mjs'), json.dumps(options)],
            capture_output=True, text=True, timeout=120)
        assert r.stdout, r.stderr + self.env.log()[-3000:]
        return [json.loads(line) for line in r.stdout.splitlines()]

    def connect(self, cert=True, alpn='relaycam-capture/1'):
        context = ssl.create_default_context(
            cafile=f'{self.env.dir}/tls.crt')
        context.set_alpn_protocols([alpn])
        if cert:
            context.load_cert_chain(self.cert, self.key)
        s = socket.create_connection(
            ('127.0.0.1', self.env.files_port), timeout=60)
        return context.wrap_socket(s, server_hostname='127.0.0.1')

    def request(self, method, path, body=b'', sock=None, length=None,
                **fields):
        """By hand: status, fields and text of the answer. length: what
        Content-Length says, if the body is not all of it."""
        head = f'{method} {path} HTTP/1.1\r\nHost: x\r\n'
        fields = {'Tus-Resumable': '1.0.0',
                  **{k.replace('_', '-'): v for k, v in fields.items()}}
        if body or length is not None or method in ('POST', 'PATCH'):
            fields['Content-Length'] = len(body) if length is None else length
        head += ''.join(f'{k}: {v}\r\n' for k, v in fields.items()
                        if v is not None)
        s = sock or self.connect()
        try:
            s.sendall(head.encode() + b'\r\n' + body)
            return read_answer(s, method)
        finally:
            if sock is None:
                s.close()

    def create(self, c, **fields):
        names = base64.b64encode(c.id.encode()).decode()
        return self.request('POST', '/captures', **{
            'Upload_Length': len(c.bytes),
            'Upload_Metadata': f'capture {names}',
            'Repr_Digest': f'sha-256=:{c.digest}:', **fields})

    def append(self, c, at, body, **fields):
        return self.request(
            'PATCH', f'/captures/{c.id}', body, **{
                'Content_Type': 'application/offset+octet-stream',
                'Upload_Offset': at, **fields})

    def offset(self, c):
        status, fields, text = self.request('HEAD', f'/captures/{c.id}')
        assert status == 200, (status, text, self.env.log()[-2000:])
        return int(fields['upload-offset'])


def read_answer(sock, method):
    data = b''
    while b'\r\n\r\n' not in data:
        more = sock.recv(65536)
        assert more, f'the connection ended: {data!r}'
        data += more
    head, _, body = data.partition(b'\r\n\r\n')
    lines = head.decode().split('\r\n')
    fields = {k.lower(): v for k, v in
              (line.split(': ', 1) for line in lines[1:])}
    want = 0 if method == 'HEAD' else int(fields.get('content-length', 0))
    while len(body) < want:
        more = sock.recv(65536)
        assert more, f'the connection ended: {body!r}'
        body += more
    return int(lines[0].split()[1]), fields, body.decode()


def uploads(env, c):
    return sorted(name for name in os.listdir(
        os.path.join(env.spool, 'uploads')) if name.startswith(c.id))


def wait_received(c):
    """It is in the spool to be encoded, or that has been done."""
    def received():
        rows = c.env.rows('SELECT received_at FROM device_captures '
                          'WHERE id = %s', c.id)
        row = c.row()
        return rows[0]['received_at'] and row['status'] in (
            'downloaded', 'encoding', 'available') and row
    try:
        return wait_for('received', received, 60)
    except AssertionError as e:
        raise AssertionError(f'{e}: {c.row()}\n{c.env.log()[-3000:]}') from e
