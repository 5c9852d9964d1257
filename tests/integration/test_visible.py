"""What a technician was shown for min_visible_ms is in a frame, however small
it is and whatever the frame rate; what was replaced sooner is counted. A
number on a real desktop says what was shown. X2, T10."""
import os
import types

import demo
import pytest
from digits import DIGITS, SIDE, VALUES, Digits, read, value
from look import Look
from process import wait_until

from test_splits import active, command


@pytest.fixture(scope='module')
def rig(request):
    from conftest import make_rig
    return make_rig(request, settings={'storage.scan_seconds': '1'}).start()


AT = (104, 104)


def read_digits(picture):
    x, y = AT[0] + SIDE // 2, AT[1] + SIDE // 2
    if picture.shape[0] <= y or picture.shape[1] <= x + DIGITS * SIDE:
        return None
    return value([int(picture[y, x + i * SIDE, 1]) for i in range(DIGITS)])


class Plain(Look):
    read = staticmethod(read_digits)


class Hasty(Plain):
    """Asks for the whole number again as soon as it came, changed or not."""

    def _look(self):
        ask = self.client.message

        def message():
            ask()
            self.client.request(incremental=False, area=(96, 96, 64, 32))
        self.client.message = message
        super()._look()


def watch(rig, hz, n, kind=Plain, act=None):
    """A session in which n numbers are seen. Returns the
    technician, the values in frames, and how many changes were merged."""
    look = kind(rig.stack, types.SimpleNamespace(name='desk1'), rig.password)
    number = Digits(rig.stack, rig.endpoint.env, *AT, hz)
    try:
        wait_until(number.is_drawn, 30, 'a number', number.process)
        look.start()
        wait_until(lambda: len(look.seen) > 2, 30, 'a picture')
        session = active(rig)
        if act is not None:
            act(session)
        wait_until(lambda: len(look.seen) >= n or look.is_over, 120,
                   f'{n} pictures')
        look.leave()
        look.wait(30)
    finally:
        number.stop()
    assert look.refused is None, look.refused
    return look, *recorded(rig, session)


def recorded(rig, session):
    demo.wait_available(rig.stack, session, 60)
    values, merged = [], 0
    for seg, n in rig.stack.sql('SELECT id, n_merged FROM segments WHERE '
                                f"session_id = '{session}' ORDER BY seq"):
        path = rig.stack.path('tmp', f'{seg}.webm')
        rig.stack.ctl('recordings', 'fetch', seg, '--output', path, '--ca',
                      rig.stack.path('ca.pem'))
        values += [v for v in read(path, *AT) if v is not None]
        merged += int(n)
        os.unlink(path)
    assert len(values) < VALUES and values == sorted(values)
    return set(values), merged


def missing(look, values):
    return [v for v in {v for v, _ in look.seen} if v not in values]


STOOD_NS = 200_000_000  # at the technician; at the relay it may be less


def test_small_changes_that_stood(rig):
    """Five values a second; two frames a second is what a clock gets."""
    look, values, merged = watch(rig, 5, 60)
    stood = look.stood(0, STOOD_NS)
    assert len(stood) > 10
    assert [v for v in stood if v not in values] == []
    assert len(missing(look, values)) <= merged


@pytest.mark.parametrize('kind', [Plain, Hasty])
def test_frame_rate_1(rig, kind):
    look, values, merged = watch(
        rig, 5, 20, kind, lambda s: command(rig, s, 'frame_rate', '1'))
    assert [v for v in look.stood(0, STOOD_NS) if v not in values] == []
    assert len(missing(look, values)) <= merged


def test_flashes_of_80_ms(rig):
    """Counted; and where the team wants it, shown."""
    look, values, merged = watch(rig, 12.5, 100)
    assert merged > 0 and missing(look, values)
    assert len(missing(look, values)) <= merged
    timeline = rig.stack.ctl_json(
        'recordings', 'timeline',
        rig.stack.ctl_json('recordings', 'list')[0]['session'])
    assert sum(t['merged'] for t in timeline if t['kind'] == 'segment') == \
        sum(n for t in timeline for _, n in t['merged_at']) == merged
    rig.stack.ctl('settings', 'set', '--team', 'demo',
                  'unattended.min_visible_ms=40')
    look, values, less = watch(rig, 12.5, 100)
    assert len(missing(look, values)) <= less
    assert less < merged
    assert len(missing(look, values)) < len(look.seen) / 4
