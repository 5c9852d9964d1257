"""Fixtures of tests of relaycam-storage on its own: a module imports those
that it uses by name."""
import contextlib

import pytest

from pg import Cluster
from storage_env import Ceph, Storage, wait_for


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def ceph(tmp_path_factory):
    c = Ceph(tmp_path_factory.mktemp('ceph'))
    yield c
    c.stop()


@pytest.fixture
def env(tmp_path, cluster):
    """The folder store; the test starts the daemon."""
    e = Storage(tmp_path, cluster)
    yield e
    e.close()


@contextlib.contextmanager
def database_away(env):
    """PostgreSQL refuses the daemon, which has noticed it."""
    def allow(word):
        env.cluster.sql('postgres', f'ALTER DATABASE "{env.name}" '
                        f'ALLOW_CONNECTIONS {word}')
    allow('false')
    try:
        env.cluster.sql('postgres', 'SELECT pg_terminate_backend(pid) FROM '
                        'pg_stat_activity WHERE datname = %s', (env.name,))
        wait_for('not ready', lambda: env.http('/readyz').status_code == 503)
        yield
    finally:
        allow('true')
