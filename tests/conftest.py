"""Fixtures: a real Relaycam on ports and folders of its own, a demo desktop
behind it, and measurements of recordings."""
import os
import shutil
import sys
import tempfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'deploy', 'quickstart'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'players'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'integration'))

import demo  # noqa: E402
from ports import free_ports  # noqa: E402
from stack import Stack  # noqa: E402

BUILD = os.environ.get('RELAYCAM_BUILD', os.path.join(ROOT, 'build-test'))


class Rig:
    """A running stack with the demo team, and its desktop."""

    def __init__(self, stack):
        self.stack = stack
        self.endpoint = None
        self.password = None
        self.endpoint_password = 'abcd1234'

    def start(self, **endpoint):
        self.stack.start()
        self.password = demo.ensure_demo_team(self.stack,
                                              self.endpoint_password)
        self.endpoint = demo.Endpoint(self.stack, self.endpoint_password,
                                      **endpoint).start()
        return self

    def viewer(self, login='alice@desk1', password=None, **kw):
        return demo.Viewer(self.stack, login, password or self.password, **kw)

    def log(self, name):
        with open(self.stack.path('log', f'{name}.log'),
                  encoding='utf-8', errors='replace') as f:
            return f.read()


def make_rig(request, **kw):
    """A rig that is taken down, and whose logs are shown when it failed.
    Sanitizers make recorders many times slower: that none of them is live any
    more is the subject of test_capture_relay.py only."""
    kw['settings'] = {'relay.live_cpu_percent': '0',
                      'relay.behind_seconds': '0', **kw.get('settings', {})}
    state = tempfile.mkdtemp(prefix='rc-', dir='/tmp')
    os.chmod(state, 0o755)
    rig = Rig(Stack(state, BUILD, free_ports(), **kw))

    def down():
        try:
            rig.stack.stop()
        finally:
            shutil.rmtree(state, ignore_errors=True)
    request.addfinalizer(down)
    return rig


@pytest.fixture(scope='module')
def rig(request):
    """The folder store."""
    return make_rig(request).start()


@pytest.fixture(scope='module')
def s3_rig(request):
    """Ceph RADOS Gateway as the store."""
    return make_rig(request, s3=True).start()
