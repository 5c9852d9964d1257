"""X2 on real sessions: what the ledger states when a session goes on without
being recorded: after Stop, on a full disk, after kill -9 of its relay. The
disk is a file system of the test's own, so this needs root."""
import os
import signal
import time

import demo
import pytest
from counter import Counter
from process import wait_until

from test_disk import Technician, rig_on, wait_drawn
from test_faults import ended, process

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason='mounts disks')
MS = 10**6


@pytest.fixture(scope='module')
def rig(request):
    return rig_on(request, 'tmpfs')


@pytest.fixture
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 10, 'the counter', c.process)
    yield c
    c.stop()


@pytest.fixture
def by_hand(rig):
    rig.stack.sql('UPDATE access_settings SET recording = false, '
                  'manual_recording = true')
    yield
    rig.stack.sql('UPDATE access_settings SET recording = true, '
                  'manual_recording = false')


def is_recording(rig, session):
    return rig.stack.sql('SELECT recording FROM sessions WHERE id = '
                         f"'{session['id']}'") == [['t']]


def record(rig, session, what):
    assert rig.stack.sql(
        f"SELECT coalesce(session_command(NULL, '{session['id']}', "
        f"'recording', '{what}'), 'done')") == [['done']]
    wait_until(lambda: is_recording(rig, session) == (what == 'start'), 10,
               f'the recording to {what}')


def timeline(rig, session):
    return rig.stack.ctl_json('recordings', 'timeline', session['id'])


def exact(rig, session):
    """From the end of the last file to the session's, in ms."""
    (ns,), = rig.stack.sql(
        'SELECT s.ended_mono_ns - max(g.end_mono_ns) FROM sessions s JOIN '
        f"segments g ON g.session_id = s.id WHERE s.id = '{session['id']}' "
        'GROUP BY s.id')
    return (int(ns) + MS // 2) // MS


def test_nothing_recorded_after_stop(rig, counter, by_hand):
    t = Technician(rig)
    record(rig, t.session, 'start')
    wait_drawn(counter, 8)
    stopped = time.monotonic()
    record(rig, t.session, 'stop')
    wait_drawn(counter, 8)
    lasted = time.monotonic() - stopped
    t.leave()
    assert ended(rig, t.session)['end_code'] == 'normal'
    demo.wait_available(rig.stack, t.session['id'], 40)
    segment, gap = timeline(rig, t.session)
    assert (segment['kind'], gap['kind'], gap['why']) == (
        'segment', 'gap', 'manual')
    assert gap['ms'] == exact(rig, t.session)
    assert lasted * 1000 - 500 < gap['ms'] < lasted * 1000 + 5000
    assert gap['started_at'] == segment['ended_at']


def test_full_disk_and_the_session_goes_on(rig, counter, by_hand):
    """Stated up to the next Start, then up to the session's end."""
    t = Technician(rig)
    record(rig, t.session, 'start')
    wait_drawn(counter, 8)
    rig.disk.fill()
    wait_until(lambda: not is_recording(rig, t.session), 15, 'the stop')
    wait_drawn(counter, 6)
    rig.disk.free()
    record(rig, t.session, 'start')
    wait_drawn(counter, 8)
    rig.disk.fill()
    wait_until(lambda: not is_recording(rig, t.session), 15, 'the stop')
    wait_drawn(counter, 6)
    t.leave()
    ended(rig, t.session)
    rig.disk.free()
    demo.wait_available(rig.stack, t.session['id'], 40)
    items = timeline(rig, t.session)
    assert [(i['kind'], i['why']) for i in items] == [
        ('segment', 'manual'), ('gap', 'nospace'),
        ('segment', 'manual'), ('gap', 'nospace')]
    assert items[1]['ms'] * MS == pytest.approx(
        items[2]['start_mono_ns'] - items[0]['end_mono_ns'], abs=MS)
    assert items[3]['ms'] == exact(rig, t.session) > 500
    text = rig.stack.ctl('recordings', 'timeline', t.session['id'])
    assert text.splitlines()[-1] == (
        f"gaps: 2, {items[1]['ms'] + items[3]['ms']} ms in all")


def test_relay_killed(rig, counter):
    """Its recorder outlives it by a moment and closes the file; what lies
    between that and the last heartbeat is stated, if anything."""
    t = Technician(rig)
    wait_drawn(counter, 20)
    p = process(rig, 'relay')
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    rig.stack.processes.remove(p)
    rig.stack.start_relay()
    row = ended(rig, t.session, 30)
    assert row['end_code'] == 'node_lost', row
    demo.wait_available(rig.stack, t.session['id'], 40)
    t.thread.join(15)
    gaps = rig.stack.sql(
        "SELECT why, ms FROM gaps WHERE session_id = "
        f"'{t.session['id']}'")
    (short,), = rig.stack.sql(
        'SELECT extract(epoch FROM s.ended_at - max(g.ended_at)) * 1000 '
        'FROM sessions s JOIN segments g ON g.session_id = s.id WHERE s.id '
        f"= '{t.session['id']}' GROUP BY s.id")
    if float(short) >= 0.5:
        assert gaps == [['node_lost', str(round(float(short)))]]
    else:
        assert gaps == []


def test_check_agrees(rig):
    """The invariants hold for all that happened above."""
    assert 'all is well' in rig.stack.ctl('check')
