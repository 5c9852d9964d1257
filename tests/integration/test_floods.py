"""An endpoint that orders a screen of drawing with 16 bytes, as fast as its
line takes it, is read as fast as it can be recorded: nobody's processor is
used up, and its recording arrives, whether it was made at once or later. T1,
T5; docs/rfb.md, "Much drawing for few bytes"."""
import struct
import threading
import time

import demo
import pytest
import rfb_client as rfb
from process import wait_until

from conftest import make_rig
from test_screen_size import ended, session_row
from test_trust import Server

WIDTH, HEIGHT = 1280, 800
SECONDS = 2
TIGHT = 7


def update(n):
    return struct.pack('>BxH', 0, n)


def rect(encoding):
    return struct.pack('>HHHHi', 0, 0, WIDTH, HEIGHT, encoding)


class Flood(Server):
    """Paints everything once, Raw; then fills it, 60 times in an update."""

    def __init__(self, rig):
        self.is_over = threading.Event()
        super().__init__(rig)

    def serve(self, sock, first=b''):
        sock.settimeout(60)
        try:
            sock.sendall(b'RFB 003.008\n')
            self.read(sock, 12)
            sock.sendall(b'\1\x13')
            self.read(sock, 1)
            sock = self.start_tls(sock)
            sock.sendall(struct.pack('>I', 0))
            self.read(sock, 1)
            sock.sendall(struct.pack('>HH', WIDTH, HEIGHT) + rfb.FORMAT +
                         struct.pack('>I', 5) + b'flood')
            sock.sendall(update(1) + rect(rfb.RAW) +
                         b'\x20\x40\x60\0' * (WIDTH * HEIGHT))
            fills = b''.join(rect(TIGHT) + b'\x80' + bytes((i, 99, 255 - i))
                             for i in range(60))
            while not self.is_over.is_set():
                sock.sendall((update(60) + fills) * 20)
        except (EOFError, OSError):
            pass
        finally:
            sock.close()


@pytest.mark.parametrize('mode', ['live', 'capture'])
def test_fills_as_fast_as_they_can_be_recorded(request, mode):
    rig = make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.recording_mode': mode}).start()
    server = Flood(rig)
    rig.stack.ctl('endpoint', 'add', 'flood', '--team', 'demo', '--host',
                  'localhost', '--port', str(server.port), '--ca',
                  rig.stack.path('ca.pem'))
    c = rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                   'alice@flood', rig.password,
                   encodings=(TIGHT, rfb.RAW))
    c.request(incremental=False)
    session = session_row(rig)['id']
    picture, got = WIDTH * HEIGHT * 4, 0
    c.stream.sock.settimeout(30)
    while got < picture:
        got += len(c.stream.sock.recv(65536))
    start = time.monotonic()
    while time.monotonic() < start + SECONDS:
        got += len(c.stream.sock.recv(65536))
    seconds = time.monotonic() - start
    fills = (got - picture) // 16
    c.close()
    server.is_over.set()
    server.listener.close()
    print(f'{mode}: {fills} fills in {seconds:.1f} s')
    # the burst, the rate, and a piece that is read at once and one on its way
    most = (2 + seconds + 0.5) * 1e9 / (WIDTH * HEIGHT) + 2 * 131072 / 16
    assert 1000 < fills < most
    assert ended(rig, session)['end_code'] == 'normal'
    segments = demo.wait_available(rig.stack, session, 400)
    assert all(s['status'] == 'available' for s in segments)
    assert 'recorder_dead' not in rig.log('relay')
    details = rig.stack.sql("SELECT status_detail FROM segments WHERE "
                            f"session_id = '{session}'")
    assert all(d == [''] for d in details), details
    wait_until(lambda: rig.stack.sql(
        f"SELECT 1 FROM gaps WHERE session_id = '{session}'") == [], 10,
        'no gap')
