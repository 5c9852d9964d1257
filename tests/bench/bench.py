"""Runs benchmarks and prints a table of paired ratios. See ./run."""
import argparse
import json
import os
import re
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'deploy', 'quickstart'))

BENCHES = ('relay', 'decode', 'recorder', 'start', 'doors', 'logins',
           'console', 'player', 'storage', 'scale')


class Results:
    """Named ratios, one value a round."""

    def __init__(self, against=None):
        self.against = against  # folder of an older build, or None
        self.ratios = {}
        self.notes = []

    def ratio(self, key, ours, theirs):
        if theirs > 0:
            self.ratios.setdefault(key, []).append(ours / theirs)

    def note(self, text):
        self.notes.append(text)
        print(text, file=sys.stderr, flush=True)

    def summary(self):
        return {k: {'median': round(statistics.median(v), 3),
                    'min': round(min(v), 3), 'max': round(max(v), 3),
                    'n': len(v)} for k, v in self.ratios.items()}


# What we hold ourselves to, and what we hope for (docs/performance.md).
BAR = {
    'relay_cpu_haproxy': (0.85, 0.70), 'relay_cpu_stunnel': (0.60, 0.50),
    'relay_rec_cpu_haproxy': (1.0, 0.85),
    'relay_chunk_cpu_haproxy': (0.90, 0.80),
    'relay_p50_haproxy': (1.0, 0.85), 'relay_p50_stunnel': (0.6, 0.4),
    'relay_idle_kb_haproxy': (0.90, 0.80),
    'relay_handshake_cpu_haproxy': (0.95, 0.80), 'relay_p99_150': (1.0, 0.7),
    'decode_cpu_libvncclient': (0.50, 0.45),
    'rec_cpu_before': (0.90, 0.80), 'rec_text_db_tuned': (2.0, 4.0),
    'rec_memory_before': (0.40, 0.35), 'rec_idle_memory_before': (0.15, 0.12),
    'rec_cpu_ffmpeg_vp8': (0.15, 0.10), 'rec_cpu_ffmpeg_vp9': (0.20, 0.12),
    'rec_cpu_ffmpeg_vp9_i420': (0.30, 0.18),
    'rec_bytes_ffmpeg_vp9': (0.5, 0.4), 'rec_bytes_ffmpeg_tuned': (0.95, 0.85),
    'sessions_per_core_ffmpeg': (6, 10),
    'rec_cpu_ffmpeg_vp9_installed': (0.20, 0.12),
    'sessions_per_core_ffmpeg_installed': (6, 10),
    'login_again_before': (0.05, 0.03), 'logins_burst': (5, ''),
    'logins_burst_refused': (0, 0),
    'doors_known_p99': (3.0, 1.5), 'doors_known_success': (1.0, 1.0),
    'doors_pause_longest': (1.5, 1.2),
    'list_cpu_pg': (0.5, 0.25), 'list_deep': (1.2, 1.05),
    'list_any_filter': (3.0, ''), 'link_rps_nginx': (0.5, 0.8),
    'sse_kb': (1.0, ''),
    'player_first_picture': (1.5, 1.1), 'player_seek': (1.2, ''),
    'player_seek_error_frames': (1.0, ''), 'live_glass': (1.0, 0.4),
    'list_paint': (1.5, ''),
    'upload_cpu_rclone': (0.5, 0.3), 'upload_time_rclone': (1.0, 0.9),
    'upload_small_rclone': (1.0, 0.7), 'serve_cpu_nginx': (1.1, 0.9),
    'expire_list_p99': (1.5, ''),
    'spool_flushes': (20, ''),
    'sessions_live_mb': (40, ''), 'sessions_idle_mb': (13.3, ''),
}


def print_table(summary):
    print(f'{"key":<36}{"median":>8}{"min":>8}{"max":>8}{"n":>4}'
          f'{"bar":>8}{"stretch":>9}')
    for key, v in summary.items():
        bar, stretch = BAR.get(re.sub('_(office|terminal)$', '', key),
                               ('', ''))
        print(f'{key:<36}{v["median"]:>8}{v["min"]:>8}{v["max"]:>8}'
              f'{v["n"]:>4}{bar:>8}{stretch:>9}')


def main():
    p = argparse.ArgumentParser(prog='tests/bench/run')
    p.add_argument('names', nargs='+', choices=BENCHES)
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--json', action='store_true')
    p.add_argument('--no-install', action='store_true')
    p.add_argument('--build', required=True)
    p.add_argument('--against', metavar='BUILD',
                   help='a folder with an older build: ratios of ours to it')
    args = p.parse_args()
    results = Results(args.against and os.path.abspath(args.against))
    for name in args.names:
        module = __import__(f'bench_{name}')
        module.run(results, args.build, args.rounds)
    summary = results.summary()
    if summary:
        print_table(summary)
    if args.json:
        print(json.dumps(summary))


if __name__ == '__main__':
    main()
