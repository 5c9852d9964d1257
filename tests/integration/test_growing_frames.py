"""Watching what is still being written without waiting for the end of a
cluster (X1): frames as they come, from the place where somebody was."""
import os

from storage_env import wait_for
from storage_fixtures import cluster, env  # noqa: F401
from test_growing import Follower, Growing, webm  # noqa: F401

FRAMES = '&frames=1&from={}'


def watch(env, url, at):  # noqa: F811
    f = Follower(env, url + FRAMES.format(at))
    assert f.response.status_code == 200
    return f


def as_sent(seg, n, to):
    """The bytes of a cluster while it is open, up to `to` of the file."""
    at, _, _ = seg.parts.clusters[n]
    data = bytearray(seg.data[at:to])
    data[4:12] = b'\x01' + b'\xff' * 7
    return bytes(data)


def test_frames_of_the_open_cluster_come_at_once(env, webm):  # noqa: F811
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    closed = seg.grow(2)
    early = watch(env, url, closed)
    at, end, _ = seg.parts.clusters[2]
    seg.begin()
    assert early.wait(end - at) == as_sent(seg, 2, end)
    # others see whole clusters only
    assert len(env.get(url).content) == closed
    late = watch(env, url, closed)
    assert late.wait(end - at) == as_sent(seg, 2, end)
    seg.finish()
    shown = as_sent(seg, 2, end)
    for n in range(3, len(seg.parts.clusters)):
        seg.begin()
        shown += as_sent(seg, n, seg.parts.clusters[n][1])
        for f in (early, late):
            assert f.wait(len(shown)) == shown
        seg.finish()
    seg.close()
    for f in (early, late):
        f.join(60)
        assert not f.is_alive() and f.error is None
        assert f.got == shown + webm[seg.parts.end:]
    seg.wait_stored()
    wait_for('no requests', lambda: env.metric('files_active') == 0)


def test_a_frame_comes_when_it_is_whole(env, webm):  # noqa: F811
    seg = Growing(env.start(), webm)
    url = seg.wait_recording()
    at = seg.grow(1)
    watcher = watch(env, url, at)
    end = seg.parts.clusters[1][1]
    data = as_sent(seg, 1, end)
    first = 12 + data[12:].index(b'\xa3')   # of the frames
    length = int.from_bytes(data[first + 1:first + 3], 'big') & 0x3fff \
        if data[first + 1] & 0x40 else data[first + 1] & 0x7f
    whole = first + (3 if data[first + 1] & 0x40 else 2) + length
    os.pwrite(seg.fd, data[:whole + 1], at)
    assert watcher.wait(whole) == data[:whole]
    os.pwrite(seg.fd, data[whole + 1:], at + whole + 1)
    assert watcher.wait(len(data)) == data
    seg.finish()
    seg.grow_all()
    seg.close()
    watcher.join(60)
    seg.wait_stored()


def test_where_it_begins(env, webm):  # noqa: F811
    seg = Growing(env.start(storage__follow_seconds='1'), webm)
    url = seg.wait_recording()
    end = seg.grow(2)
    middle = seg.parts.clusters[1][0]
    f = watch(env, url, middle)
    assert f.wait(end - middle) == webm[middle:end]
    f.join(60)
    assert f.error is not None    # nothing more came
    for bad in ('x', '-1', '9' * 30):
        f = watch(env, url, bad)
        assert f.wait(end) == seg.parts.open_header() + webm[
            seg.parts.header:end]
    # behind what will ever be there: nothing, and an end
    f = watch(env, url, 10**12)
    f.join(60)
    assert not f.is_alive() and f.got == b''
    seg.grow_all()
    seg.close()
    seg.wait_stored()
    # on a closed file it is an ordinary range
    r = env.get(url + FRAMES.format(middle), Range=f'bytes={middle}-')
    assert (r.status_code, r.content) == (206, webm[middle:])
