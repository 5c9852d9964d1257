#!/bin/bash
# TigerVNC's Xvnc and a viewer that asks for 10 bits per colour.
#
# Expected: RFC 6143 section 7.4: with 32 bits per pixel a colour's maximum is
# any 2^N - 1 that fits, and section 7.5.1: the server sends pixels in the format
# that was set. QEMU and libvncserver do so for maxima of 1023.
# Guess before it was run: pixels in that format, colours stretched from 8 bits.
# Seen (Xvnc 1.12.0, Debian 12): the connection is closed without a word to the
# viewer. Formats with maxima of 255, 31-63-31, 15, 7-7-3 and 1 are served, the
# last two with 8 bits per pixel.
# Consequence: a viewer, or a relay in its place, that wants more than 8 bits
# per colour has to be ready to connect anew with less.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
command -v Xtigervnc >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends tigervnc-standalone-server=1.12* >/dev/null 2>&1 ||
	{ echo "tigervnc-standalone-server 1.12 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
dpkg-query -W -f 'tigervnc-standalone-server ${Version}\n' tigervnc-standalone-server 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
Xtigervnc -displayfd 3 -geometry 64x48 -depth 24 -rfbport "$port" -localhost \
	-SecurityTypes None 3>"$dir/display" 2>"$dir/log" &
pid=$!
for _ in $(seq 300); do [ -s "$dir/display" ] && break; sleep 0.1; done
[ -s "$dir/display" ] || { echo "Xvnc does not start"; exit 2; }
timeout 60 python3 - "$port" <<'PY'
import socket
import struct
import sys

FORMATS = {     # bits, depth, big endian, true colour, maxima, shifts
    '8 bits per colour': (32, 24, 0, 1, 255, 255, 255, 16, 8, 0),
    '5, 6 and 5 bits': (16, 16, 0, 1, 31, 63, 31, 11, 5, 0),
    '4 bits': (16, 12, 0, 1, 15, 15, 15, 8, 4, 0),
    '3, 3 and 2 bits': (8, 8, 0, 1, 7, 7, 3, 0, 3, 6),
    '1 bit': (8, 3, 0, 1, 1, 1, 1, 2, 1, 0),
    '10 bits': (32, 30, 0, 1, 1023, 1023, 1023, 20, 10, 0)}


def answer(pixel_format):
    with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20) as s, \
            s.makefile('rb') as r:
        r.read(12)
        s.sendall(b'RFB 003.008\n')
        r.read(r.read(1)[0])
        s.sendall(b'\1')
        r.read(4)
        s.sendall(b'\1')
        r.read(20)
        r.read(struct.unpack('>I', r.read(4))[0])
        s.sendall(struct.pack('>BxxxBBBBHHHBBB3x', 0, *pixel_format)
                  + struct.pack('>BxHi', 2, 1, 0)
                  + struct.pack('>BBHHHH', 3, 0, 0, 0, 8, 8))
        try:
            got = r.read(16)
        except ConnectionError:
            got = b''
        if not got:
            return 'closed'
        return 'pixels' if got[0] == 0 else 'something else'


seen = {name: answer(f) for name, f in FORMATS.items()}
for name, what in seen.items():
    print(f'{name}: {what}')
if seen['8 bits per colour'] != 'pixels':
    sys.exit(2)
sys.exit(0 if [n for n, w in seen.items() if w != 'pixels'] == ['10 bits']
         and seen['10 bits'] == 'closed' else 1)
PY
