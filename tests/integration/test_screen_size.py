"""A technician cannot make a recorder, or anybody else's, run out of memory
by the size of the screen: what is above the site's limit is refused in words,
what is too large to be encoded while the session runs becomes a capture.
T1, T4, X2."""
import subprocess
import time

import demo
import pytest
import rfb_client as rfb
from process import wait_until

from conftest import make_rig
from test_access import refusal
from test_faults import recorder_pids
from test_splits import xrandr

LIVE = 600 << 20   # live_bytes: 13 million pixels


@pytest.fixture(scope='module')
def rig(request):
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.live_bytes': str(LIVE)}).start()


@pytest.fixture(scope='module')
def small_rig(request):
    """1280x800 is allowed, 1280x960 is not."""
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.max_pixels': '1200000'}).start()


def connect(rig, **kw):
    c = rfb.Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                   'alice@desk1', rig.password, **kw)
    c.request(incremental=False)
    c.run_until(c.covered, 30)
    c.run_until(lambda: c.screens, 30, 'the list of screens')
    return c


def session_row(rig):
    return rig.stack.ctl_json('sessions', 'list', '--limit', '1')[0]


def answers(c):
    """Reason, status of each ExtendedDesktopSize that answered this client."""
    return [(x, y) for _, encoding, x, y, _, _ in c.rects
            if encoding == rfb.EXT_DESKTOP_SIZE and x == 1]


def peak_bytes(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        line = next(line for line in f if line.startswith('VmHWM'))
    return int(line.split()[1]) << 10


def ended(rig, session):
    return wait_until(lambda: next(
        (s for s in rig.stack.ctl_json('sessions', 'list')
         if s['id'] == session and s['ended_at']), None), 60, 'the end')


@pytest.mark.parametrize('size', [(9000, 9000), (16385, 100), (65535, 65535)])
def test_a_technician_asks_for_too_much(rig, size):
    with connect(rig) as c:
        pid, = recorder_pids(rig)
        was, bells = (c.width, c.height), c.bells
        c.set_desktop_size(*size, [(0, 0, *size)])
        c.run_until(lambda: answers(c) and c.bells > bells, 30, 'the answer')
        assert answers(c) == [(1, 1)]   # "prohibited"
        # what follows it is as before
        c.forget()
        c.request(incremental=False)
        c.run_until(c.covered, 30)
        assert (c.width, c.height) == was
        assert recorder_pids(rig) == [pid]
        assert peak_bytes(pid) < 400 << 20   # 9000x9000: 324 MB of pixels
        session = session_row(rig)['id']
    line = next(line for line in rig.log('relay').splitlines()
                if 'resize_refused' in line and session in line)
    assert f'{size[0]}x{size[1]}' in line and '24883200' in line
    assert ended(rig, session)['end_code'] == 'normal'
    segment, = demo.wait_available(rig.stack, session, 60)
    assert segment['width'] == was[0]


def test_a_technician_asks_too_often(rig):
    """Each size that stands is a file: 20 at once, then one a second."""
    with connect(rig) as c:
        session = session_row(rig)['id']
        begin = time.monotonic()
        for i in range(60):
            n = len(answers(c))
            size = 800 + i % 2 * 16, 600
            c.set_desktop_size(*size, [(0, 0, *size)])
            c.request(incremental=True)
            c.run_until(lambda: len(answers(c)) > n, 30, 'an answer')
        granted = sum(status == 0 for _, status in answers(c))
        assert 20 <= granted <= 21 + (time.monotonic() - begin)
        # the desktop is what the last one that was granted made it
        c.forget()
        c.request(incremental=False)
        c.run_until(c.covered, 30)
        xrandr(rig, '-s', '1280x800')
        wait_until(lambda: rig.stack.sql(
            "SELECT count(*) > 0 FROM audit WHERE object = "
            f"'{session}' AND detail->>'why' LIKE 'too many changes%'") ==
            [['t']], 30, 'the audit log')


def test_too_large_for_live_is_a_capture(rig):
    """20 million pixels need 1.6 GB of encoder: more than the site has."""
    with connect(rig) as c:
        pid, = recorder_pids(rig)
        session = session_row(rig)['id']
        c.set_desktop_size(5000, 4000, [(0, 0, 5000, 4000)])
        c.run_until(lambda: c.width == 5000, 60, 'the new size')
        c.request(incremental=False)
        c.run_until(c.covered, 120)
        wait_until(lambda: rig.stack.sql(
            f"SELECT 1 FROM segments WHERE session_id = '{session}' AND "
            'is_capture'), 60, 'the capture')
        assert recorder_pids(rig) == [pid], 'the same recorder goes on'
        print('peak', peak_bytes(pid) >> 20, 'MiB')
        assert peak_bytes(pid) < 700 << 20
        c.set_desktop_size(1280, 800, [(0, 0, 1280, 800)])
        c.run_until(lambda: c.width == 1280, 60, 'the old size')
        c.request(incremental=False)
        c.run_until(c.covered, 60)
    assert ended(rig, session)['end_code'] == 'normal'
    log = rig.log('relay')
    assert any('session_captured' in line and session in line and
               'setting=live_bytes' in line for line in log.splitlines())
    assert 'recorder_dead' not in log
    segments = demo.wait_available(rig.stack, session, 240)
    assert [(s['width'], s['height']) for s in segments] == [
        (1280, 800), (5000, 4000), (1280, 800)]
    assert [s['split_reason'] for s in segments] == [
        'start', 'resolution', 'resolution']
    assert rig.stack.sql(
        f"SELECT * FROM gaps WHERE session_id = '{session}'") == []
    frames = [(s['first_frame'], s['last_frame']) for s in segments]
    assert frames[1][0] == frames[0][1] + 1
    assert frames[2][0] == frames[1][1] + 1
    rig.stack.ctl('check')


def test_an_endpoint_that_is_too_large(small_rig):
    """Its own doing: a running session ends, the next one does not begin;
    both say why."""
    rig = small_rig
    c = connect(rig)
    session = session_row(rig)['id']
    try:
        xrandr(rig, '-s', '1280x960')
        with pytest.raises((OSError, EOFError, AssertionError)):
            c.run_until(lambda: False, 30)
        row = ended(rig, session)
        assert row['end_code'] == 'error'
        for word in ('1280x960', '1200000', 'max_pixels'):
            assert word in row['end_reason'], row
        why = refusal(rig, 'alice@desk1', rig.password)
        for word in ('desk1', '1280x960', '1200000', 'max_pixels'):
            assert word in why, why
    finally:
        c.close()
        subprocess.run(['xrandr', '-s', '1280x800'], env=rig.endpoint.env,
                       check=True, timeout=20)
    # what was seen until then is there, as large as it was
    segments = demo.wait_available(rig.stack, session, 60)
    assert {(s['width'], s['height']) for s in segments} == {(1280, 800)}
    with connect(rig):
        pass
