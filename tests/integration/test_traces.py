"""A session's trace (W3C Trace Context) goes through all programs: that of the
browser's request, if it named one, else one whose id is the session's own. It
is in the relay's and storage's logs, in requests to S3 and in webhooks."""
import re

import pytest
from demo import wait_available
from process import wait_until

from page_peer import PagePeer
from s3_peer import S3Peer
from webhook_receiver import Receiver

TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
PARENT = '00f067aa0ba902b7'
FIELD = re.compile('00-([0-9a-f]{32})-([0-9a-f]{16})-01')


@pytest.fixture(scope='module')
def s3():
    peer = S3Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def rig(request, s3):
    from conftest import make_rig
    r = make_rig(request, settings={
        'store.kind': 's3', 'store.s3_endpoint': s3.url,
        'store.s3_bucket': 'relaycam'})
    s = r.stack
    s.settings.update({
        'store.s3_access_key_file': s.path('conf', 's3.key'),
        'console.provider_ca_file': s.path('ca.pem'), 'console.workers': '1'})
    r.start()
    s.start_console()
    return r


@pytest.fixture(scope='module')
def receiver(rig):
    conf = rig.stack.path('conf', 'relay')
    r = Receiver(f'{conf}.pem', f'{conf}.key')
    rig.stack.ctl('webhook', 'add', r.url, '--team', 'demo')
    yield r
    r.close()


def session(rig, fields):
    with PagePeer(rig, 'alice@desk1', rig.password, fields=fields) as p:
        p.open_desktop()
        (ident,), = wait_until(lambda: rig.stack.sql(
            'SELECT id FROM sessions WHERE ended_at IS NULL'), 60, 'the row')
        wait_until(lambda: rig.stack.sql(
            f"SELECT 1 FROM segments WHERE session_id = '{ident}'"), 60,
            'its recording')
    wait_until(lambda: rig.stack.sql(
        f"SELECT 1 FROM sessions WHERE id = '{ident}' AND ended_at IS NOT "
        'NULL'), 60, 'its end')
    return ident


@pytest.mark.parametrize('field, trace', [
    (f'traceparent: 00-{TRACE}-{PARENT}-01\r\n', TRACE),
    (f'traceparent: 00-{TRACE}-0000-01\r\n', None), ('', None)])
def test_all_programs_say_the_same_trace(rig, s3, receiver, field, trace):
    ident = session(rig, field)
    trace = trace or ident.replace('-', '')
    assert re.search(f'session_start session={ident} trace_id={trace} ',
                     rig.log('relay'))
    assert wait_available(rig.stack, ident)
    assert re.search(f' transfer_start .*session={ident}.* trace_id={trace}',
                     rig.log('storage'))
    fields = [FIELD.fullmatch(t or '') for path, t in list(s3.traces)
              if ident in path]
    assert len(fields) >= 2 and all(fields)
    assert {m[1] for m in fields} == {trace}
    parents = {m[2] for m in fields}
    assert len(parents) == len(fields) and PARENT not in parents

    def deliveries():
        with receiver.lock:
            return [headers for headers, body in receiver.received
                    if ident.encode() in body]
    wait_until(lambda: len(deliveries()) >= 3, 60, 'the webhooks')
    assert {FIELD.fullmatch(h['traceparent'])[1]
            for h in deliveries()} == {trace}
