"""Sessions captured at the relay and encoded by storage: when the budget for
live encoders is used up, by setting, and in mid-session when the recorder falls
behind; a recorder that dies meanwhile. What comes out has every frame, numbered without holes (M1, X2, X4)."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading

import demo
import pytest
from counter import Counter
from process import wait_until
from test_faults import recorder_pids
from test_splits import command, files


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


def metric(rig, name):
    """One value of the relay's /metrics."""
    import urllib.request
    url = f'http://127.0.0.1:{rig.stack.ports.relay_metrics}/metrics'
    with urllib.request.urlopen(url, timeout=5) as f:
        for line in f.read().decode().splitlines():
            if line.startswith(f'relaycam_relay_{name} '):
                return int(line.split()[1])
    raise AssertionError(name)


def check_numbers(found):
    """Frames without holes; the counter never goes back."""
    at = 1
    for f in found:
        assert int(f['first']) == at
        assert int(f['last']) - at + 1 == len(f['values'])
        at = int(f['last']) + 1
        assert len([v for v in f['values'] if v is not None]) > 5
    values = [v for f in found for v in f['values'] if v is not None]
    assert values == sorted(values)


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
    wait_until(lambda: len(counter.lines()) > seen + 20, 60, 'pictures')
    for session in (live, later):
        command(rig, session, 'frame_rate', '20')
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 20, 60, 'pictures')
    second.close()
    first.close()
    for session in (live, later):
        found = files(rig, session, tmp_path)
        assert [f['reason'] for f in found] == ['start', 'frame_rate']
        assert [f['rate'] for f in found] == ['10', '20']
        check_numbers(found)
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
    wait_until(lambda: len(counter.lines()) > seen + 25, 60, 'pictures')
    os.kill(pids.pop(), signal.SIGKILL)
    wait_until(lambda: len(rows(rig, later)) == 2, 60, 'another capture')
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 25, 60, 'pictures')
    second.close()
    first.close()
    found = files(rig, later, tmp_path)
    assert [f['reason'] for f in found] == ['start', 'recorder_restart']
    assert [f['seq'] for f in found] == ['1', '2']
    check_numbers(found)
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


class Starved:
    """A recorder that gets a twentieth of a core, as on a node that is far
    too small: it stands still but for moments."""

    def __init__(self, pid):
        self.pid = pid
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(0.01):
            os.kill(self.pid, signal.SIGSTOP)
            self.over.wait(0.2)
            os.kill(self.pid, signal.SIGCONT)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        os.kill(self.pid, signal.SIGCONT)


@contextlib.contextmanager
def noise_on(rig):
    """More than a starved recorder can encode."""
    program = rig.stack.path('bin', 'noise.py')
    shutil.copyfile(os.path.join(os.path.dirname(__file__), 'noise.py'),
                    program)
    os.chmod(program, 0o755)
    env = rig.endpoint.env
    process = rig.stack.spawn('noise', [
        '/usr/bin/python3', program, env['DISPLAY'], '0', '100', '640', '400',
        '10'], env=env, stdout=subprocess.DEVNULL)
    yield
    process.stop(5)


def test_above_the_budget_of_processor_time(request):
    """What recorders say they used; a new session is captured."""
    from conftest import make_rig
    cores = os.cpu_count()
    percent = max(1, 20 // cores)
    limit = percent * cores * 10  # thousandths: more than a quiet desktop's
    rig = make_rig(request, settings={
        'storage.scan_seconds': '1',
        'relay.live_cpu_percent': str(percent)}).start()
    first, live = begin(rig)
    with noise_on(rig):
        wait_until(lambda: metric(rig, 'live_cpu_permille') >= limit, 120,
                   'what the recorder used')
    second, later = begin(rig)
    assert captured(rig) == [(later, 'live_cpu_percent')]
    second.close()
    # quiet again, and there is room
    wait_until(lambda: metric(rig, 'live_cpu_permille') < limit, 120, 'quiet')
    third, _ = begin(rig)
    assert captured(rig) == [(later, 'live_cpu_percent')]
    third.close()
    first.close()
    for session in (live, later):
        demo.wait_available(rig.stack, session, 60)


@pytest.fixture
def impatient(request):
    from conftest import make_rig
    return make_rig(request, settings={
        'storage.scan_seconds': '1', 'relay.behind_seconds': '1'}).start()


def test_a_recorder_that_falls_behind(impatient, tmp_path):
    """C6: the technician is slowed down no longer, nothing is lost, and a
    recorder that dies after that is followed by another capture."""
    rig = impatient
    counter = Counter(rig.stack, rig.endpoint.env)
    wait_until(counter.lines, 60, 'the counter', counter.process)
    viewer, session = begin(rig)
    pid, = recorder_pids(rig)
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 10, 60, 'pictures')
    with noise_on(rig), Starved(pid):
        wait_until(lambda: captured(rig), 60, 'the capture')
    assert captured(rig) == [(session, 'behind_seconds')]
    assert recorder_pids(rig) == [pid]
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 20, 60, 'pictures')
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(rows(rig, session)) == 3, 60, 'another capture')
    # no segment is called lost because the capture before has no last number
    gaps = wait_until(lambda: rig.stack.sql(
        f"SELECT why, ms FROM gaps WHERE session_id = '{session}'"), 60,
        'the gap')
    assert [g[0] for g in gaps] == ['recorder_restart']
    assert int(gaps[0][1]) < 2000
    seen = len(counter.lines())
    wait_until(lambda: len(counter.lines()) > seen + 20, 60, 'pictures')
    viewer.close()
    found = files(rig, session, tmp_path)
    assert [f['reason'] for f in found] == [
        'start', 'overload', 'recorder_restart']
    check_numbers(found)
    # the moment of the handover is in both, or one step apart
    ends = [[v for v in f['values'] if v is not None] for f in found]
    assert ends[1][0] - ends[0][-1] <= 1
    gaps = rig.stack.sql(
        f"SELECT why, after_seq FROM gaps WHERE session_id = '{session}'")
    assert gaps == [['recorder_restart', '2']]
    assert rig.stack.sql(
        "SELECT end_mono_ns = lead(start_mono_ns) OVER (ORDER BY seq) FROM "
        f"segments WHERE session_id = '{session}' ORDER BY seq LIMIT 1") == [
            ['t']]
    # X3: nothing but a chain of files, wherever they were encoded
    result = json.loads(rig.stack.ctl(
        'verify', '--session', session, '--json', '--ca',
        rig.stack.path('ca.pem')))
    assert result['ok'] and len(result['files']) == 3
