"""Programs that play a file: what they show at a time, and for how long."""
import os
import pwd
import shutil
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

from counter import BITS, EDGE, HEIGHT, SIDE, ungray

X = Y = 4
LIMIT_S = 200


def run(argv, **kw):
    kw.setdefault('env', {**os.environ, 'no_proxy': '127.0.0.1'})
    r = subprocess.run([str(a) for a in argv], capture_output=True,
                       timeout=LIMIT_S, check=False, **kw)
    assert r.returncode == 0, f'{argv}: {r.stderr.decode()[-1000:]}'
    return r.stdout


def number(grey):
    """The number in a picture, rows of grey."""
    row = grey[Y + HEIGHT // 2]
    bits = [row[X + EDGE + i * SIDE + SIDE // 2] > 127
            for i in range(BITS + 2)]
    assert bits[0] and not bits[-1], 'no number is drawn'
    return ungray(sum(int(b) << i for i, b in enumerate(bits[1:-1])))


def _image(path):
    return number(np.asarray(Image.open(path).convert('L')))


def ffmpeg_still(path, second):
    with tempfile.TemporaryDirectory() as d:
        run(['ffmpeg', '-v', 'error', '-ss', second, '-i', path, '-frames:v',
             1, f'{d}/still.png'])
        return _image(f'{d}/still.png')


def mpv_still(path, second):
    with tempfile.TemporaryDirectory() as d:
        run(['mpv', '--no-config', '--really-quiet', '--no-ytdl',
             '--tls-verify=no', f'--start={second}',
             '--frames=1', '--vo=image', '--vo-image-format=png',
             f'--vo-image-outdir={d}', '--ao=null', path])
        name, = os.listdir(d)
        return _image(f'{d}/{name}')


def ffmpeg_count(path):
    """Packets, and seconds, of a file."""
    out = run(['ffprobe', '-v', 'error', '-count_packets', '-show_entries',
               'stream=nb_read_packets:format=duration', '-of', 'csv=p=0',
               path]).decode().split()
    return int(out[0]), float(out[1]) if out[1] != 'N/A' else None


def to_mp4(path, out):
    """The command of docs/players.md."""
    run(['ffmpeg', '-v', 'error', '-i', path, '-fps_mode', 'passthrough',
         '-enc_time_base', '1:1000', '-video_track_timescale', '1000', out])


def ffmpeg_copy(path, out):
    """The command of docs/players.md."""
    run(['ffmpeg', '-v', 'error', '-i', path, '-c', 'copy', out])


def mkvmerge_copy(path, out):
    """The command of docs/players.md."""
    run(['mkvmerge', '-q', '--webm', '--disable-language-ietf', '-o', out,
         path])


def thumbnails(path, every_s, folder):
    """The command of docs/players.md."""
    run(['ffmpeg', '-v', 'error', '-i', path, '-vf',
         f"select='isnan(prev_selected_t)+gte(t-prev_selected_t,{every_s})'",
         '-fps_mode', 'passthrough', f'{folder}/%05d.png'])
    return [_image(f'{folder}/{n}') for n in sorted(os.listdir(folder))]


VLC = ['vlc', '-q', '-I', 'dummy', '--no-dbus', '--vout', 'dummy', '--aout',
       'none', '--no-media-library', '--play-and-exit']


def vlc_play(where, certificate=None, *options):
    """(seconds that it takes, the numbers in the order in which it showed
    them) of a path, or of a link with the certificate of its storage."""
    home = tempfile.mkdtemp(prefix='rc-vlc-')
    as_user = []
    if os.getuid() == 0:    # VLC refuses to run as root
        os.chown(home, pwd.getpwnam('nobody').pw_uid, -1)
        as_user = ['setpriv', '--reuid=nobody', '--regid=nogroup',
                   '--clear-groups']
    trusted, copy = f'{home}/ca', f'{home}/f.webm'
    os.mkdir(trusted)
    try:
        if certificate:
            shutil.copy(certificate, trusted)
        else:
            shutil.copy(where, copy)
            os.chmod(copy, 0o644)
        start = time.monotonic()
        run([*as_user, *VLC, f'--gnutls-dir-trust={trusted}',
             '--video-filter=scene', '--scene-format=png', '--scene-ratio=1',
             f'--scene-path={home}', '--scene-prefix=f', *options,
             where if certificate else copy, 'vlc://quit'],
            env={**os.environ, 'HOME': home, 'no_proxy': '127.0.0.1'})
        took = time.monotonic() - start
        seen = [_image(f'{home}/{n}') for n in sorted(os.listdir(home))
                if n.endswith('.png')]
        return took, [n for i, n in enumerate(seen)
                      if i == 0 or n != seen[i - 1]]
    finally:
        shutil.rmtree(home)


def vlc_still(path, second):
    """The first of what it shows from a time on."""
    _, seen = vlc_play(path, None, f'--start-time={second}', '--run-time=2',
                       '--no-drop-late-frames', '--no-skip-frames')
    return seen[0]


def gstreamer_numbers(where, size):
    """Of each frame that matroskademux and vp9dec give, of a path or a link."""
    source = ['souphttpsrc', 'ssl-strict=false'] \
        if where.startswith('https') else ['filesrc']
    with tempfile.TemporaryDirectory() as d:
        run(['gst-launch-1.0', '-q', *source, f'location={where}', '!',
             'matroskademux', '!', 'vp9dec', '!', 'videoconvert', '!',
             f'video/x-raw,format=GRAY8,width={size[0]}', '!', 'filesink',
             f'location={d}/raw'])
        raw = np.fromfile(f'{d}/raw', dtype=np.uint8)
    return [number(f) for f in raw.reshape(-1, size[1], size[0])]


def gstreamer_remux(path, out):
    """Into Matroska, behind vp9parse."""
    run(['gst-launch-1.0', '-q', 'filesrc', f'location={path}', '!',
         'matroskademux', '!', 'vp9parse', '!', 'matroskamux', '!',
         'filesink', f'location={out}'])


def cue_count(path):
    return run(['mkvinfo', '--all', path]).decode().count('+ Cue point')
