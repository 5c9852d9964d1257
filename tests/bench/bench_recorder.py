"""The recorder against ffmpeg, on the same desktop minute (workload.py), then
on office work and in a terminal (workload_office.py, workload_terminal.py).

ffmpeg gets the screen 15 times a second as raw frames; what makes them runs
beside it and is not counted. Ours reads the captured RFB stream, decodes,
converts, encodes and writes a segment; all of that is counted. CPU is user
and system of the one process, from wait4.

RELAYCAM_BENCH_SCALE=0.2 shortens the minute, for trying things out.
RELAYCAM_BENCH_ONLY=office or another name of capture.WORKLOADS: that one only.
"""
import glob
import json
import math
import os
import shutil
import subprocess
import tempfile

import capture
import quality

SCALE = float(os.environ.get('RELAYCAM_BENCH_SCALE', '1'))
# yuv420p: left to itself ffmpeg would code bgr0 as VP9 in RGB, which costs
# more and which few players show
REALTIME = ['-pix_fmt', 'yuv420p', '-deadline', 'realtime', '-cpu-used', '8',
            '-threads', '1']
VP8 = ['-c:v', 'libvpx', *REALTIME]
VP9 = ['-c:v', 'libvpx-vp9', *REALTIME]
PEER_RATE = quality.FPS  # pictures a second that ffmpeg is fed
INSTALLED_RATE = 10      # what a team has that set nothing else
START_NS = 10 ** 9  # recorder_bench's clock at the capture's start

# Steps of quality of a peer, among which the one that equals ours in SSIM
# is interpolated. 2M and crf 20 are the peers themselves.
RATES = ('500k', '1M', '2M', '4M', '8M')
LEVELS = (14, 20, 30, 42, 54)


def rated(codec, rate):
    return [*codec, '-b:v', rate]


def tuned(crf):
    return ['-vf', 'mpdecimate', '-vsync', 'vfr', *VP9, '-tune-content',
            'screen', '-crf', str(crf), '-b:v', '0']


def wait_cpu(p, what):
    """Waits for a child; its CPU seconds."""
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        raise RuntimeError(f'{what} ended with status {p.returncode}')
    return used.ru_utime + used.ru_stime


class Bench:
    """One workload's capture, and what is made of it."""

    def __init__(self, build, results, name):
        self.build, self.results = build, results
        self.suffix = '' if name == 'minute' else '_' + name  # of keys
        self.dir = tempfile.mkdtemp(prefix='rc-bench-')
        self.capture = capture.capture_file('tight', SCALE, name)
        self.minutes = capture.seconds(self.capture) / 60
        desktop = capture.WORKLOADS[name]
        self.screen = quality.Screen(build, self.capture, desktop.size,
                                     self.minutes * 60, desktop.text)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def ratio(self, key, ours, theirs):
        self.results.ratio(key + self.suffix, ours, theirs)

    def ffmpeg(self, name, form, args, times=quality.FPS):
        """CPU seconds a minute and the file."""
        media = self.path(name + '.webm')
        source = self.screen.frames(form, times)
        p = subprocess.Popen(['ffmpeg', '-v', 'error', '-y',
                              *self.screen.as_input(form), *args, media],
                             stdin=source.stdout)
        cpu = wait_cpu(p, f'ffmpeg for {name}')
        quality.finish(source, 'stream_frames')
        return cpu / self.minutes, media

    def ours(self, rate=PEER_RATE, quality='text', path=None, build=None):
        """CPU seconds a minute and the file; path: of another capture."""
        spool = self.path('spool')
        shutil.rmtree(spool, ignore_errors=True)
        os.makedirs(spool)
        p = subprocess.Popen(
            [os.path.join(build or self.build,
                          'tests/bench/recorder_bench'),
             path or self.capture, spool, 'vp9', str(rate), quality],
            stdout=subprocess.PIPE)
        p.stdout.read()
        cpu = wait_cpu(p, 'recorder_bench')
        p.stdout.close()
        media, = glob.glob(spool + '/*.webm')
        return cpu / self.minutes, media

    def mb(self, media):
        return os.path.getsize(media) / 1e6 / self.minutes

    def note(self, name, media, score, cpu=None):
        self.results.note(
            f'{name:<32} {"" if cpu is None else f"{cpu:6.2f}":>6} CPU s, '
            f'{self.mb(media):6.2f} MB a minute, Y-PSNR {score["psnr_y"]:.2f} '
            f'dB, SSIM {score["ssim"]:.5f}, worst text '
            f'{score["worst_text"]:.1f} dB')


def offset_of(media):
    """Seconds from the capture's start to the segment's; whole ms, as all
    times of the recorder."""
    with open(os.path.splitext(media)[0] + '.json', encoding='utf-8') as f:
        ns = json.load(f)['start_mono_ns'] - START_NS
    return ns // 10 ** 6 / 1e3


PEERS = (('rec_cpu_ffmpeg_vp8', 'bgr0', rated(VP8, '2M')),
         ('rec_cpu_ffmpeg_vp9', 'bgr0', rated(VP9, '2M')),
         ('rec_cpu_ffmpeg_vp9_i420', 'i420', rated(VP9, '2M')))


def run_before(b):
    """Ours against an older build, whose file stands beside it."""
    old, media = b.ours(build=b.results.against)
    old_mb = b.mb(media)  # the next run replaces the file
    ours, media = b.ours()
    b.ratio('rec_cpu_before', ours, old)
    b.results.note(f'an older build: {old:.2f} CPU s a minute, {old_mb:.2f} '
                   f'MB; ours {ours:.2f}, {b.mb(media):.2f} MB')


def run_cpu(b, rounds, peers):
    """Ours before each of the peers, round by round. Returns the files."""
    files = {}
    for _ in range(rounds):
        said = []
        if b.results.against:
            run_before(b)
        for key, form, args in peers:
            ours, _ = b.ours()
            theirs, files[key] = b.ffmpeg(key, form, args)
            b.ratio(key, ours, theirs)
            said.append(f'{key[8:]} {theirs:.2f} (ours {ours:.2f})')
            if key == 'rec_cpu_ffmpeg_vp9':
                # sessions a core: 60 s a minute, over CPU s a minute
                b.ratio('sessions_per_core_ffmpeg', theirs, ours)
                ours, _ = b.ours(INSTALLED_RATE)
                b.ratio(key + '_installed', ours, theirs)
                b.ratio('sessions_per_core_ffmpeg_installed', theirs, ours)
                said.append(f'ours at {INSTALLED_RATE}/s {ours:.2f}')
        b.results.note('recorder CPU s a minute: ' + ', '.join(said))
    return files


def ssim_db(score):
    return -10 * math.log10(max(1e-9, 1 - score['ssim']))


def bytes_at(points, want_db, note):
    """MB of a peer at an SSIM: between its steps log(MB) goes straight with
    dB. Outside of them the nearest step counts, and is told."""
    points = sorted(points)
    if not points[0][0] <= want_db <= points[-1][0]:
        near = points[0] if want_db < points[0][0] else points[-1]
        note(f'  our SSIM, {want_db:.2f} dB, lies outside the steps '
             f'{points[0][0]:.2f} .. {points[-1][0]:.2f} dB: the nearest, '
             f'{near[1]:.2f} MB, is compared')
        return near[1]
    for (a, mb_a), (z, mb_z) in zip(points, points[1:]):
        if a <= want_db <= z:
            part = (want_db - a) / (z - a) if z > a else 0
            return mb_a * (mb_z / mb_a) ** part


def text_at(points, want_mb):
    """Worst text of a peer at a size: between its steps it goes straight with
    log(MB). None outside of them."""
    points = sorted(points)
    for (mb_a, a), (mb_z, z) in zip(points, points[1:]):
        if mb_a <= want_mb <= mb_z:
            return a + (z - a) * math.log(want_mb / mb_a) / math.log(
                mb_z / mb_a)
    return None


def run_bytes(b, steps, key, our_mb, our_db):
    """Returns (MB, worst text in dB) of each step."""
    points, texts = [], []
    for name, args in steps:
        cpu, media = b.ffmpeg('step', 'bgr0', args)
        score = quality.watched(b.screen, media, 'bgr0')
        b.note(name, media, score, cpu)
        points.append((ssim_db(score), b.mb(media)))
        texts.append((b.mb(media), score['worst_text']))
    theirs = bytes_at(points, our_db, b.results.note)
    b.results.note(f'  at our SSIM ({our_db:.2f} dB): {theirs:.2f} MB, ours '
                   f'{our_mb:.2f} MB')
    b.ratio(key, our_mb, theirs)
    return texts


def judge_ours(b, rate, name):
    """Notes what ours costs and loses; how it was coded, and its size."""
    cpu, media = b.ours(rate, name)
    offset = offset_of(media)
    score = quality.coded(b.screen, media, 'i420', offset)
    b.note(f'relaycam {name}, {rate}/s', media, score, cpu)
    if name == 'text':
        late = quality.watched(b.screen, media, 'i420', offset)
        b.note(f'relaycam {name}, {rate}/s, as watched', media, late)
    b.results.note(f'  first picture {offset * 1000:.0f} ms after the start, '
                   f'{len(quality.picture_times(media))} pictures')
    return score, b.mb(media)


def run_quality(b, files):
    """Quality of each; then bytes at equal SSIM."""
    for key, form, _ in PEERS:
        if key in files:
            b.note('ffmpeg ' + key[15:], files[key],
                   quality.watched(b.screen, files[key], form))
    for rate, name in ((INSTALLED_RATE, 'small'), (INSTALLED_RATE, 'lossless'),
                       (INSTALLED_RATE, 'text'), (PEER_RATE, 'text')):
        score, our_mb = judge_ours(b, rate, name)
    our_db = ssim_db(score)
    run_bytes(b, [(f'ffmpeg VP9 {r}bit/s', rated(VP9, r)) for r in RATES],
              'rec_bytes_ffmpeg_vp9', our_mb, our_db)
    texts = run_bytes(
        b, [(f'ffmpeg tuned VP9 crf {c}', tuned(c)) for c in LEVELS],
        'rec_bytes_ffmpeg_tuned', our_mb, our_db)
    theirs = text_at(texts, our_mb)
    if theirs is not None:  # dB more, no ratio
        b.ratio('rec_text_db_tuned', score['worst_text'] - theirs, 1)


def run_idle_hours(b, hours=2):
    """What an hour of nothing costs: ours in a capture whose clock leaps by
    hours, less the same without; ffmpeg's in a minute of one picture."""
    path = b.path('hours.cap')
    longer = capture.with_hours(b.capture, path, hours)
    (short, media), ends = b.ours(), []
    ends.append((short * b.minutes, os.path.getsize(media)))
    cpu, media = b.ours(path=path)
    ends.append((cpu * b.minutes, os.path.getsize(media)))
    ours = [(z - a) / longer for a, z in zip(*ends)]
    still = [b.minutes * 60] * (60 * quality.FPS)
    cpu, media = b.ffmpeg('still', 'bgr0', rated(VP9, '2M'), still)
    theirs = cpu * b.minutes * 60, os.path.getsize(media) * 60
    b.results.note(
        f'an hour of nothing: ours {ours[0]:.2f} CPU s, {ours[1] / 1e6:.3f} '
        f'MB; ffmpeg VP9, sixty times one minute, {theirs[0]:.0f} CPU s, '
        f'{theirs[1] / 1e6:.3f} MB')
    for key, our, their in zip(('cpu', 'bytes'), ours, theirs):
        b.ratio(f'rec_idle_{key}_ffmpeg_vp9', our, their)


def run_workload(results, build, rounds, name):
    # VP9 fed bgr0 alone for the others, or a run would take an hour
    peers = PEERS if name == 'minute' else PEERS[1:2]
    b = Bench(build, results, name)
    try:
        results.note(f'--- {name}: {b.minutes * 60:.0f} s, '
                     f'{b.screen.size[0]}x{b.screen.size[1]}')
        run_quality(b, run_cpu(b, rounds, peers))
        if name == 'terminal':
            run_idle_hours(b)
    finally:
        b.close()


def run(results, build, rounds):
    only = os.environ.get('RELAYCAM_BENCH_ONLY')
    for name in capture.WORKLOADS:
        if only in (None, '', name):
            run_workload(results, build, rounds, name)
