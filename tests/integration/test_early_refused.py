"""What a lost node sent is in the store and is not what was noted: its row says
what there is, and nothing is tried for ever (M2, M8)."""
import pytest

from s3_fault_proxy import FaultProxy
from storage_fixtures import ceph, cluster  # noqa: F401
from test_early_uploads import (PART, env, grow_to, lose,  # noqa: F401
                                sent, webm)
from test_growing import Growing


@pytest.fixture
def proxy(ceph):  # noqa: F811
    p = FaultProxy(ceph.port)
    yield p
    p.close()


def test_object_that_is_something_else_has_a_row(env, webm):  # noqa: F811
    env.start()
    seg = Growing(env, webm)
    end = grow_to(seg, PART + 100_000)
    seg.wait('recording')
    sent(env, seg, end)
    env.kill()
    lose(seg)
    env.run_until_killed('lost_joined')
    other = f'{env.dir}/other'
    with open(other, 'wb') as f:
        f.write(b'\0' * end)
    env.ceph.put(seg.key, other)
    env.start()
    row = seg.wait('corrupted', 60)
    assert row['store'] == 's3' and row['object_key'] == seg.key
    assert 'is not what was sent' in row['status_detail']
    assert row['expires_at'] is not None
    assert env.ceph.get(seg.key, other) == b'\0' * end
    # it goes when its time is over, as others do
    env.rows('UPDATE segments SET expires_at = now() WHERE id = %s', seg.id)
    row = seg.wait('expired', 60)
    assert row['store'] is None
    assert seg.key not in env.ceph.keys()


def test_parts_that_are_refused_end(env, proxy, webm):  # noqa: F811
    """The key may not list parts, and what was noted of the last one is not
    what the server has. Ceph joins all of them or none."""
    env.start(store__s3_endpoint=proxy.url)
    seg = Growing(env, webm)
    end = grow_to(seg, PART + 100_000)
    seg.wait('recording')
    sent(env, seg, end)
    env.kill()
    lose(seg)
    env.rows("UPDATE upload_parts SET etag = %s WHERE segment_id = %s AND "
             "part = 2", '0' * 32, seg.id)
    proxy.always('denied', lambda method, path:
                 method == 'GET' and 'uploadId=' in path)
    env.start(store__s3_endpoint=proxy.url)
    row = seg.wait('missing', 60)
    assert 'refuses to join' in row['status_detail']
    assert env.log().count('early_parts_refused') == 2
    assert env.rows('SELECT FROM uploads') == []
