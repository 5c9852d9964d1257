"""The timeline of a session, made from manifests: segments, each gap to the
millisecond (X2), activity and posters (X5). And what lying manifests do."""
import json
import os
import subprocess
import uuid

import pytest

import storage_env
from storage_env import Ceph, Segment, Storage, wait_for
from storage_fixtures import cluster, env  # noqa: F401

CTL = os.path.join(storage_env.BUILD, 'ctl', 'relaycam')
MS = 10**6
WALL = 1_790_000_000 * 10**9
MONO = 5 * 10**12
JPEG = b'\xff\xd8\xff\xe0' + b'picture' * 100


class Session:
    """Segments of one session, by milliseconds since its start."""

    def __init__(self, env):
        self.env = env
        self.id = str(uuid.uuid4())

    def segment(self, seq, since, until, *, monitor=1, **changes):
        """since, until: ms, or exact ns as a string."""
        a, b = (int(v) if isinstance(v, str) else v * MS
                for v in (since, until))
        seg = Segment(
            self.env, 1000, session=self.id, seq=seq, monitor=monitor,
            **{'split_reason': 'start' if seq == 1 else 'size',
               'end': 'size', 'start_mono_ns': MONO + a,
               'start_wall_ns': WALL + a, 'end_mono_ns': MONO + b,
               'end_wall_ns': WALL + b,
               'duration_ms': max(b - a, 0) // MS,
               'first_frame': 10 * seq - 9, 'last_frame': 10 * seq,
               **changes})
        seg.key = (f'acme/desk1/{self.id}/monitor-{monitor}/seq-{seq}.webm')
        seg.manifest['object_key'] = seg.key
        return seg

    def gaps(self):
        return [(g['after_seq'], g['before_seq'], g['ms'], g['why'])
                for g in self.env.rows(
                    'SELECT * FROM gaps WHERE session_id = %s '
                    'ORDER BY after_seq', self.id)]

    def timeline(self, monitor=1):
        return [(t['kind'], t['seq'], t['ms'], t['why'])
                for t in self.env.rows(
                    'SELECT * FROM timeline WHERE session_id = %s AND '
                    'monitor = %s ORDER BY start_mono_ns, seq', self.id,
                    monitor)]

    def agrees(self):
        """The ledger is what the rows say, to the nanosecond."""
        q = ('SELECT after_seq, before_seq, from_mono_ns, to_mono_ns, '
             'from_at, to_at, why FROM ')
        ledger = self.env.rows(q + 'gaps WHERE session_id = %s '
                               'ORDER BY after_seq', self.id)
        assert ledger == self.env.rows(
            q + 'gaps_of(%s) ORDER BY after_seq', self.id)
        return ledger


def test_segments_that_touch_have_no_gaps(env):
    s = Session(env.start())
    for seq, (a, b) in enumerate(((0, 1000), (1000, 2500), (2500, 2501)), 1):
        s.segment(seq, a, b).place().wait_stored()
    assert s.gaps() == []
    assert s.timeline() == [('segment', 1, 1000, 'start'),
                            ('segment', 2, 1500, 'size'),
                            ('segment', 3, 1, 'size')]


@pytest.mark.parametrize('gap_ns,ms', [
    (1_234 * MS, 1234), (1 * MS, 1), (499_999, None), (500_000, 1),
    (1_499_999, 1), (1_500_000, 2), (86_400_000 * MS, 86_400_000)])
def test_gap_after_a_restart_is_exact(env, gap_ns, ms):
    s = Session(env.start())
    s.segment(1, 0, 700, recovered=True, end='crash').place().wait_stored()
    start = 700 * MS + gap_ns
    s.segment(2, str(start), str(start + 1000 * MS),
              split_reason='recorder_restart',
              gap_start_mono_ns=MONO + 699 * MS).place().wait_stored()
    if ms is None:
        assert s.gaps() == []
        return
    assert s.gaps() == [(1, 2, ms, 'recorder_restart')]
    row, = s.agrees()
    assert row['to_mono_ns'] - row['from_mono_ns'] == gap_ns
    assert (row['to_at'] - row['from_at']).total_seconds() * 10**9 == (
        gap_ns // 1000 * 1000)
    assert s.timeline() == [
        ('segment', 1, 700, 'start'), ('gap', 1, ms, 'recorder_restart'),
        ('segment', 2, 1000, 'recorder_restart')]


def test_gap_is_known_before_the_dead_segment_is_repaired(env):
    """The successor's manifest says where the recording broke off."""
    env.start(storage__recorder_program='/bin/false')
    s = Session(env)
    dead = s.segment(1, 0, 700, recovered=True, end='crash')
    opened = {k: v for k, v in dead.manifest.items()
              if k not in ('end', 'end_mono_ns', 'end_wall_ns')}
    dead.write('.webm.part', dead.data)
    dead.write('.json.open', json.dumps(opened).encode())
    dead.wait('recording')
    s.segment(2, 3000, 4000, split_reason='recorder_restart',
              gap_start_mono_ns=MONO + 690 * MS).place().wait_stored()
    assert s.gaps() == [(1, 2, 2310, 'recorder_restart')]
    # repaired: its own end is what counts
    os.unlink(dead.path('.webm.part'))
    dead.place()
    os.unlink(dead.path('.json.open'))
    dead.wait_stored()
    assert s.gaps() == [(1, 2, 2300, 'recorder_restart')]
    s.agrees()


def test_segments_arrive_in_any_order(env):
    s = Session(env.start())
    s.segment(3, 4000, 5000).place().wait_stored()
    assert s.gaps() == []
    s.segment(1, 0, 1000).place().wait_stored()
    assert s.gaps() == [(1, 3, 3000, 'segment_lost')]
    s.segment(2, 1000, 4000).place().wait_stored()
    assert s.gaps() == []
    s.agrees()


def test_stopped_and_started_by_hand(env):
    s = Session(env.start())
    s.segment(1, 0, 1000, end='manual').place().wait_stored()
    s.segment(2, 61_000, 62_000, split_reason='manual',
              end='normal').place().wait_stored()
    assert s.gaps() == [(1, 2, 60_000, 'manual')]


def test_hole_that_nothing_explains_is_named_so(env):
    s = Session(env.start())
    s.segment(1, 0, 1000).place().wait_stored()
    s.segment(2, 1003, 2000).place().wait_stored()
    assert s.gaps() == [(1, 2, 3, 'unexplained')]


@pytest.mark.parametrize('code,why', [('node_lost', 'node_lost'),
                                      ('error', 'crash')])
def test_lost_end_of_a_session(env, code, why):
    """The last file was cut off; the session's end says how much is lost."""
    s = Session(env.start())
    s.segment(1, 0, 1000, recovered=True, end='crash').place().wait_stored()
    assert s.gaps() == []
    env.rows("UPDATE sessions SET ended_at = timestamptz 'epoch' + %s * "
             "interval '1 us', end_code = %s, end_reason = 'x' WHERE id = %s "
             'RETURNING id', (WALL + 3456 * MS) // 1000, code, s.id)
    assert s.gaps() == [(1, None, 2456, why)]
    assert s.timeline() == [('segment', 1, 1000, 'start'),
                            ('gap', 1, 2456, why)]
    s.agrees()


@pytest.mark.parametrize('recovered,word,ms', [
    (True, 'crash', 7456), (False, 'nospace', 7456), (False, 'size', 7456),
    (False, 'error', 2456), (False, 'normal', 2456)])
def test_lost_relay_went_on_after_its_last_heartbeat(env, recovered, word,
                                                     ms):
    """The gap ends when the relay was found gone, unless its recorder
    outlived it; also where the file reaches beyond the last heartbeat."""
    s = Session(env.start())
    s.segment(1, 0, 1000, recovered=recovered,
              end=word).place().wait_stored()

    def lost(heartbeat_ms):
        env.rows(
            "UPDATE sessions SET ended_at = timestamptz 'epoch' + %s * "
            "interval '1 us', lost_at = timestamptz 'epoch' + %s * interval "
            "'1 us', end_code = 'node_lost', end_reason = 'x', ended_mono_ns "
            '= NULL WHERE id = %s RETURNING id', (WALL + heartbeat_ms * MS) // 1000,
            (WALL + 8456 * MS) // 1000, s.id)
    lost(3456)
    assert [(g[0], g[2]) for g in s.gaps()] == [(1, ms)]
    s.agrees()
    lost(900)
    assert [g[2] for g in s.gaps()] == [7456] * (ms == 7456)
    s.agrees()


def end(s, at_ms, code, mono_ns=None):
    """As a relay does, by the wall clock, and by its own if it can."""
    s.env.rows("UPDATE sessions SET ended_at = timestamptz 'epoch' + %s * "
               "interval '1 us', end_code = %s, end_reason = 'x', "
               'ended_mono_ns = %s WHERE id = %s', (WALL + at_ms * MS) //
               1000, code, mono_ns and MONO + mono_ns, s.id)


@pytest.mark.parametrize('word', ['normal', 'endpoint', 'max_duration',
                                  'command', 'error'])
def test_ordinary_end_leaves_no_gap(env, word):
    s = Session(env.start())
    s.segment(1, 0, 1000, end=word).place().wait_stored()
    end(s, 1900, word)
    assert s.gaps() == []


@pytest.mark.parametrize('word, code, why', [
    ('nospace', 'normal', 'nospace'), ('nospace', 'node_lost', 'nospace'),
    ('manual', 'normal', 'manual'), ('size', 'normal', 'segment_lost'),
    ('error', 'normal', 'crash'), ('normal', 'node_lost', 'node_lost')])
def test_session_that_went_on_unrecorded(env, word, code, why):
    """X2: from the end of the last file to the session's."""
    s = Session(env.start())
    s.segment(1, 0, 1000, end=word).place().wait_stored()
    assert s.gaps() == []  # its end is not known yet, or the file's own
    end(s, 8000, code)
    assert s.gaps() == [(1, None, 7000, why)]
    assert s.timeline() == [('segment', 1, 1000, 'start'),
                            ('gap', 1, 7000, why)]
    # the session's own clock is better than the wall
    end(s, 3_600_000, code, 8_000_400_000)
    assert s.gaps() == [(1, None, 7000, why)]
    row, = s.agrees()
    assert row['to_mono_ns'] - row['from_mono_ns'] == 7_000_400_000
    assert (row['to_at'] - row['from_at']).total_seconds() == 7.0004


def test_recorder_that_failed_before_an_error_ended_the_session(env):
    """One word for both; five seconds tell them apart."""
    s = Session(env.start())
    s.segment(1, 0, 1000, end='error').place().wait_stored()
    end(s, 5900, 'error')
    assert s.gaps() == []
    end(s, 6100, 'error')
    assert s.gaps() == [(1, None, 5100, 'crash')]


def test_space_came_back(env):
    """Started again by hand: it is the space that was lacking."""
    s = Session(env.start())
    s.segment(1, 0, 1000, end='nospace').place().wait_stored()
    s.segment(2, 9000, 9500, split_reason='manual',
              end='normal').place().wait_stored()
    end(s, 9500, 'normal')
    assert s.gaps() == [(1, 2, 8000, 'nospace')]


def test_last_file_that_comes_late(env):
    s = Session(env.start())
    s.segment(1, 0, 1000, end='size').place().wait_stored()
    end(s, 3000, 'normal')
    assert s.gaps() == [(1, None, 2000, 'segment_lost')]
    s.segment(2, 1000, 3000, end='normal').place().wait_stored()
    assert s.gaps() == []
    s.agrees()


def test_recorder_that_died_before_its_first_file(env):
    s = Session(env.start())
    s.segment(1, 1500, 2000, split_reason='recorder_restart', end='normal',
              gap_start_mono_ns=MONO + 250 * MS).place().wait_stored()
    assert s.gaps() == [(0, 1, 1250, 'recorder_restart')]
    assert s.timeline() == [('gap', 0, 1250, 'recorder_restart'),
                            ('segment', 1, 500, 'recorder_restart')]
    s.agrees()


def test_session_that_only_its_recording_tells_of(env):
    """PostgreSQL was away at its end: that is where the file ends."""
    s = Session(env.start())
    s.segment(1, 0, 1000, end='normal').place().wait_stored()
    row, = env.rows('SELECT * FROM sessions WHERE id = %s', s.id)
    assert row['ended_mono_ns'] == MONO + 1000 * MS
    assert s.gaps() == []


def test_monitors_have_timelines_of_their_own(env):
    s = Session(env.start())
    for seq, a, b, monitor, why in (
            (1, 0, 1000, 1, 'start'), (2, 1000, 3000, 2, 'monitor'),
            (3, 3500, 4000, 2, 'recorder_restart'),
            (4, 4000, 6000, 1, 'monitor'), (5, 6000, 6100, 1, 'size')):
        s.segment(seq, a, b, monitor=monitor, split_reason=why,
                  recovered=seq == 2).place().wait_stored()
    assert s.gaps() == [(2, 3, 500, 'recorder_restart')]
    assert s.timeline(1) == [
        ('segment', 1, 1000, 'start'), ('elsewhere', 1, 3000, 'monitor'),
        ('segment', 4, 2000, 'monitor'), ('segment', 5, 100, 'size')]
    assert s.timeline(2) == [
        ('segment', 2, 2000, 'monitor'), ('gap', 2, 500, 'recorder_restart'),
        ('segment', 3, 500, 'recorder_restart')]


def test_restart_with_another_monitor(env):
    """The gap stands on both timelines."""
    s = Session(env.start())
    s.segment(1, 0, 1000, recovered=True).place().wait_stored()
    s.segment(2, 1500, 2000, monitor=2, split_reason='recorder_restart'
              ).place().wait_stored()
    assert s.timeline(1)[-1] == ('gap', 1, 500, 'recorder_restart')
    assert s.timeline(2)[0] == ('gap', 1, 500, 'recorder_restart')


@pytest.mark.parametrize('changes', [
    {'gap_start_mono_ns': MONO + 2000 * MS + 1}, {'gap_start_mono_ns': -1},
    {'gap_start_mono_ns': 'x'}, {'end_mono_ns': MONO + 1999 * MS}],
    ids=range(4))
def test_manifest_that_lies_about_time_is_refused(env, changes):
    s = Session(env.start())
    s.segment(1, 0, 1000).place().wait_stored()
    liar = s.segment(2, 2000, 3000, split_reason='recorder_restart',
                     **changes).place()
    wait_for('it is refused', lambda: 'manifest_refused' in env.log())
    assert liar.row() is None and s.gaps() == []
    assert liar.files() == {'.webm', '.json'}


def test_overlap_is_no_gap(env):
    """check.sql tells of it; the ledger does not turn negative."""
    s = Session(env.start())
    s.segment(1, 0, 2000).place().wait_stored()
    s.segment(2, 1000, 3000).place().wait_stored()
    assert s.gaps() == []


def ctl(env, *args):
    argv = [CTL]
    for k, v in env.settings.items():
        if k.split('.')[0] in ('database', 'store'):
            argv += ['--set', f'{k}={v}']
    return subprocess.run([*argv, *args], check=True, capture_output=True,
                          text=True, timeout=60).stdout


@pytest.mark.skipif(not os.path.exists(CTL), reason='relaycam is not built')
def test_command_shows_the_timeline(env):
    s = Session(env.start())
    s.segment(1, 0, 700, recovered=True).place().wait_stored()
    two = s.segment(2, 1934, 3000, split_reason='recorder_restart').place()
    two.wait_stored()
    text = ctl(env, 'recordings', 'timeline', s.id[:8])
    lines = text.splitlines()
    assert lines[0].split()[:3] == ['MONITOR', 'WHAT', 'NO.']
    assert [line.split()[1] for line in lines[1:4]] == [
        'segment', 'gap', 'segment']
    assert '1234' in lines[2].split()
    assert lines[-1] == 'gaps: 1, 1234 ms in all'
    doc = json.loads(ctl(env, 'recordings', 'timeline', s.id, '--json'))
    assert [(d['kind'], d['ms']) for d in doc] == [
        ('segment', 700), ('gap', 1234), ('segment', 1066)]
    assert doc[2]['recording'] == two.id and doc[1]['recording'] is None
    assert doc[2]['first_frame'] == 11 and doc[2]['status'] == 'available'


def test_older_databases_get_their_ledger(cluster, tmp_path):
    """Migration 003 on rows that were there before."""
    old = Storage(tmp_path, cluster, schema=2)
    s = old.rows("INSERT INTO sessions (id, team_id, endpoint_id, person_id,"
                 " access, recorded, client_addr, started_at) VALUES "
                 "(gen_random_uuid(), %s, %s, %s, 'unattended', true, '', "
                 'now()) RETURNING id', old.team_id, old.endpoint_id,
                 old.person_id)[0]['id']
    for seq, a, b, why in ((1, 0, 10, 'start'), (2, 15, 20, 'size')):
        old.rows('INSERT INTO segments (id, session_id, seq, status, '
                 'split_reason, frame_rate, width, height, codec, '
                 'started_at, ended_at, start_mono_ns, end_mono_ns) VALUES '
                 "(gen_random_uuid(), %s, %s, 'missing', %s, 10, 8, 8, "
                 "'vp9', now(), now(), %s, %s) RETURNING id", s, seq, why,
                 a * MS, b * MS)
    old.migrate(3)
    assert old.rows('SELECT ms, why FROM gaps') == [
        {'ms': 5, 'why': 'unexplained'}]


# ---- activity and posters (X5) ----------------------------------------------

def decode(activity):
    data = bytes(activity)
    return [[int.from_bytes(data[i:i + 2], 'big'),
             int.from_bytes(data[i + 2:i + 4], 'big')]
            for i in range(0, len(data), 4)]


def test_activity_is_kept(env):
    s = Session(env.start())
    activity = [[0, 0], [1000, 3], [5, 70000], [999, 1]]
    row = s.segment(1, 0, 3500, activity=activity).place().wait_stored()
    assert decode(row['activity']) == [[0, 0], [1000, 3], [5, 65535],
                                       [999, 1]]
    row = s.segment(2, 3500, 4000).place().wait_stored()
    assert row['activity'] is None and row['poster_key'] is None


def test_activity_of_a_whole_day(env):
    s = Session(env.start())
    day = 86400
    activity = [[n % 1001, n % 300] for n in range(day)]
    row = s.segment(1, 0, day * 1000, activity=activity
                    ).place().wait_stored()
    assert decode(row['activity']) == activity


# ---- changes that were replaced before a frame showed them (X2) -------------

def test_merged_changes_are_kept_and_shown(env):
    s = Session(env.start())
    one = s.segment(1, 0, 3500, activity=[[9, 0, 0], [9, 3, 12], [0, 0, 0],
                                          [0, 0, 70000]]).place().wait_stored()
    assert bytes(one['merged']).hex() == '0000000c0000ffff'
    assert one['n_merged'] == 12 + 65535
    none = s.segment(2, 3500, 4000, activity=[[9, 0, 0]]).place().wait_stored()
    assert none['merged'] is None and none['n_merged'] == 0
    # recorders of before did not count
    old = s.segment(3, 4000, 4500, activity=[[9, 0]]).place().wait_stored()
    assert old['merged'] is None and old['n_merged'] is None
    doc = json.loads(ctl(env, 'recordings', 'timeline', s.id, '--json'))
    assert [(d['merged'], d['merged_at']) for d in doc] == [
        (65547, [[1, 12], [3, 65535]]), (0, []), (None, [])]
    assert 'merged: 65547 changes in 2 seconds' in ctl(
        env, 'recordings', 'timeline', s.id)


@pytest.mark.parametrize('activity', [
    'x', {}, 5, [5], [[1]], [[1, 2, 3, 4]], [[1001, 0]], [[-1, 0]], [[0, -1]],
    [['1', 0]], [[0, None]], [[0.5, 1]], [[0, 0]] * 4, [[0, 0]] * 100_000],
    ids=range(14))
def test_bad_activity_costs_no_recording(env, activity):
    s = Session(env.start())
    row = s.segment(1, 0, 2000, activity=activity).place().wait_stored()
    assert row['activity'] is None
    assert 'manifest_field_refused' in env.log()


def poster_key(seg):
    return seg.key.replace('.webm', '.jpg')


def with_poster(s, seq, start, end, data=JPEG, **changes):
    seg = s.segment(seq, start, end, **changes)
    seg.manifest.setdefault('poster', f'{seg.id}.jpg')
    seg.write('.jpg', data)
    return seg


def test_poster_is_stored_served_and_goes_with_the_recording(env):
    s = Session(env.start())
    seg = with_poster(s, 1, 0, 1000).place()
    row = seg.wait_stored()
    assert row['poster_key'] == poster_key(seg)
    url = env.link(poster_key(seg))
    r = env.get(url)
    assert r.status_code == 200 and r.content == JPEG
    assert r.headers['Content-Type'] == 'image/jpeg'
    # the recording's signature opens nothing else
    signed = env.link(seg.key).split('?')[1]
    assert env.get(url.split('?')[0] + '?' + signed).status_code == 403
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s "
             'RETURNING id', seg.id)
    wait_for('both are gone', lambda: seg.row()['store'] is None)
    assert seg.row()['poster_key'] is None
    for key in (seg.key, poster_key(seg)):
        assert not os.path.exists(os.path.join(env.store, key))
    assert env.get(url).status_code == 404


@pytest.mark.parametrize('name,data', [
    ('../../etc/passwd', JPEG), ('', JPEG), (5, JPEG), ('other.jpg', JPEG),
    (None, b'not a picture'), (None, b''), (None, b'\xff\xd8\xff' * 400_000)],
    ids=range(7))
def test_bad_poster_costs_no_recording(env, name, data):
    s = Session(env.start())
    changes = {} if name is None else {'poster': name}
    seg = with_poster(s, 1, 0, 1000, data, **changes).place()
    assert seg.wait_stored()['poster_key'] is None
    assert not os.path.exists(os.path.join(env.store, poster_key(seg)))


def test_poster_that_is_a_link_is_not_followed(env, tmp_path):
    secret = tmp_path / 'secret'
    secret.write_bytes(JPEG)
    s = Session(env.start())
    seg = s.segment(1, 0, 1000)
    seg.manifest['poster'] = f'{seg.id}.jpg'
    os.symlink(secret, seg.path('.jpg'))
    seg.place()
    assert seg.wait('available')['poster_key'] is None
    assert secret.exists()


def test_poster_that_is_not_there(env):
    s = Session(env.start())
    seg = s.segment(1, 0, 1000)
    seg.manifest['poster'] = f'{seg.id}.jpg'
    assert seg.place().wait_stored()['poster_key'] is None


def test_poster_in_s3(tmp_path, cluster, tmp_path_factory):
    ceph = Ceph(tmp_path_factory.mktemp('ceph'))
    env = Storage(tmp_path, cluster, ceph)
    try:
        s = Session(env.start())
        seg = with_poster(s, 1, 0, 1000).place()
        assert seg.wait_stored()['poster_key'] == poster_key(seg)
        assert ceph.keys() == {seg.key, poster_key(seg)}
        assert ceph.get(poster_key(seg), tmp_path / 'got') == JPEG
        r = env.get(env.link(poster_key(seg)))
        assert not r.history and r.content == JPEG  # no redirect to S3
        assert r.headers['Content-Type'] == 'image/jpeg'
        env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s "
                 'RETURNING id', seg.id)
        wait_for('both are gone', lambda: ceph.keys() == set())
    finally:
        env.close()
        ceph.stop()
