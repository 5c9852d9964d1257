"""Captures that devices hand over by tus 1.0 on the port of signed files: the
real client tus-js-client, and requests by hand for what it does not do. C7, M1,
M2, M4."""
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

import pytest

from storage_env import BUILD, ROOT, Storage, wait_for
from storage_fixtures import cluster  # noqa: F401
from test_capture import MAKE, Capture, violations

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


@pytest.fixture(scope='module')
def device(tmp_path_factory, cluster):  # noqa: F811
    env = Storage(tmp_path_factory.mktemp('storage'), cluster)
    yield Device(env)
    env.close()


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


# ---- the real client ----

def test_sent_by_the_client_becomes_a_recording(device):
    device.use()
    c = device.capture(frames=120)
    said = device.send(c)
    assert said[-1]['end'] == 'success', said
    assert [s['method'] for s in said if 'method' in s] == ['POST', 'PATCH']
    row = c.wait_encoded()
    assert row['frames'] == 122 and row['status'] == 'available'
    assert uploads(device.env, c) == []
    order = device.env.rows('SELECT * FROM device_captures WHERE id = %s',
                            c.id)[0]
    assert order['bytes'] == len(c.bytes)
    assert bytes(order['sha256']) == hashlib.sha256(c.bytes).digest()
    # asked again weeks later, it is there
    assert device.offset(c) == len(c.bytes)
    assert device.create(c)[0] == 409
    assert not violations(device.env)
    audit = [r['action'] for r in device.env.rows(
        "SELECT action FROM audit WHERE object = %s AND action LIKE "
        "'segment_%%' ORDER BY id", c.id)]
    assert audit[:3] == ['segment_transfer', 'segment_downloaded',
                         'segment_encoding']


def test_cut_and_resumed_by_the_client(device):
    """The client stops in mid-upload, storage is killed, another client goes
    on where the first one was."""
    device.use()
    c = device.capture(frames=60)
    part = len(c.bytes) // 4
    said = device.send(c, chunkSize=part, pauseAt=2 * part)
    assert said[-1]['end'] == 'paused', said
    row = wait_for('its percentage', lambda: [
        r for r in c.rows() if r['progress'] >= 25])[0]
    assert row['status'] == 'transfer' and row['is_capture']
    device.env.kill()
    device.use()
    at = device.offset(c)
    assert at >= 2 * part
    said = device.send(c, uploadUrl=device.url(c))
    assert [s['method'] for s in said if 'method' in s] == ['HEAD', 'PATCH']
    assert said[0]['offset'] == str(at)
    assert said[-1]['end'] == 'success', said
    wait_received(c)


@pytest.mark.parametrize('algorithm', ['sha1', 'sha256'])
def test_a_wrong_checksum_drops_the_chunk(device, algorithm):
    device.use()
    c = device.capture()
    said = device.send(c, checksum='wrong', algorithm=algorithm)
    assert said[-1]['end'] == 'error' and said[-1]['status'] == 460, said
    assert device.offset(c) == 0
    said = device.send(c, checksum='right', algorithm=algorithm,
                       chunkSize=len(c.bytes) // 3, uploadUrl=device.url(c))
    assert said[-1]['end'] == 'success', said
    wait_received(c)


def test_terminated_by_the_client(device):
    device.use()
    c = device.capture()
    said = device.send(c, chunkSize=len(c.bytes) // 4, terminateAt=1)
    assert said[-1]['end'] == 'terminated', said
    assert said[-2]['method'] == 'DELETE' and said[-2]['status'] == 204
    wait_for('missing', lambda: [
        r for r in c.rows() if r['status'] == 'missing'])
    assert device.request('HEAD', f'/captures/{c.id}')[0] == 404
    assert uploads(device.env, c) == []
    # it is there again, and is picked up (M4)
    assert device.send(c, withCreation=True)[-1]['end'] == 'success'
    wait_received(c)


def test_abandoned_ones_expire(device):
    device.use(storage__capture_expiry_seconds='2')
    c = device.capture()
    said = device.send(c, chunkSize=len(c.bytes) // 4, pauseAt=1)
    assert [s['expires'] for s in said if s.get('method') == 'PATCH'][0]
    wait_for('missing', lambda: [
        r for r in c.rows() if r['status'] == 'missing'], 60)
    wait_for('its files are gone', lambda: uploads(device.env, c) == [])
    assert 'in time' in c.rows()[0]['status_detail']
    assert 'capture_upload_expired' in device.env.log()


# ---- by hand ----

def test_every_byte_that_came_counts(device):
    """The connection goes in the middle of a request: M2."""
    device.use()
    c = device.capture(frames=60)
    assert device.create(c)[0] == 201
    at, n = 0, len(c.bytes) // 5
    for _ in range(4):
        s = device.connect()
        head = (f'PATCH /captures/{c.id} HTTP/1.1\r\nHost: x\r\n'
                'Tus-Resumable: 1.0.0\r\nContent-Type: '
                f'application/offset+octet-stream\r\nUpload-Offset: {at}\r\n'
                f'Content-Length: {len(c.bytes) - at}\r\n\r\n')
        s.sendall(head.encode() + c.bytes[at:at + n])
        at += n
        path = os.path.join(device.env.spool, 'uploads', f'{c.id}.data')
        wait_for('the bytes', lambda: os.path.getsize(path) == at)
        s.close()
        assert device.offset(c) == at
    assert device.append(c, at, c.bytes[at:])[0] == 204
    wait_received(c)


def test_killed_during_a_request_with_a_checksum(device):
    """Its bytes do not count before the checksum is known."""
    device.use()
    c = device.capture(frames=60)
    device.create(c)
    half = len(c.bytes) // 2
    assert device.append(c, 0, c.bytes[:half])[0] == 204
    s = device.connect()
    sum_ = base64.b64encode(hashlib.sha256(c.bytes[half:]).digest()).decode()
    s.sendall((f'PATCH /captures/{c.id} HTTP/1.1\r\nHost: x\r\n'
               'Tus-Resumable: 1.0.0\r\nContent-Type: '
               f'application/offset+octet-stream\r\nUpload-Offset: {half}\r\n'
               f'Upload-Checksum: sha256 {sum_}\r\n'
               f'Content-Length: {len(c.bytes) - half}\r\n\r\n').encode() +
              b'x' * 100)
    path = os.path.join(device.env.spool, 'uploads', f'{c.id}.data')
    wait_for('wrong bytes', lambda: os.path.getsize(path) == half + 100)
    device.env.kill()
    s.close()
    device.use()
    wait_for('it was found', lambda: 'capture_upload_found' in
             device.env.log())
    assert device.offset(c) == half
    assert device.append(c, half, c.bytes[half:])[0] == 204
    wait_received(c)


def test_a_wrong_digest_is_corrupted_and_sent_again(device):
    device.use()
    c = device.capture()
    device.create(c)
    broken = bytes([c.bytes[0] ^ 1]) + c.bytes[1:]
    status, _, text = device.append(c, 0, broken)
    assert status == 460 and 'SHA-256' in text
    row = wait_for('corrupted', lambda: [
        r for r in c.rows() if r['status'] == 'corrupted'])[0]
    assert 'SHA-256' in row['status_detail']
    aside = os.path.join(device.env.spool, 'quarantine', c.session)
    assert sorted(os.listdir(aside)) == [f'{c.id}.upload',
                                         f'{c.id}.upload.json']
    with open(os.path.join(aside, f'{c.id}.upload'), 'rb') as f:
        assert f.read() == broken
    assert device.request('HEAD', f'/captures/{c.id}')[0] == 404
    assert device.send(c)[-1]['end'] == 'success'
    wait_received(c)
    assert not violations(device.env)


@pytest.mark.parametrize('name,value', [
    ('session', '00000000-0000-4000-8000-00000000000f'), ('person_id', 77),
    ('endpoint', 'other'), ('start_wall_ns', 5)])
def test_what_was_not_ordered_is_refused(device, name, value):
    device.use()
    c = device.capture()
    device.make(c, **{name: value})
    device.create(c)
    status, _, text = device.append(c, 0, c.bytes)
    assert status == 422 and name in text
    wait_for('corrupted', lambda: [
        r for r in c.rows() if r['status'] == 'corrupted'])


def test_who_may_send(device):
    env = device.use()
    c, other = device.capture(), device.capture(order=False)
    assert device.create(other)[0] == 403
    s = device.connect(cert=False)
    assert device.request('HEAD', f'/captures/{c.id}', sock=s)[0] == 403
    s.close()
    # without the protocol's name it is the server of signed files
    s = device.connect(alpn='http/1.1')
    assert device.request('HEAD', f'/captures/{c.id}', sock=s)[0] == 404
    s.close()
    env.rows('UPDATE endpoints SET agent_cert_sha256 = NULL')  # revoked
    try:
        assert device.create(c)[0] == 403
    finally:
        env.rows('UPDATE endpoints SET agent_cert_sha256 = %s', device.sha256)
    assert 'capture_denied' in env.log()


def test_a_copy_has_no_row(device):
    """The relay records, too: the device's is kept beside it for as long."""
    device.use(storage__retention_day_seconds='1')
    c = device.capture(is_copy=True)
    device.env.rows(
        "UPDATE device_captures SET meta = meta || "
        "'{\"retention_days\": 1000}' WHERE id = %s", c.id)
    device.make(c, retention_days=1000)
    assert device.send(c)[-1]['end'] == 'success'
    assert c.rows() == []
    assert uploads(device.env, c) == [f'{c.id}.json', f'{c.id}.kept']
    device.env.kill()
    device.use()
    assert device.offset(c) == len(c.bytes)
    assert not violations(device.env)


def test_the_disk_and_the_limits(device):
    env = device.env
    env.stop()
    for f in os.scandir(os.path.join(env.spool, 'uploads')):
        os.unlink(f)
    device.use(storage__capture_max_bytes='2M',
               storage__captures_per_endpoint='2',
               spool__min_free_bytes='1')
    captures = [device.capture() for _ in range(3)]
    assert device.create(captures[0], Upload_Length=3 << 20)[0] == 413
    for c in captures[:2]:
        assert device.create(c)[0] == 201
    status, fields, _ = device.create(captures[2])
    assert status == 429 and int(fields['retry-after']) >= 1
    device.use(spool__min_free_bytes=str(1 << 60))
    assert device.create(captures[2])[0] == 507


def test_a_second_connection_takes_over(device):
    """The first one's network went, and nobody has noticed."""
    device.use()
    c = device.capture()
    device.create(c)
    first = device.connect()
    first.sendall((f'PATCH /captures/{c.id} HTTP/1.1\r\nHost: x\r\n'
                   'Tus-Resumable: 1.0.0\r\nContent-Type: '
                   'application/offset+octet-stream\r\nUpload-Offset: 0\r\n'
                   f'Content-Length: {len(c.bytes)}\r\n\r\n').encode() +
                  c.bytes[:1000])
    path = os.path.join(device.env.spool, 'uploads', f'{c.id}.data')
    wait_for('bytes', lambda: os.path.getsize(path) == 1000)
    assert device.offset(c) == 1000
    assert device.append(c, 1000, c.bytes[1000:])[0] == 204
    first.close()
    wait_received(c)


def test_removed_by_hand_and_put_back(device):
    """M4: the upload's files, while storage runs."""
    device.use()
    c = device.capture()
    device.create(c)
    device.append(c, 0, c.bytes[:1000])
    folder = os.path.join(device.env.spool, 'uploads')
    kept = {name: open(os.path.join(folder, name), 'rb').read()
            for name in uploads(device.env, c)}
    for name in kept:
        os.unlink(os.path.join(folder, name))
    wait_for('missing', lambda: [
        r for r in c.rows() if r['status'] == 'missing'])
    for name, data in sorted(kept.items()):  # .data before .json
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(data)
    wait_for('transfer', lambda: [
        r for r in c.rows() if r['status'] == 'transfer'])
    assert device.offset(c) == 1000
    assert device.append(c, 1000, c.bytes[1000:])[0] == 204
    wait_received(c)


# ---- encrypted, and carried ----

def sealed(device, c):
    """The same capture, encrypted to the key that storage published."""
    key = device.env.rows('SELECT public_key FROM capture_key')[0]
    with open(c.file, 'wb') as f:
        f.write(seal(c.bytes, key['public_key'], c.id))
    device.measure(c)


def test_encrypted_to_the_site(device):
    device.use()
    c = device.capture()
    sealed(device, c)
    said = device.send(c, sealed=True)
    assert said[-1]['end'] == 'success', said
    c.wait_encoded()
    assert uploads(device.env, c) == []


def test_encrypted_and_changed_on_the_way(device):
    device.use()
    c = device.capture()
    sealed(device, c)
    broken = bytearray(c.bytes)
    broken[-20] ^= 1
    with open(c.file, 'wb') as f:
        f.write(broken)
    device.measure(c)
    said = device.send(c, sealed=True)
    assert said[-1]['status'] == 422 and 'decrypted' in said[-1]['text']
    assert c.row()['status'] == 'corrupted'


def test_imported_by_hand_while_storage_dies(device):
    """Killed between the steps, it goes on (M4)."""
    env = device.use()
    c = device.capture()
    sealed(device, c)
    env.stop()
    r = subprocess.run(
        [CTL, '--set', f'database.url={env.url}', '--set',
         f'spool.dir={env.spool}', 'recordings', 'import', c.file],
        capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    for point in ('upload_checked', 'upload_placed'):
        env.run_until_killed(point)
    device.use()
    c.wait_encoded()
    assert uploads(env, c) == []
    assert env.rows("SELECT FROM audit WHERE action = 'recording_import' "
                    'AND object = %s', c.id)
    r = subprocess.run(
        [CTL, '--set', f'database.url={env.url}', '--set',
         f'spool.dir={env.spool}', 'recordings', 'import', c.file],
        capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and 'nothing to import' in r.stderr
