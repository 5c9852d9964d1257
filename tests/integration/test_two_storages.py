"""Two storage daemons with spools of their own, one database and one bucket:
what one does the other leaves, and what one had when it was killed the other
does (M2, M3, M8, T12)."""
import re

import pytest

from storage_env import (Ceph, Gate, Segment, Storage, second_storage,
                         wait_for)
from storage_fixtures import cluster  # noqa: F401

EACH = 5
SMALL = 20_000


class ReadGate(Gate):
    """Holds reads of objects back while is_held."""
    READ = re.compile(rb'GET /recordings/acme/')
    is_held = False

    def _passes(self, data):
        return not (self.is_held and self.READ.match(data))


@pytest.fixture
def two(tmp_path, cluster, tmp_path_factory):  # noqa: F811
    ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    first = Storage(tmp_path, cluster, ceph)
    first.gate.close()
    first.gate = ReadGate(ceph.port)
    first.settings['store.s3_endpoint'] = (
        f'http://127.0.0.1:{first.gate.port}')
    pair = (first, second_storage(first, ReadGate))
    yield pair
    for s in pair:
        s.close()
    ceph.stop()


def count(env, action):
    """{object: how often}"""
    return {r['object']: r['count'] for r in env.rows(
        'SELECT object, count(*) FROM audit WHERE action = %s GROUP BY '
        'object', action)}


def running(env):
    rows = env.rows('SELECT run_by, ended_at, n_listed FROM storage_checks '
                    'ORDER BY id DESC LIMIT 1')
    return rows[0] if rows else {'run_by': '', 'ended_at': None}


def test_jobs_are_shared_and_move_on(two):
    env = two[0]
    segments = []
    for s in two:
        segments += [Segment(s, SMALL).place() for _ in range(EACH)]
    for s in two:
        s.start(storage__check_seconds='1d')
    for seg in segments:
        seg.wait_stored(60)
    ids = {seg.id for seg in segments}
    assert count(env, 'segment_available') == dict.fromkeys(ids, 1)
    wait_for('the first comparison', lambda: running(env)['ended_at'], 60)
    # one of them is killed in the middle of another one
    for s in two:
        s.gate.is_held = True
    env.rows("INSERT INTO storage_checks (store, asked_by, is_full) VALUES "
             "('s3', 'alice', true)")
    env.rows('NOTIFY relaycam_check')
    wait_for('it reads', lambda: running(env)['run_by'] and
             running(env)['n_listed'] >= 2 * EACH, 60)
    has_it = running(env)['run_by']
    nodes = {s: env.rows('SELECT id::text FROM nodes WHERE files_url = %s',
                         s.settings['store.public_url'])[0]['id']
             for s in two}
    dead, = [s for s in two if nodes[s] == has_it]
    living, = [s for s in two if s is not dead]
    dead.kill()
    living.gate.is_held = False
    assert running(env)['run_by'] == has_it
    # its lease ends: ten minutes without a heartbeat
    env.rows("UPDATE storage_checks SET heartbeat_at = heartbeat_at - "
             "interval '11 minutes' WHERE ended_at IS NULL")
    env.rows('NOTIFY relaycam_check')
    wait_for('the other one ends it', lambda: running(env)['ended_at'], 120)
    assert running(env)['run_by'] == nodes[living]
    assert env.rows("SELECT * FROM storage_findings WHERE kind <> 'unknown'"
                    ) == []
    # both expire what is over, each object once
    dead.gate.is_held = False
    dead.start(storage__check_seconds='1d')
    env.rows("UPDATE segments SET expires_at = now() - interval '1 s'")
    env.rows('NOTIFY relaycam_segment')
    for seg in segments:
        seg.wait('expired', 60)
    assert count(env, 'recording_expired') == dict.fromkeys(ids, 1)
    assert not env.ceph.keys() & {seg.key for seg in segments}
