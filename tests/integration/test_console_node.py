"""The console's row in nodes, and what it removes that is over."""
import hashlib
import os
import signal

import pytest

from console_env import Console
from console_fixtures import cluster  # noqa: F401
from storage_env import wait_for


@pytest.fixture
def console(tmp_path, cluster):
    c = Console(tmp_path, cluster)
    yield c
    assert c.stop() == 0, c.log()


def row(console, where='true'):
    rows = console.sql(
        "SELECT id, started_at, heartbeat_at, stopped_at, version FROM nodes "
        f"WHERE program = 'console' AND {where}")
    assert len(rows) <= 1, 'a row for each worker'
    return rows[0] if rows else None


def test_the_row_is_kept_fresh_and_says_when_it_stopped(console):
    console.start()
    first = wait_for('the row', lambda: row(console), 60)
    assert first[3] is None and first[4]
    beat = wait_for('a heartbeat', lambda: row(
        console, f"heartbeat_at > '{first[2]}'"), 60)
    assert beat[1] == first[1]
    # a worker is not the console
    os.kill(console.workers()[0], signal.SIGKILL)
    wait_for('both ready', console.all_ready, 60)
    beat = wait_for('a heartbeat', lambda b=beat: row(
        console, f"heartbeat_at > '{b[2]}'"), 60)
    assert beat[:2] == first[:2] and beat[3] is None
    assert console.stop() == 0
    assert row(console)[3] is not None

    # it finds its row again
    console.start()
    again = wait_for('the row', lambda: row(console, 'stopped_at IS NULL'), 60)
    assert again[0] == first[0] and again[1] > first[1]


def test_what_is_over_is_removed(console):
    def login(days):
        console.sql(
            "INSERT INTO logins (hash, person_id, client_addr, created_at, "
            "expires_at) SELECT %s, id, '::1', now() - interval '29 days', "
            "now() + %s * interval '1 day' FROM people WHERE name = 'alice'",
            (hashlib.sha256(str(days).encode()).digest(), days))

    def token(days):
        console.sql(
            "INSERT INTO api_tokens (hash, person_id, name, scopes, "
            "created_at, expires_at) SELECT %s, id, %s, '{*}', now() - "
            "interval '60 days', now() + %s * interval '1 day' FROM people "
            "WHERE name = 'alice'",
            (hashlib.sha256(b'%d' % days).digest(), str(days), days))
    for days in (-2, 1):
        login(days)
    for days in (-31, -29, 1):
        token(days)
    console.start()

    def left():
        return console.sql(
            'SELECT (SELECT count(*) FROM logins), (SELECT array_agg(name '
            'ORDER BY expires_at) FROM api_tokens)')[0]
    wait_for('them to go', lambda: left() == (1, ['-29', '1']), 60)
    listed = console.login('alice').get('tokens').json()['items']
    assert [t['name'] for t in listed] == ['-29', '1']
    assert console.ctl.json('check')['violations'] == []
