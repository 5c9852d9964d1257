"""Podman for the tests of this folder: images with the tag "test", removed at
the end."""
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, 'deploy', 'quickstart'),
                os.path.join(ROOT, 'tests', 'integration')]
os.environ['CONTAINERS_CONF'] = os.path.join(HERE, 'containers.conf')
IMAGES = ['relay', 'storage', 'console', 'ctl', 'postgres', 's3', 'desk',
          'setup']
RUN_LIMIT_S = 3600


def podman(*args, check=True, **kw):
    r = subprocess.run(['podman', *args], capture_output=True, text=True,
                       timeout=RUN_LIMIT_S, **kw)
    if check:
        assert r.returncode == 0, f'podman {" ".join(args)}: {r.stderr}'
    return r


def deploy(*argv):
    r = subprocess.run([os.path.join(ROOT, 'deploy', argv[0]), *argv[1:]],
                       capture_output=True, text=True, timeout=RUN_LIMIT_S)
    assert r.returncode == 0, r.stderr[-3000:]


def build_debs(folder):
    deploy('build-debs', folder)


def build(tag, *args):
    deploy('containers/build', '--tag', tag, *args)


@pytest.fixture(scope='session')
def debs(tmp_path_factory):
    """The folder with Relaycam's packages; CONTAINERS_DEBS names one."""
    if 'CONTAINERS_DEBS' in os.environ:
        return os.environ['CONTAINERS_DEBS']
    folder = str(tmp_path_factory.mktemp('debs'))
    build_debs(folder)
    return folder


@pytest.fixture(scope='session')
def images(debs):
    build('test', '--debs', debs)
    yield
    podman('rmi', '-f', *(f'localhost/relaycam-{i}:test' for i in IMAGES),
           check=False)
