"""Signed links to what is still being written (X1): a file that grows as its
recorder grows it, byte for byte, and everything that may happen to it
meanwhile. The recorder is played here; the file is the WebM writer's own."""
import copy
import fcntl
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest
import requests

import spool_files
import storage_env
from storage_env import Ceph, Segment, Storage, wait_for
from storage_fixtures import cluster, env  # noqa: F401

FRAMES = 60
STEP_MS = 100
KEY_EVERY_MS = 2000
CLUSTER = b'\x1f\x43\xb6\x75'
CUES = b'\x1c\x53\xbb\x6b'
UNKNOWN = b'\x01' + b'\xff' * 7


@pytest.fixture(scope='module')
def webm(tmp_path_factory):
    """A finished file of the writer's."""
    path = tmp_path_factory.mktemp('webm') / 'whole.webm'
    tool = os.path.join(storage_env.BUILD, 'tests', 'unit', 'webm_make')
    subprocess.run([tool, 'make', str(path), str(FRAMES), str(STEP_MS)],
                   check=True, capture_output=True)
    return path.read_bytes()


class Parts:
    """Where the clusters of a finished file are, from its bytes."""

    def __init__(self, data):
        self.data = data
        self.header = data.index(CLUSTER)
        self.clusters = []  # offset, end, time
        at = self.header
        while data[at:at + 4] == CLUSTER:
            size = int.from_bytes(data[at + 5:at + 12], 'big')
            assert data[at + 12] == 0xe7
            n = data[at + 13] & 0x7f
            time_ms = int.from_bytes(data[at + 14:at + 14 + n], 'big')
            self.clusters.append((at, at + 12 + size, time_ms))
            at += 12 + size
        assert data[at:at + 4] == CUES
        self.end = at

    def keys(self):
        return [[t, at] for at, _, t in self.clusters
                if t % KEY_EVERY_MS == 0]

    def open_header(self):
        """As it is while the file is being written."""
        h = bytearray(self.data[:self.header])
        at = h.index(b'\x18\x53\x80\x67') + 4
        h[at:at + 8] = UNKNOWN
        at = h.index(b'\x44\x89\x88')
        h[at:at + 11] = b'\xec\x89' + b'\0' * 9
        # the entry of SeekHead for Cues
        at = h.index(b'\x53\xab\x84' + CUES) - 3
        h[at:at + 21] = b'\xec\x93' + b'\0' * 19
        return bytes(h)


class Growing(Segment):
    """A segment that is being written, by this process."""

    def __init__(self, env, data, **changes):
        super().__init__(env, 1, **changes)
        self.data = data
        self.parts = Parts(data)
        self.manifest['bytes'] = len(data)
        self.sha256 = hashlib.sha256(data).digest()
        self.fd = os.open(self.path('.webm.part'), os.O_RDWR | os.O_CREAT,
                          0o640)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        os.write(self.fd, self.parts.open_header())
        self.n = 0
        opened = {k: v for k, v in self.manifest.items() if k not in (
            'end_mono_ns', 'end_wall_ns', 'last_frame', 'frames',
            'duration_ms', 'bytes', 'recovered', 'end')}
        self.write('.json.open', json.dumps(opened).encode())

    def begin(self):
        """The next cluster, open, all its frames written."""
        at, end, _ = self.parts.clusters[self.n]
        data = bytearray(self.data[at:end])
        data[4:12] = UNKNOWN
        os.pwrite(self.fd, data, at)

    def finish(self):
        """Its size; it is whole."""
        at, end, _ = self.parts.clusters[self.n]
        os.pwrite(self.fd, self.data[at + 4:at + 12], at + 4)
        self.n += 1
        return end

    def grow(self, n=1):
        for _ in range(n):
            self.begin()
            end = self.finish()
        return end

    def grow_all(self):
        return self.grow(len(self.parts.clusters) - self.n)

    def close(self):
        """As the recorder does it, docs/spool.md."""
        os.pwrite(self.fd, self.data[self.parts.end:], self.parts.end)
        os.pwrite(self.fd, self.data[:self.parts.header], 0)
        self.write('.json', json.dumps(self.manifest).encode())
        os.rename(self.path('.webm.part'), self.path('.webm'))
        os.unlink(self.path('.json.open'))
        os.close(self.fd)

    def wait_recording(self):
        self.wait('recording')
        return self.env.link(self.key)


def index_url(url):
    return url.replace('.webm?', '.webm/index.json?')


def index(env, url):
    r = env.get(index_url(url))
    assert r.status_code == 200, r.text
    assert r.headers['Content-Type'] == 'application/json'
    return r.json()


# ---- what is there ----------------------------------------------------------

def test_only_whole_clusters_are_served(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    # a header alone is nothing to show
    assert env.get(url, Range='bytes=0-').status_code == 416
    r = env.get(url)
    assert (r.status_code, r.headers['Retry-After']) == (503, '1')
    assert index(env, url) == {
        'growing': True, 'duration_ms': 0, 'bytes': 0, 'header_bytes': 0,
        'codec': 'vp9', 'cues': []}
    shown = seg.parts.open_header()
    for at, end, time_ms in seg.parts.clusters:
        seg.begin()
        r = env.get(url)
        if at == seg.parts.header:
            assert r.status_code == 503
        else:
            assert r.content == shown
        assert seg.finish() == end
        shown += webm[at:end]
        r = env.get(url)
        assert r.status_code == 200 and r.content == shown
        assert int(r.headers['Content-Length']) == end
        assert r.headers['Cache-Control'] == 'no-store'
        assert 'ETag' not in r.headers
        doc = index(env, url)
        assert doc['growing'] is True and doc['codec'] == 'vp9'
        assert doc['bytes'] == end
        assert doc['header_bytes'] == seg.parts.header
        assert doc['cues'] == [c for c in seg.parts.keys() if c[1] < end]
        assert time_ms <= doc['duration_ms'] < time_ms + 1000
        assert doc['duration_ms'] % STEP_MS == 0
    seg.close()
    seg.wait_stored()
    r = env.get(url)
    assert r.content == webm
    doc = index(env, url)
    assert doc == {'growing': False, 'duration_ms': FRAMES * STEP_MS,
                   'bytes': len(webm), 'header_bytes': seg.parts.header,
                   'codec': 'vp9', 'cues': seg.parts.keys()}


def test_ranges_of_a_growing_file(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    end = seg.grow(2)
    shown = seg.parts.open_header() + webm[seg.parts.header:end]
    for field, first, last in (
            ('bytes=0-', 0, end - 1), ('bytes=100-199', 100, 199),
            (f'bytes={end - 5}-', end - 5, end - 1),
            (f'bytes=7-{end + 1000000}', 7, end - 1),
            ('bytes=-10', end - 10, end - 1)):
        r = env.get(url, Range=field)
        assert r.status_code == 206, field
        assert r.headers['Content-Range'] == f'bytes {first}-{last}/{end}'
        assert r.content == shown[first:last + 1]
        assert int(r.headers['Content-Length']) == last - first + 1
    r = env.get(url, Range=f'bytes={end}-')
    assert r.status_code == 416
    assert r.headers['Content-Range'] == f'bytes */{end}'
    # what was not there is, and the total once it is closed
    seg.grow()
    r = env.get(url, Range=f'bytes={end}-')
    assert r.status_code == 206
    assert r.content == webm[end:seg.parts.clusters[2][1]]
    # a validator from elsewhere gets all there is
    r = env.get(url, Range='bytes=5-', If_Range='"x"')
    assert r.status_code == 200
    r = env.get(url, method='HEAD')
    assert r.status_code == 200 and r.content == b''
    seg.grow_all()
    seg.close()
    wait_for('the total is the file\'s', lambda: env.get(
        url, Range='bytes=3-9').headers['Content-Range'] ==
        f'bytes 3-9/{len(webm)}')
    seg.wait_stored()
    r = env.get(url, Range=f'bytes={end}-')
    assert r.content == webm[end:]
    assert r.headers['Content-Range'] == (
        f'bytes {end}-{len(webm) - 1}/{len(webm)}')


def test_forged_and_dead_links_to_a_growing_file(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    seg.grow()
    assert env.get(url).status_code == 200
    for bad in (url[:-1] + ('0' if url[-1] != '0' else '1'),
                url.replace('monitor-1', 'monitor-2'),
                url.split('&')[0]):
        assert env.get(bad).status_code == 403
        assert env.get(index_url(bad)).status_code == 403
    dead = env.link(seg.key, expires=int(time.time()) - 1)
    assert env.get(dead).status_code == 403
    assert env.get(index_url(dead)).status_code == 403
    for path in ('/files/index.json', '/files//index.json',
                 '/files/a.webm/index.json/index.json'):
        r = env.get(env.settings['store.public_url'] + path)
        assert r.status_code == 404
    seg.grow_all()
    seg.close()
    seg.wait_stored()


# ---- following --------------------------------------------------------------

class Follower(threading.Thread):
    """Takes a stream as it comes."""

    def __init__(self, env, url):
        super().__init__(daemon=True)
        self.response = requests.get(
            url + '&follow=1', stream=True, timeout=60,
            verify=f'{env.dir}/tls.crt', proxies={'https': None})
        self.got = b''
        self.error = None
        self.start()

    def run(self):
        try:
            for chunk in self.response.iter_content(None):
                self.got += chunk
        except requests.RequestException as e:
            self.error = e

    def wait(self, n):
        wait_for(f'{n} bytes, has {len(self.got)}',
                 lambda: len(self.got) >= n)
        return self.got


def test_follow_up_to_the_end(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    early = Follower(env, url)
    assert early.response.status_code == 200
    assert 'Content-Length' not in early.response.headers
    header = seg.parts.open_header()
    end = seg.grow()
    assert early.wait(end) == header + webm[seg.parts.header:end]
    late = Follower(env, url)
    for _ in range(3):
        seg.begin()
        end = seg.finish()
        for f in (early, late):
            assert f.wait(end) == header + webm[seg.parts.header:end]
    seg.grow_all()
    seg.close()
    for f in (early, late):
        f.join(20)
        assert not f.is_alive() and f.error is None
        assert f.got == header + webm[seg.parts.header:]
    seg.wait_stored()
    # on a closed file it is an ordinary download
    assert env.get(url + '&follow=1').content == webm
    wait_for('no requests', lambda: env.metric('files_active') == 0)


def test_follow_ends_when_nothing_comes(env, webm):
    seg = Growing(env.start(storage__follow_seconds='1'), webm)
    url = seg.wait_recording()
    end = seg.grow()
    f = Follower(env, url)
    f.wait(end)
    f.join(20)
    # cut off, so that nobody takes it for the whole
    assert not f.is_alive() and f.error is not None
    assert len(f.got) == end
    seg.grow_all()
    seg.close()
    seg.wait_stored()


def begin_to_follow(env, url):
    """A TLS connection whose answer has begun."""
    context = ssl.create_default_context(cafile=f'{env.dir}/tls.crt')
    s = context.wrap_socket(
        socket.create_connection(('127.0.0.1', env.files_port), 10),
        server_hostname='127.0.0.1')
    path = url[url.index('/files/'):]
    s.sendall(f'GET {path}&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    assert s.recv(100).startswith(b'HTTP/1.1 200')
    return s


def test_follower_that_leaves_is_forgotten(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    seg.grow()
    left = [begin_to_follow(env, url) for _ in range(5)]
    wait_for('they follow', lambda: env.metric('files_active') == 5)
    for n, s in enumerate(left):
        if n % 2 == 0:  # without a goodbye
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack('ii', 1, 0))
        s.close()
    wait_for('they are gone', lambda: env.metric('files_active') == 0)
    seg.grow_all()
    seg.close()
    seg.wait_stored()


def test_sigterm_does_not_wait_for_followers(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    f = Follower(env, url)
    f.wait(seg.grow())
    before = time.monotonic()
    assert env.stop() == 0
    assert time.monotonic() - before < 15
    f.join(10)
    assert f.error is not None
    os.close(seg.fd)


# ---- what may happen --------------------------------------------------------

def test_link_goes_on_through_close_and_transfer(env, webm, tmp_path):
    """The store cannot be written for a while: the spool's copy is shown."""
    env.start()
    seg = Growing(env, webm)
    url = seg.wait_recording()
    seg.grow_all()
    with open(os.path.join(env.store, 'acme'), 'wb'):
        pass  # a file where the folder should be
    seg.close()
    row = wait_for('the transfer fails', lambda: (
        r := seg.row()) and r['status'] == 'transfer' and
        r['status_detail'] and r)
    assert row['spool_node'] is not None
    r = env.get(url, Range='bytes=0-9')
    assert r.headers['Content-Range'] == f'bytes 0-9/{len(webm)}'
    assert env.get(url).content == webm
    assert index(env, url)['growing'] is False
    assert seg.files() == {'.webm', '.json'}
    os.unlink(os.path.join(env.store, 'acme'))
    seg.wait_stored()
    assert env.get(url).content == webm


def test_file_cut_off_under_us(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    end = seg.grow(4)
    f = Follower(env, url)
    f.wait(end)
    cut = seg.parts.clusters[1][1]
    os.truncate(seg.path('.webm.part'), cut + 3)
    r = env.get(url)
    assert r.status_code == 200
    assert r.content == seg.parts.open_header() + webm[seg.parts.header:cut]
    f.join(20)
    assert f.error is not None  # what it has is no longer what is there
    doc = index(env, url)
    assert doc['bytes'] == cut
    assert doc['cues'] == [c for c in seg.parts.keys() if c[1] < cut]
    wait_for('it is noticed', lambda: 'growing_file_cut' in env.log())
    os.ftruncate(seg.fd, 0)
    assert env.get(url).status_code == 503
    os.close(seg.fd)


@pytest.mark.parametrize('junk', [
    b'\0' * 100, b'\xff' * 100, CLUSTER + b'\x84\xe7\x81\x00\xa3',
    CLUSTER + b'\x01\0\0\0\0\0\0\x20' + b'\xff' * 32,
    CLUSTER + b'\x80', CLUSTER + b'\x83\xe7\x81\x05' * 50,
    CLUSTER + struct.pack('>Q', (1 << 56) | (1 << 55)),
    CLUSTER + b'\x01\0\0\0\0\0\0\x0c\xe7\x88' + b'\xff' * 8 + b'\xa3\x80',
    CUES + b'\xff', b'\x1a\x45\xdf\xa3' * 8], ids=range(10))
def test_hostile_bytes_stop_the_view(env, webm, junk):
    """What is behind is not shown, what is before stays."""
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    end = seg.grow(2)
    os.pwrite(seg.fd, junk, end)
    r = env.get(url)
    assert len(r.content) == end
    assert index(env, url)['bytes'] == end
    os.close(seg.fd)


@pytest.mark.parametrize('junk', [
    b'', b'\0', b'\x1a\x45\xdf\xa3', b'\x1a\x45\xdf\xa3\x01' + b'\xff' * 60,
    b'RIFF' * 100, b'\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff' +
    b'\xec\x80' * 50000], ids=range(6))
def test_hostile_header_shows_nothing(env, webm, junk):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    os.ftruncate(seg.fd, 0)
    os.pwrite(seg.fd, junk, 0)
    assert env.get(url).status_code == 503
    assert env.get(url, Range='bytes=0-').status_code == 416
    assert index(env, url)['bytes'] == 0
    os.close(seg.fd)


def test_a_million_tiny_clusters(env, webm):
    """Bounded memory and time; other requests go on meanwhile."""
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    end = seg.grow()
    # a cluster with one frame of one byte, all at the same time
    body = b'\xe7\x82\xff\xff' + b'\xa3\x85\x81\0\0\x80x'
    one = CLUSTER + b'\x01' + len(body).to_bytes(7, 'big') + body
    os.pwrite(seg.fd, one * 1_000_000, end)
    before = int(open(f'/proc/{env.process.pid}/statm').read().split()[1])
    done = []
    t = threading.Thread(target=lambda: done.append(index(env, url)))
    t.start()
    while t.is_alive():
        start = time.monotonic()
        assert env.http('/healthz').status_code == 200
        assert time.monotonic() - start < 2
        t.join(0.05)
    assert done[0]['bytes'] == end + len(one) * 1_000_000
    assert len(done[0]['cues']) <= 2
    after = int(open(f'/proc/{env.process.pid}/statm').read().split()[1])
    assert (after - before) * 4 < 20_000  # KiB
    os.close(seg.fd)


def test_link_of_a_file_that_lies_in_the_spool_of_another_node(
        env, webm, tmp_path):
    """Both know the database; only one has the file."""
    env.start()
    seg = Growing(env, webm)
    url = seg.wait_recording()
    seg.grow(2)
    other = copy.copy(env)
    other.spool = str(tmp_path / 'other-spool')
    os.mkdir(other.spool)
    other.files_port = storage_env.free_port()
    other.metrics_port = storage_env.free_port()
    other.log_path = env.log_path + '.other'
    other.process = None
    other.settings = {
        **env.settings, 'spool.dir': other.spool,
        'storage.listen': f'127.0.0.1:{other.files_port}',
        'storage.metrics_listen': f'127.0.0.1:{other.metrics_port}',
        'store.public_url': f'https://127.0.0.1:{other.files_port}'}
    other.start()
    try:
        r = other.get(other.link(seg.key))
        assert r.status_code == 404
        host = os.uname().nodename
        assert f'still on node {host}' in r.text
        assert other.get(other.link(seg.key.replace('T', 'U'))).text == (
            'There is no such file.\n')
    finally:
        assert other.stop() == 0
    assert env.get(url).status_code == 200
    # the row says where to ask
    row = env.rows('SELECT n.files_url FROM segments g JOIN nodes n '
                   'ON n.id = g.spool_node WHERE g.id = %s', seg.id)[0]
    assert row['files_url'] == env.settings['store.public_url']
    seg.grow_all()
    seg.close()
    assert seg.wait_stored()['spool_node'] is None


def test_manifest_that_claims_the_key_of_another(env, webm):
    """A key belongs to whom the database gave it."""
    env.start()
    seg = Growing(env, webm)
    url = seg.wait_recording()
    seg.grow()
    liar = Growing(env, webm, session=seg.session, seq=2,
                   split_reason='size', object_key=seg.key)
    liar.grow(3)
    wait_for('it is refused', lambda: 'segments_object_key_key' in env.log())
    r = env.get(url)
    assert len(r.content) == seg.parts.clusters[0][1]
    assert liar.row() is None
    for s in (seg, liar):
        os.close(s.fd)


def test_spool_folder_that_goes_away(env, webm):
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    f = Follower(env, url)
    f.wait(seg.grow())
    os.rename(env.spool, env.spool + '.gone')
    for path in spool_files.paths(env.spool + '.gone'):
        os.unlink(path)
    r = env.get(url)
    assert r.status_code == 404
    f.join(20)
    assert f.error is not None
    assert env.http('/healthz').status_code == 200
    os.close(seg.fd)


def test_recorder_dies_and_the_view_survives_repair(env, webm):
    """kill -9 of a recorder: the link works before, during and after."""
    seg = Growing(env.start(storage__recorder_program='/bin/false'), webm)
    url = seg.wait_recording()
    end = seg.grow(3)
    seg.begin()
    os.close(seg.fd)  # the lock goes, nobody finishes it
    wait_for('the repair is tried', lambda: 'repair_failed' in env.log())
    assert len(env.get(url).content) == end
    assert index(env, url)['growing'] is True


def test_repair_that_is_stuck(env, webm, tmp_path):
    """SIGSTOP: it would keep all others waiting."""
    stopped = tmp_path / 'stopped'
    stopped.write_text('#!/bin/sh\nkill -STOP $$\n')
    stopped.chmod(0o755)
    seg = Growing(env.start(storage__recorder_program=str(stopped),
                            storage__recorder_stall_seconds='2'), webm)
    seg.wait_recording()
    seg.grow(3)
    os.close(seg.fd)
    row = wait_for('it is given up', lambda: (
        r := seg.row()) and 'stuck' in r['status_detail'] and r)
    assert row['status'] == 'recording'
    assert 'signal 9' in row['status_detail']
    assert env.stop() == 0
    env.start()
    assert seg.wait('available')['recovered']


def test_growing_file_with_the_s3_store(tmp_path, cluster, webm,
                                        tmp_path_factory):
    """Stored meanwhile: the same link goes on."""
    ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    env = Storage(tmp_path, cluster, ceph)
    try:
        seg = Growing(env.start(), webm)
        url = seg.wait_recording()
        end = seg.grow(2)
        assert env.get(url, Range=f'bytes=5-').headers['Content-Range'] == (
            f'bytes 5-{end - 1}/{end}')
        f = Follower(env, url)
        f.wait(end)
        seg.grow_all()
        seg.close()
        seg.wait_stored(60)
        f.join(20)
        assert f.error is None and len(f.got) == len(webm)
        r = env.get(url, Range='bytes=5-104')
        assert r.history == [] and r.headers['Content-Range'] == (
            f'bytes 5-104/{len(webm)}')
        assert r.status_code == 206 and r.content == webm[5:105]
        assert env.get(url).content == webm
        doc = index(env, url)
        assert doc['growing'] is False and doc['bytes'] == len(webm)
        # T6: direct links die with the one that was used
        assert env.stop() == 0
        env.start(store__s3_links='direct')
        for seconds, most in ((40, 40), (86400, 600)):
            r = env.get(env.link(seg.key, seconds=seconds),
                        Range='bytes=5-104')
            assert r.history[0].status_code == 307
            assert r.status_code == 206 and r.content == webm[5:105]
            where = urllib.parse.urlparse(r.history[0].headers['Location'])
            lives = int(
                urllib.parse.parse_qs(where.query)['X-Amz-Expires'][0])
            assert most - 20 < lives <= most
    finally:
        env.close()
        ceph.stop()
