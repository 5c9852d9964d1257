"""A player that is paused takes nothing for a while and then goes on: its
download waits for it, within bounds, and the paused ones keep nobody out. T6.
"""
import socket
import ssl
import time

import pytest

from pg import Cluster
from storage_env import Ceph, Segment, Storage, wait_for

SIZE = 40_000_000  # more than the sockets of both sides hold


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def ceph(tmp_path_factory):
    server = Ceph(tmp_path_factory.mktemp('ceph'))
    yield server
    server.stop()


@pytest.fixture(params=['folder', 's3'])
def env(request, tmp_path, cluster):
    e = Storage(tmp_path, cluster, request.getfixturevalue('ceph')
                if request.param == 's3' else None)
    yield e
    e.close()


def stored(env, **settings):
    seg = Segment(env.start(**settings), SIZE).place()
    seg.wait_stored(60)
    return seg


class Player:
    """Asks for a whole file and takes as much of it as it wants."""

    def __init__(self, env, url, source='127.0.0.1'):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.bind((source, 0))
        raw.settimeout(60)
        raw.connect(('127.0.0.1', env.files_port))
        context = ssl.create_default_context(cafile=f'{env.dir}/tls.crt')
        self.s = context.wrap_socket(raw, server_hostname='127.0.0.1')
        path = url[url.index('/files/'):]
        self.s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        self.got = b''
        while b'\r\n\r\n' not in self.got:
            self.got += self.s.recv(4096)
        head, _, self.got = self.got.partition(b'\r\n\r\n')
        self.status = int(head.split()[1])

    def take(self, n):
        parts, have = [self.got], len(self.got)
        while have < n:
            part = self.s.recv(min(n - have, 262144))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self.got = b''.join(parts)
        return self.got

    def rest(self):
        """All of it, or what there is up to where it was cut."""
        try:
            return self.take(SIZE)
        except OSError:
            return self.got

    def close(self):
        self.s.close()


def paused(env, n, timeout_s=30):
    wait_for(f'{n} paused', lambda: env.metric('files_paused') == n,
             timeout_s)


def test_a_paused_download_goes_on(env):
    """Its link is dead when it does, too."""
    seg = stored(env, storage__stall_seconds=1)
    url = env.link(seg.key, seconds=3)
    p = Player(env, url)
    p.take(1_000_000)
    paused(env, 1)
    assert env.metric('files_active') == 1
    wait_for('the link to be dead', lambda: env.get(
        url, Range='bytes=0-9').status_code == 403)
    p.take(20_000_000)
    paused(env, 0)  # it has moved
    paused(env, 1)
    assert p.rest() == seg.data
    wait_for('its end', lambda: env.metric('files_active') == 0)
    assert env.metric('files_paused') == 0
    p.close()
    assert env.stop() == 0


def test_a_client_that_leaves_while_it_is_paused(env):
    seg = stored(env, storage__stall_seconds=1)
    p = Player(env, env.link(seg.key))
    paused(env, 1)
    p.close()
    paused(env, 0)
    wait_for('its end', lambda: env.metric('files_active') == 0)


def test_a_pause_has_an_end(env):
    seg = stored(env, storage__stall_seconds=1, storage__paused_seconds=4)
    p = Player(env, env.link(seg.key))
    paused(env, 1)
    began = time.monotonic()
    paused(env, 0, 60)
    assert time.monotonic() - began > 2
    assert len(p.rest()) < SIZE
    assert 'storage.paused_seconds' in env.log()


def test_paused_ones_are_bounded_and_the_largest_holder_pays(env):
    seg = stored(env, storage__stall_seconds=1, storage__paused_max=4,
                 storage__paused_max_per_address=3,
                 storage__downloads_max=3)
    url = env.link(seg.key)
    one = Player(env, url, '127.0.40.1')
    many = []
    for n in range(3):
        many.append(Player(env, url, '127.0.40.2'))
        paused(env, n + 2)
    last = time.monotonic()
    wait_for('them to be older than CONNECTION_MIN_AGE_NS',
             lambda: time.monotonic() - last > 5.5)
    # a fifth: the oldest one of the address that has most goes
    other = Player(env, url, '127.0.40.3')
    wait_for('one to be closed', lambda: 'storage.paused_max' in env.log())
    paused(env, 4)
    assert len(many[0].rest()) < SIZE
    # the rest are where they were, and take no place of running ones
    for _ in range(4):
        fresh = Player(env, url, '127.0.40.4')
        assert fresh.status == 200 and fresh.rest() == seg.data
        fresh.close()
    for p in (one, other, many[1], many[2]):
        assert p.rest() == seg.data
        p.close()
    assert env.stop() == 0


def test_what_is_sent_behind_a_request_costs_no_memory(env):
    """A client that takes nothing and sends without end."""
    seg = stored(env)
    p = Player(env, env.link(seg.key))

    def resident():
        with open(f'/proc/{env.process.pid}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * 4096
    before = resident()
    p.s.settimeout(5)
    try:
        for _ in range(1000):
            p.s.sendall(b'GET /files/x HTTP/1.1\r\nX: ' + b'a' * 65536)
    except OSError:
        pass  # it takes no more
    assert resident() - before < 8 << 20
    p.close()
