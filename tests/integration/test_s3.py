"""S3 servers, keys and addresses that differ from the usual (M8): a real Ceph
RADOS Gateway, with a key of few rights, and with a gate that rewrites what it
says where its own answers are the usual ones."""
import json
import os
import re
import secrets
import socket
import subprocess
import uuid

import pytest

from pg import Cluster
from s3_peer import S3Peer
from storage_env import (BUCKET, BUILD, Ceph, Gate, Segment, Storage,
                         wait_for)

RELAYCAM = os.path.join(BUILD, 'ctl', 'relaycam')
SMALL = 300_000
LARGE = 12_000_000  # three parts
LIMITED = ('LIMITEDKEY0123456789', secrets.token_hex(20))
OBJECT_RIGHTS = ['s3:PutObject', 's3:GetObject', 's3:DeleteObject',
                 's3:AbortMultipartUpload']


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def ceph(tmp_path_factory):
    c = Ceph(tmp_path_factory.mktemp('ceph'))
    subprocess.run(
        ['radosgw-admin', 'user', 'create', '--uid=limited',
         '--display-name=limited', f'--access-key={LIMITED[0]}',
         f'--secret-key={LIMITED[1]}'], check=True, capture_output=True,
        timeout=120, env={**os.environ, 'CEPH_CONF': f'{c.dir}/ceph.conf'})
    yield c
    c.stop()


@pytest.fixture
def env(tmp_path, cluster, ceph):
    e = Storage(tmp_path, cluster, ceph)
    yield e
    e.close()


def allow(ceph, *rights):
    """What the limited key may do with the bucket's objects; the others are
    denied, because the owner of an object may else do everything with it."""
    def statement(effect, actions):
        return {'Effect': effect, 'Action': actions,
                'Principal': {'AWS': ['arn:aws:iam:::user/limited']},
                'Resource': [f'arn:aws:s3:::{BUCKET}/*']}
    denied = [r for r in OBJECT_RIGHTS if r not in rights]
    ceph.aws('s3api', 'put-bucket-policy', '--bucket', BUCKET, '--policy',
             json.dumps({'Version': '2012-10-17', 'Statement': [
                 statement('Allow', list(rights)),
                 *([statement('Deny', denied)] if denied else [])]}))


def read_as_limited(ceph, key, path):
    """The object is its writer's own: no other key may read it."""
    subprocess.run(
        ['/usr/bin/aws', '--endpoint-url', ceph.url, 's3api', 'get-object',
         '--bucket', BUCKET, '--key', key, str(path)], check=True,
        capture_output=True, timeout=120, env={
            **os.environ, 'AWS_ACCESS_KEY_ID': LIMITED[0],
            'AWS_SECRET_ACCESS_KEY': LIMITED[1], 'NO_PROXY': '127.0.0.1',
            'AWS_DEFAULT_REGION': 'us-east-1'})
    return path.read_bytes()


@pytest.fixture
def limited(env, ceph):
    """env with a key that may put, get and delete, not list."""
    allow(ceph, *OBJECT_RIGHTS)
    env._write('s3.key', '\n'.join([*LIMITED, '']).encode())
    return env


def doctor(env, **settings):
    """{level: texts and remedies} of the lines about the store."""
    argv = [RELAYCAM]
    values = {**env.settings, **{k.replace('__', '.'): v
                                 for k, v in settings.items()}}
    for name, value in values.items():
        if name.startswith('store.'):
            argv += ['--set', f'{name}={value}']
    r = subprocess.run([*argv, 'doctor', '--json'], text=True,
                       capture_output=True, timeout=120)
    lines = {}
    for x in json.loads(r.stdout)['checks']:
        if x['check'] == 'store':
            lines.setdefault(x['level'], []).append(
                f'{x["text"]} -> {x["remedy"]}')
    return {level: '\n'.join(texts) for level, texts in lines.items()}


# ---- keys of few rights ----

@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_key_that_may_not_list(limited, ceph, tmp_path, size):
    """It is told 403, not 404, of an object that is not there."""
    seg = Segment(limited.start(), size).place()
    seg.wait_stored()
    assert read_as_limited(ceph, seg.key, tmp_path / 'got') == seg.data
    assert 'transfer_failed' not in limited.log()


def test_resumes_without_the_right_to_list(limited):
    limited.gate.hold = 2
    seg = Segment(limited.start(), LARGE).place()
    wait_for('the first part', lambda: limited.gate.parts == [1] and
             limited.rows('SELECT * FROM upload_parts'))
    limited.kill()
    limited.gate.hold = None
    limited.start()
    seg.wait_stored()
    assert limited.gate.parts == [1, 2, 3]


def test_right_that_is_missing_is_named(limited, ceph):
    allow(ceph, 's3:GetObject', 's3:DeleteObject')
    seg = Segment(limited.start(), SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r)
    assert row['status'] == 'transfer'
    assert 'give the key the right s3:PutObject' in row['status_detail']
    allow(ceph, *OBJECT_RIGHTS)
    seg.wait_stored()


def leftovers(ceph):
    return [k for k in ceph.keys() if k.startswith('relaycam-doctor/')] + [
        u['Key'] for u in ceph.uploads()
        if u['Key'].startswith('relaycam-doctor/')]


def test_doctor_with_all_rights(env, ceph):
    lines = doctor(env)
    assert list(lines) == ['ok'] and 'uploads in parts work' in lines['ok']
    assert leftovers(ceph) == []


def test_doctor_names_missing_rights(limited, ceph):
    lines = doctor(limited)
    assert set(lines) == {'warn'}, lines
    assert 'right s3:ListBucket on' in lines['warn']
    assert 's3:ListBucketMultipartUploads' in lines['warn']
    assert leftovers(ceph) == []
    allow(ceph, 's3:PutObject')
    lines = doctor(limited)
    for right in ('s3:GetObject', 's3:DeleteObject'):
        assert f'right {right} on bucket' in lines['FAIL'], lines
    assert 's3:PutObject' not in lines['FAIL']
    allow(ceph, 's3:GetObject')
    lines = doctor(limited)
    assert list(lines) == ['FAIL']
    assert 'right s3:PutObject on bucket' in lines['FAIL']
    assert lines['FAIL'].count('->') == 1


# ---- addresses ----

@pytest.fixture
def usual_port(ceph):
    """An address of this machine where port 80 leads to the S3 server."""
    address = '127.3.' + '.'.join(str(secrets.randbelow(250) + 2)
                                  for _ in range(2))
    p = subprocess.Popen(
        ['sudo'] * (os.getuid() != 0) +
        ['socat', f'TCP-LISTEN:80,bind={address},fork,reuseaddr',
         f'TCP:127.0.0.1:{ceph.port}'])

    def answers():
        assert p.poll() is None
        with socket.socket() as s:
            return s.connect_ex((address, 80)) == 0
    wait_for('port 80', answers)
    yield address
    p.terminate()
    p.wait(30)


@pytest.mark.parametrize('written', [
    'http://{}:80', 'http://{}', 'HTTP://{}:080/'])
def test_port_that_the_scheme_has_anyway(env, usual_port, written):
    """Clients leave it out of Host, so it must not be signed."""
    url = written.format(usual_port)
    seg = Segment(env.start(store__s3_endpoint=url), SMALL).place()
    seg.wait_stored()
    assert list(doctor(env, store__s3_endpoint=url)) == ['ok']


@pytest.mark.parametrize('path', ['/recordings', '/v1/s3/', '?a=b'])
def test_path_in_the_address_is_refused(env, path):
    url = env.settings['store.s3_endpoint'] + path
    env.settings['store.s3_endpoint'] = url
    with pytest.raises(AssertionError):
        env.start()
    assert env.process.wait(30) == 78  # EX_CONFIG
    env.process = None
    assert 'a path is not supported: give https://host[:port]' in env.log()
    assert 'a path is not supported' in doctor(env)['FAIL']


# ---- ETags ----

class EtagGate(Gate):
    """The server's ETags, as other servers write them."""

    ETAG = re.compile(rb'(?i)(\r\netag: "?)([0-9a-f]{32})("?\r\n)')

    def __init__(self, target_port, change):
        self.change = change
        super().__init__(target_port)

    def _answer(self, data):
        return self.ETAG.sub(
            lambda m: m[1] + self.change(m[2]) + m[3], data)


@pytest.mark.parametrize('change', [
    bytes.upper,
    lambda e: b'CJDrr4qLgOcCEAE=',      # no MD5 at all
    lambda e: e + b'-1',                # of parts, where there were none
], ids=['upper', 'opaque', 'parts'])
def test_etags_of_other_servers(env, ceph, change):
    gate = EtagGate(ceph.port, change)
    try:
        env.start(store__s3_endpoint=f'http://127.0.0.1:{gate.port}')
        Segment(env, SMALL).place().wait_stored()
        assert 'transfer_failed' not in env.log()
    finally:
        gate.close()


def test_retries_of_what_arrives_wrong_end(env, ceph):
    """An MD5 that is another one: tried again, five times, then it says so.
    The file stays; a start begins anew."""
    gate = EtagGate(ceph.port, lambda e: b'0' * 32)
    try:
        url = f'http://127.0.0.1:{gate.port}'
        seg = Segment(env.start(store__s3_endpoint=url), SMALL).place()
        row = wait_for('it is given up', lambda: (
            r := seg.row()) and 'not tried again' in (
                r['status_detail'] or '') and r, 60)
        assert row['status'] == 'corrupted'
        assert 'ETag' in row['status_detail']
        assert 'restart relaycam-storage' in row['status_detail']
        sent = env.metric('s3_requests_total')
        other = Segment(env, SMALL, session=str(uuid.uuid4())).place()
        wait_for('another one is given up', lambda: 'not tried again' in (
            (other.row() or {}).get('status_detail') or ''), 60)
        # one of them alone: the first was not sent meanwhile
        assert env.metric('s3_requests_total') <= 2 * sent
        assert env.log().count('transfer_given_up') == 2
        assert {'.json', '.webm'} <= seg.files() & other.files()
    finally:
        gate.close()
    # deleted by a person: its files go, though nothing else is tried
    env.rows("UPDATE segments SET status = 'deleted' "
             "WHERE id = %s", other.id)
    wait_for('its files go', lambda: not other.files())
    env.stop()
    env.start()
    seg.wait_stored()


# ---- parts, on servers that differ in more than Ceph's can show ----

def other_digest(md5):
    """32 hex digits that are no MD5 of ours, as of encrypted parts."""
    return md5[::-1]


@pytest.fixture
def peer(request):
    p = S3Peer(**request.param)
    yield p
    p.close()


EVERY_LIST = {'list', 'list-uploads', 'list-parts'}
PEERS = [{'etag': str.upper}, {'etag': lambda e: e[:20] + '=='},
         {'etag': other_digest}, {'denied': EVERY_LIST},
         {'etag': str.upper, 'denied': EVERY_LIST}]


@pytest.mark.parametrize(
    'peer', PEERS, indirect=True,
    ids=['upper', 'opaque', 'other-digest', 'no-list', 'upper-no-list'])
def test_upload_in_parts_goes_on(env, peer):
    """Killed behind the first part: it is not sent again."""
    peer.fail_part = 2
    env.start(store__s3_endpoint=peer.url)
    seg = Segment(env, LARGE).place()
    wait_for('the first part is noted', lambda: env.rows(
        'SELECT * FROM upload_parts WHERE segment_id = %s', seg.id))
    env.kill()
    peer.fail_part = None
    env.start(store__s3_endpoint=peer.url)
    seg.wait_stored()
    # the second one may have been on its way when the daemon was killed
    assert sorted(set(peer.puts)) == [(seg.key, n) for n in (1, 2, 3)]
    assert peer.puts.count((seg.key, 1)) == 1
    assert peer.objects[seg.key][0] == seg.data


@pytest.mark.parametrize('peer', [{'denied': {'list-parts'}}], indirect=True)
def test_notes_that_are_not_true(env, peer):
    """The server has another part than was noted: all is sent again."""
    peer.fail_part = 3
    env.start(store__s3_endpoint=peer.url)
    seg = Segment(env, LARGE).place()
    wait_for('two parts are noted', lambda: len(env.rows(
        'SELECT * FROM upload_parts WHERE segment_id = %s', seg.id)) == 2)
    env.kill()
    parts, = peer.uploads.values()
    parts[1] = b'something else'
    peer.fail_part = None
    env.start(store__s3_endpoint=peer.url)
    seg.wait_stored()
    assert peer.objects[seg.key][0] == seg.data


@pytest.mark.parametrize('peer', [{'denied': {'list'}}], indirect=True)
def test_a_comparison_names_the_right_that_it_lacks(env, peer):
    env.start(store__s3_endpoint=peer.url, storage__check_seconds='1')
    wait_for('the reason', lambda: any(
        'give the key the right s3:ListBucket' in r['error']
        for r in env.rows('SELECT error FROM storage_checks')), 60)
