#!/bin/bash
# libavcodec's VP9 decoder and show_existing_frame, a packet that shows a frame
# once more.
#
# Expected: the duration of a decoded frame is that of the packet that shows it
# (AVFrame's documentation, "Duration of the frame, in the same units as pts";
# RFC 9559, BlockDuration), as it is for a packet that has a frame of its own.
# Guess before it was run: the packet's own, as its time stamp is.
# Seen (ffmpeg 5.1.9, Debian 12): time stamp and position are those of the
# packet, the duration is that of the packet that held the frame: a picture of
# 5 s, repeated for 40 ms, is decoded as 5 s and 5 s.
# Consequence: Firefox, which decodes by libavcodec and ends at the end of the
# last frame, plays beyond the end of a file that closes with such repeats. So
# ours close with coded frames, docs/webm.md, "A still screen".
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
command -v ffprobe >/dev/null ||
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ffmpeg=7:5.1* >/dev/null 2>&1 ||
	{ echo "ffmpeg 5.1 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ffprobe -version | head -n 1 | cut -d' ' -f1-3
cd "$dir" || exit 2
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=1 -frames:v 1 -pix_fmt yuv420p \
	-c:v libvpx-vp9 -f ivf one.ivf || exit 2
timeout 60 python3 - <<'PY'
import json
import subprocess
import sys


def element(number, body):
    return bytes.fromhex(number) + (1 << 56 | len(body)).to_bytes(8, 'big') + body


def unsigned(number, value):
    return element(number, value.to_bytes(4, 'big'))


def block(ms, length, data):
    return element('A0', element('A1', b'\x81' + ms.to_bytes(2, 'big') + b'\0' + data)
                   + unsigned('9B', length))


with open('one.ivf', 'rb') as f:
    picture = f.read()[44:]         # head of the file, head of the frame
repeat = b'\x88'                    # show_existing_frame, slot 0
video = unsigned('B0', 64) + unsigned('BA', 48)
track = unsigned('D7', 1) + unsigned('73C5', 1) + unsigned('83', 1)
with open('two.webm', 'wb') as f:
    f.write(element('1A45DFA3', element('4282', b'webm')) + element(
        '18538067', element('1549A966', unsigned('2AD7B1', 1000000)) + element(
            '1654AE6B', element('AE', track + element('86', b'V_VP9')
                                + element('E0', video)))
        + element('1F43B675', unsigned('E7', 0) + block(0, 5000, picture)
                  + block(5000, 40, repeat))))


def seen(kind):
    out = subprocess.run(
        ['ffprobe', '-v', 'error', f'-show_{kind}s', '-of', 'json', 'two.webm'],
        check=True, capture_output=True).stdout
    return [float(x.get('duration_time') or x['pkt_duration_time'])
            for x in json.loads(out)[f'{kind}s']]


packets, frames = seen('packet'), seen('frame')
print('seconds of the packets:', *packets)
print('seconds of the frames: ', *frames)
if packets != [5, 0.04]:
    sys.exit(2)
sys.exit(0 if frames == [5, 5] else 1)
PY
