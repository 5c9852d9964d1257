"""The main job on real parts: TigerVNC's viewer works on an Xvnc desktop
through the relay; a recording comes out. T1, T7, T8, T11, M8, X2, X6."""
import os
import re
import shutil
import time

import demo
import pytest
from process import wait_until

import media

SECONDS = 8


def last_session(rig):
    rows = rig.stack.ctl_json('sessions', 'list', '--limit', '1')
    return rows[0] if rows else None


def wait_ended(rig, before):
    def ended():
        s = last_session(rig)
        return s if s and s['ended_at'] and (
            before is None or s['id'] != before['id']) else None
    return wait_until(ended, 20, 'the end of the session')


def settle(endpoint):
    """Puts the desktop to rest: the clock's hand would move between the last
    frame and the screenshot."""
    endpoint.xdotool('windowkill', endpoint.clock)
    wait_until(lambda: not endpoint.xdotool_try(
        'search', '--onlyvisible', '--name', 'xclock'), 5, 'clock to go')


def record(rig, tmp_path, options=(), seconds=SECONDS):
    """One session; returns what is known of it and its one file."""
    before = last_session(rig)
    viewer = rig.viewer(options=options).start()
    viewer.wait_for_window()
    began = time.monotonic()
    demo.work(rig.endpoint, viewer, seconds)
    settle(rig.endpoint)
    # quiet time, in which the recorder repairs what motion left coarse
    at_rest = time.monotonic()
    wait_until(lambda: time.monotonic() > at_rest + 2, 5, 'quiet')
    shot = str(tmp_path / 'desktop.png')
    rig.endpoint.screenshot(shot)
    viewer.close()
    took = time.monotonic() - began
    session = wait_ended(rig, before)
    segments = demo.wait_available(rig.stack, session['id'])
    assert len(segments) == 1
    path = str(tmp_path / 'recording.webm')
    rig.stack.ctl('recordings', 'fetch', segments[0]['id'], '--output',
                  rig.stack.path('tmp', 'r.webm'), '--ca',
                  rig.stack.path('ca.pem'))
    shutil.move(rig.stack.path('tmp', 'r.webm'), path)
    return {'session': session, 'segment': segments[0], 'path': path,
            'shot': shot, 'took': took}


@pytest.fixture(scope='module', params=['Tight', 'ZRLE', 'Hextile', 'Raw'])
def recorded(request, rig, tmp_path_factory):
    if not rig.endpoint.xdotool_try('search', '--onlyvisible', '--name',
                                    'xclock'):
        rig.stack.spawn('clock', ['xclock', '-update', '1', '-geometry',
                                  '160x160-40+40'], env=rig.endpoint.env)
        rig.endpoint.clock = rig.endpoint.window('xclock')
    return record(rig, tmp_path_factory.mktemp(request.param),
                  [f'-PreferredEncoding={request.param}', '-AutoSelect=0'])


def test_file_plays_in_common_tools(recorded):
    p = media.probe(recorded['path'])
    row = recorded['segment']
    assert p['codec'] == 'vp9'
    assert (p['width'], p['height']) == (1280, 800)
    assert p['frames'] == row['frames'] >= SECONDS
    media.mkvinfo_is_content(recorded['path'])


def test_duration_is_the_session_s(recorded, rig):
    s = recorded['session']
    row = recorded['segment']
    p = media.probe(recorded['path'])
    assert abs(p['duration'] * 1000 - row['duration_ms']) <= 20
    secs = float(rig.stack.sql(
        'SELECT extract(epoch FROM ended_at - started_at) FROM sessions '
        f"WHERE id = '{s['id']}'")[0][0])
    assert abs(row['duration_ms'] / 1000 - secs) <= 0.2
    assert secs >= SECONDS


def test_last_frame_is_the_desktop(recorded, tmp_path):
    got = media.last_frame(recorded['path'], str(tmp_path / 'last.png'))
    want = media.luma(recorded['shot'])
    assert media.psnr(got, want) >= 45
    # the terminal's text: every 32-row band of it
    text = [media.psnr(got[y:y + 32, 64:870], want[y:y + 32, 64:870])
            for y in range(80, 496, 32)]
    assert min(text) >= 40, text


def test_frames_are_numbered_and_timed(recorded):
    """X2: numbers without holes; times rise and stay in the session."""
    row = recorded['segment']
    assert row['first_frame'] == 1
    assert row['last_frame'] - row['first_frame'] + 1 == row['frames']
    times = media.frame_times(recorded['path'])
    assert len(times) == row['frames']
    assert all(b > a for a, b in zip(times, times[1:]))
    assert times[0] <= 0.2
    assert times[-1] <= row['duration_ms'] / 1000


def test_typing_and_motion_are_in_the_recording(recorded):
    """Through the viewer's window keys reached the desktop: the terminal's
    picture is not the empty one, and there were frames all along."""
    times = media.frame_times(recorded['path'])
    for second in range(1, SECONDS):
        assert any(second <= t < second + 1 for t in times), second
    got = media.luma(recorded['shot'])
    assert (got[85:300, 64:700] < 100).sum() > 3000


def test_key_names_team_endpoint_session_time(recorded):
    """T7, T11."""
    key = recorded['segment']['object_key']
    assert re.fullmatch(
        r'demo/desk1/' + recorded['session']['id'] +
        r'/monitor-1/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\+0000\.webm', key), key


def test_checksum_agrees(recorded, rig):
    import hashlib
    with open(recorded['path'], 'rb') as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    assert digest == recorded['segment']['sha256']
    assert os.path.getsize(recorded['path']) == recorded['segment']['bytes']
    rig.stack.ctl('recordings', 'verify', recorded['segment']['id'], '--ca',
                  rig.stack.path('ca.pem'))


def test_spool_is_empty_after(recorded, rig):
    wait_until(lambda: not os.listdir(rig.stack.path('spool')), 60,
               'an empty spool')


def test_invariants_hold(recorded, rig):
    rig.stack.ctl('check')
