"""Looking at recordings with the tools people use: ffprobe, ffmpeg, mkvinfo;
and comparing pictures."""
import json
import os
import subprocess

import numpy as np
from PIL import Image
from process import wait_until

import spool_files


def run(argv, **kw):
    r = subprocess.run([str(a) for a in argv], capture_output=True, **kw)
    assert r.returncode == 0, f'{argv[:2]}: {r.stderr.decode()[-2000:]}'
    return r


def probe(path, level='warning'):
    """ffprobe's view: codec, size, duration in seconds, decoded frames. Any
    complaint of that level is a failure."""
    r = run(['ffprobe', '-v', level, '-count_frames', '-show_streams',
             '-show_format', '-of', 'json', path])
    assert not r.stderr, r.stderr.decode()
    doc = json.loads(r.stdout)
    assert len(doc['streams']) == 1
    s = doc['streams'][0]
    return {'codec': s['codec_name'], 'width': s['width'],
            'height': s['height'], 'frames': int(s['nb_read_frames']),
            'duration': float(doc['format']['duration'])}


def frame_times(path):
    r = run(['ffprobe', '-v', 'error', '-show_entries', 'packet=pts_time',
             '-of', 'csv=p=0', path])
    return [float(x.strip(',')) for x in r.stdout.decode().split()]


def growing(spool):
    """{segment: frames in it that are no repeats} of the files that are being
    written."""
    found = {}
    for path in spool_files.paths(spool, '.webm.part'):
        r = subprocess.run(
            ['ffprobe', '-v', 'quiet', '-show_entries', 'packet=pos',
             '-of', 'csv=p=0', path], capture_output=True, text=True)
        try:
            with open(path, 'rb') as f:
                data = f.read()
        except FileNotFoundError:
            continue    # closed just now
        n = sum(not is_repeat(data[int(pos.strip(',')) + 4:])
                for pos in r.stdout.split())
        if n > 0:
            found[os.path.basename(path).split('.')[0]] = n
    return found


def is_repeat(frame):
    """Whether a VP9 frame shows the one before once more: it says so, or it
    is no key frame and replaces no reference (refresh_frame_flags 0)."""
    if frame[0] & 0xf8 == 0x88:
        return True
    return frame[0] == 0x86 and frame[1] & 0x3f == frame[2] & 0xc0 == 0


def wait_pictures(spool, n, behind=()):
    """Until a file that is being written, and is none of `behind`, has n
    frames; returns its segment's id."""
    return wait_until(
        lambda: next((s for s, frames in growing(spool).items()
                      if s not in behind and frames >= n), None), 30,
        f'{n} pictures in a file')


def mkvinfo_is_content(path):
    """mkvinfo reads the file to its end without a complaint."""
    r = run(['mkvinfo', '--all', path])
    text = r.stdout.decode()
    assert '+ Cluster' in text and '+ Cues' in text
    for word in ('rror', 'arning', 'Unknown element', 'not valid'):
        assert word not in text, text[-2000:]


def last_frame(path, out):
    """The last picture as a PNG; returns luma as a float array. Each frame once:
    libavformat may guess 1000 frames a second."""
    run(['ffmpeg', '-v', 'error', '-y', '-i', path, '-vf', 'reverse',
         '-frames:v', '1', out]) if os.path.getsize(path) < 1 << 20 else \
        run(['ffmpeg', '-v', 'error', '-y', '-sseof', '-3', '-i', path,
             '-fps_mode', 'passthrough', '-update', '1', out])
    return luma(out)


def luma(path):
    rgb = np.asarray(Image.open(path).convert('RGB'), dtype=np.float64)
    return rgb @ np.array([0.299, 0.587, 0.114])


def psnr(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    mse = np.mean((a - b) ** 2)
    return 99.0 if mse == 0 else 10 * np.log10(255 ** 2 / mse)
