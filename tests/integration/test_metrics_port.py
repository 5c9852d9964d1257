"""The metrics ports of relay, storage and console: what a probe or a stranger
sends costs neither memory nor a place for long."""
import socket
import time

import conftest
import exposition
import pytest
from process import wait_until

PORTS = ('relay', 'storage', 'console')


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


def port(rig, name):
    return getattr(rig.stack.ports, f'{name}_metrics')


def resident(rig, name):
    pid = next(p.pid for p in rig.stack.processes if p.name == name)
    with open(f'/proc/{pid}/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * 4096


def ask(rig, name, text):
    """The whole answer, up to the end of the connection."""
    with socket.create_connection(('127.0.0.1', port(rig, name)), 30) as s:
        s.sendall(text.encode())
        answer = b''
        while part := s.recv(65536):
            answer += part
    return answer.decode()


@pytest.mark.parametrize('name', PORTS)
def test_get_head_and_others(rig, name):
    get = ask(rig, name, 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    head, _, body = get.partition('\r\n\r\n')
    assert head.startswith('HTTP/1.1 200 OK\r\n')
    assert f'Content-Length: {len(body)}' in head
    assert len(exposition.read(body, f'relaycam_{name}_')) > 10
    answer = ask(rig, name, 'HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    assert answer.startswith('HTTP/1.1 200 OK\r\n')
    assert answer.endswith('\r\n\r\n') and 'Content-Length: ' in answer
    # a load balancer's probe
    assert ask(rig, name, 'OPTIONS / HTTP/1.0\r\n\r\n').startswith(
        'HTTP/1.1 204 ')
    assert ask(rig, name, 'GET /healthz HTTP/1.0\r\n\r\n').endswith('ok\n')
    assert ask(rig, name, 'POST /metrics HTTP/1.1\r\n\r\n').startswith(
        'HTTP/1.1 405 ')


@pytest.mark.parametrize('name', PORTS)
@pytest.mark.parametrize('first, again', [
    (b'GET /metrics HTTP/1.1\r\n', b'X: ' + b'a' * 1000 + b'\r\n'),
    (b'GET /metrics HTTP/1.1\r\nX: ', b'a' * 65536),
    (b'POST /metrics HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n',
     b'a' * 65536),
    (b'POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n',
     b'10000\r\n' + b'a' * 65536 + b'\r\n'),
    (b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
     b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * 1000)],
    ids=['fields', 'field', 'body', 'chunks', 'pipeline'])
def test_endless_requests_cost_no_memory(rig, name, first, again):
    ask(rig, name, 'GET /metrics HTTP/1.1\r\n\r\n')
    before = resident(rig, name)
    with socket.create_connection(('127.0.0.1', port(rig, name)), 5) as s:
        s.sendall(first)
        try:
            for _ in range((64 << 20) // len(again)):
                s.sendall(again)
        except OSError:
            pass  # it has had enough, or takes nothing any more
        assert resident(rig, name) - before < 8 << 20
    assert ask(rig, name, 'GET /healthz HTTP/1.1\r\n\r\n').endswith('ok\n')


@pytest.mark.parametrize('name', PORTS)
def test_silent_clients_leave(rig, name):
    silent = []
    for n in range(200):
        s = socket.socket()
        s.bind((f'127.0.30.{n % 5 + 1}', 0))
        s.connect(('127.0.0.1', port(rig, name)))
        s.sendall(b'GET /metr')
        s.setblocking(False)
        silent.append(s)

    def n_open():
        n = 0
        for s in silent:
            try:
                n += s.recv(1) != b''
            except BlockingIOError:
                n += 1
            except OSError:
                pass
        return n
    wait_until(lambda: n_open() <= 64, 30, 'the bound')
    began = time.monotonic()
    wait_until(lambda: n_open() == 0, 60, 'them to be closed')
    assert time.monotonic() - began < 40
    for s in silent:
        s.close()
    assert ask(rig, name, 'GET /healthz HTTP/1.1\r\n\r\n').endswith('ok\n')
