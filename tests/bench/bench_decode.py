"""Our decoder against libvncclient: the stream of the same desktop minute
(workload.py), once for each encoding, decoded again and again from its file
by tests/bench/decode_bench.c."""
import json
import os
import subprocess

import capture

SCALE = float(os.environ.get('RELAYCAM_BENCH_SCALE', '1'))
ENCODINGS = ('tight', 'zrle', 'raw', 'hextile')
TIMES = 2  # a round decodes the stream so often


def stream_file(kind):
    """A capture without its times: a vector (tests/vectors/README.md)."""
    timed = capture.capture_file(kind, SCALE)
    path = os.path.splitext(timed)[0] + '.rfb'
    if os.path.exists(path):
        return path
    width, height = capture.size(timed)
    with open(path + '.new', 'wb') as f:
        f.write(json.dumps({
            'name': kind, 'server': 'TigerVNC Xvnc', 'width': width,
            'height': height, 'pixel_format': capture.PIXEL_FORMAT.hex(),
            'formats': [], 'encodings': capture.KINDS[kind],
            'sha256': None, 'libvncclient': True}).encode() + b'\n')
        for _, data in capture.records(timed):
            f.write(data)
    os.rename(path + '.new', path)
    return path


def decode(build, who, path):
    """What decode_bench said: CPU seconds, updates."""
    r = subprocess.run(
        [os.path.join(build, 'tests/bench/decode_bench'), who, path,
         str(TIMES)], capture_output=True, text=True, timeout=600)
    if r.returncode != 0:
        raise RuntimeError(f'decode_bench {who} {path}: {r.stderr}')
    return json.loads(r.stdout)


def run(results, build, rounds):
    paths = {kind: stream_file(kind) for kind in ENCODINGS}
    spent = {}
    for _ in range(rounds):
        total = [0.0, 0.0]
        for kind, path in paths.items():
            cpu = [decode(build, who, path)['cpu_s'] / TIMES
                   for who in ('relaycam', 'libvncclient')]
            results.ratio(f'decode_cpu_libvncclient_{kind}', *cpu)
            spent.setdefault(kind, []).append(cpu)
            total = [t + c for t, c in zip(total, cpu)]
        results.ratio('decode_cpu_libvncclient', *total)
    for kind, pairs in spent.items():
        ours, theirs = (sorted(p[i] for p in pairs)[len(pairs) // 2]
                        for i in range(2))
        results.note(f'decoding {kind}, '
                     f'{os.path.getsize(paths[kind]) / 1e6:.1f} MB: relaycam '
                     f'{ours:.3f} CPU s, libvncclient {theirs:.3f}')
