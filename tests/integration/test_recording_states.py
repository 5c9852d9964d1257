"""One state table of recordings: the code's, the database's and the page's
are the same (M1), and each move of a status is in the audit log (X7)."""
import os
import subprocess

from storage_env import BUILD, Segment, wait_for
from storage_fixtures import cluster, env  # noqa: F401

SMALL = 20_000


def moves():
    out = subprocess.run([os.path.join(BUILD, 'storage', 'relaycam-storage'),
                          'moves'], capture_output=True, text=True,
                         timeout=30, check=True).stdout
    return sorted(tuple(line.split('\t')) for line in out.splitlines())


def test_database_has_the_table_of_the_code(env):
    assert moves() == sorted(
        (r['from_status'], r['to_status'], r['why'])
        for r in env.rows('SELECT * FROM segment_moves'))


def test_each_move_is_in_the_audit_log(env):
    env.start()
    seg = Segment(env, SMALL).place()
    seg.wait_stored()
    told = wait_for('its moves', lambda: (r := env.rows(
        'SELECT * FROM audit WHERE object = %s ORDER BY id', seg.id)) and
        r[-1]['action'] == 'segment_available' and r)
    assert [(r['action'], r['detail']['from']) for r in told] == [
        ('segment_transfer', ''), ('segment_available', 'transfer')]
    assert {r['team_id'] for r in told} == {env.team_id}
    assert {r['actor'] for r in told} == {'relaycam-storage'}
    env.rows("UPDATE segments SET status = 'recording' WHERE id = %s", seg.id)
    last = env.rows('SELECT * FROM audit WHERE object = %s ORDER BY id DESC '
                    'LIMIT 1', seg.id)[0]
    assert last['action'] == 'segment_illegal'
    assert (last['detail']['from'], last['detail']['to']) == (
        'available', 'recording')
