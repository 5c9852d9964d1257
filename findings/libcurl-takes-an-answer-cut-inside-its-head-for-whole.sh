#!/bin/bash
# libcurl, when the server goes away in the middle of a header line.
#
# Expected: RFC 9112 section 8: an answer whose head is not complete is
# incomplete, and a client must say so: an error, as for a body that is cut.
# Guess before it was run: exit code 18 or 56, as between two header lines.
# Seen (curl and libcurl 7.88.1, Debian 12): an answer that ends within a header
# line is a success with the status of its first line and an empty body; the
# line is dropped. One that ends behind a whole Content-Length line is an error.
# Consequence: the end of a transfer is no proof that a whole answer came.
# Storage's S3 client counts an answer only when the empty line that ends its
# head was seen (storage/store/s3_answer.c).
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v curl >/dev/null && command -v python3 >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends 'curl=7.88.*' python3 >/dev/null 2>&1
have || { echo "curl 7.88 and python3 cannot be installed"; exit 2; }
curl --version | head -n 1
timeout 120 python3 - <<'PY'
import socket
import subprocess
import sys

LINE = b'HTTP/1.1 200 OK\r\n'
CASES = (  # what is sent before the end, and the exit code seen
    ('within a header name', LINE + b'Content-Le', 0),
    ('within a header value', LINE + b'ETag: "abc', 0),
    ('behind a header line', LINE + b'Content-Length: 5\r\n', 18),
    ('within the body', LINE + b'Content-Length: 5\r\n\r\nabc', 18),
)
changed = False
for name, data, seen in CASES:
    listener = socket.create_server(('127.0.0.1', 0))
    listener.settimeout(20)
    curl = subprocess.Popen(
        ['curl', '-s', '--max-time', '20', '-o', '/dev/null', '-w',
         '%{http_code}', f'http://127.0.0.1:{listener.getsockname()[1]}/'],
        stdout=subprocess.PIPE, text=True)
    connection, _ = listener.accept()
    while b'\r\n\r\n' not in connection.recv(4096, socket.MSG_PEEK):
        pass
    connection.recv(4096)   # nothing unread: the end is an orderly one
    connection.sendall(data)
    connection.close()
    listener.close()
    status = curl.communicate(timeout=30)[0]
    print(f'cut {name}: exit code {curl.returncode}, status {status}')
    changed |= curl.returncode != seen or status != '200'
sys.exit(changed)
PY
