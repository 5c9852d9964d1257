#!/bin/bash
# x11vnc's ZRLE in a pixel format of 15 bits.
#
# Expected: RFC 6143 section 7.7.6: a raw tile is width x height CPIXELs, and a
# CPIXEL of a format with 16 bits per pixel has 2 bytes: 64 x 64 pixels of noise
# are 1 + 8192 bytes, as they are with 16 bits in use.
# Guess before it was run: as expected, 15 or 16 bits in use alike.
# Seen (x11vnc 0.9.16 with libvncserver 0.9.14, Debian 12): with 16 bits in use
# 8193 bytes, with 15 bits 4097: half of the tile is missing, and what follows
# in the stream is read at the wrong place.
# Consequence: offer x11vnc no ZRLE in formats of 15 bits, docs/rfb.md, "Pixel
# formats".
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
command -v x11vnc >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends x11vnc=0.9.16* >/dev/null 2>&1 ||
	{ echo "x11vnc 0.9.16 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
x11vnc -version 2>&1 | head -n 1
dpkg-query -W -f 'libvncserver1 ${Version}\n' libvncserver1 2>/dev/null
python3 -c '
import random, sys
sys.stdout.buffer.write(random.Random(7).randbytes(64 * 64 * 4))' >"$dir/noise"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
x11vnc -rawfb "map:$dir/noise@64x64x32" -rfbport "$port" -no6 -localhost -nopw \
	-forever -quiet >"$dir/log" 2>&1 &
pid=$!
timeout 60 python3 - "$port" <<'PY'
import socket
import struct
import sys
import time
import zlib

ZRLE = 16


def connect():
    for _ in range(200):
        try:
            return socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20)
        except OSError:
            time.sleep(0.05)
    sys.exit(2)


def raw_tile(depth, green_max, red_shift):
    """Length of the only tile, inflated, and its subencoding."""
    s = connect()

    def read(n):
        data = b''
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece:
                sys.exit(2)
            data += piece
        return data

    read(12)
    s.sendall(b'RFB 003.008\n')
    assert 1 in read(read(1)[0])
    s.sendall(b'\1')
    assert read(4) == b'\0\0\0\0'
    s.sendall(b'\1')
    width, height = struct.unpack('>HH', read(4))
    read(16)
    read(struct.unpack('>I', read(4))[0])
    assert (width, height) == (64, 64)
    s.sendall(struct.pack('>Bxxx BBBBHHHBBBxxx', 0, 16, depth, 0, 1, 31,
                          green_max, 31, red_shift, 5, 0))
    s.sendall(struct.pack('>BxHi', 2, 1, ZRLE))
    s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, width, height))
    while True:
        kind, n = struct.unpack('>BxH', read(4))
        assert kind == 0, kind
        for _ in range(n):
            _, _, w, h, encoding = struct.unpack('>HHHHi', read(12))
            assert encoding == ZRLE, encoding
            data = read(struct.unpack('>I', read(4))[0])
            if (w, h) == (width, height):
                s.close()
                plain = zlib.decompressobj().decompress(data)
                return len(plain), plain[0]


full = raw_tile(16, 63, 11)
less = raw_tile(15, 31, 10)
print('bytes of a raw tile of 64x64 pixels with its subencoding:',
      f'{full[0]} with 16 bits (subencoding {full[1]}),',
      f'{less[0]} with 15 bits (subencoding {less[1]})')
sys.exit(0 if full == (8193, 0) and less == (4097, 0) else 1)
PY
