"""Idempotency-Key on every POST: done once, answered alike, also when two come
at once, and when what answers dies in between."""
import json
import os
import threading
import uuid

import pytest

from console_env import Console
from console_fixtures import cluster  # noqa: F401
from console_openapi import DOCUMENT
from pg import Cluster
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    c = Console(tmp_path_factory.mktemp('console'), cluster).start()
    c.alice = c.login('alice')
    c.session = c.ctl.session()
    c.recording = c.ctl.segment(c.session, 1)
    c.ctl.evidence(c.recording)
    others = c.ctl.session()
    c.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE name "
          "= 'mia') WHERE id = %s", (others,))
    c.reviewed = c.ctl.segment(others, 1)
    c.endpoint = c.alice.get('endpoints').json()['items'][0]['id']
    c.alice.post('endpoints', json={'name': 'laptop', 'kind': 'agent'})
    c.agent = c.alice.get('endpoints?name=laptop').json()['items'][0]['id']
    c.webhook = c.alice.post('webhooks', json={
        'url': 'https://localhost:1/'}).json()['id']
    c.delivery = c.alice.post(f'webhooks/{c.webhook}/test').json()['id']
    yield c
    assert c.stop() == 0, c.log()


# Of each POST: the path's {id}, and a body that is taken.
BODIES = {
    '/logout': ('', {}),
    '/tokens': ('', {'name': 'once', 'scopes': ['*'], 'days': 1}),
    '/recordings/{id}/lock': ('recording', {}),
    '/recordings/{id}/unlock': ('recording', {}),
    '/recordings/{id}/review': ('reviewed', {'remark': 'fine'}),
    '/recordings/{id}/links': ('recording', {}),
    '/recordings/{id}/clips': ('recording', {'from_ms': 0, 'to_ms': 9000,
                                             'reason': 'a'}),
    '/recordings/{id}/notes': ('recording', {'at_ms': 1, 'text': 'a'}),
    '/archives': ('', {'session': None}),
    '/endpoints': ('', {'name': 'once', 'host': 'localhost', 'port': 5900,
                        'allow_clear': True}),
    '/endpoints/{id}/test': ('endpoint', {}),
    '/endpoints/{id}/revoke': ('agent', {}),
    '/enrol-tokens': ('', {'endpoint': 'laptop'}),
    '/users': ('', {'name': 'once', 'password': 'correct horse'}),
    '/webhooks': ('', {'url': 'https://localhost:1/', 'events': [
        'session.started']}),
    '/webhooks/{id}/test': ('webhook', {}),
    '/webhooks/{id}/retry': ('webhook', {'delivery': None}),
    '/tickets': ('', {'endpoint': 'desk1'}),
}


def key():
    return {'Idempotency-Key': str(uuid.uuid4())}


def test_every_post_is_here():
    """But those without a login, and those of one's own login."""
    posts = {path: o for (m, path), o in DOCUMENT.operations.items()
             if m == 'POST' and o.get('security') != [] and
             not path.startswith('/me/')}
    assert set(posts) == set(BODIES)
    taken = {p for (m, p), o in DOCUMENT.operations.items()
             if 'Idempotency-Key' in {DOCUMENT.resolve(x)['name']
                                      for x in o.get('parameters', [])}}
    assert taken == set(BODIES)


@pytest.mark.parametrize('path', sorted(BODIES))
def test_each_is_done_once(console, path):
    what, body = BODIES[path]
    if path == '/archives':
        body = {'session': console.session}
    if path == '/webhooks/{id}/retry':
        body = {'delivery': console.delivery}
    client = console.login('alice')
    url = path[1:].replace('{id}', getattr(console, what) if what else '')
    headers = key()
    audit = console.sql('SELECT count(*) FROM audit')[0][0]
    first = client.post(url, json=body, headers=headers)
    assert first.status_code in (200, 201, 202, 204), first.text
    assert 'Idempotency-Replayed' not in first.headers
    wait_for('the audit row', lambda: console.sql(
        'SELECT count(*) FROM audit')[0][0] > audit)
    audit = console.sql('SELECT count(*) FROM audit')[0][0]
    again = client.post(url, json=body, headers=headers)
    if path == '/logout':
        assert again.status_code == 401
        return
    assert again.status_code == first.status_code
    assert again.content == first.content
    assert again.headers['Idempotency-Replayed'] == 'true'
    other = client.post(url, data=json.dumps(body) + ' ', headers={
        **headers, 'Content-Type': 'application/json'})
    assert other.status_code == 422
    assert other.json()['type'] == '/problems/idempotency-key-reused'
    assert console.sql('SELECT count(*) FROM audit')[0][0] == audit


def test_a_key_is_a_persons_own(console):
    headers = key()
    body = {'name': 'mine', 'scopes': ['*'], 'days': 1}
    tokens = {console.login(p).post('tokens', json=body, headers=headers
                                    ).json()['token']
              for p in ('alice', 'adam')}
    assert len(tokens) == 2


def test_a_refusal_is_kept_and_audited_once(console):
    adam = console.login('adam')
    headers = key()
    body = {'name': 'second', 'password': 'correct horse', 'role': 'owner'}
    refusals = len(console.audit('refused'))
    first = adam.post('users', json=body, headers=headers)
    assert first.status_code == 403
    assert adam.post('users', json=body, headers=headers).content == \
        first.content
    assert len(console.audit('refused')) == refusals + 1


def test_what_is_not_done_may_be_done_later(console):
    """A request that was wrong by itself keeps no key."""
    headers = key()
    assert console.alice.post('users', json={'name': 'later'},
                              headers=headers).status_code == 422
    assert console.alice.post('users', json={
        'name': 'later', 'password': 'correct horse'},
        headers=headers).status_code == 201


@pytest.mark.parametrize('value', ['', 'a b', 'ä', 'x' * 256])
def test_a_key_has_a_form(console, value):
    r = console.alice.post('tickets', json={'endpoint': 'desk1'}, headers={
        'Idempotency-Key': value.encode()})
    assert r.status_code == 400
    assert r.json()['type'] == '/problems/bad-idempotency-key'


def test_secrets_are_not_kept_in_clear(console, cluster):
    headers = key()
    r = console.alice.post('tokens', headers=headers, json={
        'name': 'hidden', 'scopes': ['*'], 'days': 1})
    token = r.json()['token']
    rows = console.sql('SELECT k::text, encode(answer, \'escape\') FROM '
                       'idempotency_keys k')
    text = repr(rows)
    for secret in (token, token[5:], token.encode().hex(),
                   headers['Idempotency-Key'],
                   headers['Idempotency-Key'].encode().hex()):
        assert secret not in text


def test_a_day_later_it_is_a_new_key(console):
    headers = key()
    body = {'endpoint': 'desk1'}
    first = console.alice.post('tickets', json=body, headers=headers).json()
    console.sql("UPDATE idempotency_keys SET created_at = now() - interval "
                "'25 hours'")
    second = console.alice.post('tickets', json=body, headers=headers)
    assert second.json()['password'] != first['password']
    assert console.sql("SELECT count(*) FROM idempotency_keys WHERE "
                       "created_at < now() - interval '24 hours'") == [(0,)]


def test_of_many_at_once_one_is_done(console):
    """At both workers: the others wait, and get its answer."""
    headers, answers = key(), []
    clients = [console.login('alice') for _ in range(12)]

    def ask(client):
        answers.append(client.post('tickets', json={'endpoint': 'desk1'},
                                   headers=headers))
    before = len(console.audit('ticket'))
    threads = [threading.Thread(target=ask, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert {r.status_code for r in answers} == {201}
    assert len({r.content for r in answers}) == 1
    assert sum('Idempotency-Replayed' in r.headers for r in answers) == 11
    assert len(console.audit('ticket')) == before + 1


def test_one_that_takes_too_long_is_in_use(tmp_path, cluster):
    console = Console(tmp_path, cluster, **{'database.answer_seconds': '5'})
    console.start()
    alice = console.login('alice')
    headers = key()
    lock = cluster.connect(console.ctl.name)
    lock.autocommit = False
    cursor = lock.cursor()
    # the key is taken by another worker's transaction that does not end
    body = {'endpoint': 'desk1'}
    assert alice.post('tickets', json=body,
                      headers=headers).status_code == 201
    cursor.execute('DELETE FROM idempotency_keys')
    r = alice.post('tickets', json=body, headers=headers)
    assert r.status_code == 409, r.text
    assert r.json()['type'] == '/problems/idempotency-key-in-use'
    assert int(r.headers['Retry-After']) > 0
    lock.rollback()
    r = alice.post('tickets', json=body, headers=headers)
    assert r.headers['Idempotency-Replayed'] == 'true'
    lock.close()
    assert console.stop() == 0, console.log()


def test_a_database_that_dies_in_between(tmp_path):
    """Nothing of it is done, or all, and the same key tells."""
    with Cluster() as cluster:
        console = Console(tmp_path, cluster).start()
        alice = console.login('alice')
        lock = cluster.connect(console.ctl.name)
        lock.autocommit = False
        lock.cursor().execute('LOCK TABLE tickets')
        headers, answers = key(), []
        body = {'endpoint': 'desk1'}
        thread = threading.Thread(target=lambda: answers.append(
            alice.post('tickets', json=body, headers=headers)))
        thread.start()
        wait_for('a request that waits', lambda: cluster.sql(
            console.ctl.name, "SELECT count(*) FROM pg_stat_activity WHERE "
            "datname = current_database() AND wait_event_type = 'Lock'"
            )[0][0] == 1, 60)
        cluster.kill()
        thread.join(60)
        assert answers[0].status_code == 503
        cluster.boot()
        wait_for('both workers', console.all_ready, 60)
        assert console.audit('ticket') == []

        def done():
            r = alice.post('tickets', json=body, headers=headers)
            assert r.status_code in (201, 503)
            return r.status_code == 201 and r
        r = wait_for('the connection for these', done, 60)
        assert 'Idempotency-Replayed' not in r.headers
        assert len(console.audit('ticket')) == 1
        assert console.stop() == 0, console.log()


def test_a_client_that_leaves_finds_out_later(console):
    """Its request was done or not, and a later one with the key tells."""
    import requests
    headers = key()
    body = {'name': 'left', 'password': os.urandom(8).hex()}
    alice = console.alice
    with pytest.raises(requests.exceptions.Timeout):
        alice.http.post(f'{console.url}/api/v1/users', json=body,
                        headers=headers, timeout=0.02)
    r = alice.post('users', json=body, headers=headers)
    assert r.status_code == 201
    assert len([a for a in console.audit('user_add') if a[1] == 'left']) == 1
