"""10,000 connections that say nothing, or half of something, from hundreds of
addresses: people who are logged in and people who come are served meanwhile,
and memory has a bound that more of them do not move."""
import os
import resource
import socket
import ssl
import time

import pytest

from console_env import Console
from pg import Cluster
from storage_env import wait_for

N, MORE, PER_ADDRESS = 10000, 4000, 25


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= N + MORE + 1000, 'the limit of open files is too low'
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster, **{
            'console.max_connections': str(N // 2 + 1000),
            'console.max_connections_per_address': '100',
            'console.request_seconds': '600', 'log.level': 'warn'}).start()
        yield c
        assert c.stop() == 0, c.log()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def rss(console):
    """Bytes of memory of all workers."""
    total = 0
    for pid in console.workers():
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            total += int(f.read().split('VmRSS:')[1].split()[0]) * 1024
    return total


def descriptors(console):
    return sum(len(os.listdir(f'/proc/{p}/fd')) for p in console.workers())


def client_hello():
    out, context = ssl.MemoryBIO(), ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname='localhost')
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


HELLO = client_hello()


class Crowd:
    def __init__(self, console):
        self.console, self.sockets, self.n = console, [], 0
        self.tls = ssl.create_default_context(cafile=str(console.cert))

    def connect(self):
        s = socket.socket()
        s.settimeout(60)
        n = self.n // PER_ADDRESS
        self.n += 1
        s.bind((f'127.2.{n // 200}.{n % 200 + 1}', 0))
        try:
            s.connect(('127.0.0.1', self.console.port))
        except BrokenPipeError:
            pass  # accepted and closed before connect(2) has returned
        return s

    def come(self, n):
        """Returns how many were closed before they had said their half."""
        turned_away = 0
        for i in range(n):
            s = self.connect()
            try:
                if i % 10 == 9:  # half a head
                    s = self.tls.wrap_socket(s, server_hostname='localhost')
                    s.sendall(b'GET /api/v1/me HTTP/1.1\r\nHost: loc')
                elif i % 2:      # half a handshake
                    s.sendall(HELLO[:len(HELLO) // 2])
            except (ssl.SSLError, ConnectionError):
                turned_away += 1
            self.sockets.append(s)
        return turned_away

    def leave(self):
        for s in self.sockets:
            s.close()


def slowest(ask, n):
    """Seconds of the slowest of n."""
    worst = 0
    for _ in range(n):
        began = time.monotonic()
        ask()
        worst = max(worst, time.monotonic() - began)
    return worst


def test_ten_thousand_silent_connections(console):
    alice = console.login('alice')
    idle = rss(console)

    def stays():
        assert alice.get('sessions').status_code == 200

    def comes():
        assert console.client().get('me').status_code == 401
    crowd = Crowd(console)
    try:
        assert crowd.come(N) == 0
        wait_for('all of them', lambda: descriptors(console) > N, 120)
        full = rss(console)
        figures = (f'{(full - idle) / N / 1024:.1f} KiB each, '
                   f'{slowest(stays, 20) * 1000:.0f} ms one who is logged in, '
                   f'{slowest(comes, 20) * 1000:.0f} ms one who comes')
        print(figures)
        assert console.client().login('mia').status_code == 200
        # 60 KiB with OpenSSL's buffers; sanitizers take as much again
        assert full - idle < N * 160 * 1024, figures
        # those that come now take places of their like
        crowd.come(MORE)
        slowest(stays, 20)
        slowest(comes, 20)
        # by settings: max_connections of two workers, and what they have open
        assert descriptors(console) < N + 2000 + 200
        assert rss(console) < full + (full - idle) * 0.35, figures
    finally:
        crowd.leave()
    wait_for('their end', lambda: descriptors(console) < 200, 120)
    stays()
    comes()
