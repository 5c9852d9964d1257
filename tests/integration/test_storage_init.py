"""relaycam storage init (M8): what a server can do is found out once, noted,
and only that is used."""
import json
import os
import subprocess
import uuid

import pytest

from pg import USERS
from s3_fault_proxy import FaultProxy
from s3_peer import S3Peer
from storage_env import BUCKET, BUILD, Segment, Storage, wait_for
from storage_fixtures import ceph, cluster  # noqa: F401

RELAYCAM = os.path.join(BUILD, 'ctl', 'relaycam')
SMALL = 300_000
LARGE = 12_000_000  # three parts
FOREIGN = {'ID': 'of-somebody-else', 'Status': 'Enabled',
           'Filter': {'Prefix': 'logs/'}, 'Expiration': {'Days': 9}}


def relaycam(env, *words, **settings):
    argv = [RELAYCAM]
    values = {**env.settings, 'database.admin_user':
              USERS['database.admin_user'],
              **{k.replace('__', '.'): v for k, v in settings.items()}}
    for name, value in values.items():
        if name.startswith(('store.', 'database.')):
            argv += ['--set', f'{name}={value}']
    return subprocess.run([*argv, *words], text=True, capture_output=True,
                          timeout=120)


# ---- a real server ----


@pytest.fixture
def env(tmp_path, cluster, ceph):  # noqa: F811
    e = Storage(tmp_path, cluster, ceph)
    yield e
    e.close()


def warnings(env, bucket):
    r = relaycam(env, 'doctor', '--json', store__s3_bucket=bucket)
    return [x['text'] for x in json.loads(r.stdout)['checks']
            if x['check'] == 'store' and x['level'] != 'ok']


def test_ceph(env, ceph):
    bucket = f'new-{uuid.uuid4()}'
    r = relaycam(env, 'storage', 'init', store__s3_bucket=bucket)
    assert r.returncode == 1 and '--create-bucket makes it' in r.stderr
    r = relaycam(env, 'storage', 'init', '--create-bucket', '--json',
                 store__s3_bucket=bucket)
    assert r.returncode == 0, r.stderr
    found = json.loads(r.stdout)
    assert {k: found[k] for k in (
        'checks_bodies', 'conditional_writes', 'lifecycle', 'lifecycle_rule',
        'object_lock')} == {
            'checks_bodies': True, 'conditional_writes': True,
            'lifecycle': True, 'lifecycle_rule': True, 'object_lock': False}
    row, = env.rows('SELECT * FROM store_abilities')
    assert row['bucket'] == bucket and row['checks_bodies'] is True
    assert row['conditional_writes'] is True
    assert env.rows("SELECT FROM audit WHERE action = 'store_probed'")
    left = ceph.aws('s3api', 'list-objects-v2', '--bucket', bucket)
    assert not left.get('Contents')
    assert warnings(env, bucket) == []


def test_rules_of_others_stay(env, ceph):
    bucket = f'rules-{uuid.uuid4()}'
    ceph.aws('s3api', 'create-bucket', '--bucket', bucket)
    ceph.aws('s3api', 'put-bucket-lifecycle-configuration', '--bucket', bucket,
             '--lifecycle-configuration', json.dumps({'Rules': [FOREIGN]}))
    for _ in range(2):
        r = relaycam(env, 'storage', 'init', store__s3_bucket=bucket)
        assert r.returncode == 0, r.stderr
    rules = {x['ID']: x for x in ceph.aws(
        's3api', 'get-bucket-lifecycle-configuration', '--bucket',
        bucket)['Rules']}
    assert set(rules) == {FOREIGN['ID'], 'relaycam-abandoned-uploads'}
    assert rules[FOREIGN['ID']]['Expiration'] == {'Days': 9}
    assert rules['relaycam-abandoned-uploads'][
        'AbortIncompleteMultipartUpload'] == {'DaysAfterInitiation': 7}
    # doctor sees when it goes, and when nobody looked
    ceph.aws('s3api', 'put-bucket-lifecycle-configuration', '--bucket', bucket,
             '--lifecycle-configuration', json.dumps({'Rules': [FOREIGN]}))
    text, = warnings(env, bucket)
    assert 'lacks a lifecycle rule' in text
    env.rows('DELETE FROM store_abilities')
    text, = warnings(env, bucket)
    assert 'nobody looked yet' in text


def test_rules_that_cannot_be_read_stay(env, ceph):
    """They are read twice: to see whether there may be some, and to write
    them back with ours."""
    bucket = f'busy-{uuid.uuid4()}'
    ceph.aws('s3api', 'create-bucket', '--bucket', bucket)
    ceph.aws('s3api', 'put-bucket-lifecycle-configuration', '--bucket', bucket,
             '--lifecycle-configuration', json.dumps({'Rules': [FOREIGN]}))
    proxy, reads = FaultProxy(ceph.port), []

    def is_second(method, path):
        if method == 'GET' and 'lifecycle' in path:
            reads.append(path)
            return len(reads) == 2
        return False
    proxy.always('503', is_second)
    r = relaycam(env, 'storage', 'init', store__s3_bucket=bucket,
                 store__s3_endpoint=proxy.url)
    proxy.close()
    assert r.returncode == 1 and 'cannot be read now (HTTP 503' in r.stderr
    rules = ceph.aws('s3api', 'get-bucket-lifecycle-configuration',
                     '--bucket', bucket)['Rules']
    assert [x['ID'] for x in rules] == [FOREIGN['ID']]


@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_what_differs_is_replaced(env, ceph, tmp_path, size):
    """Ceph 16 takes the quotes around an ETag for a part of it and refuses
    (412) to replace what has not changed."""
    env.rows('INSERT INTO store_abilities (endpoint, bucket, checks_bodies, '
             'conditional_writes, lifecycle, object_lock) VALUES '
             '(%s, %s, true, true, false, false)',
             env.settings['store.s3_endpoint'], BUCKET)
    seg = Segment(env, size)
    other = tmp_path / 'other'
    other.write_bytes(b'another file')
    ceph.put(seg.key, other)
    env.start(store__s3_part_bytes='5M')
    seg.place().wait_stored(60)
    assert ceph.get(seg.key, tmp_path / 'got') == seg.data


def test_key_that_may_do_nothing(env):
    env.set_secret('x' * 40)
    r = relaycam(env, 'storage', 'init')
    assert r.returncode == 1
    assert 'SignatureDoesNotMatch' in r.stderr
    assert env.rows('SELECT * FROM store_abilities') == []


def test_folder_store(env):
    """It gets a mark, once; the folder of another store is refused."""
    def init(folder):
        return relaycam(env, 'storage', 'init', '--json', store__kind='folder',
                        store__folder=str(folder))
    first = init(env.store)
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    with open(f'{env.store}/.relaycam-store', encoding='utf-8') as f:
        assert f.read().strip() == made['id']
    assert str(env.rows('SELECT id FROM folder_store')[0]['id']) == made['id']
    assert json.loads(init(env.store).stdout) == made
    with open(f'{env.spool}/.relaycam-store', 'w', encoding='utf-8') as f:
        f.write(f'{uuid.uuid4()}\n')
    other = init(env.spool)
    assert other.returncode == 1
    assert 'is the folder of another store' in other.stderr
    assert init('/nonexistent').returncode == 1


# ---- conditional writes ----

@pytest.fixture
def peer():
    p = S3Peer()
    p.conditions = True
    yield p
    p.close()


@pytest.fixture
def peer_env(tmp_path, cluster, peer):  # noqa: F811
    e = Storage(tmp_path, cluster)
    e.settings.update({'store.kind': 's3', 'store.s3_bucket': BUCKET,
                       'store.s3_access_key_file': e.key_path,
                       'store.s3_endpoint': peer.url,
                       'store.s3_part_bytes': '5M'})
    yield e
    e.close()


def allow_conditions(env, peer):
    env.rows('INSERT INTO store_abilities (endpoint, bucket, checks_bodies, '
             'conditional_writes, lifecycle, object_lock) VALUES '
             '(%s, %s, true, true, false, false)', peer.url, BUCKET)


@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_only_what_was_noted_is_used(peer_env, peer, size):
    peer_env.start()
    Segment(peer_env, size).place().wait_stored(60)
    assert peer.asked == [(None, None)]
    allow_conditions(peer_env, peer)

    def asks_next():
        Segment(peer_env, size, session=str(uuid.uuid4())).place() \
            .wait_stored(60)
        return peer.asked[-1]

    # of small files what the server can do is looked up again after 5 s
    wait_for('the condition', lambda: asks_next() == ('*', None), 60)
    assert set(peer.asked[:-1]) == {(None, None)}


@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_second_writer_of_the_same_file(peer_env, peer, size):
    """It was refused, and sees that nothing is missing."""
    allow_conditions(peer_env, peer)
    seg = Segment(peer_env, size)

    def other(key):
        peer.objects.setdefault(key, (
            seg.data, peer.etag_of(seg.data), seg.sha256.hex()))
    peer.before_write = other
    peer_env.start()
    seg.place().wait_stored(60)
    assert 'stored_by_another' in peer_env.log()
    assert len(peer.puts) == (0 if size == SMALL else 3)  # parts
    assert peer.uploads == {}


@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_second_writer_of_another_file(peer_env, peer, size):
    """The first one's object is not replaced unseen."""
    allow_conditions(peer_env, peer)
    seg = Segment(peer_env, size)
    first = (b'other', peer.etag_of(b'other'), '0' * 64)

    def other(key):
        peer.objects.setdefault(key, first)
    peer.before_write = other
    peer_env.start(storage__retry_seconds=3600)
    seg.place()
    row = wait_for('it is refused', lambda: (
        r := seg.row()) and r['status'] == 'corrupted' and r, 60)
    assert 'differs' in row['status_detail']
    assert peer.objects[seg.key] == first and peer.uploads == {}
