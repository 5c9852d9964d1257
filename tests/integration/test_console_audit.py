"""What was answered is in the audit log (X7): the entry is committed before the
answer is sent, and without the entry there is another answer."""
import ssl
import socket

import pytest

from console_env import PASSWORD, Console
from pg import Cluster
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.alice, c.mia = c.login('alice'), c.login('mia')
        c.session = c.ctl.session(end=None)
        yield c
        assert c.stop() == 0, c.log()


def wrong_csrf(client):
    token = client.http.headers['X-CSRF-Token']
    client.http.headers['X-CSRF-Token'] = token[::-1]
    try:
        return client.post('logout')
    finally:
        client.http.headers['X-CSRF-Token'] = token


# the action, what is asked, and its status; the status without the entry
ASKED = {
    'login': (lambda c: c.client().login('adam'), 200, 500),
    'login_failed': (lambda c: c.client().login('adam', 'wrong'), 401, 503),
    'refused': (lambda c: c.mia.get('users'), 403, 503),
    'refused (csrf)': (lambda c: wrong_csrf(c.mia), 403, 503),
    'export': (lambda c: c.alice.get('sessions.csv'), 200, 500),
    'token_new': (lambda c: c.alice.post('tokens', json={
        'name': 'a', 'scopes': ['*'], 'days': 1}), 201, 500),
    'token_deleted': (lambda c: c.alice.delete(
        'tokens/' + c.alice.get('tokens').json()['items'][0]['id']),
        204, 500),
    'ticket': (lambda c: c.alice.post('tickets', json={
        'endpoint': 'desk1'}), 201, 500),
    'session_command': (lambda c: c.alice.patch(
        f'sessions/{c.session}', json={'frame_rate': 5}), 200, 500),
    'session_command_refused': (lambda c: c.mia.patch(
        f'sessions/{c.session}', json={'warn': 'x'}), 403, 500),
}


def prepare(console, action):
    console.sql('DELETE FROM login_failures')
    # may see the session, and not order
    console.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE "
                "name = %s)", ('mia' if 'command_refused' in action
                               else 'alice',))
    console.grant('mia', 'desk1', control='command_refused' in action)
    if action == 'token_deleted':
        console.sql("INSERT INTO api_tokens (hash, person_id, name, scopes, "
                    "expires_at) SELECT sha256('x'), id, 'b', '{*}', now() + "
                    "interval '1 day' FROM people WHERE name = 'alice' "
                    "ON CONFLICT DO NOTHING")


@pytest.mark.parametrize('action', ASKED)
def test_the_entry_is_there_before_the_answer(console, action):
    ask, status, _ = ASKED[action]
    prepare(console, action)
    name = action.split()[0]
    before = len(console.audit(name))
    r = ask(console)
    assert r.status_code == status, r.text
    rows = console.audit(name)
    assert len(rows) == before + 1
    assert rows[-1][2]['client'] == '127.0.0.1'
    assert rows[-1][2].get('door', 'console') == 'console'
    console.sql('DELETE FROM api_tokens')


@pytest.mark.parametrize('action', ASKED)
def test_without_the_entry_there_is_another_answer(console, action):
    ask, _, status = ASKED[action]
    prepare(console, action)
    counts = ('SELECT (SELECT count(*) FROM logins), (SELECT count(*) FROM '
              'api_tokens), (SELECT count(*) FROM tickets), (SELECT count(*) '
              'FROM session_orders)')
    before = console.sql(counts)
    console.sql('REVOKE INSERT ON audit FROM relaycam_console')
    try:
        r = ask(console)
    finally:
        console.sql('GRANT INSERT (team_id, actor, action, object, detail) ON '
                    'audit TO relaycam_console')
    assert r.status_code == status, r.text
    assert 'Set-Cookie' not in r.headers
    # and nothing was done
    assert console.sql(counts) == before
    console.sql('DELETE FROM api_tokens')


def test_logout_is_there_before_the_answer(console):
    c = console.login('adam')
    console.sql('REVOKE INSERT ON audit FROM relaycam_console')
    assert c.post('logout').status_code == 500
    console.sql('GRANT INSERT (team_id, actor, action, object, detail) ON '
                'audit TO relaycam_console')
    assert c.get('me').status_code == 200
    before = len(console.audit('logout'))
    assert c.post('logout').status_code == 204
    assert len(console.audit('logout')) == before + 1


def test_an_order_by_a_token_says_so(console):
    console.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE "
                "name = 'alice')")
    token = console.alice.post('tokens', json={
        'name': 'orders', 'scopes': ['sessions:write'],
        'days': 1}).json()['token']
    c = console.client(token)
    assert c.delete(f'sessions/{console.session}?reason=enough'
                    ).status_code == 202
    detail = console.audit('session_command')[-1][2]
    assert detail == {'command': 'end', 'value': 'enough',
                      'client': '127.0.0.1', 'door': 'api_token'}


def test_who_leaves_before_the_answer_is_in_the_log(console):
    console.sql('DELETE FROM login_failures')
    before = len(console.audit('login_failed'))
    context = ssl.create_default_context(cafile=str(console.cert))
    body = b'{"user": "adam", "password": "no, ' + PASSWORD.encode() + b'"}'
    with socket.create_connection(('127.0.0.1', console.port), 30) as s, \
            context.wrap_socket(s, server_hostname='localhost') as tls:
        tls.sendall(b'POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n'
                    b'Content-Type: application/json\r\nContent-Length: ' +
                    str(len(body)).encode() + b'\r\n\r\n' + body)
    wait_for('the entry',
             lambda: len(console.audit('login_failed')) == before + 1, 60)
