#!/bin/bash
# SSVNC's viewer with -use8, its mode of eight colours.
#
# Expected: RFC 6143 section 7.4: the maximum of a colour is 2^N - 1; eight
# colours are one bit for each, maxima of 1 with shifts 0, 1 and 2.
# Guess before it was run: that, or 3-3-2 as with -bgr233.
# Seen (ssvncviewer 1.0.29, Debian 12): maxima of 2 with shifts 0, 1 and 2. 2 is
# no 2^N - 1, and a colour at its maximum lies in the bit of the next one.
# Consequence: a server or relay that refuses maxima that are not 2^N - 1 turns
# this viewer away; docs/rfb.md, "Pixel formats", says how it is served.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ssvncviewer >/dev/null && command -v Xvfb >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ssvnc=1.0.29* xvfb >/dev/null 2>&1
have || { echo "ssvnc 1.0.29 and xvfb cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill $pids 2>/dev/null; wait $pids 2>/dev/null; rm -rf "$dir"' EXIT
pids=
dpkg-query -W -f 'ssvnc ${Version}\n' ssvnc 2>/dev/null
Xvfb -displayfd 3 -screen 0 640x480x24 -nolisten tcp 3>"$dir/display" 2>"$dir/xvfb" &
pids=$!
for _ in $(seq 200); do [ -s "$dir/display" ] && break; sleep 0.05; done
[ -s "$dir/display" ] || { echo "Xvfb does not start"; exit 2; }
DISPLAY=:$(cat "$dir/display") HOME=$dir timeout 60 python3 - <<'PY'
import socket
import struct
import subprocess
import sys

listener = socket.create_server(('127.0.0.1', 0))
listener.settimeout(30)
port = listener.getsockname()[1]
viewer = subprocess.Popen(
    ['ssvncviewer', '-use8', '-encodings', 'raw', f'127.0.0.1::{port}'],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL)
try:
    s, _ = listener.accept()
    s.settimeout(30)

    def read(n):
        data = b''
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece:
                sys.exit(2)
            data += piece
        return data

    s.sendall(b'RFB 003.008\n')
    read(12)
    s.sendall(b'\1\1')
    read(1)
    s.sendall(b'\0\0\0\0')
    read(1)
    s.sendall(struct.pack('>HH BBBBHHHBBBxxx I', 64, 48, 32, 24, 0, 1, 255,
                          255, 255, 16, 8, 0, 4) + b'test')
    while True:
        kind = read(1)[0]
        if kind == 0:
            break
        assert kind == 2, kind
        read(4 * struct.unpack('>xH', read(3))[0])
    bits, depth, _, true, *rest = struct.unpack('>xxxBBBBHHHBBBxxx', read(19))
finally:
    viewer.kill()
    viewer.wait()
print(f'{bits} bits, depth {depth}, true colour {true}, '
      f'maxima {rest[:3]}, shifts {rest[3:]}')
sys.exit(0 if rest == [2, 2, 2, 0, 1, 2] else 1)
PY
