"""relaycam-storage against a real PostgreSQL and a real S3 server (Ceph
RADOS Gateway): from the spool into both stores, signed links, crashes in the
middle of uploads, wrong secrets, damaged objects, expiry, repair."""
import os
import signal
import socket
import ssl
import threading
import time
import urllib.parse

import pytest
import requests

import storage_env
from storage_env import Segment, Storage, evidence, wait_for
from storage_fixtures import ceph, cluster, database_away  # noqa: F401

SMALL = 300_000
LARGE = 60_000_000


@pytest.fixture
def folder_env(tmp_path, cluster):
    env = Storage(tmp_path, cluster)
    yield env
    env.close()


@pytest.fixture
def s3_env(tmp_path, cluster, ceph):
    env = Storage(tmp_path, cluster, ceph)
    yield env
    env.close()


@pytest.fixture(params=['folder', 's3'])
def env(request):
    return request.getfixturevalue(f'{request.param}_env')


def stored_bytes(env, key, tmp_path):
    if env.ceph:
        return env.ceph.get(key, tmp_path / 'got')
    with open(os.path.join(env.store, key), 'rb') as f:
        return f.read()


def is_stored(env, key):
    if env.ceph:
        return key in env.ceph.keys()
    return os.path.exists(os.path.join(env.store, key))


def damage(env, key, data, tmp_path):
    path = tmp_path / 'damaged'
    path.write_bytes(data)
    if env.ceph:
        env.ceph.put(key, path)
    else:
        with open(os.path.join(env.store, key), 'wb') as f:
            f.write(data)


# ---- from the spool to the store ----

@pytest.mark.parametrize('size', [1, SMALL, 12_000_000])
def test_segment_becomes_available(env, tmp_path, size):
    env.start()
    seg = Segment(env, size).place()
    row = seg.wait_stored()
    assert stored_bytes(env, seg.key, tmp_path) == seg.data
    assert row['store'] == ('s3' if env.ceph else 'folder')
    assert row['object_key'] == seg.key
    assert row['progress'] == 100 and row['status_detail'] == ''
    assert row['monitor_name'] == 'Ünïcode'
    # T12: from the end of the recording, however late it was stored
    kept = row['expires_at'] - row['ended_at']
    assert abs(kept.total_seconds() - 90 * 86400) < 5
    assert env.rows('SELECT * FROM uploads') == []
    # the session was not there: made from the manifest, ended by it
    session = env.rows('SELECT * FROM sessions WHERE id = %s',
                       seg.session)[0]
    assert session['end_code'] == 'normal'
    assert env.stop() == 0
    node = env.rows('SELECT * FROM nodes')[0]
    assert node['program'] == 'storage' and node['stopped_at'] is not None


def test_spool_is_scanned_at_start(env):
    segments = [Segment(env, SMALL).place() for _ in range(5)]
    env.start()
    for seg in segments:
        seg.wait_stored()


def test_second_segment_ends_the_session(folder_env):
    env = folder_env.start()
    one = Segment(env, SMALL, end='size').place()
    one.wait_stored()
    q = 'SELECT * FROM sessions WHERE id = %s'
    assert env.rows(q, one.session)[0]['ended_at'] is None
    Segment(env, SMALL, session=one.session, seq=2,
            split_reason='size').place().wait_stored()
    assert env.rows(q, one.session)[0]['end_code'] == 'normal'


def test_locked_part_is_recording_and_untouched(folder_env):
    env = folder_env.start()
    seg = Segment(env, SMALL)
    part = os.open(seg.path('.webm.part'), os.O_WRONLY | os.O_CREAT, 0o640)
    import fcntl
    fcntl.flock(part, fcntl.LOCK_EX)
    opened = {k: v for k, v in seg.manifest.items() if k not in (
        'end_mono_ns', 'end_wall_ns', 'first_frame', 'last_frame', 'frames',
        'duration_ms', 'bytes', 'recovered', 'end', 'retention_days')}
    import json
    seg.write('.json.open', json.dumps(opened).encode())
    row = seg.wait('recording')
    assert row['ended_at'] is None and row['bytes'] is None
    # as the recorder closes: manifest, rename, open manifest, lock
    os.write(part, seg.data)
    seg.write('.json', json.dumps(seg.manifest).encode())
    os.rename(seg.path('.webm.part'), seg.path('.webm'))
    os.unlink(seg.path('.json.open'))
    os.close(part)
    seg.wait_stored()


def test_died_between_manifest_and_rename(folder_env):
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    seg.write('.json', json.dumps(seg.manifest).encode())
    seg.write('.webm.part', seg.data)
    env.start()
    seg.wait_stored()


def test_lost_media_is_missing_until_it_is_put_back(folder_env):
    """M4."""
    import json
    env = folder_env.start()
    seg = Segment(env, SMALL)
    seg.write('.json', json.dumps(seg.manifest).encode())
    seg.wait('missing')
    seg.write('.webm', seg.data)
    seg.wait_stored()


def test_wrong_size_in_the_spool_is_corrupted(folder_env):
    env = folder_env.start()
    seg = Segment(env, SMALL)
    seg.manifest['bytes'] += 1
    seg.place()
    row = seg.wait('corrupted')
    assert 'size differs' in row['status_detail']
    assert seg.files() == {'.json', '.webm'}
    assert not is_stored(env, seg.key)


@pytest.mark.parametrize('change', [
    {'object_key': '../../etc/passwd.webm'},
    {'object_key': '/acme/desk1/x.webm'},
    {'session': 'not-a-uuid'},
    {'width': 0},
    {'team': 'other'},
])
def test_hostile_manifests_are_left_alone(folder_env, change):
    env = folder_env.start()
    bad = Segment(env, SMALL)
    bad.manifest.update(change)
    bad.place()
    good = Segment(env, SMALL).place()
    good.wait_stored()
    wait_for('the refusal', lambda: 'manifest_refused' in env.log())
    assert bad.row() is None
    assert bad.files() == {'.json', '.webm'}


def test_segment_of_another_session_is_refused(folder_env):
    env = folder_env.start()
    first = Segment(env, SMALL).place()
    first.wait_stored()
    thief = Segment(env, SMALL)
    thief.id = first.id
    thief.manifest['segment'] = first.id
    thief.place()
    wait_for('the refusal',
             lambda: 'segment_of_another_session' in env.log())
    assert first.row()['object_key'] == first.key
    assert thief.files() == {'.json', '.webm'}


@pytest.mark.parametrize('who', ['team_id', 'endpoint_id', 'person_id'])
def test_manifest_that_names_others_is_refused(folder_env, who):
    """The relay said whose session it is; a recorder cannot say otherwise."""
    env = folder_env.start()
    first = Segment(env, SMALL, end='size').place()
    first.wait_stored()
    forged = Segment(env, SMALL, session=first.session, seq=2,
                     split_reason='size')
    forged.manifest[who] += 10**6
    forged.place()
    wait_for('the refusal',
             lambda: 'segment_of_another_session' in env.log())
    assert forged.row() is None
    assert forged.files() == {'.json', '.webm'}


def test_database_away_keeps_the_spool(folder_env):
    env = folder_env.start()
    with database_away(env):
        seg = Segment(env, SMALL).place()
        wait_for('it is seen', lambda: seg.id in env.log())
        assert env.http('/healthz').status_code == 200
        assert seg.files() == {'.json', '.webm'}
    seg.wait_stored()


# ---- crashes ----

def test_kill_during_upload_resumes_at_the_part(s3_env, tmp_path):
    """M2, X4: kill -9, then the same object, no finished part again."""
    env = s3_env
    env.gate.hold = 4
    env.start()
    seg = Segment(env, LARGE).place()
    noted = 'SELECT part, etag FROM upload_parts ORDER BY part'
    before = wait_for('three parts are noted',
                      lambda: len(r := env.rows(noted)) >= 3 and r)
    assert seg.row()['status'] == 'transfer'
    env.kill()
    assert env.gate.parts == [1, 2, 3]
    env.gate.hold = None
    upload = env.rows('SELECT upload_id FROM uploads')[0]['upload_id']
    env.start()
    seg.wait_stored(60)
    n_parts = -(-LARGE // (5 << 20))
    assert env.gate.parts == list(range(1, n_parts + 1))
    assert len(before) == 3
    assert env.metric('parts_total{kind="resumed"}') == 3
    assert env.metric('parts_total{kind="sent"}') == n_parts - 3
    assert stored_bytes(env, seg.key, tmp_path) == seg.data
    head = env.ceph.aws('s3api', 'head-object', '--bucket',
                        storage_env.BUCKET, '--key', seg.key)
    assert head['Metadata']['sha256'] == seg.sha256.hex()
    assert head['ContentType'] == 'video/webm'
    assert upload not in [u['UploadId'] for u in env.ceph.uploads()]


def test_sigterm_finishes_the_part_and_resumes(s3_env):
    env = s3_env
    env.gate.hold = 3
    env.start(storage__stop_seconds='2')
    seg = Segment(env, LARGE).place()
    wait_for('two parts', lambda: len(
        env.rows('SELECT part FROM upload_parts')) == 2)
    assert env.stop() == 0  # the held part runs into stop_seconds
    assert seg.files() == {'.json', '.webm'}
    env.gate.hold = None
    env.start()
    seg.wait_stored(60)
    assert env.gate.parts == list(range(1, -(-LARGE // (5 << 20)) + 1))


def test_upload_lost_by_the_server_begins_again(s3_env, tmp_path):
    env = s3_env
    env.gate.hold = 3
    env.start()
    seg = Segment(env, 20_000_000).place()
    wait_for('two parts', lambda: len(
        env.rows('SELECT part FROM upload_parts')) == 2)
    env.kill()
    env.gate.hold = None
    for u in env.ceph.uploads():
        env.ceph.aws('s3api', 'abort-multipart-upload', '--bucket',
                     storage_env.BUCKET, '--key', u['Key'], '--upload-id',
                     u['UploadId'])
    env.start()
    seg.wait_stored()
    assert env.gate.parts == [1, 2, 1, 2, 3, 4]
    assert stored_bytes(env, seg.key, tmp_path) == seg.data


def test_unnoted_uploads_of_the_key_are_aborted(s3_env):
    env = s3_env
    seg = Segment(env, 12_000_000)
    env.ceph.aws('s3api', 'create-multipart-upload', '--bucket',
                 storage_env.BUCKET, '--key', seg.key)
    env.start()
    seg.place().wait_stored()
    assert [u for u in env.ceph.uploads() if u['Key'] == seg.key] == []


def test_stored_but_row_not_written(env, tmp_path):
    """Died between verification and the row: nothing is sent twice."""
    env.start()
    seg = Segment(env, 12_000_000).place()
    seg.wait_stored()
    env.stop()
    parts = list(env.gate.parts) if env.ceph else []
    env.rows("UPDATE segments SET status = 'transfer', sha256 = NULL")
    seg.place()
    env.start()
    seg.wait_stored()
    if env.ceph:
        assert env.gate.parts == parts
    assert stored_bytes(env, seg.key, tmp_path) == seg.data


def test_kill_at_any_moment(env, tmp_path):
    segments = [Segment(env, 3_000_000 + i).place() for i in range(6)]
    for delay in (0.0, 0.05, 0.1, 0.2):
        env.start()
        time.sleep(delay)  # the moment of death, not a wait
        env.kill()
    env.start()
    for seg in segments:
        seg.wait_stored()
        assert stored_bytes(env, seg.key, tmp_path) == seg.data


def test_cut_off_copy_in_the_folder_is_continued(folder_env):
    env = folder_env
    seg = Segment(env, 3_000_000)
    place = os.path.join(env.store, os.path.dirname(seg.key))
    os.makedirs(place)
    rest = os.path.join(place, f'.{seg.id}.part')
    with open(rest, 'wb') as f:
        f.write(seg.data[:1_000_000])
    seg.place()
    env.start()
    seg.wait_stored()
    with open(os.path.join(env.store, seg.key), 'rb') as f:
        assert f.read() == seg.data
    assert os.listdir(place) == [os.path.basename(seg.key)]


def test_wrong_remnant_in_the_folder_is_noticed(folder_env):
    env = folder_env
    seg = Segment(env, 3_000_000)
    place = os.path.join(env.store, os.path.dirname(seg.key))
    os.makedirs(place)
    with open(os.path.join(place, f'.{seg.id}.part'), 'wb') as f:
        f.write(os.urandom(1_000_000))
    seg.place()
    env.start()
    seg.wait('corrupted')
    seg.wait_stored()  # the next try starts afresh


# ---- failures of the store ----

def test_wrong_secret_is_named_and_recovers(s3_env):
    env = s3_env
    env.set_secret('x' * 40)
    env.start()
    seg = Segment(env, SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r)
    assert row['status'] == 'transfer'
    assert 'SignatureDoesNotMatch' in row['status_detail']
    assert seg.files() == {'.json', '.webm'}
    env.set_secret(storage_env.SECRET_KEY)
    seg.wait_stored()
    assert 'SignatureDoesNotMatch' in env.log()
    assert 'xxxxxxxx' not in env.log()


def test_missing_bucket_is_named(s3_env):
    env = s3_env
    env.start(store__s3_bucket='no-such-bucket')
    seg = Segment(env, SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r)
    assert 'NoSuchBucket' in row['status_detail']


def test_server_away_then_back(s3_env):
    env = s3_env
    port = env.gate.port
    env.gate.close()
    env.start()
    seg = Segment(env, SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r)
    assert row['status'] == 'transfer' and 'S3' in row['status_detail']
    env.gate.listener = socket.create_server(('127.0.0.1', port))
    threading.Thread(target=env.gate._accept, daemon=True).start()
    seg.wait_stored()


def test_damaged_object_is_corrupted_and_lost_one_missing(env, tmp_path):
    """M1, M4."""
    env.start(storage__check_seconds='1')
    bad, gone, good = (Segment(env, SMALL).place() for _ in range(3))
    for seg in (bad, gone, good):
        seg.wait_stored()
    wrong = bad.data[:-1] + bytes([bad.data[-1] ^ 1])
    damage(env, bad.key, wrong, tmp_path)
    if env.ceph:
        env.ceph.aws('s3api', 'delete-object', '--bucket',
                     storage_env.BUCKET, '--key', gone.key)
    else:
        os.unlink(os.path.join(env.store, gone.key))
    assert 'SHA-256' in bad.wait('corrupted')['status_detail']
    assert 'gone' in gone.wait('missing')['status_detail']
    assert good.row()['status'] == 'available'
    if not env.ceph:  # put back by hand
        damage(env, gone.key, gone.data, tmp_path)
        gone.wait('available')


JPEG = b'\xff\xd8\xff\xe0' + b'picture' * 100


def complete(env):
    """With poster and manifest; stored."""
    seg = Segment(env, SMALL)
    seg.manifest['poster'] = f'{seg.id}.jpg'
    seg.manifest['evidence'] = evidence(seg.id, seg.data, 100)
    seg.write('.jpg', JPEG)
    seg.place().wait_stored()
    return seg


def faults(env, seg):
    """Of recording, poster, manifest; None: as it was stored."""
    r, = env.rows('SELECT status, poster_fault, manifest_fault FROM segments '
                  'g JOIN evidence e ON e.segment_id = g.id WHERE g.id = %s',
                  seg.id)
    return r['status'], r['poster_fault'], r['manifest_fault']


def beside(seg):
    return [seg.key[:-5] + end for end in ('.jpg', '.json')]


def test_what_lies_beside_a_recording_is_compared_too(env, tmp_path):
    """M1, X3, X5: the recording itself stays available."""
    env.start(storage__check_seconds='1')
    bad, gone, good, old = (complete(env) for _ in range(4))
    env.rows('UPDATE segments SET poster_bytes = NULL, poster_sha256 = NULL '
             'WHERE id = %s', old.id)
    kept = {}
    for key in beside(gone):
        if env.ceph:
            env.ceph.aws('s3api', 'delete-object', '--bucket',
                         storage_env.BUCKET, '--key', key)
        else:
            path = os.path.join(env.store, key)
            with open(path, 'rb') as f:
                kept[path] = f.read()
            os.unlink(path)
    damage(env, beside(old)[0], JPEG + b'x', tmp_path)
    for key in beside(bad):
        damage(env, key, JPEG[:-1] + b'x', tmp_path)
    wait_for('what differs', lambda: faults(env, bad) == (
        'available', 'corrupted', 'corrupted'))
    wait_for('what is gone', lambda: faults(env, gone) == (
        'available', 'missing', 'missing'))
    checked = env.metric('checked_total')
    wait_for('another walk', lambda: env.metric(
        'checked_total') > checked + 24)
    assert faults(env, good) == ('available', None, None)
    # nobody noted what it was: that it is there is all that can be said
    assert faults(env, old) == ('available', None, None)
    assert env.metric('check_findings_total{what="corrupted"}') == 2
    assert env.metric('check_findings_total{what="missing"}') == 2
    for path, data in kept.items():  # put back by hand (M4)
        with open(path, 'wb') as f:
            f.write(data)
    if not env.ceph:
        wait_for('it is well', lambda: faults(env, gone) == (
            'available', None, None))
    # what differs goes with its recording all the same
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", bad.id)
    wait_for('it is gone', lambda: bad.row()['store'] is None)
    assert bad.row()['poster_fault'] is None


def test_folder_that_cannot_be_written(folder_env):
    """A file stands where a folder should be."""
    env = folder_env
    with open(os.path.join(env.store, 'acme'), 'wb'):
        pass
    env.start()
    seg = Segment(env, SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r)
    assert 'folder store' in row['status_detail']
    os.unlink(os.path.join(env.store, 'acme'))
    seg.wait_stored()


# ---- expiry and deletion ----

def test_expiry_deletes_unless_locked(env):
    """T12, M6."""
    env.start()
    due, locked, later = (Segment(env, SMALL).place() for _ in range(3))
    for seg in (due, locked, later):
        seg.wait_stored()
    env.rows('UPDATE segments SET locked = true WHERE id = %s', locked.id)
    env.rows("UPDATE segments SET expires_at = now() - interval '1 s' "
             'WHERE id IN (%s, %s)', due.id, locked.id)
    row = due.wait('expired')
    assert row['store'] is None and row['object_key'] == due.key
    assert not is_stored(env, due.key)
    assert locked.row()['status'] == 'available'
    assert is_stored(env, locked.key) and is_stored(env, later.key)
    audit = env.rows("SELECT * FROM audit WHERE action ~ '^recording'")
    assert [(a['action'], a['object'], a['team_id']) for a in audit] == [
        ('recording_expired', due.id, env.team_id)]
    assert audit[0]['actor'].startswith('storage@')
    # unlocked again: goes too
    env.rows('UPDATE segments SET locked = false WHERE id = %s', locked.id)
    locked.wait('expired')
    assert not is_stored(env, locked.key)


def test_deleted_in_the_console(env):
    env.start(storage__expiry_seconds='3600')
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", seg.id)
    wait_for('NOTIFY removes the object',
             lambda: seg.row()['store'] is None)
    assert not is_stored(env, seg.key)
    assert seg.row()['status'] == 'deleted'


def test_two_daemons_expire_each_row_once(folder_env, tmp_path, cluster):
    env = folder_env.start(storage__expiry_seconds='3600')
    segments = [Segment(env, 1000).place() for _ in range(20)]
    for seg in segments:
        seg.wait_stored()
    (tmp_path / 'two').mkdir()
    other = Storage(tmp_path / 'two', cluster)
    other.settings.update({'database.url': env.url,
                           'store.folder': env.store})
    other.url, other.name = env.url, env.name
    try:
        other.start(storage__expiry_seconds='3600')
        env.rows("UPDATE segments SET expires_at = now() - interval '1 s'")
        env.process.send_signal(signal.SIGHUP)
        other.process.send_signal(signal.SIGHUP)
        wait_for('all are gone', lambda: not env.rows(
            "SELECT 1 FROM segments WHERE status <> 'expired'"))
        audit = env.rows("SELECT object FROM audit WHERE action ~ "
                         "'^recording'")
        assert sorted(a['object'] for a in audit) == sorted(
            s.id for s in segments)
    finally:
        other.close()


# ---- signed files ----

def test_link_serves_whole_and_ranges(folder_env):
    env = folder_env.start()
    seg = Segment(env, 2_000_000).place()
    seg.wait_stored()
    url = env.link(seg.key)
    whole = env.get(url)
    assert whole.status_code == 200 and whole.content == seg.data
    h = whole.headers
    assert h['Content-Type'] == 'video/webm'
    assert h['Accept-Ranges'] == 'bytes'
    assert h['Content-Disposition'].startswith(
        'inline; filename="desk1_monitor-1_')
    assert 'private' in h['Cache-Control']
    assert 'Transfer-Encoding' not in h
    for field, first, last in (('bytes=0-0', 0, 0),
                               ('bytes=1000-500999', 1000, 500999),
                               ('bytes=1999999-', 1999999, 1999999),
                               ('bytes=-1234', 1998766, 1999999)):
        r = env.get(url, Range=field)
        assert r.status_code == 206
        assert r.content == seg.data[first:last + 1]
        assert r.headers['Content-Range'] == f'bytes {first}-{last}/2000000'
    r = env.get(url, Range='bytes=2000000-')
    assert r.status_code == 416
    assert r.headers['Content-Range'] == 'bytes */2000000'
    r = env.get(url, method='HEAD')
    assert r.status_code == 200 and r.content == b''
    assert r.headers['Content-Length'] == '2000000'
    r = env.get(url, Range='bytes=5-9', If_Range=h['ETag'])
    assert r.status_code == 206
    r = env.get(url, Range='bytes=5-9', If_Range='"another"')
    assert r.status_code == 200 and len(r.content) == 2_000_000
    assert env.get(url, method='POST').status_code in (405, 501)


def test_link_dies_and_cannot_be_changed(folder_env):
    """T6."""
    env = folder_env.start()
    seg, other = Segment(env, SMALL).place(), Segment(env, SMALL).place()
    seg.wait_stored()
    other.wait_stored()
    url = env.link(seg.key, seconds=2)
    assert env.get(url).status_code == 200
    wait_for('the link dies', lambda: env.get(url).status_code == 403)
    assert 'expired' in env.get(url).text
    good = env.link(seg.key)
    later = urllib.parse.urlparse(good).query.split('&')[0].split('=')[1]
    for bad in (good[:-1] + ('0' if good[-1] != '0' else '1'),
                good.replace(seg.session, other.session),
                good.replace(f'expires={later}', f'expires={int(later)+1}'),
                good.split('&')[0], good.split('?')[0]):
        r = env.get(bad)
        assert r.status_code == 403 and seg.data not in r.content
        assert 'not valid' in r.text
    assert env.get(good).status_code == 200


@pytest.mark.parametrize('path', [
    '/files/../../etc/passwd', '/files/%2e%2e/%2e%2e/etc/passwd',
    '/files//etc/passwd', '/files/.hidden.webm', '/', '/files/',
    '/files/a%00b.webm', '/files/a%zz.webm'])
def test_paths_that_are_no_keys(folder_env, path):
    env = folder_env.start()
    status, body = raw_request(env, f'GET {path} HTTP/1.1')
    assert status in (400, 404)
    assert b'root:' not in body


def test_symbolic_links_are_not_followed(folder_env, tmp_path):
    env = folder_env.start()
    secret = tmp_path / 'secret'
    secret.write_bytes(b'secret')
    os.symlink(secret, os.path.join(env.store, 'x.webm'))
    os.symlink(tmp_path, os.path.join(env.store, 'dir'))
    (tmp_path / 'y.webm').write_bytes(b'secret')
    for key in ('x.webm', 'dir/y.webm'):
        assert env.get(env.link(key)).status_code == 404


def open_tls(env):
    ctx = ssl.create_default_context(cafile=f'{env.dir}/tls.crt')
    s = socket.create_connection(('127.0.0.1', env.files_port), 20)
    return ctx.wrap_socket(s, server_hostname='127.0.0.1')


def raw_request(env, line):
    with open_tls(env) as s:
        s.sendall(f'{line}\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
        data = b''
        while chunk := s.recv(65536):
            data += chunk
    return int(data.split(b' ')[1]), data.partition(b'\r\n\r\n')[2]


def test_running_download_survives_the_link_and_bounded_memory(folder_env):
    """T6; a slow client costs a chunk, not the file."""
    env = folder_env.start()
    seg = Segment(env, 100_000_000).place()
    seg.wait_stored()
    url = env.link(seg.key, seconds=2)
    before = rss_kb(env)
    clients = [open_tls(env) for _ in range(5)]
    path = url.split(str(env.files_port), 1)[1]
    for s in clients:
        s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        assert s.recv(1000).startswith(b'HTTP/1.1 200')
    wait_for('the link dies', lambda: env.get(url).status_code == 403)
    assert env.metric('files_active') == 5
    assert rss_kb(env) - before < 60_000
    got = 0
    while got < len(seg.data) - 10_000:
        n = len(clients[0].recv(1 << 20))
        assert n > 0
        got += n
    for s in clients:
        s.close()
    wait_for('clients are forgotten',
             lambda: env.metric('files_active') == 0)
    # a clean end: the sanitizer would name a request that leaked
    assert env.stop() == 0


def rss_kb(env):
    with open(f'/proc/{env.process.pid}/status', encoding='ascii') as f:
        return int(next(line for line in f
                        if line.startswith('VmRSS')).split()[1])


def test_certificate_is_read_again_at_sighup(folder_env):
    env = folder_env.start()
    with open(f'{env.dir}/tls.crt', encoding='ascii') as f:
        old = f.read()
    env._write('tls.crt', b'broken')
    env.process.send_signal(signal.SIGHUP)
    wait_for('the refusal',
             lambda: 'certificate_not_reloaded' in env.log())
    env._write('tls.crt', old.encode())
    assert env.get(env.link('a/b.webm')).status_code == 404
    env.process.send_signal(signal.SIGHUP)
    wait_for('the reload', lambda: 'certificate_reloaded' in env.log())
    assert env.get(env.link('a/b.webm')).status_code == 404


def test_presigned_link_of_s3(s3_env, tmp_path):
    """The program's own link, as ctl makes it."""
    ctl = os.path.join(storage_env.BUILD, 'ctl', 'relaycam')
    if not os.path.exists(ctl):
        pytest.skip('relaycam is not built here')
    import subprocess
    env = s3_env.start()
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    argv = [ctl]
    for key in ('database.url', 'store.kind', 'store.s3_bucket',
                'store.s3_access_key_file'):
        argv += ['--set', f'{key}={env.settings[key]}']
    # straight to the server: the gate is the daemon's way
    argv += ['--set', f'store.s3_endpoint={env.ceph.url}',
             '--set', 'store.link_seconds=3',
             '--set', 'store.s3_links=direct']
    r = subprocess.run([*argv, 'recordings', 'link', seg.id], check=True,
                       capture_output=True, text=True)
    url = next(w for w in r.stdout.split() if w.startswith('http'))
    got = requests.get(url, timeout=20, proxies={'http': None})
    assert got.status_code == 200 and got.content == seg.data
    assert got.headers['Content-Type'] == 'video/webm'
    assert got.headers['Content-Disposition'].startswith('inline; filename=')
    r = requests.get(url, headers={'Range': 'bytes=10-19'}, timeout=20)
    assert r.status_code == 206 and r.content == seg.data[10:20]
    assert requests.get(url[:-1] + ('0' if url[-1] != '0' else '1'),
                        timeout=20).status_code == 403
    wait_for('the link dies', lambda: requests.get(
        url, timeout=20).status_code == 403, 8)


# ---- repair ----

@pytest.mark.skipif(not os.path.exists(storage_env.RECORDER),
                    reason='relaycam-recorder is not built here')
def test_hopeless_orphan_is_tried_again_and_kept(folder_env):
    """A .part that is no WebM: repair fails, says so, touches nothing."""
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    opened = {k: v for k, v in seg.manifest.items()
              if k not in ('end_mono_ns', 'end_wall_ns', 'frames', 'bytes')}
    seg.write('.webm.part', seg.data)
    seg.write('.json.open', json.dumps(opened).encode())
    env.start()
    wait_for('the failure', lambda: env.log().count('repair_failed') >= 2)
    wait_for('the reason is shown', lambda: (
        r := seg.row()) and 'repair' in r['status_detail'])
    assert '.webm.part' in seg.files()
    # captures of its session do not wait for it
    assert seg.wait('corrupted')['status_detail'].startswith('repair')


def test_orphan_without_what_was_seen_of_it(folder_env, tmp_path):
    """No picture is in it any more: no recorder that died early (X3)."""
    import fcntl
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    opened = {k: v for k, v in seg.manifest.items()
              if k not in ('end_mono_ns', 'end_wall_ns', 'frames', 'bytes')}
    script = tmp_path / 'repair'
    script.write_text('#!/bin/sh\nexit 69\n')
    script.chmod(0o755)
    with open(seg.path('.webm.part'), 'wb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.write(b'header')
        f.flush()
        seg.write('.json.open', json.dumps(opened).encode())
        env.start(storage__recorder_program=str(script))
        seg.wait('recording')
        env.rows('INSERT INTO evidence (segment_id, head_from, head_to, '
                 "head_sha256, head_at) VALUES (%s, 100, 1000, sha256('x'), "
                 'now())', seg.id)
    assert 'were seen' in seg.wait('corrupted')['status_detail']
    assert seg.files() == {'.webm.part', '.json.open'}


def test_orphan_without_a_picture(folder_env, tmp_path):
    """A recorder that died before its first: nothing to keep, and said."""
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    opened = {k: v for k, v in seg.manifest.items()
              if k not in ('end_mono_ns', 'end_wall_ns', 'frames', 'bytes')}
    seg.write('.webm.part', b'header')
    seg.write('.json.open', json.dumps(opened).encode())
    script = tmp_path / 'repair'
    script.write_text('#!/bin/sh\nexit 69\n')
    script.chmod(0o755)
    env.start(storage__recorder_program=str(script))
    row = wait_for('the row', lambda: (
        r := seg.row()) and r['status'] == 'missing' and r)
    assert 'before the first picture' in row['status_detail']
    assert row['end_mono_ns'] == row['start_mono_ns'] and row['recovered']
    assert row['frames'] is None
    wait_for('the files to go', lambda: seg.files() == set())


@pytest.mark.parametrize('while_away', [False, True])
def test_files_taken_back_before_the_first_picture(folder_env, while_away):
    """A recorder that fails before it has a frame removes its files: the row
    does not say `recording` for ever, and the ledger has the gap (X2)."""
    import fcntl
    import json
    env = folder_env.start()
    seg = Segment(env, SMALL)
    opened = {k: v for k, v in seg.manifest.items()
              if k not in ('end_mono_ns', 'end_wall_ns', 'frames', 'bytes')}
    with open(seg.path('.webm.part'), 'wb') as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        seg.write('.json.open', json.dumps(opened).encode())
        seg.wait('recording')
        if while_away:
            env.stop()
        os.unlink(seg.path('.json.open'))
        os.unlink(seg.path('.webm.part'))
    if while_away:
        env.start()
    row = seg.wait('missing')
    assert 'before the first picture' in row['status_detail']
    assert row['end_mono_ns'] == row['start_mono_ns'] and row['recovered']
    # another recorder has its number
    after = Segment(env, SMALL, session=seg.session, seq=1,
                    start_mono_ns=5 * 10**9, end_mono_ns=6 * 10**9,
                    split_reason='recorder_restart',
                    gap_start_mono_ns=1000, gap_end_mono_ns=5 * 10**9).place()
    assert after.wait_stored()['seq'] == 1
    assert seg.row() is None
    gaps = env.rows('SELECT after_seq, why, ms FROM gaps')
    assert [(g['after_seq'], g['why'], g['ms']) for g in gaps] == [
        (0, 'recorder_restart', 5000)]
    told = env.rows("SELECT detail FROM audit WHERE action = 'recording_gap' "
                    'AND object = %s ORDER BY id', seg.session)
    assert told[-1]['detail']['ms'] == 5000


def test_number_of_what_has_no_picture(folder_env, tmp_path):
    """The recorder that takes its place uses its number again, also while
    it is not yet known that nothing is in it."""
    import json
    env = folder_env
    empty = Segment(env, SMALL)
    opened = {k: v for k, v in empty.manifest.items()
              if k not in ('end_mono_ns', 'end_wall_ns', 'frames', 'bytes')}
    empty.write('.webm.part', b'header')
    empty.write('.json.open', json.dumps(opened).encode())
    script = tmp_path / 'repair'
    script.write_text(f'#!/bin/sh\ntest -e {tmp_path}/now || exit 75\n'
                      'exit 69\n')
    script.chmod(0o755)
    env.start(storage__recorder_program=str(script))
    wait_for('the row', lambda: (r := empty.row()) and 'repair' in
             r['status_detail'])
    after = Segment(env, SMALL, session=empty.session, seq=1,
                    start_mono_ns=5 * 10**9, end_mono_ns=6 * 10**9,
                    split_reason='recorder_restart',
                    gap_start_mono_ns=1000, gap_end_mono_ns=5 * 10**9).place()
    wait_for('its number is taken',
             lambda: 'segment_number_taken' in env.log())
    assert after.row() is None
    (tmp_path / 'now').touch()
    assert after.wait_stored()['seq'] == 1
    assert empty.row() is None and not empty.files()
    gaps = env.rows('SELECT * FROM gaps')
    assert [(g['after_seq'], g['why'], g['from_mono_ns'], g['to_mono_ns'])
            for g in gaps] == [(0, 'recorder_restart', 1000, 5 * 10**9)]


def test_repair_program_that_cannot_run(folder_env):
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    seg.write('.webm.part', seg.data)
    seg.write('.json.open', json.dumps(seg.manifest).encode())
    env.start(storage__recorder_program='/nonexistent/recorder')
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and 'cannot run' in r['status_detail'] and r)
    assert '/nonexistent/recorder' in row['status_detail']
    assert row['status'] == 'recording'
    assert seg.files() == {'.webm.part', '.json.open'}


def test_orphan_is_repaired_by_the_recorder(folder_env, tmp_path):
    """What --repair does is played by a script: manifest, then rename."""
    import json
    env = folder_env
    seg = Segment(env, SMALL)
    seg.manifest.update(recovered=True, end='crash')
    seg.write('.webm.part', seg.data)
    seg.write('.json.open', json.dumps(seg.manifest).encode())
    (tmp_path / 'final.json').write_text(json.dumps(seg.manifest))
    script = tmp_path / 'repair'
    script.write_text(
        '#!/bin/sh\nset -e\n[ "$1" = --repair ]\n'
        f'cp {tmp_path}/final.json "$2/$3.json"\n'
        'mv "$2/$3.webm.part" "$2/$3.webm"\nrm "$2/$3.json.open"\n')
    script.chmod(0o755)
    env.start(storage__recorder_program=str(script))
    row = seg.wait_stored()
    assert row['recovered'] is True
    assert env.metric('repairs_total{result="ok"}') == 1
