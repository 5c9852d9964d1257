#!/bin/bash
# x11vnc -ssl FILE, with the key and certificate of an elliptic curve.
#
# Expected: OpenSSL reads any kind of private key from PEM (PEM_read_PrivateKey
# of its manual), and so do servers that are built on it; x11vnc(1), -ssl, asks
# for "both the private key and the certificate" and names no kind.
# Guess before it was run: it starts, or it says that RSA is needed.
# Seen (x11vnc 0.9.16 with OpenSSL 3, Debian 12): with an RSA key it listens;
# with a P-256 key it ends before that, and what it says is OpenSSL's code
# "expecting an rsa key". The same key serves in Xvnc and in openssl s_server.
# Consequence: docs/connect.md, "x11vnc", has an RSA key.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v x11vnc >/dev/null && command -v openssl >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends x11vnc=0.9.16* openssl >/dev/null 2>&1
have || { echo "x11vnc 0.9.16 and openssl cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$dir"' EXIT
pid=
x11vnc -version 2>&1 | head -n 1
head -c $((64 * 64 * 4)) /dev/zero >"$dir/black"

# try NAME OPENSSL OPTIONS: prints and returns "listens" or "ends"
try() {
	name=$1; shift
	openssl req -x509 -nodes -days 2 -subj /CN=localhost -newkey "$@" \
		-keyout "$dir/$name.key" -out "$dir/$name.crt" 2>/dev/null || exit 2
	cat "$dir/$name.key" "$dir/$name.crt" >"$dir/$name.pem"
	x11vnc -rawfb "map:$dir/black@64x64x32" -autoport 5950 -no6 -localhost -nopw \
		-forever -ssl "$dir/$name.pem" >"$dir/$name.log" 2>&1 &
	pid=$!
	said=
	for _ in $(seq 300); do
		kill -0 "$pid" 2>/dev/null || { said=ends; break; }
		grep -q "The VNC desktop is\|^PORT=" "$dir/$name.log" && { said=listens; break; }
		sleep 0.1
	done
	kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; pid=
	echo "$name: ${said:-neither} $(grep -o "expecting an rsa key" "$dir/$name.log" | head -n 1)"
}

try rsa rsa:2048; rsa=$said
try ec ec -pkeyopt ec_paramgen_curve:P-256; ec=$said
[ "$rsa" = listens ] || exit 2
[ "$ec" = ends ] && grep -q "expecting an rsa key" "$dir/ec.log"
