"""A recorder that hangs when nobody watches it any more: it is killed after
60 s, and what it had is stored. Those pass on a moved clock. X4, X2."""
import os
import signal
import time

import demo
import pytest
from counter import Counter, read
from process import wait_until

import media
import spool_files
from fast_clock import NS, make_fast_rig
from rfb_client import Client
from test_faults import ended, process, recorder_pids

FINISH_S = 60   # SPAWNER_FINISH_SECONDS
FACTOR = 10


@pytest.fixture(scope='module')
def rig(request):
    return make_fast_rig(request, {'storage.scan_seconds': '1'}).start(
        geometry='640x480')


@pytest.fixture
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 10, 'the counter', c.process)
    yield c
    c.stop()


class Stopped:
    """A session whose recorder stands still since `at`, our ns."""

    def __init__(self, rig, counter):
        self.client = Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                             'alice@desk1', rig.password)
        self.client.request(incremental=False)
        self.look_until(counter, 16)
        self.session, = rig.stack.ctl_json('sessions', 'list', '--state',
                                           'active')
        self.pid, = recorder_pids(rig)
        os.kill(self.pid, signal.SIGSTOP)
        self.at = time.monotonic_ns()
        # less than the watchdog would take for it
        self.look_until(counter, 4)

    def look_until(self, counter, n):
        """Until the desktop has drawn n more values."""
        target = counter.lines()[-1][0] + n
        self.client.run_until(lambda: counter.lines()[-1][0] >= target, 20)


def wait_killed(rig, stopped):
    """It stays as long as it should, and no longer."""
    clock = rig.stack.clock
    over = clock.boottime()
    rows = rig.stack.sql('SELECT status FROM segments WHERE session_id = '
                         f"'{stopped.session['id']}'")
    assert rows in ([], [['recording']])
    clock.speed(FACTOR)
    wait_until(lambda: not os.path.exists(f'/proc/{stopped.pid}'),
               2 * FINISH_S / FACTOR, 'the recorder to be killed')
    took = (clock.boottime() - over) / NS
    clock.speed(1)
    assert FINISH_S - 5 < took < FINISH_S + 20, took
    assert [line for line in rig.log('relay').splitlines()
            if 'recorder_hangs' in line and f'pid={stopped.pid}' in line]


def check_stored(rig, counter, stopped):
    """All that it had written, to the end that it states."""
    stack, session = rig.stack, stopped.session['id']
    segment, = demo.wait_available(stack, session, 60)
    assert segment['recovered'] and segment['split_reason'] == 'start'
    path = stack.path('tmp', f'{session}.webm')
    stack.ctl('recordings', 'fetch', segment['id'], '--output', path, '--ca',
              stack.path('ca.pem'))
    assert media.probe(path)['frames'] == segment['frames']
    shown = {v for v in read(path, 4, 4) if v is not None}
    missing = [at for v, at in counter.lines() if v > min(shown) and
               v not in shown and at < stopped.at - 0.7 * NS]
    assert not missing
    (end,), = stack.sql('SELECT end_mono_ns FROM segments WHERE session_id = '
                        f"'{session}'")
    assert abs(int(end) - stack.clock.every(stopped.at)) < 2 * NS
    assert stack.sql('SELECT recording FROM sessions WHERE id = '
                     f"'{session}'") == [['f']]
    assert spool_files.paths(stack.path('spool')) == []
    stack.ctl('check')
    return int(end)


def gaps(rig, stopped):
    return rig.stack.sql('SELECT why, before_seq, from_mono_ns, to_mono_ns '
                         'FROM gaps WHERE session_id = '
                         f"'{stopped.session['id']}'")


def test_after_the_end_of_its_session(rig, counter):
    stopped = Stopped(rig, counter)
    stopped.client.close()
    assert ended(rig, stopped.session)['end_code'] == 'normal'
    over = rig.stack.clock.boottime()
    wait_killed(rig, stopped)
    end = check_stored(rig, counter, stopped)
    (why, behind, since, until), = gaps(rig, stopped)
    assert (why, behind, int(since)) == ('crash', '', end)
    # it stood for four values of the counter, a quarter of a second each
    assert NS / 2 < int(until) - end and int(until) < over


def test_after_the_end_of_its_relay(rig, counter):
    """Nobody else may kill it: what started it stays until it is gone."""
    stopped = Stopped(rig, counter)
    relay = process(rig, 'relay')
    relay.kill()
    relay.wait()
    rig.stack.processes.remove(relay)
    stopped.client.close()
    rig.stack.start_relay()
    assert ended(rig, stopped.session)['end_code'] == 'node_lost'
    wait_killed(rig, stopped)
    check_stored(rig, counter, stopped)
    # when such a session ended is known by the relay's last heartbeat only
    assert [g[0] for g in gaps(rig, stopped)] in ([], ['node_lost'])
