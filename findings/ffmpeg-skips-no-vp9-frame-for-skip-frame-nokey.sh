#!/bin/bash
# ffmpeg's -skip_frame nokey with VP9, as recipes for thumbnails use it.
#
# Expected: ffmpeg-codecs(1), "skip_frame": nokey skips all frames except key
# frames, whatever the codec.
# Guess before it was run: as with VP8, only the key frames come out.
# Seen (ffmpeg 5.1.9, Debian 12): of 60 VP9 frames with 2 key frames all 60 are
# decoded and come out; of the same as VP8, the 2. It says nothing.
# Consequence: thumbnails of a day of VP9 cost the decoding of a day.
# docs/players.md, "Recipes", has another way: posters, or a filter that picks
# by time.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ffmpeg >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends 'ffmpeg=7:5.1.*' >/dev/null 2>&1
have || { echo "ffmpeg 5.1 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
dpkg-query -W -f 'ffmpeg ${Version}\n' ffmpeg 2>/dev/null

# CODEC: prints "FRAMES KEYS DECODED"
count() {
	timeout 120 ffmpeg -v error -f lavfi -i testsrc=size=160x120:rate=10:duration=6 \
		-c:v "$1" -g 30 -deadline realtime -cpu-used 8 "$dir/$1.webm" || return
	printf '%s %s %s\n' \
		"$(ffprobe -v error -show_entries packet=flags -of csv=p=0 "$dir/$1.webm" | grep -c .)" \
		"$(ffprobe -v error -show_entries packet=flags -of csv=p=0 "$dir/$1.webm" | grep -c K)" \
		"$(timeout 60 ffmpeg -v error -skip_frame nokey -i "$dir/$1.webm" -vsync passthrough -f framemd5 - | grep -vc '^#')"
}
vp8=$(count libvpx) && vp9=$(count libvpx-vp9) || exit 2
echo "frames, key frames, decoded with nokey: VP8 $vp8, VP9 $vp9"
read -r _ keys decoded <<<"$vp8"
[ "$keys" = "$decoded" ] || exit 1
read -r frames keys decoded <<<"$vp9"
[ "$decoded" = "$frames" ] && [ "$keys" -lt "$frames" ]
