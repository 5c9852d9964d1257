"""Fixtures of tests of relaycam-console on its own: a module imports those
that it uses by name."""
import pytest

from console_env import Console
from pg import Cluster


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


def started(folder, cluster):
    c = Console(folder, cluster).start()
    yield c
    assert c.stop() == 0, c.log()
    assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    yield from started(tmp_path_factory.mktemp('console'), cluster)


@pytest.fixture(scope='module', name='console')
def console_with_people(tmp_path_factory, cluster):
    """Everybody of the teams has logged in: console.people."""
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        yield c
