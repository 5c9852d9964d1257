"""Sessions captured at the relay and encoded by storage: when the budget for
live encoders is used up, and by setting; a recorder that dies meanwhile. What
comes out has every frame, numbered without holes (M1, X2, X4)."""
import os
import signal

import demo
import pytest
from counter import Counter
from process import wait_until
from test_faults import recorder_pids
from test_splits import check_whole, command, files


def rows(rig, session):
    return rig.stack.sql(
        'SELECT seq, status, split_reason FROM segments WHERE session_id = '
        f"'{session}' ORDER BY seq")


def captured(rig):
    """Sessions that the relay's log says are captured, and why."""
    return [(line.split('session=')[1].split()[0],
             line.split('setting=')[1].split()[0])
            for line in rig.log('relay').splitlines()
            if 'session_captured' in line]


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.live_recorders': '1'}).start()


@pytest.fixture
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 10, 'the counter', c.process)
    yield c
    c.stop()


def begin(rig):
    """Another session; its viewer and its id."""
    before = {x['id'] for x in rig.stack.ctl_json('sessions', 'list')}
    viewer = rig.viewer().start()
    viewer.wait_for_window()
    new = [x['id'] for x in rig.stack.ctl_json('sessions', 'list')
           if x['id'] not in before]
    assert len(new) == 1
    return viewer, new[0]


def test_above_the_budget(rig, counter, tmp_path):
    """The first is live, the second captured; split alike, both whole."""
    first, live = begin(rig)
    second, later = begin(rig)
    assert captured(rig)[-1] == (later, 'live_recorders')
    wait_until(lambda: len(rows(rig, later)) == 1, 10, 'its row')
    assert rows(rig, later) == [['1', 'recording', 'start']]
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 20, 20, 'pictures')
    for session in (live, later):
        command(rig, session, 'frame_rate', '20')
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 20, 20, 'pictures')
    second.close()
    first.close()
    for session in (live, later):
        found = files(rig, session, tmp_path)
        assert [f['reason'] for f in found] == ['start', 'frame_rate']
        assert [f['rate'] for f in found] == ['10', '20']
        check_whole(found)
    # room again: live, as before
    third, session = begin(rig)
    third.close()
    assert session not in [s for s, _ in captured(rig)]
    demo.wait_available(rig.stack, session, 60)


def test_a_dead_recorder_of_a_capture(rig, counter, tmp_path):
    """X4: another one goes on; in the end numbers have no hole."""
    first, _ = begin(rig)
    before = set(recorder_pids(rig))
    second, later = begin(rig)
    assert captured(rig)[-1] == (later, 'live_recorders')
    pids = set(recorder_pids(rig)) - before
    assert len(pids) == 1
    wait_until(lambda: rows(rig, later), 10, 'its row')
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 25, 20, 'pictures')
    os.kill(pids.pop(), signal.SIGKILL)
    wait_until(lambda: len(rows(rig, later)) == 2, 10, 'another capture')
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 25, 20, 'pictures')
    second.close()
    first.close()
    found = files(rig, later, tmp_path)
    assert [f['reason'] for f in found] == ['start', 'recorder_restart']
    assert [f['seq'] for f in found] == ['1', '2']
    at = 1
    for f in found:
        assert int(f['first']) == at
        at = int(f['last']) + 1
        assert len([v for v in f['values'] if v is not None]) > 5
    gaps = rig.stack.sql(
        f"SELECT why, ms FROM gaps WHERE session_id = '{later}'")
    assert [g[0] for g in gaps] == ['recorder_restart']
    assert 0 < int(gaps[0][1]) < 5000


def test_by_setting(request, tmp_path):
    from conftest import make_rig
    rig = make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.recording_mode': 'capture',
        'relay.live_bytes': '1'}).start()
    viewer, session = begin(rig)
    viewer.close()
    assert captured(rig) == [(session, 'recording_mode')]
    found = demo.wait_available(rig.stack, session, 60)
    assert [f['split_reason'] for f in found] == ['start']
