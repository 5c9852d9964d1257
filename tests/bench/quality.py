"""How good a recording of a capture is: Y-PSNR, SSIM and the worst region of
text, against what the screen showed (stream_frames).

Two ways to pair pictures:
  coded    each picture of the recording with the screen at its own time,
           weighted by how long it is shown: what the encoder lost;
  watched  the screen every 1/15 s with what a player shows then: that, and
           what comes late or was left out.
"""
import bisect
import json
import math
import os
import subprocess
import tempfile

FPS = 15
SLACK_S = 0.010  # WebM rounds times to ms; a picture is never late by that
TEXT_W, TEXT_H = 128, 32  # a region: about 14 letters, two lines
TEXT_CONTRAST = 20  # a region with a lesser deviation of luma has no text
TEXT_EVERY_S = 0.4


class Screen:
    """What a capture shows. reference: 'i420' (libyuv's conversion, which
    ours uses) or 'bgr0' (converted by ffmpeg, for those fed bgr0): so each
    is measured against exactly what its encoder was given."""

    def __init__(self, build, capture, size, seconds, text):
        self.program = os.path.join(build, 'tests/bench/stream_frames')
        self.capture, self.size, self.seconds = capture, size, seconds
        self.text = text

    def frames(self, form, when):
        """A process that writes frames; when: a rate or seconds."""
        if not isinstance(when, (int, float)):
            with tempfile.NamedTemporaryFile('w', delete=False) as f:
                f.write('\n'.join(f'{t:.6f}' for t in when) + '\n')
            when = '@' + f.name
        p = subprocess.Popen([self.program, self.capture, form, str(when)],
                             stdout=subprocess.PIPE)
        p.list_file = when[1:] if str(when)[0] == '@' else None
        return p

    def as_input(self, form):
        return ['-f', 'rawvideo', '-pix_fmt',
                'yuv420p' if form == 'i420' else 'bgr0', '-s',
                '%dx%d' % self.size, '-r', str(FPS), '-i', '-']


def finish(p, what):
    p.stdout.close()
    rc = p.wait()
    if getattr(p, 'list_file', None):
        os.unlink(p.list_file)
    if rc != 0:
        raise RuntimeError(f'{what} ended with status {rc}')


def picture_times(media, offset=0.0):
    """Seconds of each picture, on the capture's clock."""
    out = subprocess.run(
        ['ffprobe', '-v', 'error', '-select_streams', 'v', '-show_entries',
         'packet=pts_time', '-of', 'json', media], check=True,
        capture_output=True, text=True).stdout
    return [float(p['pts_time']) + offset
            for p in json.loads(out)['packets']]


def read_stats(path, key):
    """The values of one key of a filter's stats_file, by frame."""
    with open(path, encoding='ascii') as f:
        return [float(word.split(':')[1]) for line in f
                for word in line.split() if word.startswith(key + ':')]


def compare(screen, media, form, times, pairing):
    """Per pair: mean squared error of luma, SSIM of all planes. pairing:
    the filter that puts the recording on the reference's clock."""
    with tempfile.TemporaryDirectory() as tmp:
        # names without ':', which ends an option in a filter
        psnr, ssim = (os.path.join(tmp, n) for n in ('psnr', 'ssim'))
        source = screen.frames(form, times)
        r = subprocess.run(
            ['ffmpeg', '-v', 'error', '-y', *screen.as_input(form), '-i',
             media, '-lavfi',
             f'[0:v]format=yuv420p,settb=1/{FPS},setpts=N,split[a][b];'
             f'[1:v]{pairing},split[c][d];'
             f'[a][c]psnr=stats_file={psnr}[p];'
             f'[b][d]ssim=stats_file={ssim}[s]', '-map', '[p]', '-f', 'null',
             '-', '-map', '[s]', '-f', 'null', '-'], stdin=source.stdout)
        if r.returncode != 0:
            raise RuntimeError(f'{media} could not be compared')
        finish(source, 'stream_frames')
        mse, all_ssim = read_stats(psnr, 'mse_y'), read_stats(ssim, 'All')
    n = len(times)
    if min(len(mse), len(all_ssim)) < n:
        raise RuntimeError(f'{media}: {n} pictures, {len(mse)} compared')
    # the filters go on with what the recording has after the last instant
    return mse[:n], all_ssim[:n]


def luma(stream, size):
    """Lumas of I420 frames, one by one."""
    import numpy
    w, h = size
    chroma = (w + 1) // 2 * ((h + 1) // 2) * 2
    while True:
        data = stream.read(w * h + chroma)
        if len(data) < w * h + chroma:
            return
        yield numpy.frombuffer(data, 'uint8', w * h).reshape(h, w)


def regions(picture, text):
    x, y, w, h = text
    w, h = w // TEXT_W * TEXT_W, h // TEXT_H * TEXT_H
    return picture[y:y + h, x:x + w].reshape(
        h // TEXT_H, TEXT_H, w // TEXT_W, TEXT_W).swapaxes(1, 2).astype(
            'float32')


def worst_text(screen, media, form, pairs):
    """The lowest PSNR of luma of any region of text in any of the pairs
    (time, index of the picture shown), which rise in both."""
    import numpy
    source = screen.frames(form, [t for t, _ in pairs])
    source_out = source.stdout
    if form != 'i420':
        convert = subprocess.Popen(
            ['ffmpeg', '-v', 'error', *screen.as_input(form), '-f',
             'rawvideo', '-pix_fmt', 'yuv420p', '-'], stdin=source.stdout,
            stdout=subprocess.PIPE)
        source_out = convert.stdout
    player = subprocess.Popen(
        ['ffmpeg', '-v', 'error', '-i', media, '-vsync', 'passthrough', '-f',
         'rawvideo', '-pix_fmt', 'yuv420p', '-'], stdout=subprocess.PIPE)
    shown = enumerate(luma(player.stdout, screen.size))
    at, picture, worst = -1, None, 0.0
    for (_, index), want in zip(pairs, luma(source_out, screen.size)):
        while at < index:
            at, picture = next(shown)
        a, b = regions(want, screen.text), regions(picture, screen.text)
        mse = ((a - b) ** 2).mean((2, 3))[a.std((2, 3)) > TEXT_CONTRAST]
        if mse.size:
            worst = max(worst, float(mse.max()))
    for _ in shown:
        pass
    player.wait()
    if form != 'i420':
        finish(convert, 'ffmpeg')
    finish(source, 'stream_frames')
    return db(worst)


def db(mse):
    return 99.0 if mse <= 0 else 10 * math.log10(255 * 255 / mse)


def thinned(pairs):
    """About one pair each TEXT_EVERY_S."""
    kept = []
    for t, i in pairs:
        if not kept or t >= kept[-1][0] + TEXT_EVERY_S:
            kept.append((t, i))
    return kept


def summary(mse, ssim, weights, text):
    total = sum(weights)
    return {'psnr_y': round(db(sum(a * w for a, w in zip(mse, weights)) /
                               total), 2),
            'ssim': round(sum(a * w for a, w in zip(ssim, weights)) / total,
                          6),
            'worst_text': round(text, 1)}


def better(screen, media, form, times):
    """As compare. The recorder cuts times to whole ms: of the screen at the
    beginning and at the end of its ms a picture is compared to the one that
    it shows. Returns the times chosen, too."""
    both = []
    for late in (0, 0.000999):
        when = [t + late for t in times]
        both.append(list(zip(*compare(screen, media, form, when,
                                      f'settb=1/{FPS},setpts=N'), when)))
    return zip(*(min(pair) for pair in zip(*both)))


def coded(screen, media, form, offset=0.0):
    # our first picture bears the session's start, when nothing was there yet
    times = picture_times(media, offset)
    ends = times[1:] + [max(screen.seconds, times[-1] + 0.001)]
    mse, ssim, times = better(screen, media, form, times)
    text = worst_text(screen, media, form,
                      thinned(list(zip(times, range(len(times))))[1:]))
    weights = [e - t for t, e in zip(times, ends)]
    return summary(mse[1:], ssim[1:], weights[1:], text)


def watched(screen, media, form, offset=0.0):
    shown = picture_times(media, offset)
    times = [i / FPS for i in range(int(screen.seconds * FPS))]
    # before its first picture a recording shows nothing: not compared
    times = [t for t in times if t + SLACK_S >= shown[0]]
    mse, ssim = compare(screen, media, form, times,
                        f'setpts=PTS+({offset - times[0] - SLACK_S:.6f})/TB')
    pairs = [(t, bisect.bisect_right(shown, t + SLACK_S) - 1) for t in times]
    text = worst_text(screen, media, form, thinned(pairs))
    return summary(mse, ssim, [1] * len(times), text)
