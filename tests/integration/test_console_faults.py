"""The console while what it stands on breaks: PostgreSQL is killed and comes
back, a worker is killed and others serve, a new certificate is none."""
import os
import signal
import threading
import time

import pytest
import requests

from console_env import PASSWORD, Console
from console_fixtures import cluster  # noqa: F401
from storage_env import wait_for


@pytest.fixture
def console(tmp_path, cluster):
    c = Console(tmp_path, cluster).start()
    yield c
    assert c.stop() == 0, c.log()


# --- PostgreSQL --------------------------------------------------------------

def is_unavailable(r):
    assert r.status_code == 503, r.text
    assert r.headers['Content-Type'] == 'application/problem+json'
    problem = r.json()
    assert problem['type'] == '/problems/unavailable'
    assert 'database' in problem['detail']
    return True


def under_way(console, cluster, ask):
    """A request that the database holds up, in a thread of its own."""
    lock = cluster.connect(console.ctl.name)
    lock.autocommit = False
    lock.cursor().execute('LOCK TABLE sessions')
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    wait_for('a request that waits', lambda: cluster.sql(
        console.ctl.name, "SELECT count(*) FROM pg_stat_activity WHERE "
        "datname = current_database() AND wait_event_type = 'Lock'"
        )[0][0] == 1, 60)
    return thread, answers, lock


def test_the_database_is_killed_and_comes_back(console, cluster):
    alice, adam = console.login('alice'), console.login('adam')
    console.ctl.session()
    before = alice.get('sessions').json()
    workers = console.workers()
    thread, answers, _lock = under_way(
        console, cluster, lambda: adam.get('sessions'))
    cluster.kill()
    try:
        while_it_is_away(console, alice, thread, answers)
    finally:
        thread.join(60)
        cluster.boot()
    wait_for('both workers', console.all_ready, 60)
    # the same people, on the same connections
    assert alice.get('sessions').json() == before
    assert console.login('mia').get('me').json()['user'] == 'mia'
    assert console.workers() == workers, 'a worker died'
    wait_for('its row', lambda: console.sql(
        "SELECT id FROM nodes WHERE program = 'console' AND stopped_at IS NULL "
        "AND heartbeat_at > now() - interval '20 seconds'"), 60)


def while_it_is_away(console, alice, thread, answers):
    thread.join(60)
    is_unavailable(answers[0])

    wait_for('that it is noticed',
             lambda: console.probe('/readyz').status_code == 503, 60)
    assert console.probe('/readyz').text == 'the database cannot be reached\n'
    assert console.probe('/healthz').status_code == 200
    assert console.metric('workers_ready') == 0
    # at once, and with a hint when to come again
    for _ in range(20):
        r = alice.get('sessions')
        assert is_unavailable(r) and int(r.headers['Retry-After']) > 0
    assert is_unavailable(console.client().login('mia'))
    assert console.client().get('me').status_code == 401


def test_a_lock_that_is_held_for_long(console, cluster):
    """Half of answer_seconds: the database gives up, the request may be
    repeated, and the log has no error of a statement."""
    alice = console.login('alice')
    thread, answers, lock = under_way(
        console, cluster, lambda: alice.get('sessions'))
    thread.join(60)
    is_unavailable(answers[0])
    assert answers[0].json()['detail'] == \
        'The database is too slow; try again.'
    assert int(answers[0].headers['Retry-After']) > 0
    lock.rollback()
    assert alice.get('sessions').status_code == 200
    assert console.probe('/readyz').status_code == 200


def test_a_database_that_is_read_only(console, cluster):
    """A standby, or one whose disk was full."""
    alice = console.login('alice')
    change = f'ALTER DATABASE "{console.ctl.name}" '
    cluster.sql('postgres', change + 'SET default_transaction_read_only = on')
    console.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "datname = current_database() AND usename = "
                "'relaycam_console'")
    wait_for('connections that may only read', lambda: alice.post(
        'tokens', json={'name': 'x', 'scopes': ['*'], 'days': 1}
        ).status_code == 503, 60)
    r = alice.post('tokens', json={'name': 'y', 'scopes': ['*'], 'days': 1})
    assert is_unavailable(r)
    cluster.sql('postgres', change + 'RESET default_transaction_read_only')
    wait_for('it to be writable again', lambda: alice.post(
        'tokens', json={'name': 'z', 'scopes': ['*'], 'days': 1}
        ).status_code == 201, 60)


# --- workers -----------------------------------------------------------------

def alive(clients):
    """Those whose connection still answers, without making a new one."""
    found = []
    for c in clients:
        adapter = c.http.get_adapter('https://')
        adapter.max_retries = 0
        try:
            if c.get('me').status_code == 401:
                found.append(c)
        except requests.ConnectionError:
            pass
    return found


def test_others_serve_while_a_worker_is_dead(console):
    """The supervisor is held, so that nothing is started meanwhile."""
    clients = [console.client() for _ in range(24)]
    for c in clients:
        assert c.get('me').status_code == 401
    first, second = console.workers()
    console.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(first, signal.SIGKILL)
        wait_for('its end', lambda: is_dead(first), 60)
        # new connections are all served by the other one
        for _ in range(24):
            assert console.client().get('me').status_code == 401
        assert console.client().login('mia').status_code == 200
    finally:
        console.process.send_signal(signal.SIGCONT)
    wait_for('another worker', lambda: len(w := console.workers()) == 2 and
             first not in w and second in w, 60)
    wait_for('both ready', console.all_ready, 60)
    assert console.metric('worker_restarts_total') == 1
    assert 'worker_died' in console.log()


def is_dead(pid):
    """All its threads: while one of them still ends, its sockets are open."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            state = f.read().rsplit(')', 1)[1].split()[0]
        return state == 'Z' and len(os.listdir(f'/proc/{pid}/task')) == 1
    except FileNotFoundError:
        return True


def test_a_worker_that_dies_again_and_again_is_not_started_in_a_rush(console):
    """Once a second, and it serves as soon as it lives."""
    began = time.monotonic()
    for n in range(4):
        victim = wait_for('a worker', console.workers, 60)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for('its end', lambda v=victim: v not in console.workers(), 60)
        wait_for('the count', lambda n=n: console.metric(
            'worker_restarts_total') == n + 1, 60)
    wait_for('both ready', console.all_ready, 60)
    assert console.client().login('alice').status_code == 200
    assert time.monotonic() - began > 1


# --- settings that are wrong at SIGHUP ---------------------------------------

def test_a_certificate_that_is_none_changes_nothing(console):
    alice = console.login('alice')
    path = console.settings['console.tls_cert_file']
    with open(path, encoding='ascii') as f:
        good = f.read()
    with open(path, 'w', encoding='ascii') as f:
        f.write('none')
    try:
        console.process.send_signal(signal.SIGHUP)
        wait_for('both workers to say so', lambda: console.log().count(
            'certificate_not_reloaded') == 2, 60)
    finally:
        with open(path, 'w', encoding='ascii') as f:
            f.write(good)
    assert alice.get('me').status_code == 200
    assert console.client().login('mia', PASSWORD).status_code == 200
