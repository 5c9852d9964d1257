"""Guessing passwords keeps nobody else out, and counts whatever becomes of
the connection. T1, X6, "Bad input" of T1."""
import threading

import pytest
from process import tcp_answers, wait_until

from test_access import Technician
from test_bounds import audited, metric

GUESSERS = 20


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request).start()


def log_in(rig, source):
    t = Technician(rig, source=(source, 0))
    try:
        return t.login('alice@desk1', rig.password)
    finally:
        t.close()


def restart(rig):
    relay = next(p for p in rig.stack.processes if p.name == 'relay')
    assert relay.stop(40) == 0
    rig.stack.processes.remove(relay)
    relay = rig.stack.start_relay()
    wait_until(lambda: tcp_answers(rig.stack.ports.relay), 60, 'the relay',
               relay)


class Guessing:
    """Wrong passwords for one name from many addresses, as fast as the relay
    lets them."""

    def __init__(self, rig):
        self.rig, self.stop = rig, threading.Event()
        self.threads = [threading.Thread(target=self.guess, args=(n,))
                        for n in range(GUESSERS)]

    def guess(self, n):
        while not self.stop.is_set():
            try:
                t = Technician(self.rig, source=(f'127.0.13.{n + 1}', 0))
                t.login('alice@desk1', f'wrong {n}')
                t.close()
            except OSError:
                pass
            except EOFError:
                pass

    def __enter__(self):
        self.before = metric(self.rig, 'login_failures_total')
        for t in self.threads:
            t.start()
        wait_until(lambda: metric(self.rig, 'login_failures_total') -
                   self.before >= GUESSERS // 2, 90, 'the guesses')
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def known(rig):
    return int(rig.stack.sql('SELECT count(*) FROM known_logins')[0][0])


def test_guessers_do_not_lock_anybody_out(rig):
    assert log_in(rig, '127.0.12.1') is None
    wait_until(lambda: known(rig) == 1, 20, 'the row')
    # who logged in from where is known after a restart, too
    restart(rig)
    with Guessing(rig):
        for _ in range(5):
            assert log_in(rig, '127.0.12.1') is None
        # she waits for her turn where she never was, not for all of them
        assert log_in(rig, '127.0.12.2') is None
        # and then she is known there
        assert log_in(rig, '127.0.12.2') is None
    assert known(rig) == 2


def test_known_logins_are_bounded(rig):
    for n in range(20):
        assert log_in(rig, f'127.0.14.{n + 1}') is None
    wait_until(lambda: known(rig) == 16, 20, 'the oldest to be forgotten')
    assert rig.stack.ctl('check')


def test_leaving_before_the_answer_counts(rig):
    failures = metric(rig, 'login_failures_total')
    rows = [audited(rig, 'login_abandoned')[1],
            int(rig.stack.sql("SELECT count(*) FROM audit WHERE action = "
                              "'login_failed'")[0][0])]
    n = 40
    for i in range(n):
        t = Technician(rig, source=(f'127.0.15.{i % 4 + 1}', 0))
        u, p = b'alice@desk1', b'wrong'
        t.sock.sendall(len(u).to_bytes(4, 'big') + len(p).to_bytes(4, 'big')
                       + u + p)
        t.close()
    wait_until(lambda: metric(rig, 'login_failures_total') - failures == n,
               60, 'each of them to be counted')
    # in the audit trail: those that were checked, and the sum of the others
    wait_until(lambda: audited(rig, 'login_abandoned')[1] - rows[0] + int(
        rig.stack.sql("SELECT count(*) FROM audit WHERE action = "
                      "'login_failed'")[0][0]) - rows[1] == n, 80,
               'their rows')
    # the person is not slowed down where she is known
    assert log_in(rig, '127.0.14.20') is None
