#!/bin/bash
# gvncviewer and an address with a port.
#
# Expected: HOST::PORT is a port and HOST:DISPLAY a display, as TigerVNC's,
# TightVNC's and UltraVNC's viewers read it; or an error.
# Guess before it was run: an error, as its manual page names HOST:DISPLAY only.
# Seen (gvncviewer 1.3.1, Debian 12): no error; the port is dropped in silence
# and display 0, port 5900, is called: a different server may be there.
# Consequence: "relaycam connect" gives this program a display number.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v gvncviewer >/dev/null && command -v Xvfb >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gvncviewer=1.3.1* xvfb >/dev/null 2>&1
have || { echo "gvncviewer 1.3.1 and xvfb cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill $pids 2>/dev/null; wait $pids 2>/dev/null; rm -rf "$dir"' EXIT
pids=
dpkg-query -W -f 'gvncviewer ${Version}\n' gvncviewer 2>/dev/null
Xvfb -displayfd 3 -screen 0 640x480x24 -nolisten tcp 3>"$dir/display" 2>"$dir/xvfb" &
pids=$!
for _ in $(seq 200); do [ -s "$dir/display" ] && break; sleep 0.05; done
[ -s "$dir/display" ] || { echo "Xvfb does not start"; exit 2; }
DISPLAY=:$(cat "$dir/display") HOME=$dir timeout 60 python3 - <<'PY'
import select
import socket
import subprocess
import sys

try:
    standard = socket.create_server(('127.0.0.1', 5900))
except OSError as e:
    print(f'port 5900: {e}')
    sys.exit(2)
asked = socket.create_server(('127.0.0.1', 0))
port = asked.getsockname()[1]


def called(address):
    viewer = subprocess.Popen(
        ['gvncviewer', address], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ready, _, _ = select.select([standard, asked], [], [], 20)
    finally:
        viewer.kill()
        viewer.wait()
    if not ready:
        return None
    ready[0].accept()[0].close()
    return ready[0].getsockname()[1]


port_called = called(f'127.0.0.1::{port}')
display_called = called(f'127.0.0.1:{port - 5900}')
print(f'127.0.0.1::{port} calls port {port_called}, '
      f'127.0.0.1:{port - 5900} port {display_called}')
sys.exit(0 if (port_called, display_called) == (5900, port) else 1)
PY
