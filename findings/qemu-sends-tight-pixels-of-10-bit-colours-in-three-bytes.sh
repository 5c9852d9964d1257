#!/bin/bash
# QEMU's VNC server, Tight, and a pixel format with 10 bits for each colour.
#
# Expected: the Tight encoding sends a pixel in three bytes where a pixel has
# 32 bits, depth 24, and each colour 8 bits (TPIXEL, community RFB
# specification); in any other format as the format says, here four bytes.
# Guess before it was run: four bytes, or the format is refused.
# Seen (QEMU 7.2.22, Debian 12): a fill of a blank screen has three bytes, so a
# client that follows the specification reads the next message one byte late.
# Raw takes four bytes a pixel in the same session.
# Consequence: no Tight in formats of more than 8 bits for a colour,
# docs/rfb.md, "Pixel formats".
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
command -v qemu-system-x86_64 >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-system-x86=1:7.2* >/dev/null 2>&1 ||
	{ echo "qemu-system-x86 7.2 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
qemu-system-x86_64 --version | head -n 1
qemu-system-x86_64 -S -no-user-config -nodefaults -machine pc,accel=tcg -m 16 \
	-vga std -vnc "unix:$dir/vnc" >"$dir/log" 2>&1 &
pid=$!
timeout 120 python3 - "$dir/vnc" <<'PY'
import socket
import struct
import sys
import time

RAW, TIGHT = 0, 7

for _ in range(200):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(sys.argv[1])
        break
    except OSError:
        s.close()
        time.sleep(0.05)
else:
    sys.exit(2)
s.settimeout(20)
held = b''


def read(n):
    global held
    while len(held) < n:
        piece = s.recv(65536)
        if not piece:
            sys.exit(2)
        held += piece
    data, held = held[:n], held[n:]
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
s.sendall(struct.pack('>Bxxx BBBBHHHBBBxxx', 0, 32, 30, 0, 1, 1023, 1023,
                      1023, 20, 10, 0))


def head():
    """Of the next rectangle: a place on the screen, and its encoding."""
    x, y, w, h, encoding = struct.unpack('>HHHHi', read(12))
    assert x + w <= width and y + h <= height and encoding in (RAW, TIGHT)
    return w * h, encoding


def ask(encoding):
    s.sendall(struct.pack('>BxHi', 2, 1, encoding))
    s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, width, height))
    while True:
        kind, n = struct.unpack('>BxH', read(4))
        assert kind == 0, kind
        if n > 0:
            return n


for _ in range(ask(RAW)):
    area, encoding = head()
    assert encoding == RAW
    read(area * 4)
n = ask(TIGHT)
assert n > 1, n
area, encoding = head()
control = read(1)[0]
assert (encoding, control >> 4) == (TIGHT, 8), 'it begins with no fill'
# the next rectangle lies behind the pixel, in the same update
held = read(16) + held
places = [at for at in (3, 4) if struct.unpack_from('>i', held, at + 8)[0] == TIGHT]
print(f'a Tight fill of {area} pixels: a pixel of {places} bytes; '
      'Raw: 4 bytes')
sys.exit(0 if places == [3] else 1)
PY
