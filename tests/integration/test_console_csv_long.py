"""An export that takes longer than console.request_seconds (T5, T7): the
limit is on a client that takes nothing."""
import socket
import ssl
import time

from console_env import Console
from console_fixtures import cluster  # noqa: F401

SECONDS = 8
ROWS = 10000  # of 1 KB: more than sockets hold


def test_a_long_export_is_whole(tmp_path, cluster):
    console = Console(tmp_path, cluster)
    console.start()
    cookie = console.login('alice').http.cookies['__Host-relaycam']
    console.stop()
    console.settings['console.request_seconds'] = str(SECONDS)
    console.start()
    console.sql("INSERT INTO audit (team_id, actor, action, object, detail) "
                "SELECT t.id, 'eve', 'lock', 'thing' || i, jsonb_build_object("
                "'value', repeat('x', 1000)) FROM teams t, "
                "generate_series(1, %s) i WHERE t.name = 'demo'", (ROWS,))
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    raw.settimeout(60)
    raw.connect(('127.0.0.1', console.port))
    tls = ssl.create_default_context(cafile=str(console.cert)).wrap_socket(
        raw, server_hostname='localhost')
    tls.sendall(b'GET /api/v1/audit.csv?actor=eve HTTP/1.0\r\n'
                b'Host: localhost\r\n'
                b'Cookie: __Host-relaycam=' + cookie.encode() + b'\r\n\r\n')
    data, began = bytearray(), time.monotonic()
    # slowly, until the limit has passed more than twice
    while part := tls.recv(65536):
        data += part
        if time.monotonic() - began < 2.5 * SECONDS:
            time.sleep(0.02)
    assert time.monotonic() - began > 2 * SECONDS
    assert data.count(b'"thing') + data.count(b',thing') == ROWS, (
        len(data), time.monotonic() - began, console.log()[-2000:])
    tls.close()
    assert console.stop() == 0, console.log()
