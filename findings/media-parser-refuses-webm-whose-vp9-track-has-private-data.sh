#!/bin/bash
# @remotion/media-parser and a VP9 track with CodecPrivate.
#
# Expected: the WebM container guidelines define CodecPrivate of V_VP9 (profile,
# level, bit depth, chroma subsampling, three bytes each) and leave it to the
# muxer; a reader that needs none of it passes over it. ffprobe reads both.
# Guess before it was run: the same answer with it and without.
# Seen (4.0.529): without it size and length are told; with it parseMedia()
# throws "cannot handle the private data for VP9".
# Consequence: a page that looks at recordings by this library has to take the
# length from elsewhere, for us the API's.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ffmpeg >/dev/null && command -v npm >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ffmpeg nodejs npm >/dev/null 2>&1
have || { echo "ffmpeg, node and npm cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
npm install --silent --ignore-scripts --no-audit --no-fund @remotion/media-parser@4.0.529 >/dev/null 2>&1 ||
	{ echo "@remotion/media-parser 4.0.529 cannot be installed"; exit 2; }
echo "@remotion/media-parser 4.0.529, node $(node --version)"
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=1 -frames:v 1 -pix_fmt yuv420p \
	-c:v libvpx-vp9 -f ivf one.ivf || exit 2
python3 - <<'PY' || exit 2
import struct


def element(number, body):
    return bytes.fromhex(number) + (1 << 56 | len(body)).to_bytes(8, 'big') + body


def unsigned(number, value):
    return element(number, value.to_bytes(4, 'big'))


def webm(private):
    info = unsigned('2AD7B1', 1000000) + element('4489', struct.pack('>d', 1000)) \
        + element('4D80', b'x') + element('5741', b'x')
    track = unsigned('D7', 1) + unsigned('73C5', 1) + unsigned('83', 1) + element(
        '86', b'V_VP9') + private + element('E0', unsigned('B0', 64) + unsigned('BA', 48))
    with open('one.ivf', 'rb') as f:
        frame = f.read()[44:]
    head = b''.join(unsigned(n, v) for n, v in (
        ('4286', 1), ('42F7', 1), ('42F2', 4), ('42F3', 8)))
    head += element('4282', b'webm') + unsigned('4287', 4) + unsigned('4285', 2)
    return element('1A45DFA3', head) + element(
        '18538067', element('1549A966', info) + element('1654AE6B', element('AE', track))
        + element('1F43B675', unsigned('E7', 0) + element('A3', b'\x81\0\0\x80' + frame)))


# profile 0, level 1, 8 bits, 4:2:0 with its samples between those of luma
private = bytes.fromhex('01 01 00  02 01 0a  03 01 08  04 01 01')
for name, data in (('without', b''), ('with', element('63A2', private))):
    with open(f'{name}.webm', 'wb') as f:
        f.write(webm(data))
PY
for name in without with; do ffprobe -v error "$name.webm" || exit 2; done
cat >look.mjs <<'JS'
import {parseMedia} from '@remotion/media-parser';
import {nodeReader} from '@remotion/media-parser/node';
const said = {};
for (const name of ['without', 'with']) {
	try {
		const r = await parseMedia({src: `${name}.webm`, reader: nodeReader,
			fields: {durationInSeconds: true, dimensions: true},
			acknowledgeRemotionLicense: true, logLevel: 'error'});
		said[name] = `${r.dimensions.width}x${r.dimensions.height}, ${r.durationInSeconds} s`;
	} catch (e) {
		said[name] = e.message;
	}
	console.log(`${name} private data: ${said[name]}`);
}
if (said.without !== '64x48, 1 s') process.exit(2);
process.exit(said.with.includes('private data') ? 0 : 1);
JS
timeout 60 node look.mjs
