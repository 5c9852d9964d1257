"""The storage daemon: uploads to a private Ceph gateway against rclone and the
AWS command line, parts of a file over TLS against nginx, the console's list
while recordings expire against the same when it is quiet."""
import os
import shutil
import sys
import tempfile

from bench_tools import (children, cpu_s, https_load, load_average,
                         start_nginx)

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_BYTES = 512 << 20
SMALL_FILES, SMALL_BYTES, SMALL_PER_SESSION = 2000, 1 << 20, 20
RANGES, RANGE_BYTES = 64, 4 << 20
SERVE_SECONDS, SERVE_CLIENTS = 5, 4
NGINX_PORT = 25080
NEEDS = {'upload': ('rclone', '/usr/bin/aws', 'radosgw', 'ceph-osd'),
         'small': ('rclone', '/usr/bin/aws', 'radosgw', 'ceph-osd'),
         'serve': ('nginx',), 'expire': ()}


def scaled(n):
    return max(1, int(n * float(os.environ.get('RELAYCAM_BENCH_SCALE', '1'))))


class Bench:
    """What the parts share, made when the first one wants it."""

    def __init__(self, build, results):
        self.build, self.results = build, results
        # storage_env.py reads it when it is imported
        os.environ['RELAYCAM_BUILD'] = os.path.abspath(build)
        sys.path.insert(0, os.path.join(HERE, '..', 'integration'))
        import storage_rig
        from pg import Cluster
        self.rigs = storage_rig
        self.dir = tempfile.mkdtemp(prefix='rc-storage-', dir='/tmp')
        self.cluster, self.to_close = Cluster().start(), []
        self._s3 = self._source = None

    def close(self):
        for thing in reversed(self.to_close):
            thing()
        self.cluster.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def rig(self, name, ceph=None):
        os.makedirs(self.path(name))
        rig = self.rigs.Rig(self.path(name), self.cluster, ceph)
        self.to_close.append(rig.close)
        return rig

    def s3(self):
        """The daemon and its peers on one bucket."""
        if self._s3 is None:
            from storage_env import Ceph
            ceph = Ceph(self.path('ceph'))
            self.to_close.append(ceph.stop)
            self._s3 = (self.rig('s3', ceph),
                        self.rigs.Peers(self.dir, ceph))
        return self._s3

    def source(self):
        if self._source is None:
            self._source = self.rigs.Source(self.path('file'),
                                            scaled(FILE_BYTES))
            os.sync()
        return self._source


def alternate(contenders, n):
    """What each gave, by its name; in the other order in every other
    round."""
    order = list(contenders.items())
    return {name: run() for name, run in (order if n % 2 == 0
                                          else reversed(order))}


# --- uploads -----------------------------------------------------------------

def run_upload(b, rounds):
    rig, peers = b.s3()
    source = b.source()

    def ours(has_evidence):
        return rig.upload(rig.make([source], has_evidence=has_evidence), 1)

    for n in range(rounds):
        took = alternate({
            'ours': lambda: ours(True),
            'rclone': lambda: peers.rclone(source.path, 'rclone/file'),
            'unchecked': lambda: ours(False),
            'aws': lambda: peers.aws(source.path, 'aws/file')}, n)
        b.results.note(
            f'storage upload of {source.size >> 20} MiB, CPU s and s: ' +
            ', '.join(f'{k} {cpu:.2f} {s:.2f}'
                      for k, (cpu, s) in took.items()) +
            f'; {load_average()}')
        for key, i, mine, peer in (
                ('upload_cpu_rclone', 0, 'ours', 'rclone'),
                ('upload_time_rclone', 1, 'ours', 'rclone'),
                ('upload_cpu_rclone_unchecked', 0, 'unchecked', 'rclone'),
                ('upload_cpu_aws', 0, 'ours', 'aws')):
            b.results.ratio(key, took[mine][i], took[peer][i])
        peers.empty_bucket()


def run_small(b, rounds):
    rig, peers = b.s3()
    folder = b.path('small')
    os.makedirs(folder)
    sources = [b.rigs.Source(os.path.join(folder, f'{i}.webm'), SMALL_BYTES)
               for i in range(scaled(SMALL_FILES))]
    os.sync()

    def ours():
        return rig.upload(rig.make(sources, SMALL_PER_SESSION), len(sources))

    def emptied(upload):
        result = upload()
        peers.empty_bucket()    # memory is for one of them
        return result

    for n in range(rounds):
        took = alternate({
            'ours': lambda: emptied(ours),
            'rclone': lambda: emptied(
                lambda: peers.rclone(folder, 'rclone/small'))}, n)
        b.results.note(
            f'storage upload of {len(sources)} files of 1 MiB, CPU s and s: '
            + ', '.join(f'{k} {cpu:.2f} {s:.2f}'
                        for k, (cpu, s) in took.items()) +
            f'; {load_average()}')
        b.results.ratio('upload_small_rclone', took['ours'][1],
                        took['rclone'][1])
        b.results.ratio('upload_small_cpu_rclone', took['ours'][0],
                        took['rclone'][0])


# --- parts of a file ---------------------------------------------------------

def ranges(path, size):
    """Requests for parts all over a file."""
    step = size // RANGES
    return [f'GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes='
            f'{i * step}-{i * step + min(step, RANGE_BYTES) - 1}\r\n\r\n'
            for i in range(RANGES)]


def run_serve(b, rounds):
    rig = b.rig('serve')
    env, source = rig.env, b.source()
    session = rig.make([source], has_evidence=False)
    rig.upload(session, 1)
    key = rig.value('SELECT object_key FROM segments WHERE session_id = '
                    '%s::uuid', session[0])
    os.makedirs(b.path('www'))
    os.link(source.path, b.path('www/file'))
    nginx = start_nginx(b.dir, b.path('www'), f'{env.dir}/tls.crt',
                        f'{env.dir}/tls.key', NGINX_PORT)
    b.to_close.append(lambda: nginx.stop(5))

    def cpu_of(port, path, pids):
        before = cpu_s(pids)
        out = https_load(b.build, b.dir, port, ranges(path, source.size),
                         '--connections', SERVE_CLIENTS, '--seconds',
                         SERVE_SECONDS)
        gb = out['bytes'] / 1e9
        return (cpu_s(pids) - before) / gb, gb / out['seconds']

    for n in range(rounds):
        link = env.link(key)
        took = alternate({
            'ours': lambda: cpu_of(
                env.files_port, link[len(env.settings['store.public_url']):],
                [env.process.pid]),
            'nginx': lambda: cpu_of(NGINX_PORT, '/file',
                                    children(nginx.pid))}, n)
        b.results.note(
            'storage parts of a file, CPU s per GB and GB/s: ' + ', '.join(
                f'{k} {cpu:.3f} {rate:.2f}'
                for k, (cpu, rate) in took.items()) + f'; {load_average()}')
        b.results.ratio('serve_cpu_nginx', took['ours'][0], took['nginx'][0])


def run_expire(b, rounds):
    import storage_expiry
    storage_expiry.run(b.results, b.build, rounds)


# Ceph is started by the last two, for the first two are better without it
PARTS = {'expire': lambda b, rounds: run_expire(b, min(rounds, 3)),
         'serve': run_serve, 'upload': run_upload,
         'small': lambda b, rounds: run_small(b, min(rounds, 3))}


def run(results, build, rounds):
    """RELAYCAM_BENCH_PARTS: names of PARTS; without it, all."""
    parts = os.environ.get('RELAYCAM_BENCH_PARTS', ' '.join(PARTS)).split()
    missing = sorted({os.path.basename(p) for name in parts
                      for p in NEEDS[name] if not shutil.which(
                          p, path=os.environ['PATH'] + ':/usr/sbin:/sbin')})
    if missing:
        raise SystemExit(f'bench: {", ".join(missing)} missing: '
                         'deploy/packages bench s3')
    b = Bench(build, results)
    try:
        for name in parts:
            PARTS[name](b, rounds)
    finally:
        b.close()
