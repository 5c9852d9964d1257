"""Sessions that the endpoint's agent captures, with the real relay, storage,
desktop and viewers: instead of the relay and beside it, with the agent killed,
with a full disk. C6, C7; docs/relaycam-agent.md, "Captures"."""
import os
import subprocess

import demo
import pytest
from agent_screen import Desktop
from conftest import BUILD, make_rig
from counter import Counter
from process import wait_until

import counter
from test_access import refusal
from test_agent import Laptop

LIMIT_S = 90
NO_SPACE = 'too little disk space is left on the endpoint'


@pytest.fixture(scope='module')
def rig(request):
    rig = make_rig(request, settings={
        'storage.captures': 'on', 'storage.scan_seconds': '1',
        'relay.recorder_seconds': '30'})
    rig.stack.settings.update({
        'storage.capture_key_file': rig.stack.path('conf', 'capture.key'),
        'relay.captures_address': f'localhost:{rig.stack.ports.files}'})
    rig.start(security='VncAuth')
    rig.desktop = Desktop(rig.endpoint.env)
    program = rig.stack.path('bin', 'relaycam-agent')
    with open(os.path.join(BUILD, 'agent', 'relaycam-agent'), 'rb') as f:
        rig.stack._write(program, f.read(), 0o755)
    wait_until(lambda: rig.stack.sql('SELECT count(*) FROM capture_key') ==
               [['1']], LIMIT_S, "storage's key")
    return rig


@pytest.fixture(scope='module')
def laptop(rig):
    return Laptop(rig, 'laptop', '--set',
                  'agent.upload_retry_seconds=1').enroll().start()


@pytest.fixture
def drawn(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, LIMIT_S, 'the counter', c.process)
    yield c
    c.stop()


def policy(rig, who, name='laptop'):
    rig.stack.ctl('endpoint', 'set', name, '--capture', who)


def session_of(rig):
    return rig.stack.sql('SELECT id FROM sessions ORDER BY started_at DESC '
                         'LIMIT 1')[0][0]


def opened(rig, name='laptop'):
    """A viewer that shows the desktop, and its session."""
    viewer = rig.viewer(f'alice@{name}').start()
    viewer.wait_for_window()
    return viewer, session_of(rig)


def see(drawn, viewer, n=25):
    seen = len(drawn.lines())
    wait_until(lambda: len(drawn.lines()) > seen + n, LIMIT_S, 'pictures',
               viewer.process)


def values(rig, session):
    """What the frames of its one recording show."""
    demo.wait_available(rig.stack, session, LIMIT_S)
    rows = rig.stack.sql('SELECT id FROM segments WHERE session_id = '
                         f"'{session}'")
    assert len(rows) == 1
    path = rig.stack.path('tmp', f'{session}.webm')
    rig.stack.ctl('recordings', 'fetch', rows[0][0], '--output', path, '--ca',
                  rig.stack.path('ca.pem'))
    found = [v for v in counter.read(path, 4, 4) if v is not None]
    assert found == sorted(found)
    return found


def captures(laptop):
    return os.listdir(os.path.join(laptop.state, 'captures'))


def orders(rig, session):
    return rig.stack.sql('SELECT id, is_copy, received_at IS NOT NULL FROM '
                         f"device_captures WHERE session_id = '{session}'")


def end_of(rig, session):
    return rig.stack.sql('SELECT end_code, end_reason FROM sessions WHERE id '
                         f"= '{session}'")[0]


def status_of(rig, session):
    """Status and detail of its one row."""
    row, = rig.stack.sql('SELECT status, status_detail FROM segments WHERE '
                         f"session_id = '{session}'")
    return tuple(row)


def test_instead_of_the_relay(rig, laptop, drawn):
    policy(rig, 'device')
    viewer, session = opened(rig)
    see(drawn, viewer)
    spool = rig.stack.path('spool')
    assert [d for d in os.listdir(spool) if session in d] == []
    assert status_of(rig, session) == ('recording', '')
    viewer.close()
    assert len(set(values(rig, session))) > 10
    (name, is_copy, is_received), = orders(rig, session)
    assert (is_copy, is_received) == ('f', 't')
    assert end_of(rig, session)[0] == 'normal'
    wait_until(lambda: captures(laptop) == [], LIMIT_S, 'an empty folder')


def test_beside_the_relay(rig, laptop, drawn):
    """One recording, and a copy that storage has."""
    policy(rig, 'both')
    viewer, session = opened(rig)
    see(drawn, viewer)
    viewer.close()
    assert len(set(values(rig, session))) > 10
    wait_until(lambda: [row[1:] for row in orders(rig, session)] ==
               [['t', 't']], LIMIT_S, 'the copy')
    wait_until(lambda: captures(laptop) == [], LIMIT_S, 'an empty folder')


def test_killed_while_it_writes(rig, laptop, drawn):
    """What was written until then is kept, and handed over by the next."""
    policy(rig, 'device')
    viewer, session = opened(rig)
    see(drawn, viewer)
    (name, _, _), = orders(rig, session)
    part = os.path.join(laptop.state, 'captures', name + '.sealed.part')
    size = os.path.getsize(part)
    see(drawn, viewer)
    wait_until(lambda: os.path.getsize(part) > size, LIMIT_S, 'more')
    laptop.process.kill()
    laptop.process.wait()
    viewer.close()
    wait_until(lambda: end_of(rig, session)[0] != '', LIMIT_S,
               'the end of the session')
    assert status_of(rig, session)[0] in ('transfer', 'missing')
    laptop.process = None
    laptop.start()
    assert len(set(values(rig, session))) > 10
    assert ' capture_cut_off ' in laptop.log()


@pytest.fixture
def small_disk(rig, laptop):
    """The endpoint's captures have 64 MB: a file system of its own."""
    folder = os.path.join(laptop.state, 'captures')
    options = laptop.options
    laptop.stop()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m,mode=0700,'
                    f'uid={rig.stack.user.pw_uid}', 'tmpfs', folder],
                   check=True)
    laptop.options = [*options, '--set', 'agent.capture_min_free=32M']
    laptop.start()
    yield folder
    laptop.stop()
    subprocess.run(['umount', '-l', folder], check=True)
    laptop.options = options
    laptop.start()


def test_disk_full_while_it_writes(rig, laptop, small_disk, drawn):
    """C6: the capture is closed in order, and the session, which has to be
    recorded, ends in words. The next one is refused, in words."""
    policy(rig, 'device')
    viewer, session = opened(rig)
    see(drawn, viewer, 10)
    with open(os.path.join(small_disk, 'filler'), 'wb') as f:
        f.write(b'x' * (40 << 20))
    wait_until(lambda: end_of(rig, session)[0] != '', LIMIT_S,
               'the end of the session')
    viewer.close()
    assert NO_SPACE in end_of(rig, session)[1]
    assert NO_SPACE in refusal(rig, 'alice@laptop', rig.password)
    assert values(rig, session) != []
    wait_until(lambda: captures(laptop) == ['filler'], LIMIT_S,
               'the end of the upload')


def test_a_copy_is_not_worth_a_session(rig, laptop, small_disk, drawn):
    policy(rig, 'both')
    with open(os.path.join(small_disk, 'filler'), 'wb') as f:
        f.write(b'x' * (40 << 20))
    viewer, session = opened(rig)
    see(drawn, viewer, 10)
    viewer.close()
    assert values(rig, session) != []
    assert rig.stack.sql(
        "SELECT detail->>'why' FROM audit WHERE object = "
        f"'{session}' AND action = 'device_capture_failed'") == [[NO_SPACE]]
