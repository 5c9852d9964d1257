#!/bin/bash
# mkvmerge --webm and Chromium's MediaSource.
#
# Expected: mkvmerge(1), --webm: "Create a WebM compliant file". RFC 8794, 6.3: a
# reader passes over elements that it does not know. <video> of the same browser
# plays the file.
# Guess before it was run: mkvmerge's file is taken as ffmpeg's is. Once it was
# refused: because of LanguageBCP47 (22B59D, RFC 9559), which mkvmerge writes; the
# same file without it is taken.
# Seen (mkvmerge 74.0.0, Debian 12; Chromium 156): appendBuffer() ends with an
# error and nothing is buffered; with --disable-language-ietf all of it is. ffprobe
# reads both, and <video> knows the length of both.
# Consequence: docs/players.md, "Recipes": with mkvmerge this option is needed.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v ffmpeg >/dev/null && command -v chromium >/dev/null && command -v mkvmerge >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ffmpeg chromium 'mkvtoolnix=74.*' >/dev/null 2>&1
have || { echo "ffmpeg, chromium and mkvtoolnix 74 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
mkvmerge --version
chromium --version 2>/dev/null
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:r=10 -t 3 -pix_fmt yuv420p -c:v libvpx-vp9 \
	-deadline realtime ffmpeg.webm &&
	mkvmerge -q --webm -o usual.webm ffmpeg.webm &&
	mkvmerge -q --webm --disable-language-ietf -o without.webm ffmpeg.webm || exit 2

# NAME: the seconds of a file that MediaSource has, and those that <video> knows
seconds() {
	printf "<!doctype html><pre></pre><script>\nconst file = '%s';\n" "$(base64 -w0 "$1.webm")" >page.html
	cat >>page.html <<'JS'
const bytes = Uint8Array.from(atob(file), c => c.charCodeAt(0));
const said = {};
function say(what, value) {
	said[what] = value;
	document.querySelector('pre').textContent = `${said.mse} ${said.video}.`;
}
const media = new MediaSource(), player = document.createElement('video');
media.onsourceopen = () => {
	const buffer = media.addSourceBuffer('video/webm; codecs="vp9"');
	buffer.onerror = () => say('mse', 'error');
	buffer.onupdateend = () => said.mse ?? say('mse', Math.round(buffer.buffered.end(0)));
	buffer.appendBuffer(bytes);
};
player.src = URL.createObjectURL(media);
const plain = document.createElement('video');
plain.onloadedmetadata = () => say('video', Math.round(plain.duration));
plain.onerror = () => say('video', 'error');
plain.src = URL.createObjectURL(new Blob([bytes], {type: 'video/webm'}));
</script>
JS
	timeout 90 chromium --headless --no-sandbox --disable-gpu --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$dir/profile" --virtual-time-budget=10000 --dump-dom \
		"file://$dir/page.html" 2>/dev/null | sed -n 's/.*<pre>\([^.]*\)\..*/\1/p'
}
usual=$(seconds usual) without=$(seconds without) ffmpeg=$(seconds ffmpeg)
echo "seconds by MediaSource and <video>: ffmpeg's file $ffmpeg, mkvmerge's $usual, without LanguageBCP47 $without"
for said in "$ffmpeg" "$usual" "$without"; do
	case $said in '' | *undefined*) exit 2 ;; esac
done
[ "$ffmpeg, $usual, $without" = "3 3, error 3, 3 3" ]
