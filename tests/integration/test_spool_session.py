"""A session's folder in the spool with a real recorder in it (X4): what the
recorder may reach, and that nothing is lost or left whoever is killed."""
import json
import os
import re
import signal
import stat
import subprocess

import demo
import pytest
from process import wait_until

import media
import spool_files
from conftest import make_rig
from test_faults import ended, process, recorder_pids, working_session
from test_splits import command

SPOOL_FD = 10  # docs/tee.md


@pytest.fixture(scope='module')
def rig(request):
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'storage.retry_seconds': '1'}).start()


def folder_of(rig, session):
    return rig.stack.path('spool', session['id'])


def wait_all_gone(rig, timeout_s=60):
    """Neither a file nor a folder is left."""
    spool = rig.stack.path('spool')
    wait_until(lambda: not os.listdir(spool), timeout_s, 'an empty spool')


def test_recorder_reaches_its_own_folder_only(rig):
    viewer, session, pid = working_session(rig, 1)
    folder = folder_of(rig, session)
    assert os.readlink(f'/proc/{pid}/fd/{SPOOL_FD}') == folder
    assert os.readlink(f'/proc/{pid}/root') == folder
    st, spool = os.stat(folder), os.stat(rig.stack.path('spool'))
    assert stat.S_IMODE(st.st_mode) == 0o700
    assert (st.st_uid, st.st_gid) == (spool.st_uid, spool.st_gid)
    held = {os.readlink(f'/proc/{pid}/fd/{fd}')
            for fd in os.listdir(f'/proc/{pid}/fd')}
    spool_dir = rig.stack.path('spool')
    assert spool_dir not in held
    assert all(h == folder or h.startswith(folder + '/')
               for h in held if h.startswith(spool_dir))
    viewer.close()
    demo.wait_available(rig.stack, session['id'], 60)
    wait_all_gone(rig)


def test_recorder_that_starts_again_has_the_same_folder(rig):
    viewer, session, pid = working_session(rig, 2)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: rig.stack.sql(
        "SELECT id FROM audit WHERE action = 'recording_resumed' AND object = "
        f"'{session['id']}'"), 30, 'another recorder')
    other, = [p for p in recorder_pids(rig) if p != pid]
    assert os.readlink(f'/proc/{other}/root') == folder_of(rig, session)
    demo.work(rig.endpoint, viewer, 2)
    viewer.close()
    segments = demo.wait_available(rig.stack, session['id'], 60)
    assert [s['split_reason'] for s in segments] == ['start',
                                                    'recorder_restart']
    wait_all_gone(rig)
    rig.stack.ctl('check')


@pytest.mark.parametrize('name', ['storage', 'relay'])
def test_killed_beside_a_recorder(rig, name):
    viewer, session, pid = working_session(rig, 2)
    p = process(rig, name)
    p.kill()
    p.wait(20)
    rig.stack.processes.remove(p)
    if name == 'storage':
        demo.work(rig.endpoint, viewer, 1)
        rig.stack.start_storage()
        viewer.close()
    else:
        viewer.close()
        rig.stack.start_relay()
    segments = demo.wait_available(rig.stack, session['id'], 90)
    assert len(segments) == 1 and segments[0]['frames'] >= 5
    ended(rig, session, 60)
    wait_all_gone(rig)
    rig.stack.ctl('check')


def test_orphan_is_repaired_in_its_folder(rig):
    """All die at once; what is left is finished by the next storage."""
    viewer, session, pid = working_session(rig, 2)
    media.wait_pictures(rig.stack.path('spool'), 5)
    # or it ends its file well, if it sees the relay's death first
    os.kill(pid, signal.SIGSTOP)
    for name in ('storage', 'relay'):
        p = process(rig, name)
        p.kill()
        p.wait(20)
        rig.stack.processes.remove(p)
    os.kill(pid, signal.SIGKILL)
    left = spool_files.paths(rig.stack.path('spool'))
    assert left and all(os.path.dirname(x) == folder_of(rig, session)
                        for x in left)
    rig.stack.start_storage()
    rig.stack.start_relay()
    segment, = demo.wait_available(rig.stack, session['id'], 90)
    assert segment['recovered'] and segment['frames'] >= 5
    # what the repairing program logs names the session too
    assert re.search(f' repaired .*session={session["id"]}',
                     rig.log('storage'))
    wait_all_gone(rig)
    viewer.close()


def test_ordinary_splits_are_no_remnants(rig):
    """A new file, its manifest, the end of the old one: no false alarm."""
    viewer, session, _ = working_session(rig, 1)
    spool = rig.stack.path('spool')
    seen = [media.wait_pictures(spool, 2)]
    for rate in ('5', '7', '9', '11'):
        command(rig, session['id'], 'frame_rate', rate)
        demo.work(rig.endpoint, viewer, 1)
        seen.append(media.wait_pictures(spool, 2, behind=seen))
    viewer.close()
    assert len(demo.wait_available(rig.stack, session['id'], 60)) == len(seen)
    assert 'spool_remnant' not in rig.log('storage')


def test_doctor_tells_of_what_was_set_aside(rig):
    def said():
        r = subprocess.run(
            [rig.stack.path('bin', 'relaycam'), '--config',
             rig.stack.conf_file, 'doctor', '--json'], env=rig.stack.env,
            text=True, cwd='/', capture_output=True, timeout=120,
            **rig.stack._as_user())
        return [c for c in json.loads(r.stdout)['checks']
                if c['check'] == 'spool' and 'quarantine' in c['text']]
    assert said() == []
    aside = rig.stack.path('spool', 'quarantine')
    os.makedirs(os.path.join(aside, '00000000-0000-4000-8000-000000000001'))
    st = os.stat(rig.stack.path('spool'))
    os.chown(aside, st.st_uid, st.st_gid)
    try:
        warning, = said()
        assert warning['level'] == 'warn' and '1 session' in warning['text']
    finally:
        os.rmdir(os.path.join(aside,
                              '00000000-0000-4000-8000-000000000001'))
        os.rmdir(aside)
