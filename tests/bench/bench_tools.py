"""What several benchmarks need: processor time of processes, HTTPS load, nginx
with TLS."""
import contextlib
import glob
import json
import os
import subprocess

from process import Process, tcp_answers, wait_until


def cpu_s(pids):
    """Processor seconds of processes so far, all threads."""
    total = 0
    for pid in pids:
        for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
            with open(path, encoding='ascii') as f:
                total += int(f.read().split()[0])
    return total / 1e9


def children(pid):
    return [int(p) for p in subprocess.run(
        ['pgrep', '-P', str(pid)], capture_output=True, text=True
    ).stdout.split()]


def descendants(pid):
    return [d for child in children(pid)
            for d in (child, *descendants(child))]


def _schedule(policy, priority):
    for pid in descendants(os.getpid()):
        for path in glob.glob(f'/proc/{pid}/task/*'):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(int(os.path.basename(path)), policy,
                                      os.sched_param(priority))


@contextlib.contextmanager
def ahead_of_others():
    """With RELAYCAM_BENCH_FIRST=1 all that this program started goes before
    what else the machine does, browsers and servers of both sides alike: a
    page then takes as long as on a quiet machine. For short parts only."""
    if os.environ.get('RELAYCAM_BENCH_FIRST') != '1':
        yield
        return
    _schedule(os.SCHED_RR, 1)
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER, 0)


def load_average():
    return f'load {os.getloadavg()[0]:.1f}'


def https_load(build, folder, port, requests, *args):
    """Sends requests, whole ones, with https_load.c; returns what it prints.
    folder: where the requests are written to."""
    path = os.path.join(folder, 'requests')
    with open(path, 'w', encoding='ascii', newline='') as f:
        f.write(''.join(requests))
    r = subprocess.run(
        [os.path.join(build, 'tests/bench/https_load'), '--connect',
         str(port), '--requests', path, *map(str, args)],
        capture_output=True, text=True, timeout=900)
    if r.returncode != 0:
        raise RuntimeError(f'https_load: {r.stderr}')
    out = json.loads(r.stdout)
    if out['failed']:
        raise RuntimeError(f'{out["failed"]} requests failed: {r.stderr}')
    return out


def start_nginx(state, root, cert, key, port, workers=1):
    """nginx that serves the folder root over TLS; what it writes itself goes
    to the folder state."""
    conf = os.path.join(state, 'nginx.conf')
    with open(conf, 'w', encoding='ascii') as f:
        f.write(f'''daemon off;
user root;
pid {state}/nginx.pid;
error_log {state}/nginx.log;
worker_processes {workers};
events {{ worker_connections 2000; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    open_file_cache max=100;
    sendfile on;
    tcp_nopush on;
    ssl_session_cache off;
    server {{
        listen 127.0.0.1:{port} ssl reuseport;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
    }}
}}
''')
    p = Process('nginx', ['nginx', '-c', conf, '-p', state],
                os.path.join(state, 'nginx.out'))
    wait_until(lambda: tcp_answers(port), 10, 'nginx', p)
    return p
