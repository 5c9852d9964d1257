"""Webhooks: each change is told once it is committed, signed, until the
receiver has taken it, whatever happens to the receiver or the sender."""
import json
import os
import signal
import threading
import time
import uuid

import pytest

from console_fixtures import cluster, started  # noqa: F401
from storage_env import wait_for
from webhook_receiver import Receiver, signature

SETTINGS = {'console.webhook_retry_seconds': '1'}


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        c.settings.update(SETTINGS)
        c.settings['console.provider_ca_file'] = c.cert
        c.start()
        yield c


@pytest.fixture
def receiver(console):
    r = Receiver(console.cert, console.settings['console.tls_key_file'])
    yield r
    console.sql('DELETE FROM webhooks')
    r.close()


def add(console, url, *options):
    return console.ctl.json('webhook', 'add', url, '--team', 'demo', *options)


def row(console):
    return console.ctl.json('webhook', 'list', '--team', 'demo')[0]


def begin(console, team='demo'):
    """A session of that team; its id."""
    s = str(uuid.uuid4())
    console.sql(
        "INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, "
        "recorded, client_addr, started_at) SELECT %s, t.id, e.id, p.id, "
        "'unattended', true, '127.0.0.1', now() FROM teams t JOIN endpoints e "
        "ON e.team_id = t.id JOIN people p ON p.team_id = t.id AND p.role = "
        "'owner' WHERE t.name = %s", (s, team))
    return s


def end(console, session):
    console.sql("UPDATE sessions SET ended_at = now(), end_code = 'normal', "
                "end_reason = 'the viewer left' WHERE id = %s", (session,))


def record(console, session):
    g = str(uuid.uuid4())
    console.sql(
        "INSERT INTO segments (id, session_id, seq, status, split_reason, "
        "frame_rate, width, height, codec, started_at, start_mono_ns) VALUES "
        "(%s, %s, 1, 'recording', 'start', 10, 64, 48, 'vp9', now(), 1)",
        (g, session))
    return g


def types(receiver):
    """One for each id: a delivery that is answered late comes again."""
    by_id = dict(zip(receiver.ids(), receiver.events()))
    return [e['type'] for e in by_id.values()]


def waiting(console):
    return console.sql('SELECT count(*) FROM webhook_deliveries')[0][0]


def test_sessions_and_recordings_are_told_signed(console, receiver):
    hook = add(console, receiver.url)
    s = begin(console)
    g = record(console, s)
    for change in ("status = 'transfer'", "status = 'available', locked = "
                   "true", "locked = false", "status = 'corrupted'"):
        console.sql(f'UPDATE segments SET {change} WHERE id = %s', (g,))
    end(console, s)
    begin(console, 'other')  # is no concern of this team's
    wait_for('five events', lambda: len(set(receiver.ids())) >= 5, 60)
    wait_for('an empty outbox', lambda: waiting(console) == 0, 60)
    assert sorted(types(receiver)) == sorted([
        'session.started', 'recording.available', 'recording.locked',
        'recording.failed', 'session.ended'])
    for headers, body in receiver.received:
        assert headers['Content-Type'] == 'application/json'
        assert headers['webhook-signature'] == signature(
            hook['secret'], headers, body)
        assert abs(int(headers['webhook-timestamp']) - time.time()) < 300
    assert len(set(receiver.ids())) == 5
    by_type = {e['type']: e['data'] for e in receiver.events()}
    assert by_type['session.ended']['id'] == s
    assert by_type['session.ended']['end_code'] == 'normal'
    assert by_type['session.started']['endpoint'] == 'desk1'
    assert by_type['recording.failed']['status'] == 'corrupted'
    assert row(console)['last_status'] == 200
    assert row(console)['last_error'] is None
    # the secret is nowhere to be read again
    assert hook['secret'] not in console.log()
    assert 'secret' not in row(console)


def test_a_change_that_is_rolled_back_is_not_told(console, receiver):
    add(console, receiver.url, '--events', 'session.ended')
    s = begin(console)
    with pytest.raises(Exception, match='undone'):
        console.sql("DO $$ BEGIN UPDATE sessions SET ended_at = now(), "
                    "end_code = 'normal'; RAISE 'undone'; END $$")
    end(console, s)
    wait_for('it', lambda: waiting(console) == 0, 60)
    assert types(receiver) == ['session.ended']


def test_failures_are_tried_again_with_the_same_id(console, receiver):
    add(console, receiver.url, '--events', 'session.started')
    receiver.answers = [500, 302, 429]
    begin(console)
    wait_for('four tries', lambda: len(receiver.received) >= 4, 120)
    wait_for('an empty outbox', lambda: waiting(console) == 0, 60)
    assert len(set(receiver.ids())) == 1
    log = console.log()
    assert 'it answered 500' in log
    assert 'it answered 302; redirects are not followed' in log


def test_a_slow_receiver_keeps_no_other_waiting(console, receiver):
    """Nor does one that is not there; a console is stopped meanwhile."""
    go = threading.Event()
    slow = Receiver(console.cert, console.settings['console.tls_key_file'])
    slow.answers = [lambda _: go.wait(120) and 200] * 20
    try:
        add(console, slow.url, '--events', 'session.started')
        add(console, 'https://localhost:1/', '--events', 'session.started')
        add(console, receiver.url, '--events', 'session.started')
        for _ in range(20):
            begin(console)
        wait_for('the quick one', lambda: len(set(receiver.ids())) == 20, 120)
    finally:
        go.set()
        console.sql('DELETE FROM webhooks')
        slow.close()


def test_a_killed_sender_loses_nothing(console, receiver):
    """Both workers are killed while the receiver has a delivery: it comes
    again, by the same id, after the lease."""
    console.stop()
    console.settings['console.provider_seconds'] = '1'
    console.start()
    go = threading.Event()
    try:
        add(console, receiver.url, '--events', 'session.started')
        receiver.answers = [lambda _: go.wait(120) and 200]
        begin(console)
        wait_for('the first try', lambda: len(receiver.received) == 1, 60)
        for pid in console.workers():
            os.kill(pid, signal.SIGKILL)
        go.set()
        wait_for('another try', lambda: len(receiver.received) >= 2, 120)
        wait_for('an empty outbox', lambda: waiting(console) == 0, 60)
        assert len(set(receiver.ids())) == 1
    finally:
        go.set()
        wait_for('both workers', console.all_ready, 60)
        del console.settings['console.provider_seconds']
        console.stop()
        console.start()


def test_inner_addresses_are_not_connected_to(console, receiver):
    console.stop()
    console.settings['console.provider_private_addresses'] = 'off'
    console.start()
    try:
        add(console, receiver.url)
        begin(console)
        wait_for('the refusal', lambda: 'address is private' in (
            row(console)['last_error'] or ''), 60)
        said = json.loads(console.ctl.run('doctor', '--json').stdout)
        found = [c for c in said['checks'] if c['check'] == 'webhooks']
        assert len(found) == 1 and 'address is private' in str(found[0])
        assert receiver.received == []
    finally:
        console.stop()
        console.settings['console.provider_private_addresses'] = 'on'
        console.start()


def test_deliveries_are_given_up_after_three_days(console, receiver):
    add(console, 'https://localhost:1/', '--events', 'session.started')
    begin(console)
    console.sql("UPDATE webhook_deliveries SET created_at = now() - "
                "interval '73 hours'")
    console.stop()
    console.start()  # it looks for them at once, then each minute
    wait_for('the end', lambda: waiting(console) == 0, 90)
    assert row(console)['lost'] == 1
    assert console.audited('webhook_given_up')[1] == 'https://localhost:1/'


def test_what_cannot_be_added(console, receiver):
    ctl = console.ctl
    for url in ('http://localhost/', 'https://', 'https://a b/',
                'https://me:secret@localhost/', 'ftp://x/', 'https://x/#a'):
        r = ctl.run('webhook', 'add', url, '--team', 'demo')
        assert r.returncode == 1 and 'https://HOST' in r.stderr, url
    r = ctl.run('webhook', 'add', receiver.url, '--team', 'demo', '--events',
                'session.started,nonsense')
    assert r.returncode == 1 and 'events are session.started' in r.stderr
    for _ in range(10):
        add(console, receiver.url)
    r = ctl.run('webhook', 'add', receiver.url, '--team', 'demo')
    assert r.returncode == 1 and '10 webhooks at most' in r.stderr


def test_test_and_remove(console, receiver):
    hook = add(console, receiver.url, '--events', 'session.ended')
    console.ctl.ok('webhook', 'test', str(hook['id']), '--team', 'demo')
    wait_for('the test', lambda: types(receiver) == ['webhook.test'], 60)
    actor, url, detail = console.audited('webhook_test')
    assert actor == console.audited('webhook_add')[0]
    assert url == receiver.url and detail['id'] == hook['id']
    assert 'system_account' in detail
    r = console.ctl.run('webhook', 'remove', str(hook['id']), '--team',
                        'other')
    assert r.returncode == 1 and 'has no webhook' in r.stderr
    console.ctl.ok('webhook', 'remove', str(hook['id']), '--team', 'demo')
    assert console.sql('SELECT count(*) FROM webhooks')[0][0] == 0
    assert console.audited('webhook_remove')[1] == receiver.url
