"""A session of 24 hours with the default settings, in two minutes: relay,
recorder, storage and PostgreSQL run on a clock that the test moves
(fast_clock.py); technician and desktop do not. While it passes, the wall clock
is set twice and the machine is suspended for an hour. T9."""
import json
import signal
import subprocess
import threading
import time

import demo
import pytest
from counter import Counter, read
from process import wait_until

import media
import spool_files
from fast_clock import NS, is_busy, make_fast_rig
from rfb_client import Client
from test_faults import process

HOUR = 3600
DAY, WARNED = 24 * HOUR, 24 * HOUR - 300
LATE_S = 5.0            # of real time, on a busy machine: drawn to recorded, or shown
NOTED_S = 0.2           # from drawn to noted by the counter
EARLY_S = 0.05          # what coarse clocks may be off


class Technician:
    """Notes when a banner came, and when the connection was closed."""

    def __init__(self, rig):
        self.client = Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                             'alice@desk1', rig.password)
        self.client.request(incremental=False)
        self.banners, self.end = [], None   # our monotonic ns
        self.has_banner = False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        try:
            while True:
                self.client.stream.deadline = time.monotonic() + 60
                self.client.message()
                self._note()
        except (OSError, EOFError):
            self.end = time.monotonic_ns()
        finally:
            self.client.close()

    def _note(self):
        p = self.client.picture.astype(int)
        amber = ((p[..., 0] > 200) & (abs(p[..., 1] - 180) < 45) &
                 (p[..., 2] < 120)).mean()
        if amber > 0.02 and not self.has_banner:
            self.banners.append(time.monotonic_ns())
        self.has_banner = amber > 0.02


class Day:
    """What happened, for the tests below to look at."""


@pytest.fixture(scope='module')
def day(request):
    d = Day()
    # of a machine that works as ever the watchdog's 5 s would be 5 ms; the
    # same with what makes a recorder one that is behind
    rig = d.rig = make_fast_rig(request, {
        'relay.recorder_seconds': '120', 'relay.behind_seconds': '0',
        'relay.live_cpu_percent': '0', 'database.answer_seconds': '3600'})
    rig.start(geometry='640x480')
    d.stack, d.clock = rig.stack, rig.stack.clock
    d.counter = Counter(d.stack, rig.endpoint.env)
    wait_until(d.counter.lines, 10, 'the counter', d.counter.process)
    d.technician = Technician(rig)
    d.session, = rig.stack.ctl_json('sessions', 'list', '--state', 'active')
    d.start = start_of(rig)
    at_least = d.counter.lines()[-1][0] + 12
    wait_until(lambda: d.counter.lines()[-1][0] >= at_least, 20, 'pictures')
    pass_the_day(d)
    d.counter.stop()
    d.segments = demo.wait_available(d.stack, d.session['id'], 120)
    d.path = d.stack.path('tmp', 'day.webm')
    d.stack.ctl('recordings', 'fetch', d.segments[0]['id'], '--output',
                d.path, '--ca', d.stack.path('ca.pem'))
    return d


def start_of(rig):
    """The session's first moment, from the manifest in the spool."""
    def look():
        for path in spool_files.paths(rig.stack.path('spool'), '.json.open'):
            with open(path, encoding='utf-8') as f:
                return json.load(f)['start_mono_ns']
        return None
    return wait_until(look, 10, 'the manifest')


def pass_the_day(d):
    relay = process(d.rig, 'relay')

    def until(seconds):
        d.clock.run_to(d.start + int(seconds * NS),
                       lambda: is_busy(relay.pid))
    until(6 * HOUR)
    d.clock.set_wall(-3 * HOUR)
    until(9 * HOUR)
    d.counter.process.send_signal(signal.SIGSTOP)     # nothing moves
    until(12 * HOUR)
    d.counter.process.send_signal(signal.SIGCONT)
    until(15 * HOUR)
    d.clock.set_wall(5 * HOUR)
    until(20 * HOUR)
    d.clock.suspend(HOUR)
    until(WARNED - 3)
    assert d.technician.banners == []
    wait_until(lambda: d.technician.banners, 3 + 5, 'the warning')
    until(DAY - 6)
    assert d.technician.end is None
    d.technician.thread.join(6 + 10)
    assert d.technician.end is not None


def session_second(d, real_ns):
    return (d.clock.every(real_ns) - d.start) / NS


def test_it_warns_at_23_55_and_closes_at_24_00(day):
    warned = session_second(day, day.technician.banners[0])
    assert WARNED - EARLY_S < warned < WARNED + LATE_S, warned
    ended = session_second(day, day.technician.end)
    assert DAY - EARLY_S < ended < DAY + LATE_S, ended
    # and said so before it closed
    last = session_second(day, day.technician.banners[-1])
    assert len(day.technician.banners) == 2
    assert DAY - 5 < last < DAY
    log = day.rig.log('relay')
    assert 'reaches its maximum duration in 5 minutes' in log
    assert log.count('session_warned') == 1
    assert 'code=max_duration' in log


def test_rows_and_audit_say_why(day):
    row, = day.stack.ctl_json('sessions', 'list')
    assert row['end_code'] == 'max_duration'
    assert row['end_reason'] == 'the session reached its maximum duration'
    assert day.stack.sql(
        "SELECT detail->>'code' FROM audit WHERE action = 'session_end' AND "
        f"object = '{row['id']}'") == [['max_duration']]
    # whatever was done to the wall clock: 24 h by the session's own
    (length, segment, off), = day.stack.sql(
        'SELECT extract(epoch FROM s.ended_at - s.started_at), extract(epoch '
        'FROM g.ended_at - g.started_at), extract(epoch FROM g.started_at - '
        's.started_at) FROM sessions s JOIN segments g ON g.session_id = '
        's.id')
    assert DAY - EARLY_S < float(length) < DAY + LATE_S
    assert DAY - EARLY_S < float(segment) < DAY + LATE_S
    assert abs(float(off)) < 0.001
    assert day.stack.sql('SELECT * FROM gaps') == []
    day.stack.ctl('check')


def test_one_file_holds_the_day(day):
    g, = day.segments
    assert g['split_reason'] == 'start' and not g['recovered']
    # it warns of a quiet while between two of the first pictures
    info = media.probe(day.path, 'error')
    assert info['frames'] == g['frames'] == g['last_frame']
    assert DAY - EARLY_S < info['duration'] < DAY + LATE_S
    assert round(info['duration'] * 1000) == g['duration_ms']
    times = media.frame_times(day.path)
    assert times[0] == 0 and times == sorted(set(times))
    assert round((info['duration'] - times[-1]) * 1000) == 1
    media.mkvinfo_is_content(day.path)
    result = json.loads(day.stack.ctl(
        'verify', '--session', day.session['id'], '--json', '--ca',
        day.stack.path('ca.pem')))
    assert result['ok']


def test_each_picture_has_its_time(day):
    """By the counter, drawn at known moments of real time."""
    drawn = dict(day.counter.lines())
    values = read(day.path, 4, 4)
    times = media.frame_times(day.path)
    assert len(values) == len(times)
    shown = {}
    for value, t in zip(values, times):
        shown.setdefault(value, day.clock.real(day.start + int(t * NS)))
    assert list(shown) == sorted(shown)
    for v in list(shown)[1:]:
        assert -NOTED_S * NS < shown[v] - drawn[v] < LATE_S * NS, v
    # every value that stood for a while is there
    stood = [v for v in drawn if v >= min(shown) and v + 1 in drawn and
             drawn[v + 1] - drawn[v] > NOTED_S * NS and
             drawn[v] < day.technician.end - LATE_S * NS]
    assert len(stood) > 100  # how many, the machine says
    assert [v for v in stood if v not in shown] == []


@pytest.mark.parametrize('hour', [3, 6.5, 11, 17.3, 20.5, 23.99])
def test_it_can_be_sought(day, hour):
    """Players jump to any hour by the file's cues: the picture there is the
    one that was shown then."""
    times, values = media.frame_times(day.path), read(day.path, 4, 4)
    behind = next(i for i, t in enumerate(times) if t > hour * HOUR)
    out = day.stack.path('tmp', 'sought.mkv')
    subprocess.run(['ffmpeg', '-v', 'error', '-y', '-ss',
                    str(hour * HOUR), '-i', day.path, '-frames:v', '1',
                    '-c:v', 'ffv1', out], check=True, timeout=10)
    assert read(out, 4, 4)[0] in values[behind - 1:behind + 1]
