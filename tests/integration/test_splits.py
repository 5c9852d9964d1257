"""Where one file ends and the next begins, frame by frame: a counter drawn on
the desktop is read back from every frame of every file. T10, T11, C5, X2."""
import os
import subprocess
import types

import demo
import pytest
from counter import Counter, read
from look import Look
from process import wait_until

import media


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request, settings={'storage.scan_seconds': '1'}).start()


@pytest.fixture
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 10, 'the counter', c.process)
    yield c
    c.stop()


def command(rig, session, what, value):
    assert rig.stack.sql(
        f"SELECT coalesce(session_command(NULL, '{session}', '{what}', "
        f"'{value}'), 'done')") == [['done']]


def active(rig):
    return rig.stack.ctl_json('sessions', 'list', '--state', 'active')[0]['id']


def files(rig, session, tmp_path):
    """Rows in order, each with the values that its frames show."""
    demo.wait_available(rig.stack, session, 60)
    rows = rig.stack.sql(
        'SELECT id, seq, split_reason, first_frame, last_frame, monitor, '
        'frame_rate, width, height, object_key FROM segments WHERE '
        f"session_id = '{session}' ORDER BY seq")
    names = ('id', 'seq', 'reason', 'first', 'last', 'monitor', 'rate',
             'width', 'height', 'key')
    found = []
    for row in rows:
        f = dict(zip(names, row))
        path = rig.stack.path('tmp', f'{f["id"]}.webm')
        rig.stack.ctl('recordings', 'fetch', f['id'], '--output', path,
                      '--ca', rig.stack.path('ca.pem'))
        f['values'] = read(path, 4, 4)
        f['probe'] = media.probe(path)
        os.unlink(path)
        found.append(f)
    return found


def check_whole(found, look):
    """Frames numbered without holes; the counter never goes back, inside of
    a file or from one to the next; whatever stood on the technician's screen
    is there. (A busy desktop does not show every value to anybody.)"""
    at = 1
    for f in found:
        assert int(f['first']) == at, found
        assert int(f['last']) - at + 1 == len(f['values'])
        assert f['probe']['frames'] == len(f['values'])
        at = int(f['last']) + 1
    values = [v for f in found for v in f['values'] if v is not None]
    assert values == sorted(values)
    stood = look.stood(values[0], STOOD_NS)
    assert len(stood) > 10
    assert [v for v in stood if v not in values] == []


STOOD_NS = 200_000_000      # longer than between two pictures
PICTURES = 12   # that a file has before something happens to it, or ends


def session_with(rig, act):
    """What act does ends a file. Returns the session's id, and who looked."""
    spool = rig.stack.path('spool')
    look = Look(rig.stack, types.SimpleNamespace(name='desk1'),
                rig.password).start()
    first = media.wait_pictures(spool, PICTURES)
    session = active(rig)
    act(session)
    media.wait_pictures(spool, PICTURES, behind=[first])
    look.leave()
    look.wait(10)
    assert look.refused is None, look.refused
    return session, look


def xrandr(rig, *args):
    subprocess.run(['xrandr', *args], env=rig.endpoint.env, check=True,
                   capture_output=True)


def test_frame_rate(rig, counter, tmp_path):
    session, look = session_with(
        rig, lambda s: command(rig, s, 'frame_rate', '20'))
    found = files(rig, session, tmp_path)
    assert [f['reason'] for f in found] == ['start', 'frame_rate']
    assert [f['rate'] for f in found] == ['10', '20']
    check_whole(found, look)


def test_resolution(rig, counter, tmp_path):
    try:
        session, look = session_with(rig, lambda s: xrandr(rig, '-s', '1024x768'))
    finally:
        xrandr(rig, '-s', '1280x800')
    found = files(rig, session, tmp_path)
    # two or three ExtendedDesktopSize for one change are one split
    assert [f['reason'] for f in found] == ['start', 'resolution']
    assert [(f['width'], f['height']) for f in found] == [
        ('1280', '800'), ('1024', '768')]
    check_whole(found, look)


def test_orientation(rig, counter, tmp_path):
    xrandr(rig, '--newmode', '800x1280', '60', '800', '801', '802', '803',
           '1280', '1281', '1282', '1283')
    xrandr(rig, '--addmode', 'VNC-0', '800x1280')
    try:
        session, look = session_with(rig, lambda s: xrandr(
            rig, '--output', 'VNC-0', '--mode', '800x1280'))
    finally:
        xrandr(rig, '-s', '1280x800')
    found = files(rig, session, tmp_path)
    assert [f['reason'] for f in found] == ['start', 'orientation']
    assert [(f['width'], f['height']) for f in found] == [
        ('1280', '800'), ('800', '1280')]
    check_whole(found, look)


def test_two_at_once(rig, counter, tmp_path):
    """A new rate and a new size in the same moment: each is told, no frame
    is lost or doubled between them."""
    def both(session):
        command(rig, session, 'frame_rate', '15')
        xrandr(rig, '-s', '1024x768')
    try:
        session, look = session_with(rig, both)
    finally:
        xrandr(rig, '-s', '1280x800')
    found = files(rig, session, tmp_path)
    reasons = [f['reason'] for f in found]
    assert reasons[0] == 'start' and len(reasons) in (2, 3)
    assert set(reasons[1:]) <= {'frame_rate', 'resolution'}
    assert found[-1]['rate'] == '15' and found[-1]['width'] == '1024'
    check_whole(found, look)


def test_recording_by_hand(rig, counter, tmp_path):
    """C5: Start after Stop is a new file; frames run on; what lies between
    is nobody's."""
    rig.stack.sql('UPDATE access_settings SET recording = false, '
                  'manual_recording = true')
    try:
        viewer = rig.viewer().start()
        viewer.wait_for_window()
        session, spool = active(rig), rig.stack.path('spool')
        for _ in range(2):
            command(rig, session, 'recording', 'start')
            media.wait_pictures(spool, PICTURES)
            command(rig, session, 'recording', 'stop')
            wait_until(lambda: not media.growing(spool), 10, 'its end')
            drawn = counter.lines()[-1][0]
            wait_until(lambda: counter.lines()[-1][0] > drawn + 5, 10,
                       'what is not recorded')
        viewer.close()
    finally:
        rig.stack.sql('UPDATE access_settings SET recording = true, '
                      'manual_recording = false')
    found = files(rig, session, tmp_path)
    assert [f['reason'] for f in found] == ['manual', 'manual']
    assert found[1]['values'][0] - found[0]['values'][-1] >= 3
    assert int(found[1]['first']) == int(found[0]['last']) + 1
    for f in found:
        steps = [b - a for a, b in zip(f['values'], f['values'][1:])]
        assert 0 <= min(steps) and max(steps) <= 1
    audit = rig.stack.sql("SELECT action FROM audit WHERE object = "
                          f"'{session}' AND action LIKE 'recording_st%' "
                          'ORDER BY id')
    assert [a[0] for a in audit] == ['recording_started',
                                     'recording_stopped'] * 2


def test_keys_are_by_monitor_and_local_time(rig, counter, tmp_path):
    """T7, T11."""
    rig.stack.sql("UPDATE teams SET time_zone = 'Asia/Kolkata'")
    try:
        viewer = rig.viewer().start()
        viewer.wait_for_window()
        session = active(rig)
        media.wait_pictures(rig.stack.path('spool'), 2 * PICTURES)
        viewer.close()
    finally:
        rig.stack.sql("UPDATE teams SET time_zone = 'UTC'")
    key = files(rig, session, tmp_path)[0]['key'].split('/')
    assert key[:4] == ['demo', 'desk1', session, 'monitor-1']
    assert key[4].endswith('+0530.webm')
