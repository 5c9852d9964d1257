#!/bin/bash
# QEMU's VNC server and a request that is not incremental.
#
# Expected: RFC 6143 section 7.5.3: the client has lost the contents and needs
# them all, so the server answers a FramebufferUpdateRequest with incremental
# 0 at once, as Xvnc and libvncserver do within a few milliseconds.
# Guess before it was run: at once, or within QEMU's refresh of 30 ms.
# Seen (QEMU 7.2.22, Debian 12): the answer waits for the next turn of the
# refresh timer, which backs off by 50 ms a turn up to 3 s while nothing
# changes. After 20 s of quiet one pixel takes over a second.
# Consequence: a client that takes a second without an answer for a dead
# server, or that repeats its question, is wrong; see docs/rfb.md, "When a
# pixel format takes effect".
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
command -v qemu-system-x86_64 >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends qemu-system-x86=1:7.2* >/dev/null 2>&1 ||
	{ echo "qemu-system-x86 7.2 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
qemu-system-x86_64 --version | head -n 1
# a machine that never runs: its screen does not change
qemu-system-x86_64 -S -no-user-config -nodefaults -machine pc,accel=tcg -m 16 \
	-vga std -vnc "unix:$dir/vnc" >"$dir/log" 2>&1 &
pid=$!
timeout 120 python3 - "$dir/vnc" <<'PY'
import socket
import statistics
import struct
import sys
import time

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
depth = read(16)[0] // 8
read(struct.unpack('>I', read(4))[0])
s.sendall(struct.pack('>BxHi', 2, 1, 0))


def ask(w, h):
    """Seconds until an update with a picture has begun; reads it all."""
    begin = time.monotonic()
    s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, w, h))
    while True:
        kind, n = struct.unpack('>BxH', read(4))
        assert kind == 0
        took = time.monotonic() - begin
        for _ in range(n):
            _, _, rw, rh, encoding = struct.unpack('>HHHHi', read(12))
            if encoding == 0:
                read(rw * rh * depth)
        if n:
            return took


ask(width, height)
time.sleep(20)
quiet = []
for _ in range(5):
    quiet.append(ask(1, 1))
    time.sleep(4)
print('seconds to answer one pixel after quiet:',
      ' '.join(f'{q:.2f}' for q in quiet))
sys.exit(0 if max(quiet) > 0.5 else 1)
PY
