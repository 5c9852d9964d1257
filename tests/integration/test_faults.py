"""Nothing is lost in silence: processes killed, disk full, database away.
X4, C6, T1."""
import os
import signal
import subprocess
import time

import demo
import pytest
import requests
from process import tcp_answers, wait_until

import media
from conftest import make_rig
from test_access import Technician, refusal


@pytest.fixture(scope='module')
def rig(request):
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'storage.retry_seconds': '1'}).start()


def process(rig, name):
    return next(p for p in rig.stack.processes if p.name == name)


def recorder_pids(rig):
    """Recorders that belong to this rig: they hold a file of its spool."""
    spool = rig.stack.path('spool')
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            exe = os.readlink(f'/proc/{pid}/exe')
            if exe.startswith(rig.stack.path('bin', 'relaycam-recorder')):
                if any(os.readlink(f'/proc/{pid}/fd/{fd}').startswith(spool)
                       for fd in os.listdir(f'/proc/{pid}/fd')):
                    found.append(int(pid))
        except OSError:
            continue
    return found


def working_session(rig, seconds=4):
    """A viewer at work for a while, its session and its recorder."""
    viewer = rig.viewer().start()
    demo.work(rig.endpoint, viewer, seconds)
    session = rig.stack.ctl_json('sessions', 'list', '--state', 'active')[0]
    pids = recorder_pids(rig)
    assert len(pids) == 1
    return viewer, session, pids[0]


def ended(rig, session, timeout_s=20):
    def look():
        rows = [s for s in rig.stack.ctl_json('sessions', 'list')
                if s['id'] == session['id'] and s['ended_at']]
        return rows[0] if rows else None
    return wait_until(look, timeout_s, 'the session to end')


def fetch(rig, segment, tmp_path):
    path = rig.stack.path('tmp', 'f.webm')
    if os.path.exists(path):
        os.unlink(path)
    rig.stack.ctl('recordings', 'fetch', segment['id'], '--output', path,
                  '--ca', rig.stack.path('ca.pem'))
    return path


def kill_three_times(rig, pid):
    """Three deaths within a minute are one too many."""
    resumed = rig.log('relay').count('recording_resumed')
    killed = set()
    for n in (1, 2):
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        wait_until(lambda: rig.log('relay').count('recording_resumed') ==
                   resumed + n, 20, f'recorder {n + 1}')
        pid = next(p for p in recorder_pids(rig) if p not in killed)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_recorder_is_replaced_within_a_second(rig, tmp_path, how):
    """X4: the session goes on, the gap is small and known."""
    viewer, session, pid = working_session(rig)
    os.kill(pid, how)
    if how == signal.SIGSTOP:  # the watchdog sees that it stands still
        demo.work(rig.endpoint, viewer, 6)
    resumed = wait_until(lambda: rig.stack.sql(
        "SELECT (detail->>'noticed_ms')::int FROM audit WHERE action = "
        f"'recording_resumed' AND object = '{session['id']}'"), 20,
        'another recorder')
    demo.work(rig.endpoint, viewer, 3)
    viewer.close()
    assert ended(rig, session)['end_code'] == 'normal'
    segments = demo.wait_available(rig.stack, session['id'], 40)
    assert [s['split_reason'] for s in segments] == ['start',
                                                    'recorder_restart']
    assert segments[0]['recovered'] and not segments[1]['recovered']
    assert segments[1]['first_frame'] > segments[0]['last_frame']
    gap_ms = float(rig.stack.sql(
        'SELECT (max(start_mono_ns) - min(end_mono_ns)) / 1e6 FROM segments '
        f"WHERE session_id = '{session['id']}'")[0][0])
    print('gap', gap_ms, 'relay noticed', resumed)
    # the audit log tells what the ledger tells
    ledger = rig.stack.sql('SELECT ms FROM gaps WHERE session_id = '
                           f"'{session['id']}'")
    told = rig.stack.sql(
        "SELECT detail->>'ms' FROM audit WHERE action = 'recording_gap' AND "
        f"object = '{session['id']}' ORDER BY id DESC LIMIT 1")
    assert ledger == told == [[str(round(gap_ms))]]
    if how == signal.SIGKILL:
        assert 0 < gap_ms < 1000
        assert int(resumed[0][0]) < 1000
    probe = media.probe(fetch(rig, segments[1], tmp_path))
    assert probe['frames'] == segments[1]['frames']


def test_a_third_death_ends_the_session_by_policy(rig, tmp_path):
    """Policy `end`: never unrecorded in silence; the files are repaired."""
    viewer, session, pid = working_session(rig)
    kill_three_times(rig, pid)
    row = ended(rig, session)
    assert row['end_code'] == 'error'
    assert 'record' in row['end_reason']
    segments = demo.wait_available(rig.stack, session['id'], 40)
    assert len(segments) >= 2
    assert all(s['recovered'] for s in segments)
    p = media.probe(fetch(rig, segments[0], tmp_path))
    assert p['frames'] == segments[0]['frames'] >= 10
    # all but the last second is there
    assert p['duration'] >= 3
    viewer.close()


def test_continue_policy_goes_on_and_is_audited(rig):
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.on_record_failure=continue')
    try:
        viewer, session, pid = working_session(rig, 2)
        kill_three_times(rig, pid)
        lost = wait_until(lambda: rig.stack.sql(
            "SELECT detail->>'why' FROM audit WHERE action = "
            f"'recording_lost' AND object = '{session['id']}'"), 10,
            'the audit entry')
        assert lost[0][0]
        demo.work(rig.endpoint, viewer, 1)
        assert rig.stack.ctl_json('sessions', 'list', '--state', 'active')
        viewer.close()
        assert ended(rig, session)['end_code'] == 'normal'
        demo.wait_available(rig.stack, session['id'], 40)
    finally:
        rig.stack.ctl('settings', 'set', '--team', 'demo',
                      'unattended.on_record_failure=end')


def test_killed_relay_leaves_a_whole_recording(rig, tmp_path):
    """The recorder finishes what was published, without the relay."""
    viewer, session, _ = working_session(rig)
    relay = process(rig, 'relay')
    relay.kill()
    relay.wait()
    rig.stack.processes.remove(relay)
    segments = demo.wait_available(rig.stack, session['id'], 30)
    p = media.probe(fetch(rig, segments[0], tmp_path))
    assert p['frames'] == segments[0]['frames']
    assert p['duration'] >= 3.5
    viewer.close()
    rig.stack.start_relay()
    t = Technician(rig)
    assert t.login('alice@desk1', rig.password) is None
    t.close()
    assert rig.stack.sql("SELECT recording, end_code FROM sessions WHERE id = "
                         f"'{session['id']}'") == [['f', 'node_lost']]


def test_killed_storage_catches_up(rig, tmp_path):
    storage = process(rig, 'storage')
    storage.kill()
    storage.wait()
    rig.stack.processes.remove(storage)
    viewer, session, _ = working_session(rig)
    viewer.close()
    ended(rig, session)
    rig.stack.start_storage()
    segments = demo.wait_available(rig.stack, session['id'], 30)
    assert media.probe(fetch(rig, segments[0], tmp_path))['frames'] == \
        segments[0]['frames']


def test_database_away_refuses_new_and_keeps_running_sessions(rig):
    viewer, session, _ = working_session(rig, 2)
    pg = process(rig, 'postgres')
    pg.stop(20, signal.SIGINT)
    rig.stack.processes.remove(pg)
    reason = refusal(rig, 'alice@desk1', rig.password)
    assert 'database' in reason, reason
    demo.work(rig.endpoint, viewer, 2)  # still works
    closed = rig.log('storage').count('to=closed')
    viewer.close()
    # storage saw the file's end while nobody could be told
    wait_until(lambda: rig.log('storage').count('to=closed') > closed, 10,
               'the file')
    rig.stack.start_postgres()
    assert ended(rig, session, 30)['end_code'] == 'normal'
    segment, = demo.wait_available(rig.stack, session['id'], 60)
    assert segment['frames'] >= 5
    rig.stack.ctl('check')


def test_sigterm_drains(rig):
    viewer, session, _ = working_session(rig, 2)
    relay = process(rig, 'relay')
    relay.send_signal(signal.SIGTERM)
    wait_until(lambda: not tcp_answers(rig.stack.ports.relay), 5,
               'the relay to stop listening')
    demo.work(rig.endpoint, viewer, 1)  # the running session goes on
    assert relay.poll() is None
    viewer.close()
    assert relay.wait(10) == 0
    rig.stack.processes.remove(relay)
    assert ended(rig, session)['end_code'] == 'normal'
    rig.stack.start_relay()


def test_sighup_reads_the_certificate_again(rig):
    def serial():
        r = subprocess.run(
            ['openssl', 'x509', '-noout', '-serial', '-in',
             rig.stack.path('conf', 'relay.pem')],
            capture_output=True, text=True, check=True)
        return int(r.stdout.strip().split('=')[1], 16)

    def shown():
        t = Technician(rig)
        from_wire = t.sock.getpeercert()['serialNumber']
        t.close()
        return int(from_wire, 16)
    before = serial()
    assert shown() == before
    rig.stack._make_certificates()
    assert serial() != before
    process(rig, 'relay').send_signal(signal.SIGHUP)
    wait_until(lambda: 'certificate_reloaded' in rig.log('relay'), 5,
               'the reload')
    # Technician checks against the new CA file
    assert shown() == serial()


def test_too_little_space_refuses_with_words(request):
    """C6: a floor above what any disk has."""
    tight = make_rig(request, settings={
        'spool.min_free_bytes': '900000G'}).start()
    reason = refusal(tight, 'alice@desk1', tight.password)
    assert 'space' in reason, reason
    assert tight.stack.sql("SELECT count(*) FROM sessions WHERE ended_at "
                           'IS NULL')[0][0] == '0'


def test_metrics_tell(rig):
    text = requests.get('http://127.0.0.1:'
                        f'{rig.stack.ports.relay_metrics}/metrics',
                        timeout=5).text
    assert 'relaycam_relay_sessions_total' in text
    assert requests.get('http://127.0.0.1:'
                        f'{rig.stack.ports.relay_metrics}/healthz',
                        timeout=5).status_code == 200


def test_a_relay_without_its_spawner_drains_and_ends(request):
    """Nobody else may start recorders: it is not ready, and says so."""
    rig = make_rig(request, settings={'relay.drain_seconds': '2'}).start()
    relay = process(rig, 'relay')
    children = subprocess.run(
        ['ps', '-o', 'pid=,comm=', '--ppid', str(relay.pid)],
        capture_output=True, text=True).stdout.split()
    os.kill(int(children[children.index('relaycam-spawn') - 1]),
            signal.SIGKILL)
    assert wait_until(lambda: relay.poll() is not None and
                      str(relay.returncode), 20, 'the relay to end') == '70'
    assert 'spawner_gone' in rig.log('relay')
