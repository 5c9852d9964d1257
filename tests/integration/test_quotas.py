"""Quotas of recordings per team: what runs goes on, what would begin is
refused in the technician's own viewer or goes on unrecorded and says so, as
the team chose (T1, C6)."""
import demo
import pytest
from counter import Counter
from process import wait_until

from test_access import refusal
from test_disk import Technician, recorded, wait_drawn
from test_faults import ended


@pytest.fixture
def counter(rig):
    c = Counter(rig.stack, rig.endpoint.env)
    wait_until(c.lines, 60, 'the counter', c.process)
    yield c
    c.stop()


def team(rig):
    row, = rig.stack.ctl_json('team', 'list')
    return row


def quota(rig, *words):
    rig.stack.ctl('team', 'set', team(rig)['name'], *words)


def kept(rig, t, counter):
    """It has recorded something, leaves, and all of it arrives."""
    wait_drawn(counter, 6)
    t.leave()
    assert ended(rig, t.session, 60)['end_code'] == 'normal'
    demo.wait_available(rig.stack, t.session['id'], 60)


def test_a_full_quota_stops_no_recording_and_begins_none(rig, counter):
    kept(rig, Technician(rig), counter)
    running = Technician(rig)
    wait_drawn(counter, 4)
    quota(rig, '--quota', '1K')
    assert team(rig)['quota_state'] == 'full'
    reason = refusal(rig, 'alice@desk1', rig.password)
    assert 'used up its quota' in reason, reason
    assert running.error is None and running.thread.is_alive()
    kept(rig, running, counter)
    # the team may choose to go on without
    rig.stack.sql("UPDATE access_settings SET on_record_failure = 'continue'")
    t = Technician(rig)
    wait_until(lambda: 'used up its quota' in rig.log('relay'), 60,
               'the warning')
    wait_drawn(counter, 4)
    t.leave()
    assert ended(rig, t.session, 60)['end_code'] == 'normal'
    assert recorded(rig, t.session) == []
    why = rig.stack.sql("SELECT detail->>'why' FROM audit WHERE action = "
                        "'recording_lost' AND object = "
                        f"'{t.session['id']}'")[0][0]
    assert 'quota' in why
    rig.stack.sql("UPDATE access_settings SET on_record_failure = 'end'")
    quota(rig, '--quota', 'none')
    kept(rig, Technician(rig), counter)
