"""Captures: from the spool through relaycam-recorder --replay into the
store, several at a time, in order within a session; kill -9 of either
program, cut-off and damaged files, an orderly stop. M1, M3, X2."""
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
import uuid

import pytest

import media
import spool_files
from storage_env import BUILD, ROOT, Segment, evidence, wait_for
from storage_fixtures import cluster, env  # noqa: F401

MAKE = os.path.join(BUILD, 'tests', 'unit', 'capture_make')
FORMAT = '2018000100ff00ff00ff100800000000'
SECOND = 10**9


class Capture(Segment):
    """A session that was captured; place() puts it where a recorder would."""

    def __init__(self, env, frames=30, width=320, height=240, session=None,
                 seq=1, start=1000, resume=False, cut=False,
                 broken=False):
        super().__init__(env, 1, session=session, seq=seq)
        self.start, self.cut, self.frames = start, cut, frames
        self.broken = broken
        self.size = (width, height)
        m = self.manifest
        m.update(width=width, height=height, start_mono_ns=start,
                 start_wall_ns=m['start_wall_ns'] + start)
        if resume:
            m['split_reason'] = 'recorder_restart'
        for name in ('end_mono_ns', 'end_wall_ns', 'last_frame', 'frames',
                     'duration_ms', 'bytes', 'recovered', 'end'):
            del m[name]
        names = ('session', 'team', 'endpoint', 'technician', 'team_id',
                 'endpoint_id', 'person_id', 'access', 'time_zone',
                 'retention_days', 'width', 'height', 'split_reason',
                 'frame_rate', 'codec')
        self.meta = {name: m[name] for name in names}
        self.meta.update(
            pixel_format=FORMAT, desktop_name='d', start_mono_ns=1000,
            start_wall_ns=m['start_wall_ns'] - start + 1000, first_seq=1,
            first_frame=1, segment_bytes=64 << 20, min_free_bytes=0,
            quality='text', mode='capture', resume=resume)

    def place(self):
        kind = '.capture.part' if self.cut else '.capture'
        args = [MAKE, self.path('.made'), json.dumps(self.meta),
                *map(str, self.size), str(self.start), str(self.frames)]
        subprocess.run(args + ['cut'] * self.cut + ['broken'] * self.broken,
                       check=True, timeout=60)
        self.write('.capture.json', json.dumps(self.manifest).encode())
        os.rename(self.path('.made'), self.path(kind))
        self.leave()
        return self

    def rows(self):
        return self.env.rows('SELECT * FROM segments WHERE session_id = %s '
                             'ORDER BY seq', self.session)

    def wait_encoded(self, timeout_s=60):
        row = self.wait('available', timeout_s)
        wait_for('the capture is removed', lambda: not self.files())
        probe = media.probe(os.path.join(self.env.store, row['object_key']))
        assert probe['frames'] == row['frames'] > 0
        assert (probe['width'], probe['height']) == self.size
        return row

    def encoder(self):
        """The id of the process that encodes it, or None."""
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as f:
                    if f'--replay\0{self.folder}\0{self.id}\0'.encode() \
                            in f.read():
                        return int(pid)
            except OSError:
                continue
        return None

    def has_begun(self):
        folder = self.path('.encode')
        return os.path.isdir(folder) and any(
            f.stat().st_size > 100_000 for f in os.scandir(folder)
            if f.name.endswith('.webm.part'))

    def wait_encoder(self):
        """Until it runs and has written something."""
        pid = wait_for('an encoder', self.encoder)
        wait_for('a file that grows', self.has_begun)
        return pid


def violations(env):
    """What schema/check.sql finds in segments."""
    with open(f'{ROOT}/schema/check.sql', encoding='utf-8') as f:
        lines = [line for line in f if not line.startswith('--')]
    found = []
    for query in ''.join(lines).split(';\n'):
        if 'segments' in query and query.strip():
            found += env.rows(query.replace('%', '%%'), *())
    return found


def test_from_capture_to_available(env):
    env.start()
    c = Capture(env, frames=120).place()
    seen = set()

    def step():
        row = c.row()
        if row:
            seen.add((row['status'], row['progress']))
        return row and row['status'] == 'available'

    wait_for('available', step, 60)
    row = c.wait_encoded()
    assert {s for s, _ in seen} >= {'encoding', 'available'}
    assert any(s == 'encoding' and 0 < p < 100 for s, p in seen), seen
    assert row['frames'] == 122  # two at the end
    assert (row['seq'], row['first_frame']) == (1, 1)
    assert row['duration_ms'] == 12000
    assert not row['recovered']
    assert env.metric('encodes_total{result="ok"}') == 1
    assert len(c.rows()) == 1
    assert not violations(env)


def test_several_at_a_time_and_no_more(env):
    captures = [Capture(env, frames=60).place() for _ in range(5)]
    env.start(storage__encoders='2')
    most = 0

    def done():
        nonlocal most
        most = max(most, sum(c.encoder() is not None for c in captures))
        return all((r := c.row()) and r['status'] == 'available'
                   for c in captures)

    wait_for('all', done, 120)
    assert most == 2
    for c in captures:
        c.wait_encoded()


def test_a_second_recorder_of_a_session_comes_after_the_first(env):
    """X2: numbers and times without holes, whoever came first."""
    first = Capture(env, frames=50, cut=True)
    second = Capture(env, frames=20, session=first.session, seq=10001,
                     start=20 * SECOND, resume=True).place()
    first.place()
    env.start(storage__encoders='4')
    a, b = first.wait_encoded(), second.wait_encoded()
    assert (a['seq'], b['seq']) == (1, 2)
    assert b['first_frame'] == a['last_frame'] + 1
    assert b['split_reason'] == 'recorder_restart'
    assert a['recovered'] and not b['recovered']
    assert b['gap_start_mono_ns'] == a['end_mono_ns']
    gaps = env.rows('SELECT * FROM gaps WHERE session_id = %s',
                    first.session)
    assert [(g['why'], g['from_mono_ns'], g['to_mono_ns'])
            for g in gaps] == [('recorder_restart', a['end_mono_ns'],
                                20 * SECOND)]
    assert not violations(env)


def test_two_captures_with_one_number(env):
    """A recorder whose note was lost: both become parts of the session."""
    one = Capture(env, frames=20)
    two = Capture(env, frames=10, session=one.session, start=20 * SECOND,
                  resume=True)
    three = Segment(env, 1000, session=one.session, seq=1,
                    start_mono_ns=40 * SECOND, end_mono_ns=41 * SECOND,
                    split_reason='manual', first_frame=100, last_frame=109)
    three.manifest['evidence'] = evidence(three.id, three.data, 100)
    one.place()
    env.start()
    a = one.wait_encoded()
    two.place()
    b = two.wait_encoded()
    c = three.place().wait_stored()
    assert [r['seq'] for r in (a, b, c)] == [1, 2, 3]
    assert b['first_frame'] == a['last_frame'] + 1
    assert 'capture_renumbered' in env.log()
    assert 'segment_renumbered' in env.log()
    with open(os.path.join(env.store, c['object_key'][:-4] + 'json'),
              encoding='utf-8') as f:
        assert json.load(f)['seq'] == 3
    assert not [v for v in violations(env) if v['name'] not in (
        'session_frames', 'gap_reason')]


def test_captures_with_one_number_that_wait(env):
    """Neither has its own yet; the first one in time is encoded first."""
    one = Capture(env, frames=20)
    two = Capture(env, frames=10, session=one.session, start=20 * SECOND,
                  resume=True)
    two.place()
    one.place()
    env.start(storage__encoders='2')
    assert [c.wait_encoded()['seq'] for c in (one, two)] == [1, 2]
    assert not violations(env)


@pytest.mark.parametrize('how', ['missing', 'damaged'])
def test_nobody_waits_for_what_never_comes(env, how):
    one = Capture(env, frames=60).place()
    two = Capture(env, frames=10, session=one.session, seq=10001,
                  start=20 * SECOND, resume=True)
    with open(one.path('.capture'), 'r+b') as f:
        f.seek(1_000_000)
        byte = f.read(1)
        f.seek(1_000_000)
        f.write(bytes([byte[0] ^ 1]))
    if how == 'missing':
        os.remove(one.path('.capture'))
    env.start()
    one.wait('missing' if how == 'missing' else 'encoding_failed')
    assert two.place().wait_encoded()['seq'] == 2
    assert one.row()['seq'] == 1
    assert not violations(env)


def test_says_that_it_waits(env):
    one = Capture(env, frames=20, cut=True)
    two = Capture(env, frames=10, session=one.session, seq=10001,
                  start=20 * SECOND, resume=True).place()
    one.place()
    with open(one.path('.capture.part'), 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        env.start()
        one.wait('recording')
        row = wait_for('the reason', lambda: (r := two.row()) and
                       r['status_detail'] and r)
        assert row['status'] == 'downloaded'
        assert row['status_detail'].startswith('waits for the recordings')
    assert one.wait_encoded()['seq'] == 1
    row = two.wait_encoded()
    assert (row['seq'], row['status_detail']) == (2, '')


def test_is_not_touched_while_its_recorder_lives(env):
    c = Capture(env, cut=True)
    env.start()
    hidden = c.path('.made')
    subprocess.run([MAKE, hidden, json.dumps(c.meta), '320', '240', '1000',
                    '30', 'cut'], check=True, timeout=60)
    with open(hidden, 'rb') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        os.rename(hidden, c.path('.capture.part'))
        c.write('.capture.json', json.dumps(c.manifest).encode())
        row = c.wait('recording')
        assert 'encoded' in row['status_detail']
        os.kill(env.process.pid, signal.SIGHUP)
        other = Capture(env, frames=5).place()
        other.wait_encoded()
        assert c.files() == {'.capture.part', '.capture.json'}
        assert c.row()['status'] == 'recording'
    row = c.wait_encoded()
    assert row['recovered']
    assert row['frames'] >= 30


def seen_of(c):
    rows = c.env.rows('SELECT * FROM capture_heads WHERE segment_id = %s', c.id)
    return rows[0] if rows else None


def test_a_capture_that_was_exchanged(env):
    """X3: what was seen of it while it grew has to be there still."""
    c = Capture(env, cut=True)
    env.start()
    hidden = c.path('.made')
    subprocess.run([MAKE, hidden, json.dumps(c.meta), '320', '240', '1000',
                    '30', 'cut'], check=True, timeout=60)
    with open(hidden, 'r+b') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(-1, os.SEEK_END)
        f.truncate()  # its last block is not whole
        os.rename(hidden, c.path('.capture.part'))
        c.write('.capture.json', json.dumps(c.manifest).encode())
        head = wait_for('what is seen of it', lambda: seen_of(c), 30)
        with open(c.path('.capture.part'), 'rb') as whole:
            data = whole.read()
        assert 0 < head['head_to'] < len(data)
        assert bytes(head['head_sha256']) == hashlib.sha256(
            data[:head['head_to']]).digest()
        at = head['head_to'] // 2
        f.seek(at)
        f.write(bytes([data[at] ^ 1]))
        f.flush()
    row = c.wait('corrupted')
    assert f'the first {head["head_to"]} bytes' in row['status_detail']
    assert c.files() == {'.capture', '.capture.json'}
    assert env.metric('encodes_total{result="failed"}') == 1
    assert not violations(env)
    # as it was: tried again at the next look
    with open(c.path('.capture'), 'r+b') as f:
        f.seek(at)
        f.write(data[at:at + 1])
    os.kill(env.process.pid, signal.SIGHUP)
    row = c.wait_encoded()
    assert row['recovered']
    assert not violations(env)


def grown(env, c, data, seen=True):
    """c as its recorder writes it: the open file, and what is known of it."""
    f = open(c.path('.made'), 'w+b')
    f.write(data)
    f.flush()
    fcntl.flock(f, fcntl.LOCK_EX)
    os.rename(c.path('.made'), c.path('.capture.part'))
    c.write('.capture.json', json.dumps(c.manifest).encode())
    c.wait('recording')
    return f, wait_for('what is seen of it', lambda: seen_of(c), 30)


def made(c, frames):
    subprocess.run([MAKE, c.path('.made'), json.dumps(c.meta), '320', '240',
                    '1000', str(frames)], check=True, timeout=60)
    with open(c.path('.made'), 'rb') as f:
        data = f.read()
    os.remove(c.path('.made'))
    return data


@pytest.mark.parametrize('how', ['while seen', 'while storage was away'])
def test_a_shorter_capture_in_its_place(env, how):
    """X3: good in itself, in the same file, and growing on."""
    c = Capture(env)
    long, short = made(c, 60), made(c, 20)
    meanwhile = how == 'while seen'
    env.start()
    f, head = grown(env, c, long)
    with f:
        if not meanwhile:
            assert env.stop() == 0
        f.seek(0)
        f.truncate()
        f.write(short)
        f.flush()
        if meanwhile:
            wait_for('it is noticed', lambda: 'head_differs' in env.log(), 30)
        f.seek(0)
        f.write(made(c, 90))  # longer than ever, and whole
        f.flush()
        if meanwhile:
            other = Capture(env)
            with grown(env, other, short)[0]:  # two turns at least
                assert seen_of(c) == head
        else:
            env.start()
            wait_for('it is noticed', lambda: 'head_differs' in env.log(), 30)
            assert seen_of(c) == head
    row = c.wait('corrupted')
    assert f'the first {head["head_to"]} bytes' in row['status_detail']
    assert c.files() == {'.capture', '.capture.json'}


def test_seen_before_and_after_a_restart(env):
    """The same file goes on: more of it is seen, and it is encoded."""
    c = Capture(env)
    whole = made(c, 60)
    half = len(whole) // 2
    env.start()
    f, head = grown(env, c, whole[:half])
    with f:
        env.kill()
        f.write(whole[half:])
        f.flush()
        env.start()
        assert wait_for('more is seen', lambda: (
            h := seen_of(c))['head_to'] > head['head_to'] and h, 30)[
                'head_to'] == len(whole)
    assert c.wait_encoded()['frames'] == 62
    assert 'head_differs' not in env.log()


def test_capture_changed_while_it_is_encoded(env, tmp_path):
    """The encoder opens it by name: what it read must be what was checked."""
    script = tmp_path / 'encoder'
    script.write_text(f'#!/bin/sh\ntouch {tmp_path}/runs\n'
                      f'while ! test -e {tmp_path}/go; do sleep 0.1; done\n'
                      f'exec {BUILD}/recorder/relaycam-recorder "$@"\n')
    script.chmod(0o755)
    env.start(storage__recorder_program=str(script))
    c = Capture(env, frames=20).place()
    wait_for('the encoder', (tmp_path / 'runs').exists)
    with open(c.path('.capture'), 'rb') as f:
        data = f.read()
    c.write('.capture', data)  # the same bytes, another file
    (tmp_path / 'go').touch()
    wait_for('it is noticed', lambda: 'was changed meanwhile' in env.log())
    assert c.wait_encoded()['frames'] == 22


def test_check_ends_with_storage(env):
    """A day's capture is many GiB: SIGTERM does not wait for its hash."""
    c = Capture(env)
    env.start()
    hidden = c.path('.made')
    with open(hidden, 'w+b') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.truncate(40 << 30)
        os.rename(hidden, c.path('.capture.part'))
        c.write('.capture.json', json.dumps(c.manifest).encode())
        c.wait('recording')
        env.rows('INSERT INTO capture_heads VALUES '
                 "(%s, 0, %s, sha256('x'), now())", c.id, 40 << 30)
    c.wait('encoding')
    begun = time.monotonic()
    assert env.stop() == 0
    assert time.monotonic() - begun < 10
    assert c.row()['status'] == 'downloaded'
    assert c.files() == {'.capture', '.capture.json'}


def test_killed_encoder(env):
    env.start()
    c = Capture(env, frames=300).place()
    os.kill(c.wait_encoder(), signal.SIGKILL)
    row = wait_for('downloaded again',
                   lambda: (r := c.row())['status'] == 'downloaded' and
                   r['status_detail'] and r)
    assert 'signal 9' in row['status_detail']
    assert '.encode' not in c.files()
    row = c.wait_encoded(90)
    assert row['frames'] == 302
    assert len(c.rows()) == 1


@pytest.mark.parametrize('how', ['kill', 'stop'])
def test_storage_ends_while_encoding(env, how):
    """M3: no half video is left, it begins anew at the next start."""
    env.start()
    c = Capture(env, frames=300).place()
    pid = c.wait_encoder()
    if how == 'kill':
        env.kill()
    else:
        begun = time.monotonic()
        assert env.stop() == 0
        assert time.monotonic() - begun < 10
        assert c.row()['status'] == 'downloaded'
        assert '.encode' not in c.files()
    wait_for('the end of the encoder', lambda: not os.path.exists(
        f'/proc/{pid}') or c.encoder() is None)
    assert not spool_files.paths(env.spool, '.webm')
    assert not spool_files.paths(env.spool, '.webm.part')
    env.start()
    row = c.wait_encoded(90)
    assert row['frames'] == 302
    assert len(c.rows()) == 1
    assert not violations(env)


def test_killed_at_any_moment(env):
    captures = [Capture(env, frames=40).place() for _ in range(3)]
    for i in range(8):
        env.start()
        wait_for('a step', lambda: any(c.encoder() for c in captures) or
                 all(not c.files() for c in captures))
        time.sleep(0.15 * i)  # where it is then is what varies
        env.kill()
    env.start()
    for c in captures:
        assert c.wait_encoded()['frames'] == 42
        assert len(c.rows()) == 1
    assert not violations(env)


def test_damaged_capture_is_kept_and_tried_again(env):
    c = Capture(env, frames=60)
    c.place()
    with open(c.path('.capture'), 'r+b') as f:
        f.seek(1_000_000)
        byte = f.read(1)
        f.seek(1_000_000)
        f.write(bytes([byte[0] ^ 1]))
    env.start()
    row = c.wait('encoding_failed')
    assert '65' in row['status_detail']
    assert c.files() == {'.capture', '.capture.json'}
    failures = env.log().count('encode_failed')
    other = Capture(env, frames=5).place()
    other.wait_encoded()
    assert env.log().count('encode_failed') == failures
    assert env.metric('captures_failed') == 1
    assert env.stop() == 0
    with open(c.path('.capture'), 'r+b') as f:
        f.seek(1_000_000)
        f.write(byte)
    env.start()
    assert c.wait_encoded()['frames'] == 62


def audited(env):
    return env.rows("SELECT * FROM audit WHERE action = 'recording_lost'")


def test_stream_that_cannot_be_decoded(env):
    """What came before is a video, what follows is kept, and it is said."""
    env.start()
    c = Capture(env, frames=40, broken=True).place()
    with open(c.path('.capture'), 'rb') as f:
        data = f.read()
    row = c.wait('available')
    wait_for('the capture is put aside',
             lambda: c.files() == {'.capture.kept'})
    assert 15 <= row['frames'] <= 23 and row['end_why'] == 'error'
    assert row['status_detail'] == row['lost_why'] != ''
    entry, = audited(env)
    assert entry['object'] == c.session
    assert entry['detail'] == {'why': row['lost_why'], 'segment': c.id}
    with open(c.path('.capture.kept'), 'rb') as f:
        assert f.read() == data
    assert not violations(env)
    # later ones of the session go on
    after = Capture(env, frames=5, session=c.session, seq=10001,
                    start=20 * SECOND, resume=True).place()
    assert after.wait_encoded()['seq'] == 2
    # it stays as long as the recording, and no longer
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s", c.id)
    wait_for('it is removed', lambda: not c.files())


def test_stream_that_cannot_be_decoded_at_all(env):
    env.start()
    c = Capture(env, frames=1, broken=True).place()
    row = c.wait('available')
    assert row['frames'] == 1 and row['lost_why'] and audited(env)
    wait_for('the capture is put aside',
             lambda: c.files() == {'.capture.kept'})


def test_deleted_while_it_waits(env):
    c = Capture(env, frames=20).place()
    env.start(storage__recorder_program='/bin/false')
    c.wait('encoding_failed')
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s "
             'RETURNING id', c.id)
    assert env.stop() == 0
    env.start()
    wait_for('its files are gone', lambda: not c.files())
    assert c.row()['status'] == 'deleted'


def test_no_program_to_encode_with(env):
    env.start(storage__recorder_program='/nowhere/recorder')
    c = Capture(env, frames=5).place()
    row = wait_for('the reason', lambda: (r := c.row()) and
                   'cannot run' in r['status_detail'] and r)
    assert row['status'] == 'downloaded'
    assert c.files() == {'.capture', '.capture.json'}


def test_names_that_are_no_captures(env):
    for name in ('x.capture', f'{uuid.uuid4()}.capture',
                 f'{uuid.uuid4()}.capture.json', f'{uuid.uuid4()}.encode'):
        with open(os.path.join(env.spool, name), 'w', encoding='utf-8') as f:
            f.write('{}')
    env.start()
    c = Capture(env, frames=5).place()
    c.wait_encoded()
    assert len(spool_files.paths(env.spool)) == 4
