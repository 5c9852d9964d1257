"""Webhooks by the API: made, changed, switched off, tested, removed; what
became of deliveries, sending one again, and how many may wait (X7)."""
import pytest

from console_fixtures import cluster, started  # noqa: F401
from storage_env import wait_for
from test_webhooks import begin, end, types, waiting
from webhook_receiver import Receiver, signature

SETTINGS = {'console.webhook_retry_seconds': '3600',  # nothing by itself
            'console.provider_seconds': '60'}
WAITING_MAX = 10_000


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):  # noqa: F811
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        c.settings.update(SETTINGS)
        c.settings['console.provider_ca_file'] = c.cert
        c.start()
        c.alice = c.login('alice')
        yield c


@pytest.fixture
def receiver(console):
    r = Receiver(console.cert, console.settings['console.tls_key_file'])
    yield r
    console.sql('DELETE FROM webhooks')
    r.close()


def add(console, url, *events):
    r = console.alice.post('webhooks', json={
        'url': url, **({'events': [*events]} if events else {})})
    assert r.status_code == 201, r.text
    return r.json()


def deliveries(console, hook):
    r = console.alice.get(f'webhooks/{hook["id"]}/deliveries')
    assert r.status_code == 200, r.text
    return r.json()['items']


def listed(console):
    return console.alice.get('webhooks').json()['items']


def test_a_webhook_from_its_making_to_its_end(console, receiver):
    hook = add(console, receiver.url)
    assert 'secret' not in listed(console)[0]
    assert hook['secret'] not in console.log()
    s = begin(console)
    wait_for('the delivery', lambda: waiting(console) == 0 and
             receiver.received, 60)
    headers, body = receiver.received[0]
    assert headers['webhook-signature'] == signature(
        hook['secret'], headers, body)
    d, = deliveries(console, hook)
    assert (d['id'], d['event'], d['state'], d['tries'], d['last_status'],
            d['last_error'], d['next_at']) == (
        headers['webhook-id'], 'session.started', 'delivered', 1, 200, None,
        None)
    r = console.alice.patch(f'webhooks/{hook["id"]}', json={
        'events': ['session.started'], 'url': receiver.url + 'changed'})
    assert r.status_code == 200 and r.json()['url'].endswith('changed')
    end(console, s)  # is not asked for any more
    r = console.alice.patch(f'webhooks/{hook["id"]}', json={'enabled': False})
    assert r.json()['enabled'] is False
    begin(console)   # it is off
    for path, body in (('test', {}), ('retry', {'delivery': d['id']})):
        r = console.alice.post(f'webhooks/{hook["id"]}/{path}', json=body)
        assert r.status_code == 409 and 'switched off' in r.json()['detail']
    assert waiting(console) == 0
    console.alice.patch(f'webhooks/{hook["id"]}', json={'enabled': True})
    r = console.alice.post(f'webhooks/{hook["id"]}/test', json={})
    assert r.status_code == 202 and r.json()['state'] == 'waiting'
    wait_for('the test', lambda: types(receiver) == [
        'session.started', 'webhook.test'], 60)
    assert console.alice.delete(
        f'webhooks/{hook["id"]}').status_code == 204
    assert listed(console) == []
    changed = console.sql(
        "SELECT detail->>'setting' FROM audit WHERE action = 'webhook_set' "
        'ORDER BY id')
    assert [r[0] for r in changed] == ['events', 'url', 'enabled', 'enabled']
    for action in ('webhook_add', 'webhook_test', 'webhook_remove'):
        assert console.audited(action)[0] == 'alice'


def test_a_failed_delivery_is_sent_again_by_hand(console, receiver):
    receiver.answers = [500]
    hook = add(console, receiver.url, 'session.started')
    begin(console)
    wait_for('the failure', lambda: any(
        d['last_error'] for d in deliveries(console, hook)), 60)
    d, = deliveries(console, hook)
    assert (d['state'], d['tries'], d['last_status'], d['last_error']) == (
        'waiting', 1, 500, 'it answered 500')
    assert d['next_at'] > d['last_at']
    for n in (2, 3):  # one that waits, and one that was delivered
        r = console.alice.post(f'webhooks/{hook["id"]}/retry',
                               json={'delivery': d['id']})
        assert r.status_code == 202, r.text
        wait_for('it', lambda: len(receiver.received) >= n and
                 waiting(console) == 0, 60)  # noqa: B023
    assert set(receiver.ids()) == {d['id']}
    assert deliveries(console, hook)[0]['state'] == 'delivered'
    assert console.audited('webhook_retry')[1] == receiver.url


def test_only_so_many_wait(console, receiver):
    hook = add(console, receiver.url, 'session.started')
    console.sql(
        'INSERT INTO webhook_deliveries (webhook_id, event, body, next_at) '
        "SELECT %s, 'session.started', '', now() + interval '1 day' "
        'FROM generate_series(1, %s)', (hook['id'], WAITING_MAX))
    for _ in range(2):
        begin(console)
    assert listed(console)[0]['waiting'] == WAITING_MAX
    r = console.alice.post(f'webhooks/{hook["id"]}/test', json={})
    assert r.status_code == 429 and 'Retry-After' in r.headers
    assert len(deliveries(console, hook)) == 100
    console.stop()
    console.start()  # it counts them at once, then each minute
    console.alice = console.login('alice')
    wait_for('the count', lambda: listed(console)[0]['lost'] == 2, 90)
    # one entry, or two where the minute was over between the two events
    (lost, reasons), = console.sql(
        "SELECT sum((detail->>'deliveries')::integer)::integer, "
        "array_agg(DISTINCT detail->>'reason') FROM audit WHERE action = "
        "'webhook_given_up' AND object = %s", (receiver.url,))
    assert (lost, reasons) == (2, ['10000 waited already'])
    assert console.sql('SELECT count(*) FROM webhook_overflow')[0][0] == 0


def test_what_was_given_up_is_listed_and_can_be_sent(console, receiver):
    receiver.answers = [500]
    hook = add(console, receiver.url, 'session.started')
    begin(console)
    wait_for('the failure', lambda: any(
        d['last_error'] for d in deliveries(console, hook)), 60)
    console.sql("UPDATE webhook_deliveries SET created_at = now() - "
                "interval '73 hours'")
    console.sql('SELECT webhook_tidy()')
    d, = deliveries(console, hook)
    assert (d['state'], d['last_error']) == ('given_up', 'it answered 500')
    assert listed(console)[0]['lost'] == 1
    r = console.alice.post(f'webhooks/{hook["id"]}/retry',
                           json={'delivery': d['id']})
    assert r.status_code == 202, r.text
    wait_for('it', lambda: [d['state'] for d in deliveries(console, hook)]
             == ['delivered'], 60)
    console.sql(
        'INSERT INTO webhook_history (id, webhook_id, event, body, '
        'created_at, delivered, tries) SELECT gen_random_uuid(), %s, '
        "'session.ended', '', now() - n * interval '1 s', true, 1 "
        'FROM generate_series(1, 150) n', (hook['id'],))
    console.sql('SELECT webhook_tidy()')
    assert console.sql('SELECT count(*) FROM webhook_history')[0][0] == 100


def test_what_is_refused(console, receiver):
    alice = console.alice
    for body, pointer in (({'url': 'http://localhost/'}, '/url'),
                          ({'url': 'https://me:x@localhost/'}, '/url'),
                          ({'url': 5}, '/url'), ({'events': ['session.ended']}, '/url'),
                          ({'url': receiver.url, 'events': []}, '/events'),
                          ({'url': receiver.url, 'events': ['x']}, '/events'),
                          ({'url': receiver.url, 'secret': 'x'}, '/secret')):
        r = alice.post('webhooks', json=body)
        assert r.status_code == 422, (body, r.text)
        assert [e['pointer'] for e in r.json()['errors']] == [pointer], body
    hook = add(console, receiver.url)
    one = f'webhooks/{hook["id"]}'
    for body in ({'url': 'ftp://x/'}, {'events': ['x']}, {'enabled': 'no'},
                 {}, {'secret': 'x'}):
        assert alice.patch(one, json=body).status_code == 422, body
    assert alice.post(f'{one}/retry', json={
        'delivery': hook['id']}).status_code == 422
    for _ in range(9):
        add(console, receiver.url)
    r = alice.post('webhooks', json={'url': receiver.url})
    assert r.status_code == 409 and '10 webhooks' in r.json()['detail']


def test_another_team_has_none_of_it(console, receiver):
    hook = console.ctl.json('webhook', 'add', receiver.url, '--team', 'other')
    one = f'webhooks/{hook["id"]}'
    alice = console.alice
    assert listed(console) == []
    for r in (alice.get(f'{one}/deliveries'), alice.delete(one),
              alice.patch(one, json={'enabled': False}),
              alice.post(f'{one}/test', json={}),
              alice.post(f'{one}/retry', json={
                  'delivery': '00000000-0000-0000-0000-000000000000'})):
        assert r.status_code == 404, r.text
    assert console.ctl.json('webhook', 'list', '--team', 'other')[0]['enabled']


def test_the_command_line_switches_off_and_on(console, receiver):
    hook = add(console, receiver.url, 'session.started')
    console.ctl.ok('webhook', 'disable', hook['id'], '--team', 'demo')
    begin(console)
    r = console.ctl.run('webhook', 'test', hook['id'], '--team', 'demo')
    assert r.returncode == 1 and 'that is on' in r.stderr
    r = console.ctl.run('webhook', 'enable', hook['id'], '--team', 'other')
    assert r.returncode == 1 and 'has no webhook' in r.stderr
    console.ctl.ok('webhook', 'enable', hook['id'], '--team', 'demo')
    assert listed(console)[0]['enabled'] is True
    assert waiting(console) == 0 and receiver.received == []
