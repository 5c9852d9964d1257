"""The console's list of recordings while many of them expire, against the same
when it is quiet."""
import os
import statistics
import time
import urllib.request
import uuid

import bench_console
from bench_doors import quantile
from bench_tools import load_average

SESSIONS = 20000        # five recordings each, on average
ROWS, QUIET_LISTS = 10000, 2000
LIST = 'recordings?limit=50'
OBJECT_BYTES = 4096
EXPIRED = 'relaycam_storage_removed_total{why="expired"}'


class Expiry:
    """Those recordings that are the next ones to expire, again in each
    round."""

    def __init__(self, bench, rows):
        self.bench, self.stack = bench, bench.stack
        self.ids = bench.psql(
            "SELECT id FROM segments WHERE status = 'available' AND store = "
            f"'folder' AND NOT locked ORDER BY expires_at, id LIMIT {rows}"
        ).split()
        # the daemon compares the store with its rows only then
        bench.psql("INSERT INTO storage_checks (store, started_at, ended_at, "
                   "phase) VALUES ('folder', now(), now(), 'done')")
        self._mark()
        self.stack.start_storage()

    def _mark(self):
        """The folder is the one that the planted rows speak of."""
        folder = self.stack.path('recordings')
        os.makedirs(folder, exist_ok=True)
        mark = str(uuid.uuid4())
        self.bench.psql(f"INSERT INTO folder_store (id) VALUES ('{mark}')")
        with open(os.path.join(folder, '.relaycam-store'), 'w',
                  encoding='utf-8') as f:
            f.write(f'{mark}\n')

    def _update(self, what):
        """Without the triggers, which are not what is measured."""
        self.bench.psql(
            'SET session_replication_role = replica; UPDATE segments SET '
            f"{what} WHERE id = ANY('{{{','.join(self.ids)}}}')")

    def restore(self):
        """Stored and not expired, objects and all."""
        folder = self.stack.path('recordings', 'bulk')
        os.makedirs(folder, exist_ok=True)
        os.chown(folder, self.stack.user.pw_uid, self.stack.user.pw_gid)
        for i in self.ids:
            with open(os.path.join(folder, f'{i}.webm'), 'wb') as f:
                f.write(bytes(OBJECT_BYTES))
        self._update("status = 'available', status_detail = '', store = "
                     "'folder', expires_at = now() + interval '1 day'")
        self.bench.psql('SELECT segments_recount()')
        self.bench.psql('VACUUM ANALYZE')
        self.bench.psql('CHECKPOINT')
        os.sync()

    def count(self):
        url = f'http://127.0.0.1:{self.stack.ports.storage_metrics}/metrics'
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(EXPIRED):
                    return int(line.split()[-1])
        raise RuntimeError(f'no {EXPIRED} in the metrics of storage')

    def begin(self):
        """Their time is over; the daemon sees it within a second. Returns
        what tells whether all are expired."""
        end = self.count() + len(self.ids)
        self._update("expires_at = now() - interval '1 hour'")
        return lambda: self.count() >= end


def lists(bench, is_over):
    """Seconds of lists, one after the other, until it is over."""
    took = []
    while len(took) % 20 or not is_over(len(took)):
        began = time.monotonic()
        bench.owner.get(LIST)
        took.append(time.monotonic() - began)
    return took


def one_round(bench, expiry):
    expiry.restore()
    quiet = lists(bench, lambda n: n >= QUIET_LISTS)
    is_done = expiry.begin()
    began = time.monotonic()
    busy = lists(bench, lambda n: is_done())
    seconds = time.monotonic() - began
    p99 = quantile(busy, 0.99), quantile(quiet, 0.99)
    p50 = statistics.median(busy), statistics.median(quiet)
    bench.results.note(
        f'storage expiry: {len(expiry.ids) / seconds:.0f} rows/s for '
        f'{seconds:.0f} s, lists meanwhile {len(busy)}: p50 '
        f'{p50[0] * 1e3:.1f} p99 {p99[0] * 1e3:.1f} ms, quiet {len(quiet)}: '
        f'p50 {p50[1] * 1e3:.1f} p99 {p99[1] * 1e3:.1f} ms; '
        f'{load_average()}')
    bench.results.ratio('expire_list_p99', *p99)
    bench.results.ratio('expire_list_p50', *p50)


def run(results, build, rounds):
    scale = float(os.environ.get('RELAYCAM_BENCH_SCALE', '1'))
    bench = bench_console.Bench(build, results, SESSIONS,
                                {'storage.expiry_seconds': '1'})
    try:
        bench.start()
        expiry = Expiry(bench, max(100, int(ROWS * scale)))
        for _ in range(rounds):
            one_round(bench, expiry)
    finally:
        bench.close()
