"""The disk under the spool: full, turned read-only, and its power cut. Real
file systems of the test's own, so these need root. C6, X4."""
import contextlib
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import demo
import pytest
from counter import Counter, read
from process import wait_until

import media
import spool_files
from conftest import make_rig
from rfb_client import Client
from test_access import refusal
from test_faults import ended, process, recorder_pids

MB = 1 << 20
SIZE = 260 * MB         # room for one thing: 160 MB above the floor
SHUTDOWN = 0x8004587d   # EXT4_IOC_SHUTDOWN: what is not on disk is lost
FREEZE, THAW = 0xc0045877, 0xc0045878    # FIFREEZE, FITHAW
NO_LOG_FLUSH = struct.pack('I', 2)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason='mounts disks')


class Disk:
    """A file system that can be filled, broken and taken away."""

    def __init__(self, kind):
        self.folder = tempfile.mkdtemp(prefix='rc-disk-', dir='/tmp')
        os.chmod(self.folder, 0o755)
        self.path = os.path.join(self.folder, 'spool')
        self.image = os.path.join(self.folder, 'image')
        self.kind = kind
        os.mkdir(self.path)
        if kind == 'ext4':
            with open(self.image, 'wb') as f:
                f.truncate(SIZE)
            media.run(['mkfs.ext4', '-q', '-F', '-m', '0', self.image])
        self.mount()

    def mount(self):
        if self.kind == 'ext4':
            media.run(['mount', '-o', 'loop,errors=remount-ro', self.image,
                       self.path])
        else:
            media.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs',
                       self.path])

    def give(self, user):
        os.chmod(self.path, 0o700)
        os.chown(self.path, user.pw_uid, user.pw_gid)

    def fill(self):
        """Under the floor, with room left to close a file."""
        s = os.statvfs(self.path)
        with open(os.path.join(self.path, 'ballast'), 'wb') as f:
            os.posix_fallocate(f.fileno(), 0,
                               s.f_bavail * s.f_bsize - 90 * MB)

    def free(self):
        path = os.path.join(self.path, 'ballast')
        if os.path.exists(path):
            os.unlink(path)

    def turn_read_only(self):
        """As after an error of the medium."""
        source = media.run(['findmnt', '-no', 'SOURCE', self.path]).stdout
        name = os.path.basename(source.decode().strip())
        with open(f'/sys/fs/ext4/{name}/trigger_fs_error', 'wb') as f:
            f.write(b'1')

    def cut_power(self):
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH)
        os.close(fd)

    @contextlib.contextmanager
    def standing_still(self):
        """Who writes waits in the kernel, where no signal reaches."""
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(fd, THAW, 0)
            os.close(fd)

    def unmount(self):
        return subprocess.run(['umount', self.path],
                              capture_output=True).returncode == 0

    def remove(self):
        if os.path.ismount(self.path) and not self.unmount():
            subprocess.run(['umount', '-l', self.path], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def rig_on(request, kind):
    disk = Disk(kind)
    request.addfinalizer(disk.remove)
    rig = make_rig(request, settings={
        'storage.scan_seconds': '1', 'storage.retry_seconds': '1',
        'spool.dir': disk.path, 'spool.min_free_bytes': '100M'})
    disk.give(rig.stack.user)
    rig.disk = disk
    return rig.start()


@pytest.fixture(scope='module')
def tight(request):
    return rig_on(request, 'tmpfs')


@pytest.fixture(scope='module')
def frail(request):
    return rig_on(request, 'ext4')


@pytest.fixture(autouse=True)
def room(request):
    yield
    if 'tight' in request.fixturenames:
        request.getfixturevalue('tight').disk.free()


class Technician:
    """Looks on in a thread until the relay ends it or it leaves."""

    def __init__(self, rig):
        self.client = Client(rig.stack.ports.relay, rig.stack.path('ca.pem'),
                             'alice@desk1', rig.password)
        self.client.request(incremental=False)
        self.is_leaving = False
        self.error = None
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        self.session = rig.stack.ctl_json('sessions', 'list', '--state',
                                          'active')[0]

    def _look(self):
        try:
            while not self.is_leaving:
                self.client.stream.deadline = time.monotonic() + 60
                self.client.message()
        except (OSError, EOFError) as e:
            self.error = e
        finally:
            self.client.close()

    def leave(self):
        self.is_leaving = True
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def counter(request):
    name = 'tight' if 'tight' in request.fixturenames else 'frail'
    rig = request.getfixturevalue(name)
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 10, 'the counter', c.process)
    yield c
    c.stop()


def recorded(rig, session):
    return rig.stack.sql('SELECT id, status, split_reason, frames, '
                         "recovered FROM segments WHERE session_id = "
                         f"'{session['id']}' ORDER BY seq")


def file_of(rig, session):
    key = rig.stack.sql('SELECT object_key FROM segments WHERE session_id = '
                        f"'{session['id']}' ORDER BY seq LIMIT 1")[0][0]
    return rig.stack.path('recordings', key)


def wait_drawn(counter, n):
    """Until the desktop has drawn n more values."""
    target = counter.lines()[-1][0] + n
    wait_until(lambda: counter.lines()[-1][0] >= target, 30, 'the counter')


def test_under_the_floor_it_does_not_start(tight):
    tight.disk.fill()
    reason = refusal(tight, 'alice@desk1', tight.password)
    assert 'space' in reason, reason
    wait_until(lambda: tight.stack.ctl_json(
        'sessions', 'list', '--state', 'active') == [], 30, "the row's end")
    tight.disk.free()
    assert refusal(tight, 'alice@desk1', tight.password) is None


def test_falling_under_it_ends_an_enforced_session(tight, counter):
    t = Technician(tight)
    wait_drawn(counter, 12)
    full_at = time.monotonic_ns()
    tight.disk.fill()
    row = ended(tight, t.session)
    assert row['end_code'] == 'error' and 'space' in row['end_reason'], row
    t.thread.join(15)
    assert t.error is not None  # the relay closed the connection
    demo.wait_available(tight.stack, t.session['id'], 40)
    rows = recorded(tight, t.session)
    assert [(r[1], r[2], r[4]) for r in rows] == [
        ('available', 'start', 'f')]
    shown = set(read(file_of(tight, t.session), 4, 4))
    begun = min(v for v in shown if v is not None)
    # closed cleanly: nothing of what came before is missing
    missing = [v for v, at in counter.lines()
               if begun <= v and at < full_at - 0.5e9 and v not in shown]
    assert not missing, missing


def test_recording_by_hand_stops_and_its_session_goes_on(tight, counter):
    tight.stack.sql('UPDATE access_settings SET recording = false, '
                    'manual_recording = true')
    try:
        t = Technician(tight)

        def recording():
            return tight.stack.sql('SELECT recording FROM sessions WHERE id '
                                   f"= '{t.session['id']}'") == [['t']]

        def start():
            assert tight.stack.sql(
                "SELECT coalesce(session_command(NULL, '"
                f"{t.session['id']}', 'recording', 'start'), 'done')"
            ) == [['done']]
            wait_until(recording, 10, 'the recording')
        start()
        wait_drawn(counter, 10)
        warned = tight.log('relay').count('session_warned')
        tight.disk.fill()
        wait_until(lambda: not recording(), 15, 'the recording to stop')
        # told, in the picture of whatever viewer it is
        wait_until(lambda: tight.log('relay').count('session_warned') >
                   warned, 5, 'the warning')
        assert 'too little disk space' in tight.log('relay')
        wait_drawn(counter, 4)
        assert t.error is None and t.thread.is_alive()
        tight.disk.free()
        start()
        wait_drawn(counter, 10)
        t.leave()
    finally:
        tight.stack.sql('UPDATE access_settings SET recording = true, '
                        'manual_recording = false')
    assert ended(tight, t.session)['end_code'] == 'normal'
    demo.wait_available(tight.stack, t.session['id'], 40)
    rows = recorded(tight, t.session)
    assert [(r[1], r[2], r[4]) for r in rows] == [
        ('available', 'manual', 'f')] * 2
    assert all(int(r[3]) >= 8 for r in rows)


def test_spool_that_turns_read_only_ends_the_session(frail, counter):
    """Never unrecorded in silence; storage has the file once it can."""
    t = Technician(frail)
    wait_drawn(counter, 16)
    broken_at = time.monotonic_ns()
    frail.disk.turn_read_only()
    row = ended(frail, t.session, 30)
    assert row['end_code'] == 'error' and 'record' in row['end_reason'], row
    t.thread.join(15)
    assert t.error is not None
    reboot(frail)
    assert_plays_until(frail, t.session, counter, broken_at)


def test_disk_that_stands_still_ends_the_session(frail, counter):
    """A recorder that waits for it cannot even be killed: the session is not
    left unrecorded until the disk comes back, or for ever."""
    t = Technician(frail)
    wait_drawn(counter, 16)
    still_at = time.monotonic_ns()
    with frail.disk.standing_still():
        # recorder_seconds until it counts as dead, and again until that has
        # to have an end
        row = ended(frail, t.session, 30)
        assert row['end_code'] == 'error', row
        assert 'stands still' in row['end_reason'], row
        t.thread.join(15)
        assert t.error is not None
    assert_plays_until(frail, t.session, counter, still_at)


def test_power_cut_loses_two_seconds_at_most(frail, counter):
    """What the disk had not taken yet is gone with the power."""
    t = Technician(frail)
    wait_drawn(counter, 16)
    # anywhere between two syncs
    media.wait_pictures(frail.disk.path, random.randint(1, 30))
    frail.disk.cut_power()
    cut_at = time.monotonic_ns()
    reboot(frail)
    t.thread.join(15)
    assert_plays_until(frail, t.session, counter, cut_at)


def test_copy_of_a_growing_file_is_repaired(tight, counter, tmp_path):
    """--repair needs nothing but the two files."""
    t = Technician(tight)
    wait_drawn(counter, 16)
    media.wait_pictures(tight.disk.path, random.randint(1, 30))
    copied_at = time.monotonic_ns()
    part, = spool_files.paths(tight.disk.path, '.webm.part')
    name = os.path.basename(part).split('.')[0]
    for end in ('.webm.part', '.json.open'):
        shutil.copyfile(os.path.join(os.path.dirname(part), name + end),
                        tmp_path / (name + end))
    media.run([tight.stack.path('bin', 'relaycam-recorder'), '--repair',
               tmp_path, name])
    path = tmp_path / (name + '.webm')
    assert media.probe(path)['frames'] >= 8
    assert_shows(path, counter, copied_at)
    t.leave()
    demo.wait_available(tight.stack, t.session['id'], 40)


def reboot(rig):
    """All that ran is killed, the disk is mounted anew, services start."""
    for pid in recorder_pids(rig):
        os.kill(pid, signal.SIGKILL)
    for name in ('relay', 'storage'):
        p = process(rig, name)
        p.kill()
        p.wait()
        rig.stack.processes.remove(p)
    wait_until(rig.disk.unmount, 10, 'the disk to be let go')
    rig.disk.mount()
    rig.stack.start_storage()
    rig.stack.start_relay()


def assert_plays_until(rig, session, counter, until_ns):
    demo.wait_available(rig.stack, session['id'], 40)
    path = file_of(rig, session)
    assert str(media.probe(path)['frames']) == \
        recorded(rig, session)[0][3]
    assert_shows(path, counter, until_ns)


def assert_shows(path, counter, until_ns):
    """Every value from the first one on, up to 2 s before until_ns."""
    frames = read(str(path), 4, 4)
    shown = [v for v in frames if v is not None]
    assert shown == sorted(shown)
    drawn = counter.lines()
    missing = [v for v, at in drawn if v >= shown[0] and
               at < until_ns - 2e9 and v not in shown]
    assert not missing, (missing, frames, [
        (v, (at - drawn[0][1]) // 1_000_000) for v, at in drawn], until_ns)
    assert len(set(shown)) >= 6
