"""Uploads to a real Ceph RADOS Gateway through a proxy that cuts, loses,
delays and refuses (M2, M8): the recording arrives whole, once, and nothing is
left behind in the bucket."""
import random
import uuid

import pytest

from s3_fault_proxy import FAULTS, FaultProxy
from storage_env import Segment, Storage, wait_for
from storage_fixtures import ceph, cluster  # noqa: F401

SMALL = 300_000
LARGE = 12_000_000  # three parts


@pytest.fixture
def env(tmp_path, cluster, ceph):  # noqa: F811
    e = Storage(tmp_path, cluster, ceph)
    yield e
    e.close()


@pytest.fixture
def proxy(ceph):
    p = FaultProxy(ceph.port)
    yield p
    p.close()


def arrives(env, proxy, ceph, seg, tmp_path):
    seg.wait_stored(120)
    proxy.queue.clear()
    assert ceph.get(seg.key, tmp_path / 'got') == seg.data
    assert [u for u in ceph.uploads() if u['Key'] == seg.key] == []
    assert env.rows('SELECT * FROM uploads') == []


@pytest.mark.parametrize('fault', FAULTS)
def test_every_request_fails_once(env, ceph, proxy, tmp_path, fault):
    """Each request meets the fault, and its next try passes; of a file that
    is sent whole and of one in parts."""
    env.start(store__s3_endpoint=proxy.url, storage__concurrency=1)
    for size in (SMALL, LARGE):
        proxy.seen.clear()
        proxy.plan([fault, 'pass'] * 12)
        seg = Segment(env, size, session=str(uuid.uuid4())).place()
        arrives(env, proxy, ceph, seg, tmp_path)
        assert fault in {f for _, _, f in proxy.seen}


@pytest.mark.parametrize('seed', range(2))
def test_faults_at_random(env, ceph, proxy, tmp_path, seed):
    rng = random.Random(seed)
    proxy.random.seed(seed)
    proxy.plan(rng.choice(FAULTS + ['pass'] * 8) for _ in range(60))
    env.start(store__s3_endpoint=proxy.url, store__s3_parallel_parts=3)
    segs = [Segment(env, size, session=str(uuid.uuid4())).place()
            for size in (SMALL, LARGE)]
    for seg in segs:
        arrives(env, proxy, ceph, seg, tmp_path)


def test_stalled_server(env, ceph, proxy, tmp_path):
    """It takes a part and says nothing more: given up after 30 s, sent
    again."""
    proxy.always('stall', lambda method, path: 'partNumber=2' in path)
    env.start(store__s3_endpoint=proxy.url)
    seg = Segment(env, LARGE).place()
    assert proxy.stalled.wait(60), env.log()[-3000:]
    wait_for('it is given up', lambda: 's3_retry' in env.log(), 120)
    proxy.rule = None
    arrives(env, proxy, ceph, seg, tmp_path)
