"""The port of signed files under a flood: silent connections keep nobody
out, and neither processor nor log is used up. X6, C6."""
import http.client
import os
import re
import resource
import socket
import ssl
import time

from storage_env import Segment, wait_for
from storage_fixtures import cluster, env  # noqa: F401

MAX, PER_ADDRESS = 30, 10


def silent(env, source):
    s = socket.socket()
    s.bind((source, 0))
    s.setblocking(False)
    s.connect_ex(('127.0.0.1', env.files_port))
    return s


def is_open(s):
    try:
        return s.recv(100) != b''
    except BlockingIOError:
        return True
    except OSError:
        return False


def n_files(env):
    return len(os.listdir(f'/proc/{env.process.pid}/fd'))


def cpu_seconds(env):
    with open(f'/proc/{env.process.pid}/stat', encoding='ascii') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_silent_connections_keep_nobody_out(env):
    env.start(storage__max_connections=MAX,
              storage__max_connections_per_address=PER_ADDRESS)
    seg = Segment(env, 300_000).place()
    seg.wait_stored()
    url, before = env.link(seg.key), n_files(env)
    flood = [silent(env, f'127.0.20.{n % 6 + 1}') for n in range(120)]
    try:
        wait_for('the others to be closed',
                 lambda: sum(map(is_open, flood)) <= MAX)
        # a client sees its end before the server has let go of it
        wait_for('their descriptors', lambda: n_files(env) <= before + MAX + 5)
        for _ in range(3):
            assert env.get(url).content == seg.data
            flood += [silent(env, '127.0.20.1') for _ in range(10)]
        # one address has its share at most
        for s in flood:
            s.close()
        wait_for('all places to be free', lambda: n_files(env) <= before)
        flood = [silent(env, '127.0.20.9') for n in range(PER_ADDRESS + 9)]
        wait_for('its share', lambda: sum(map(is_open, flood)) ==
                 PER_ADDRESS)
        assert 'max_connections_per_address' in env.log()
    finally:
        for s in flood:
            s.close()
    assert env.get(url).content == seg.data
    assert env.stop() == 0


def test_a_connection_without_a_link_does_not_last(env):
    """Silent, in the middle of the handshake, and asking again and again for
    what it has no link for."""
    env.start()
    quiet = silent(env, '127.0.21.1')
    half = silent(env, '127.0.21.2')
    wait_for('it to be connected', lambda: is_open(half))
    half.setblocking(True)
    half.sendall(bytes([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]))
    half.setblocking(False)
    ctx = ssl.create_default_context()
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    began, n = time.monotonic(), 0
    with ctx.wrap_socket(socket.create_connection(
            ('127.0.0.1', env.files_port))) as asking:
        asking.settimeout(20)
        answers = asking.makefile('rb')
        try:
            while time.monotonic() - began < 90:
                asking.sendall(b'GET /files/a HTTP/1.1\r\nHost: x\r\n\r\n')
                status = answers.readline()
                if not status:
                    break
                n += status.startswith(b'HTTP/1.1 40')
                head = http.client.parse_headers(answers)
                answers.read(int(head['Content-Length']))
        except (ConnectionError, ssl.SSLError):
            pass
    took = time.monotonic() - began
    assert n > 0 and 25 < took < 60
    for s in (quiet, half):
        wait_for('it to be closed', lambda: not is_open(s), 60)
        s.close()
    assert env.stop() == 0


def test_too_few_descriptors_use_up_neither_processor_nor_log(env):
    env.start()
    seg = Segment(env, 300_000).place()
    seg.wait_stored()
    pid, limit = env.process.pid, resource.RLIMIT_NOFILE
    old = resource.prlimit(pid, limit)
    # so few that nothing can be accepted
    resource.prlimit(pid, limit, (3, old[1]))
    flood = [silent(env, '127.0.22.1') for _ in range(20)]
    wait_for('accept(2) to fail', lambda: 'accept_failed' in env.log())
    began, cpu, size = time.monotonic(), cpu_seconds(env), len(env.log())
    wait_for('several more tries', lambda: env.log().count('accept_failed')
             > 8)
    passed = time.monotonic() - began
    assert cpu_seconds(env) - cpu < passed / 2
    assert len(env.log()) - size < 20_000
    # one try each 200 ms
    assert len(re.findall('accept_failed', env.log())) < 10 + passed * 6
    resource.prlimit(pid, limit, old)
    assert env.get(env.link(seg.key)).content == seg.data
    for s in flood:
        s.close()
    assert env.stop() == 0
