"""How long a recorder takes until it is ready, and the memory it keeps:
start_bench.c, at three sizes of screen. No peer; an older build, if one is
given, has the same code of the relay's side."""
import json
import os
import statistics
import subprocess

SIZES = ('1280x800', '1920x1080', '3840x2160')
STARTS = 6   # a round
SCREENS = 30  # full ones of text before memory is read


def start_bench(build, what, *args, recorder=None):
    r = subprocess.run(
        [os.path.join(build, 'tests/bench/start_bench'), what,
         os.path.join(recorder or build, 'recorder/relaycam-recorder'), *args],
        capture_output=True, text=True, timeout=600)
    if r.returncode != 0:
        raise RuntimeError(f'start_bench {what} {args}: {r.stderr[-500:]}')
    return json.loads(r.stdout)


def times(values):
    return (f'{statistics.median(values):5.1f} ms '
            f'({min(values):.1f}-{max(values):.1f})')


def run(results, build, rounds):
    for size in SIZES:
        took = start_bench(build, 'start', size, str(STARTS * rounds))
        results.note(f'READY at {size:<10}CPU {times(took["cpu_ms"])}, '
                     f'wall {times(took["wall_ms"])}')
    for size in SIZES:
        width, height = map(int, size.split('x'))
        for codec in ('vp9', 'vp8'):
            mb = start_bench(build, 'memory', size, codec, str(SCREENS))
            results.note(
                f'memory at {size:<10}{codec} {mb["mb"]:6.1f} MB, '
                f'{mb["mb"] * 1e6 / width / height:.0f} bytes a pixel '
                f'({mb["ready_mb"]:.1f} MB at READY, {mb["idle_mb"]:.1f} MB '
                f'after 30 s without a change)')
            if results.against and codec == 'vp9':
                old = start_bench(build, 'memory', size, codec, str(SCREENS),
                                  recorder=results.against)
                # one value a size: the bar holds at each
                results.ratio('rec_memory_before', mb['mb'], old['mb'])
                results.ratio('rec_idle_memory_before', mb['idle_mb'],
                              old['idle_mb'])
