#!/bin/bash
# mediabunny and a WebM that was written to a pipe: Segment without a size, no
# Cues, as live streams and files that still grow are.
#
# Expected: its documentation of EncodedPacketSink: getKeyPacket(t) gives the last
# key packet at or before t, and null where there is none. The file has key
# frames at 0, 4 and 8 s.
# Guess before it was run: 0, 4 and 8 s, after a search of the file.
# Seen (1.61.0): getKeyPacket(0) is right, and for each later time it gives null,
# while getPacket() finds the packet there, packets() names all three key packets,
# and in the same file with Cues getKeyPacket() is right.
# Consequence: whoever jumps in a growing file by this library has to look for
# key frames in packets(), or take them from the index that the file's server
# has (docs/relaycam-storage.md).
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ffmpeg >/dev/null && command -v npm >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ffmpeg nodejs npm >/dev/null 2>&1
have || { echo "ffmpeg, node and npm cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
npm install --silent --ignore-scripts --no-audit --no-fund mediabunny@1.61.0 >/dev/null 2>&1 ||
	{ echo "mediabunny 1.61.0 cannot be installed"; exit 2; }
echo "mediabunny 1.61.0, node $(node --version)"
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=5 -t 12 -c:v libvpx-vp9 -deadline realtime \
	-lag-in-frames 0 -auto-alt-ref 0 -g 20 -keyint_min 20 -f webm - >piped.webm &&
	ffmpeg -v error -i piped.webm -c copy cues.webm || exit 2
cat >look.mjs <<'JS'
import fs from 'fs';
import {ALL_FORMATS, BufferSource, EncodedPacketSink, Input} from 'mediabunny';
const found = {};
for (const name of ['cues.webm', 'piped.webm']) {
	const input = new Input({formats: ALL_FORMATS,
		source: new BufferSource(fs.readFileSync(name))});
	const sink = new EncodedPacketSink(await input.getPrimaryVideoTrack());
	const keys = [], at = [];
	for await (const p of sink.packets())
		if (p.type === 'key') keys.push(p.timestamp);
	for (const t of [0, 5, 10]) {
		const [any, key] = [await sink.getPacket(t), await sink.getKeyPacket(t)];
		if (any === null || any.timestamp !== t) process.exit(2);
		at.push(key && key.timestamp);
	}
	if (keys.join() !== '0,4,8') process.exit(2);
	console.log(`${name}: key packets at ${keys.join(', ')} s; for 0, 5 and 10 s:`,
		JSON.stringify(at));
	found[name] = JSON.stringify(at);
}
if (found['cues.webm'] !== '[0,4,8]') process.exit(2);
process.exit(found['piped.webm'] === '[0,null,null]' ? 0 : 1);
JS
timeout 60 node look.mjs
