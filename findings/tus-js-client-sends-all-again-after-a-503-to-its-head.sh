#!/bin/bash
# tus-js-client and a server that is away for a moment: an upload breaks in its
# middle, and the HEAD that asks for the offset is answered with 503 and
# Retry-After, once.
#
# Expected: tus 1.0 and the client's retryDelays: the client waits, asks with
# HEAD again and continues at the offset, as it does after a 503 to PATCH.
# Guess before it was run: one more HEAD after the delay, 4 MiB sent in total.
# Seen (4.3.1): no second HEAD. The client creates a new upload at once, without
# a delay, and sends the file from its first byte; the server keeps the half
# of the first upload. After 423 to HEAD it does wait and continue.
# Consequence: storage answers 423 to a HEAD where other requests get 503
# (docs/device-captures.md).
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v npm >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm >/dev/null 2>&1
have || { echo "node and npm cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
npm install --silent --ignore-scripts --no-audit --no-fund tus-js-client@4.3.1 >/dev/null 2>&1 ||
	{ echo "tus-js-client 4.3.1 cannot be installed"; exit 2; }
echo "tus-js-client 4.3.1, node $(node --version)"
cat >upload.mjs <<'JS'
import http from 'node:http';
import * as tus from 'tus-js-client';
const size = 4 << 20, half = size / 2;

// A tus server in memory. The first PATCH of upload 0 breaks after half of the
// file; the first HEAD after that gets the status "away".
async function attempt(away) {
	const uploads = [], seen = [];
	let broken = false, asked = false, received = 0;
	const server = http.createServer((req, res) => {
		const id = Number(req.url.split('/')[2]);
		seen.push(req.method);
		res.setHeader('Tus-Resumable', '1.0.0');
		if (req.method === 'POST') {
			uploads.push(0);
			res.writeHead(201, {Location: `/files/${uploads.length - 1}`}).end();
		} else if (req.method === 'HEAD') {
			if (!asked) {
				asked = true;
				res.writeHead(away, {'Retry-After': '1'}).end();
				return;
			}
			res.writeHead(200, {'Upload-Offset': uploads[id], 'Upload-Length': size,
				'Cache-Control': 'no-store'}).end();
		} else {
			req.on('data', (data) => {
				const take = broken ? data.length : Math.min(data.length, half - uploads[id]);
				uploads[id] += take;
				received += take;
				if (!broken && uploads[id] === half) {
					broken = true;
					req.socket.destroy();
				}
			});
			req.on('end', () => res.writeHead(204, {'Upload-Offset': uploads[id]}).end());
		}
	});
	await new Promise((done) => server.listen(0, '127.0.0.1', done));
	const data = Buffer.alloc(size, 7);
	await new Promise((done, fail) => new tus.Upload(data, {
		endpoint: `http://127.0.0.1:${server.address().port}/files`,
		retryDelays: [200, 200, 200], onSuccess: done, onError: fail}).start());
	server.closeAllConnections();
	server.close();
	console.log(`${away} to HEAD: ${seen.join(' ')}; ${received / 1048576} MiB received,`,
		`uploads hold ${uploads.map((n) => n / 1048576).join(' and ')} MiB`);
	return {seen: seen.join(' '), received};
}

const locked = await attempt(423), unavailable = await attempt(503);
if (locked.seen !== 'POST PATCH HEAD HEAD PATCH' || locked.received !== size) process.exit(2);
process.exit(unavailable.seen === 'POST PATCH HEAD POST PATCH' &&
	unavailable.received === size + half ? 0 : 1);
JS
timeout 60 node upload.mjs
