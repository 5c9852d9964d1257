"""How storage talks to an S3 server (M8): keys that end and come from
elsewhere, clocks that differ, pauses that the server asks for, parts side by
side, a bandwidth limit, encryption, the bucket in the host name."""
import datetime
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from s3_peer import S3Peer
from storage_env import BUCKET, Segment, Storage, wait_for
from storage_fixtures import ceph, cluster  # noqa: F401

SMALL = 300_000
LARGE = 12_000_000  # three parts


@pytest.fixture
def env(tmp_path, cluster):  # noqa: F811
    e = Storage(tmp_path, cluster)
    e.settings.update({'store.kind': 's3', 'store.s3_bucket': BUCKET,
                       'store.s3_access_key_file': e.key_path,
                       'store.s3_part_bytes': '5M'})
    yield e
    e.close()


@pytest.fixture
def peer():
    p = S3Peer()
    yield p
    p.close()


def arrives(env, peer, seg):
    seg.wait_stored(60)
    assert peer.objects[seg.key][0] == seg.data


# ---- keys ----

class KeyServer:
    """A metadata service, a container's endpoint and an STS in one; each
    token that it gives is session-token-1, -2, ..."""

    def __init__(self, lasts_s=3600):
        self.lasts_s, self.given, self.asked = lasts_s, 0, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_PUT(self):
                outer.asked.append(('PUT', self.path, dict(self.headers)))
                self.say('session-1')

            def do_GET(self):
                outer.asked.append(('GET', self.path, dict(self.headers)))
                self.say('role-1' if self.path.endswith('credentials/')
                         else json.dumps(outer.give()))

            def do_POST(self):
                length = int(self.headers['Content-Length'])
                body = self.rfile.read(length).decode()
                outer.asked.append(('POST', body, dict(self.headers)))
                key = outer.give()
                key['SessionToken'] = key.pop('Token')
                self.say('<R><Credentials>' + ''.join(
                    f'<{k}>{v}</{k}>' for k, v in key.items()) +
                    '</Credentials></R>')

            def say(self, text):
                self.send_response(200)
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        self.server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def give(self):
        self.given += 1
        end = datetime.datetime.now(
            datetime.timezone.utc) + datetime.timedelta(seconds=self.lasts_s)
        return {'AccessKeyId': f'A{self.given}',
                'SecretAccessKey': f'very-secret-{self.given}',
                'Token': f'session-token-{self.given}',
                'Expiration': end.strftime('%Y-%m-%dT%H:%M:%SZ')}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def keys():
    k = KeyServer()
    yield k
    k.close()


@pytest.mark.parametrize('source', ['instance', 'container', 'web-identity'])
def test_keys_from_elsewhere(env, peer, keys, source):
    """The key is asked for once, used, and renewed when the server says that
    it has ended; it is in no log."""
    env._write('token', b'projected.token\n')
    env.start(store__s3_endpoint=peer.url, store__s3_credentials=source,
              store__s3_credentials_url=keys.url,
              store__s3_role_arn='arn:aws:iam::1:role/r',
              store__s3_token_file=f'{env.dir}/token')
    arrives(env, peer, Segment(env, SMALL).place())
    assert keys.given == 1 and peer.tokens == {'session-token-1'}
    peer.token = 'session-token-2'
    arrives(env, peer, Segment(env, LARGE).place())
    assert keys.given == 2 and peer.tokens == {'session-token-1', 'session-token-2'}
    if source == 'instance':
        assert [a[0] for a in keys.asked] == ['PUT', 'GET', 'GET'] * 2
        assert keys.asked[2][2]['X-aws-ec2-metadata-token'] == 'session-1'
    elif source == 'container':
        assert keys.asked[0][2]['Authorization'] == 'projected.token'
    else:
        assert 'WebIdentityToken=projected.token' in keys.asked[0][1]
    for secret in ('very-secret', 'session-token', 'projected'):
        assert secret not in env.log()


def test_keys_are_renewed_before_they_end(env, peer):
    """Of 8 s, the last two are for renewing them."""
    keys = KeyServer(lasts_s=8)
    try:
        env.start(store__s3_endpoint=peer.url,
                  store__s3_credentials='instance',
                  store__s3_credentials_url=keys.url)
        end = time.monotonic() + 300
        while keys.given < 3:
            arrives(env, peer, Segment(env, SMALL).place())
            assert time.monotonic() < end
        assert 's3_retry' not in env.log()
    finally:
        keys.close()


def test_no_keys_are_to_be_had(env, peer, keys):
    """The row says why, without a secret; later it works."""
    keys.lasts_s = -5
    env.start(store__s3_endpoint=peer.url, store__s3_credentials='container',
              store__s3_credentials_url=keys.url)
    seg = Segment(env, SMALL).place()
    row = wait_for('the reason is shown', lambda: (
        r := seg.row()) and r['status_detail'] and r, 60)
    assert 'set this machine' in row['status_detail']
    keys.lasts_s = 3600
    arrives(env, peer, seg)


def test_session_token_in_the_file(env, peer):
    peer.token = 'tok/en='
    env._write('s3.key', b'ACCESS\nSECRET\ntok/en=\n')
    env.start(store__s3_endpoint=peer.url)
    arrives(env, peer, Segment(env, LARGE).place())


# ---- clocks and pauses ----

def test_clock_of_the_server_differs(env, peer):
    peer.ahead_s = 7200
    env.start(store__s3_endpoint=peer.url)
    arrives(env, peer, Segment(env, LARGE).place())
    log = env.log()
    assert log.count('s3_clock_differs') == 1
    assert log.count('s3_clock_corrected') == 1, log
    peer.ahead_s = 0  # somebody sets it
    arrives(env, peer, Segment(env, SMALL).place())


def test_pause_that_the_server_asks_for(env, peer):
    peer.busy = [('PUT', 2), ('PUT', 1)]  # Retry-After
    env.start(store__s3_endpoint=peer.url)
    seg = Segment(env, SMALL).place()
    arrives(env, peer, seg)
    at = [t for t, method in peer.times if method == 'PUT']
    assert at[1] - at[0] >= 2 and at[2] - at[1] >= 1


# ---- parts ----

def test_parts_side_by_side(env, peer):
    """All three parts have to be there before one is answered."""
    peer.barrier = threading.Barrier(3, timeout=60)
    env.start(store__s3_endpoint=peer.url, store__s3_parallel_parts=3)
    arrives(env, peer, Segment(env, LARGE).place())


def test_bandwidth_limit(env, peer):
    env.start(store__s3_endpoint=peer.url, store__s3_parallel_parts=3,
              store__s3_upload_bytes_per_second='4M')
    seg = Segment(env, LARGE).place()
    arrives(env, peer, seg)
    parts = [t for t, method in peer.times if method in ('POST', 'PUT')]
    assert parts[-1] - parts[0] >= LARGE / (4 << 20) - 0.5


def test_parts_share_the_bandwidth(env, peer):
    """None waits until another one is sent: servers give up connections on
    which nothing comes."""
    env.start(store__s3_endpoint=peer.url, store__s3_parallel_parts=3,
              store__s3_upload_bytes_per_second='2M')
    arrives(env, peer, Segment(env, LARGE).place())
    sent = [n for path, n in peer.at_first_end.items() if 'partNumber' in path]
    assert len(sent) == 3 and min(sent) > 700_000, sent


def test_bucket_in_the_host_name(env, peer):
    port = peer.url.rsplit(':', 1)[1]
    peer.host = f'{BUCKET}.localhost:{port}'
    env.start(store__s3_endpoint=f'http://localhost:{port}',
              store__s3_path_style='off')
    arrives(env, peer, Segment(env, LARGE).place())


# ---- a real server ----

@pytest.mark.parametrize('size', [SMALL, LARGE])
def test_encryption_with_a_key_of_the_server(tmp_path, cluster,  # noqa: F811
                                             ceph, size):
    env = Storage(tmp_path, cluster, ceph)
    try:
        env.start(store__s3_encryption='kms', store__s3_kms_key='testkey-1',
                  store__s3_parallel_parts=3)
        seg = Segment(env, size).place()
        seg.wait_stored(60)
        head = ceph.aws('s3api', 'head-object', '--bucket', BUCKET, '--key',
                        seg.key)
        assert head['ServerSideEncryption'] == 'aws:kms'
        assert ceph.get(seg.key, tmp_path / 'got') == seg.data
    finally:
        env.close()
