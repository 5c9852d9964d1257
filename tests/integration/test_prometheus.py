"""A Prometheus of Debian's package scrapes relay, storage and console of an
installation that runs, each series once, and evaluates the alert rules.
tests/prometheus/run does the work and may be run against any installation."""
import os
import subprocess

import pytest
from conftest import make_rig
from ctl import ROOT
from ports import free_ports

DAEMONS = ('relay', 'storage', 'console')


@pytest.fixture(scope='module')
def rig(request):
    r = make_rig(request).start()
    r.stack.start_console()
    return r


def test_a_real_prometheus_scrapes_all_daemons(rig):
    targets = [f'127.0.0.1:{getattr(rig.stack.ports, f"{d}_metrics")}'
               for d in DAEMONS]
    r = subprocess.run(
        [os.path.join(ROOT, 'tests', 'prometheus', 'run'), *targets],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, 'PROMETHEUS_PORT': str(free_ports().relay)})
    assert r.returncode == 0, (r.stdout + r.stderr)[-3000:]
    assert f'Prometheus scrapes all of: {" ".join(targets)}' in r.stdout
    for d in DAEMONS:
        n = int(r.stdout.split(f'series of relaycam_{d}: ')[1].split()[0])
        assert n > 10, d
