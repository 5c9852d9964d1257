#!/bin/bash
# Firefox, <video>, and a jump into a row of VP9 packets that each show the same
# frame once more (show_existing_frame).
#
# Expected: the frame, as ffmpeg, mpv, VLC, GStreamer and Chromium show it: such
# a packet is a frame like all others (VP9 bitstream specification, 7.2; the
# WebM container guidelines allow it).
# Guess before it was run: the frame.
# Seen (Firefox ESR 153.8, Debian 12, headless): when the file is played from its
# start the frame is seen; after currentTime is set and "seeked" has come, a canvas
# gets nothing at all, not even after seconds. The same pictures with a small
# coded frame in each place of a repeat are seen after the jump.
# Consequence: a still screen is recorded with small coded frames, docs/webm.md,
# "A still screen"; docs/players.md says what holds for older recordings.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
have() { command -v firefox-esr >/dev/null && command -v ffmpeg >/dev/null; }
have || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends firefox-esr ffmpeg=7:5.1* >/dev/null 2>&1
have || { echo "firefox-esr and ffmpeg 5.1 cannot be installed"; exit 2; }
dir=$(mktemp -d)
trap '[ -z "$pid" ] || kill -- -"$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
pid=
firefox-esr --version 2>/dev/null
cd "$dir" || exit 2
# the same green picture 30 times, one a second; only the first is a key frame
ffmpeg -v error -f lavfi -i color=green:s=320x240:r=1 -frames:v 30 -pix_fmt yuv420p \
	-c:v libvpx-vp9 -deadline realtime -lag-in-frames 0 -auto-alt-ref 0 -g 999 \
	-f ivf coded.ivf || exit 2
mkdir profile
cat >profile/user.js <<'JS'
user_pref("media.autoplay.default", 0);
user_pref("media.autoplay.blocking_policy", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("app.update.enabled", false);
user_pref("services.settings.server", "");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
JS
cat >page.html <<'HTML'
<!doctype html><body></body><script>
const wait = ms => new Promise(r => setTimeout(r, ms));
const once = (v, name) => new Promise((ok, bad) => {
	v.addEventListener(name, ok, {once: true});
	v.onerror = () => bad(v.error.message);
});
const green = p => p[3] !== 0 && p[1] > 100 && p[0] < 50 && p[2] < 50;
async function look(name, jump) {
	const v = document.createElement('video'), c = document.createElement('canvas');
	const g = c.getContext('2d', {willReadFrequently: true});
	v.muted = true;
	document.body.append(v);
	v.src = '/' + name;
	await once(v, 'loadeddata');
	if (jump) {
		const done = once(v, 'seeked');
		v.currentTime = 15.5;
		await done;
	} else {
		v.play();
	}
	let rgba = null;
	for (let i = 0; i < 50 && (rgba === null || !green(rgba)); i++) {
		await wait(100);
		g.drawImage(v, 0, 0);
		rgba = [...g.getImageData(50, 50, 1, 1).data];
	}
	v.remove();
	return green(rgba);
}
(async () => {
	const out = {};
	try {
		for (const name of ['coded.webm', 'repeats.webm'])
			out[name] = [await look(name, false), await look(name, true)];
	} catch (e) { out.error = String(e); }
	fetch('/result', {method: 'POST', body: JSON.stringify(out)});
})();
</script>
HTML
cat >serve.py <<'PY'
import http.server
import json
import struct
import sys
import threading


def element(number, body):
    return bytes.fromhex(number) + (1 << 56 | len(body)).to_bytes(8, 'big') + body


def unsigned(number, value):
    return element(number, value.to_bytes(4, 'big'))


def webm(frames):
    """One a second in clusters of one frame, behind Cues for the first."""
    info = element('1549A966', unsigned('2AD7B1', 1000000) + element(
        '4489', struct.pack('>d', 1000 * len(frames))))
    video = unsigned('B0', 320) + unsigned('BA', 240)
    tracks = element('1654AE6B', element('AE', unsigned('D7', 1) + unsigned(
        '73C5', 1) + unsigned('83', 1) + element('86', b'V_VP9') + element(
            'E0', video)))
    body = info + tracks

    def cues(at):
        return element('1C53BB6B', element('BB', unsigned('B3', 0) + element(
            'B7', unsigned('F7', 1) + unsigned('F1', at))))
    body += cues(len(body) + len(cues(0)))
    for n, frame in enumerate(frames):
        flags = b'\x80' if n == 0 else b'\0'
        body += element('1F43B675', unsigned('E7', 1000 * n) + element(
            'A3', b'\x81\0\0' + flags + frame))
    return element('1A45DFA3', element('4282', b'webm')) + element(
        '18538067', body)


with open('coded.ivf', 'rb') as f:
    ivf = f.read()
frames, at = [], 32
while at < len(ivf):
    size = struct.unpack_from('<I', ivf, at)[0]
    frames.append(ivf[at + 12:at + 12 + size])
    at += 12 + size
assert len(frames) == 30
FILES = {'/coded.webm': webm(frames),
         '/repeats.webm': webm(frames[:1] + [b'\x88'] * 29)}
done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        data = FILES.get(self.path)
        if data is None:
            with open('page.html', 'rb') as f:
                data = f.read()
        kind = 'video/webm' if self.path in FILES else 'text/html'
        asked, status, first, last = self.headers.get('Range'), 200, 0, len(data) - 1
        if asked:
            first, end = asked[6:].split('-')
            first, last, status = int(first), min(int(end or last), last), 206
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Accept-Ranges', 'bytes')
        if status == 206:
            self.send_header('Content-Range', f'bytes {first}-{last}/{len(data)}')
        self.send_header('Content-Length', str(last + 1 - first))
        self.end_headers()
        try:
            self.wfile.write(data[first:last + 1])
        except OSError:
            pass

    def do_POST(self):
        global result
        result = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(204)
        self.end_headers()
        done.set()


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
with open('port', 'w') as f:
    f.write(f'{server.server_port}\n')
if not done.wait(120) or 'error' in result:
    sys.exit(2)
for name, (played, jumped) in result.items():
    print(f'{name}: the picture is seen when played: {played}, after a jump: {jumped}')
if result['coded.webm'] != [True, True] or not result['repeats.webm'][0]:
    sys.exit(2)
sys.exit(1 if result['repeats.webm'][1] else 0)
PY
python3 serve.py &
server=$!
for _ in $(seq 200); do [ -s port ] && break; sleep 0.05; done
HOME=$dir setsid firefox-esr --headless --no-remote --profile "$dir/profile" \
	"http://127.0.0.1:$(cat port)/" >/dev/null 2>&1 &
pid=$!
wait "$server"
