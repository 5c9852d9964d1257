#!/bin/bash
# ffmpeg -c copy of a screen recording: WebM without DefaultDuration whose frames
# come when something changes.
#
# Expected: ffmpeg(1), "Streamcopy": packets are copied as they are. RFC 9559,
# 5.1.4.1.13: DefaultDuration is the length of a frame; the file stated none.
# Guess before it was run: the copy has the same times and no DefaultDuration.
# Seen (ffmpeg 5.1.9, Debian 12): the same times, but the Duration ends with the
# last frame, and a guessed rate, 25 a second, is written as DefaultDuration of
# 40 ms, for a frame that stands for 3 s, too. Chromium 156 believes it with
# MediaSource: of 15 s it keeps the first 0.04 s and drops the rest without an
# error; of the original it has one range.
# Consequence: docs/players.md, "Recipes", says what a copy of a recording is
# like. Ours repeat a still frame each second, which keeps copies whole.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ffmpeg >/dev/null && command -v chromium >/dev/null && command -v mkvinfo >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends 'ffmpeg=7:5.1.*' chromium mkvtoolnix >/dev/null 2>&1
have || { echo "ffmpeg 5.1, chromium and mkvtoolnix cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
ffmpeg -version | head -n 1 | cut -d' ' -f1-3
chromium --version 2>/dev/null
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=1 -frames:v 29 -pix_fmt yuv420p \
	-c:v libvpx-vp9 -deadline realtime -lag-in-frames 0 -auto-alt-ref 0 -g 999 \
	-f ivf frames.ivf || exit 2
# one cluster; somebody types after 3, 8 and 15 s
python3 - <<'PY' || exit 2
import struct


def element(number, body):
    return bytes.fromhex(number) + (1 << 56 | len(body)).to_bytes(8, 'big') + body


def unsigned(number, value):
    return element(number, value.to_bytes(4, 'big'))


ivf, at, cluster = open('frames.ivf', 'rb').read(), 32, unsigned('E7', 0)
times = [0] + [s + 40 * i for s in (3000, 8000) for i in range(10)] + [
    15000 + 40 * i for i in range(8)]
for ms in times:
    size, = struct.unpack_from('<I', ivf, at)
    cluster += element('A3', b'\x81' + struct.pack('>HB', ms, 0 if ms else 128)
                       + ivf[at + 12:at + 12 + size])
    at += 12 + size
info = unsigned('2AD7B1', 1000000) + element('4489', struct.pack('>d', 20000)) \
    + element('4D80', b'x') + element('5741', b'x')
track = unsigned('D7', 1) + unsigned('73C5', 1) + unsigned('83', 1) + element(
    '86', b'V_VP9') + element('E0', unsigned('B0', 64) + unsigned('BA', 48))
head = element('4282', b'webm') + unsigned('4287', 2) + unsigned('4285', 2)
with open('typed.webm', 'wb') as f:
    f.write(element('1A45DFA3', head) + element('18538067', element(
        '1549A966', info) + element('1654AE6B', element('AE', track)) + element(
            '1F43B675', cluster)))
PY
ffmpeg -v error -i typed.webm -c copy copy.webm || exit 2

# NAME: the end of the first range that MediaSource has of it
first_end() {
	cat >page.html <<HTML
<!doctype html><pre></pre><script>
const data = '$(base64 -w0 "$1.webm")', media = new MediaSource();
const video = document.createElement('video');
media.onsourceopen = () => {
	const b = media.addSourceBuffer('video/webm; codecs="vp9"');
	b.onupdateend = () => {
		document.querySelector('pre').textContent = 'END=' + b.buffered.end(0);
	};
	b.appendBuffer(Uint8Array.from(atob(data), c => c.charCodeAt(0)));
};
video.src = URL.createObjectURL(media);
</script>
HTML
	timeout 90 chromium --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$dir/profile" --virtual-time-budget=10000 --dump-dom \
		"file://$dir/page.html" 2>/dev/null | sed -n 's/.*END=\([0-9.]*\)<.*/\1/p'
}
typed=$(first_end typed) copy=$(first_end copy)
guess=$(mkvinfo copy.webm | sed -n 's/.*Default duration: \([0-9:.]*\).*/\1/p')
mkvinfo typed.webm | grep -q 'Default duration' && exit 2
echo "DefaultDuration of the copy: ${guess:-none}; MediaSource has the original up to ${typed:-?} s, the copy up to ${copy:-?} s"
[ -n "$typed" ] && [ -n "$copy" ] || exit 2
[ "$guess" = 00:00:00.040000000 ] && awk "BEGIN { exit !($typed > 15.2 && $copy < 0.1) }"
