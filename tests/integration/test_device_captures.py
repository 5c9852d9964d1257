"""Captures that devices hand over by tus 1.0 on the port of signed files: the
real client tus-js-client, and requests by hand for what it does not do. C7, M1,
M2, M4."""
import base64
import hashlib
import json
import os
import pathlib

import pytest

from device_env import Device, seal, uploads, wait_received
from storage_env import Storage
from storage_fixtures import cluster  # noqa: F401
from test_capture import violations


@pytest.fixture(scope='module')
def device(tmp_path_factory, cluster):  # noqa: F811
    env = Storage(tmp_path_factory.mktemp('storage'), cluster)
    yield Device(env)
    env.close()


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
    assert audit.pop(0) == 'segment_recording'
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
    percent = 200 * part // len(c.bytes)
    row = device.wait('its percentage', lambda: (
        r := c.row()) and r['progress'] == percent and r)
    assert row['status'] == 'transfer' and row['is_capture']
    answer = device.env.get(device.env.link(row['object_key']))
    assert answer.status_code == 503
    assert f'is sending it, {row["progress"]} %' in answer.text
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
    device.wait_status(c, 'missing')
    assert device.request('HEAD', f'/captures/{c.id}')[0] == 404
    assert uploads(device.env, c) == []
    # it is there again, and is picked up (M4)
    assert device.send(c, withCreation=True)[-1]['end'] == 'success'
    wait_received(c)


def test_abandoned_ones_expire(device):
    """Nothing more of it came for capture_expiry_seconds."""
    env = device.use()
    c = device.capture()
    said = device.send(c, chunkSize=len(c.bytes) // 4, pauseAt=1)
    assert [s['expires'] for s in said if s.get('method') == 'PATCH'][0]
    env.stop()
    week_ago = os.stat(env.log_path).st_mtime - 8 * 86400
    os.utime(os.path.join(env.spool, 'uploads', f'{c.id}.data'),
             (week_ago, week_ago))
    device.use()
    row = device.wait_status(c, 'missing')
    assert 'in time' in row['status_detail']
    device.wait('its files are gone', lambda: uploads(env, c) == [])
    assert 'capture_upload_expired' in env.log()


# ---- by hand ----

def test_asked_before_a_whole_one_is_checked(device):
    """Its last byte came, and storage died: HEAD waits for the check."""
    env = device.use()
    c = device.capture()
    device.create(c)
    device.append(c, 0, c.bytes[:1000])
    env.stop()
    with open(os.path.join(env.spool, 'uploads', f'{c.id}.data'), 'ab') as f:
        f.write(c.bytes[1000:])
    device.use()
    status, fields, _ = device.wait('an answer', lambda: (
        a := device.request('HEAD', f'/captures/{c.id}'))[0] != 423 and a)
    assert status == 200 and int(fields['upload-offset']) == len(c.bytes)
    wait_received(c)


def test_deleted_while_it_comes(device):
    """Its device is told to send no more of it."""
    env = device.use()
    c = device.capture()
    device.create(c)
    device.append(c, 0, c.bytes[:1000])
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", c.id)
    status, fields, _ = device.create(c)
    assert status == 409 and int(fields['upload-offset']) == len(c.bytes)
    assert uploads(env, c) == []
    assert c.row()['status'] == 'deleted'


def test_every_byte_that_came_counts(device):
    """The connection goes in the middle of a request: M2."""
    device.use()
    c = device.capture(frames=60)
    assert device.create(c)[0] == 201
    at, n = 0, len(c.bytes) // 5
    for _ in range(4):
        s = device.begin_append(c, at, c.bytes[at:at + n])
        at += n
        device.wait_size(c, at)
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
    sum_ = base64.b64encode(hashlib.sha256(c.bytes[half:]).digest()).decode()
    s = device.begin_append(c, half, b'x' * 100,
                            Upload_Checksum=f'sha256 {sum_}')
    device.wait_size(c, half + 100)
    device.env.kill()
    s.close()
    device.use()
    device.wait('it was found', lambda: 'capture_upload_found' in
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
    row = device.wait_status(c, 'corrupted')
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
    device.wait_status(c, 'corrupted')


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
    # they stop before recorders do
    device.use(spool__min_free_bytes='1',
               storage__capture_free_bytes=str(1 << 42))
    status, fields, _ = device.create(captures[2])
    assert status == 507 and int(fields['retry-after']) >= 1


def test_a_second_connection_takes_over(device):
    """The first one's network went, and nobody has noticed."""
    device.use()
    c = device.capture()
    device.create(c)
    first = device.begin_append(c, 0, c.bytes[:1000])
    device.wait_size(c, 1000)
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
    for name in kept:  # storage removes .json once it misses .data
        pathlib.Path(folder, name).unlink(missing_ok=True)
    device.wait_status(c, 'missing')
    for name, data in sorted(kept.items()):  # .data before .json
        with open(os.path.join(folder, name), 'wb') as f:
            f.write(data)
    device.wait_status(c, 'transfer')
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
    r = device.import_(c)
    assert r.returncode == 0, r.stderr
    for point in ('upload_checked', 'upload_placed'):
        env.run_until_killed(point)
    device.use()
    c.wait_encoded()
    assert uploads(env, c) == []
    assert env.rows("SELECT FROM audit WHERE action = 'recording_import' "
                    'AND object = %s', c.id)
    r = device.import_(c)
    assert r.returncode != 0 and 'nothing to import' in r.stderr


# ---- hostile requests ----

@pytest.mark.parametrize('sent,status', [
    (b'PATCH /captures HTTP/1.1\nHost: x\n\n', 400),
    (b'HEAD /captures/x HTTP/1.1\r\nA: ' + b'a' * 9000, 431),
    (b'GET /files/a HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n\r\n', 405),
    (b'POST /captures HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n'
     b'\r\nffffffff\r\n', 411),
    (b'POST /captures HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n'
     b'Tus-Resumable: 0.1\r\n\r\n' + b'x' * 100_000, 412)])
def test_what_cannot_be_read_ends_the_connection(device, sent, status):
    device.use()
    s = device.connect()
    s.sendall(sent)
    answer = b''
    while more := s.recv(65536):  # to its end
        answer += more
    assert answer.startswith(f'HTTP/1.1 {status} '.encode()), answer
    assert b'Connection: close' in answer
    s.close()


def test_several_requests_at_once(device):
    """Answered one after the other, on one connection."""
    device.use()
    c = device.capture()
    assert device.create(c)[0] == 201
    s = device.connect()
    head = (f'HEAD /captures/{c.id} HTTP/1.1\r\nHost: x\r\n'
            'Tus-Resumable: 1.0.0\r\n\r\n').encode()
    body = (f'PATCH /captures/{c.id} HTTP/1.1\r\nHost: x\r\nTus-Resumable: '
            '1.0.0\r\nContent-Type: application/offset+octet-stream\r\n'
            f'Upload-Offset: 0\r\nContent-Length: {len(c.bytes)}\r\n\r\n')
    s.sendall(head + body.encode() + c.bytes + head)
    got = b''
    while got.count(b'HTTP/1.1 ') < 3 or not got.endswith(b'\r\n\r\n'):
        more = s.recv(65536)
        assert more, got
        got += more
    s.close()
    offsets = [int(line.split()[1]) for line in got.decode().splitlines()
               if line.startswith('Upload-Offset')]
    assert offsets == [0, len(c.bytes), len(c.bytes)], got
    wait_received(c)
