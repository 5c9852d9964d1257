"""The console's server: probes, workers that die, signals, what it refuses to
read, and the fields of every answer."""
import os
import signal
import socket
import ssl

import pytest
import requests

import exposition
from console_fixtures import cluster, console  # noqa: F401
from ctl import Ctl
from storage_env import wait_for


def raw(console, data):
    """Sends bytes over TLS; returns all that comes back until it closes."""
    context = ssl.create_default_context(cafile=str(console.cert))
    with socket.create_connection(('127.0.0.1', console.port), 30) as s, \
            context.wrap_socket(s, server_hostname='localhost') as tls:
        tls.settimeout(30)
        tls.sendall(data)
        out = b''
        try:
            while part := tls.recv(65536):
                out += part
        except (ssl.SSLError, ConnectionResetError):
            pass
        return out


HEAD = b'GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n'
POST = b'POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n'


@pytest.mark.parametrize('data', [
    HEAD.replace(b'\r\n', b'\n') + b'\n',
    HEAD + b'X: a\0b\r\n\r\n',
    HEAD + b'X: a\r\n b\r\n\r\n',
    HEAD + b'X : a\r\n\r\n',
    HEAD + b'Host: other\r\n\r\n',
    HEAD + b'Content-Length: 5\r\n\r\nhello',
    POST + b'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}',
    POST + b'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    POST + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    POST + b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    POST + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'
           b'\r\n0\r\n\r\n',
    POST + b'Content-Length: +2\r\n\r\n{}',
    POST + b'Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n',
    b'GET http://localhost/api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n',
])
def test_what_two_readers_may_take_differently_is_refused(console, data):
    # a second request behind it is never answered
    out = raw(console, data + HEAD + b'\r\n')
    assert out.startswith(b'HTTP/1.1 400 '), out
    assert out.count(b'HTTP/1.1 ') == 1
    assert b'Connection: close' in out


def test_heads_and_bodies_have_limits(console):
    assert raw(console, HEAD + b'X: ' + b'a' * 17000 + b'\r\n\r\n'
               ).startswith(b'HTTP/1.1 431 ')
    assert raw(console, POST + b'Content-Length: 1048577\r\n\r\n'
               ).startswith(b'HTTP/1.1 413 ')


def test_pipelined_requests_are_answered_in_turn(console):
    out = raw(console, HEAD + b'\r\n' + HEAD + b'Connection: close\r\n\r\n')
    assert out.count(b'HTTP/1.1 401 ') == 2


def test_every_answer_has_the_strict_fields(console):
    for path in ('/', '/nothing', '/api/v1/nothing', '/api/v1/me',
                 '/api/v1/login'):
        r = requests.get(console.url + path, verify=console.cert, timeout=30)
        f = r.headers
        if path.startswith('/api/'):
            assert f['Content-Type'] == 'application/problem+json'
            assert r.json()['status'] == r.status_code
        assert 'unsafe-inline' not in f['Content-Security-Policy']
        assert "frame-ancestors 'none'" in f['Content-Security-Policy']
        assert f['X-Content-Type-Options'] == 'nosniff'
        assert f['Referrer-Policy'] == 'no-referrer'
        assert f['Cross-Origin-Opener-Policy'] == 'same-origin'
        assert 'max-age=' in f['Strict-Transport-Security']


def test_probes_and_metrics(console):
    assert console.probe('/healthz').text == 'ok\n'
    assert console.probe('/readyz').text == 'ok\n'
    text = console.probe('/metrics').text
    assert len(exposition.read(text, 'relaycam_console_')) > 10
    assert console.metric('workers_ready') == 2


def test_a_killed_worker_is_started_again_and_others_serve(console):
    first, second = console.workers()
    restarts = console.metric('worker_restarts_total')
    os.kill(first, signal.SIGKILL)
    wait_for('another worker',
             lambda: len(w := console.workers()) == 2 and first not in w and
             second in w, 60)
    wait_for('both ready', console.all_ready, 60)
    assert console.metric('worker_restarts_total') == restarts + 1
    assert console.client().get('me').status_code == 401


def test_certificates_are_read_again_at_sighup(console, tmp_path):
    before = ssl.get_server_certificate(('127.0.0.1', console.port))
    cert, key = Ctl.certificate(tmp_path)
    for source, target in ((cert, 'tls_cert_file'), (key, 'tls_key_file')):
        with open(console.settings[f'console.{target}'], 'w') as f:
            f.write(source.read_text())
    console.process.send_signal(signal.SIGHUP)
    wait_for('the new certificate', lambda: ssl.get_server_certificate(
        ('127.0.0.1', console.port)) != before, 60)


def test_the_rights_are_printed_as_the_docs_have_them(console):
    import subprocess
    from console_env import PROGRAM
    from ctl import ROOT
    table = subprocess.run([PROGRAM, 'rights'], capture_output=True,
                           text=True, check=True, timeout=60).stdout
    with open(os.path.join(ROOT, 'docs', 'rights.md'), encoding='utf-8') as f:
        assert table in f.read(), 'docs/rights.md is old: run docs/generate'
