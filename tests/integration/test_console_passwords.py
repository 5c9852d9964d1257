"""Argon2id runs in processes of a worker's, never in the worker: its loop
answers others while passwords are checked and made."""
import concurrent.futures
import os
import signal
import subprocess

import pytest

from console_env import PASSWORD, Console
from pg import Cluster
from storage_env import wait_for

CHECKS = 2  # processes of the one worker


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster, **{
            'console.workers': '1',
            'console.password_checks': str(CHECKS)}).start()
        yield c
        assert c.stop() == 0, c.log()


def checkers(console):
    """The processes of the worker."""
    (worker,) = console.workers()
    out = subprocess.run(['pgrep', '-P', str(worker)], capture_output=True,
                         text=True).stdout
    return [int(p) for p in out.split()]


def peak_kb(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(next(line for line in f if line.startswith('VmHWM')
                        ).split()[1])


def state(pid):
    """'T': stopped, 'Z' or '': ended; proc(5)."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return ''


def test_others_are_answered_while_passwords_are_checked(console):
    """Passwords take as long as the processes are stopped."""
    alice = console.login('alice')
    pids = checkers(console)
    assert len(pids) == CHECKS
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_for('stopped ones', lambda: [state(p) for p in pids] == ['T'] * CHECKS,
             30)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        try:
            slow = [
                pool.submit(console.client().login, 'adam'),
                pool.submit(console.client().login, 'nobody'),
                pool.submit(console.client().login, 'mia', 'wrong'),
                pool.submit(alice.post, 'users', json={
                    'name': 'new', 'password': PASSWORD})]
            for _ in range(20):
                assert console.client().get('me').status_code == 401
                assert console.probe('/healthz').status_code == 200
                assert console.probe('/readyz').status_code == 200
            assert not any(f.done() for f in slow)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        assert [f.result(60).status_code for f in slow] == [
            200, 401, 401, 201]
    console.sql('DELETE FROM login_failures')


def test_the_worker_has_not_the_memory_of_a_check(console):
    (worker,) = console.workers()
    before = peak_kb(worker)
    console.login('adam')
    r = console.login('alice').post('users', json={
        'name': 'newer', 'password': PASSWORD})
    assert r.status_code == 201
    assert peak_kb(worker) < before + 32 * 1024  # a check takes 64 MB


def test_a_process_that_is_killed_is_missed_by_nobody(console):
    names = ['one', 'two', 'three']     # whose password nobody checked yet
    for name in names:
        assert console.login('alice').post('users', json={
            'name': name, 'password': PASSWORD}).status_code == 201
    for pid in checkers(console):
        os.kill(pid, signal.SIGKILL)
    # the process that is kept for those who were here before
    assert console.client().login('alice', 'wrong').status_code == 401
    for name in names:
        assert console.login(name).get('me').json()['user'] == name
    assert 'password_process_gone' in console.log()
    assert checkers(console) == []
    console.sql('DELETE FROM login_failures')


def test_processes_end_with_their_worker(console):
    """Also when it is killed; the next one has its own."""
    (worker,) = console.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for('another worker', lambda: console.workers() not in
             ([], [worker]) and console.all_ready(), 60)
    pids = checkers(console)
    assert len(pids) == CHECKS
    (worker,) = console.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for('their end', lambda: all(state(p) in ('', 'Z') for p in pids),
             60)
