"""A recorded session has a greatest length (T9): a warning before, words at
the end, whatever viewer it is; a command that ends a session is read too."""
import time

import demo
import pytest
from process import wait_until
from test_access import Technician

import media

LONG_S, WARN_S = 12, 6


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    r = make_rig(request).start()
    r.stack.sql(f'UPDATE access_settings SET max_session_s = {LONG_S}, '
                f'warn_seconds = {WARN_S}')
    return r


def viewer_picture(viewer, path):
    """What the technician's screen shows."""
    import subprocess
    dump = subprocess.run(['xwd', '-root', '-silent'], env=viewer.env,
                          capture_output=True, check=True).stdout
    subprocess.run(['convert', 'xwd:-', path], input=dump, check=True)
    return path


def amber(path):
    """Share of a banner's ground colour in a picture."""
    import numpy
    from PIL import Image
    a = numpy.asarray(Image.open(path).convert('RGB')).astype(int)
    hit = (a[..., 0] > 200) & (abs(a[..., 1] - 180) < 45) & (a[..., 2] < 120)
    return hit.mean()


def test_warning_words_and_end(rig, tmp_path):
    viewer = rig.viewer().start()
    viewer.wait_for_window()
    began = time.monotonic()
    picture = str(tmp_path / 'before.png')
    assert amber(viewer_picture(viewer, picture)) < 0.01
    wait_until(lambda: amber(viewer_picture(
        viewer, str(tmp_path / 'warned.png'))) > 0.02, LONG_S,
        'the warning banner')
    warned = time.monotonic() - began
    assert warned < LONG_S - WARN_S + 3
    assert 'maximum duration' in rig.log('relay')
    row = wait_until(lambda: [s for s in rig.stack.ctl_json(
        'sessions', 'list') if s['ended_at']], LONG_S + 5, 'the end')[0]
    assert LONG_S - 3 < time.monotonic() - began < LONG_S + 4
    assert row['end_code'] == 'max_duration'
    assert 'maximum duration' in row['end_reason']
    assert rig.stack.sql('SELECT recording FROM sessions') == [['f']]
    viewer.close()
    # the recording is whole and never had the banner in it
    segment = demo.wait_available(rig.stack, row['id'], 40)[0]
    path = rig.stack.path('tmp', 'long.webm')
    rig.stack.ctl('recordings', 'fetch', segment['id'], '--output', path,
                  '--ca', rig.stack.path('ca.pem'))
    assert media.probe(path)['frames'] == segment['frames']
    last = str(tmp_path / 'last.png')
    media.last_frame(path, last)
    assert amber(last) < 0.01
    assert rig.stack.sql(
        "SELECT detail->>'code' FROM audit WHERE action = 'session_end' AND "
        f"object = '{row['id']}'") == [['max_duration']]


def test_a_command_says_why_on_a_banner(rig, tmp_path):
    viewer = rig.viewer().start()
    viewer.wait_for_window()
    session = rig.stack.ctl_json('sessions', 'list', '--state', 'active')[0]
    assert rig.stack.sql("SELECT coalesce(session_command(NULL, "
                         f"'{session['id']}', 'end', 'Maintenance begins.'), "
                         "'done')") == [['done']]
    wait_until(lambda: amber(viewer_picture(
        viewer, str(tmp_path / 'end.png'))) > 0.004, 5, 'the last words')
    wait_until(lambda: viewer.process.poll() is not None or [
        s for s in rig.stack.ctl_json('sessions', 'list')
        if s['id'] == session['id'] and s['end_reason'] ==
        'Maintenance begins.'], 10, 'the end')
    viewer.close()


def test_a_changed_wall_clock_changes_nothing(rig):
    """The cap is of the monotonic clock: the row's times may say anything."""
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    t.server_init()
    began = time.monotonic()
    rig.stack.sql("UPDATE sessions SET started_at = now() - "
                  "interval '23 hours' WHERE ended_at IS NULL")
    t.sock.settimeout(LONG_S + 10)
    while t.sock.recv(65536):
        pass
    assert LONG_S - 2 < time.monotonic() - began < LONG_S + 3
    t.close()
