"""Logins at the console: password, cookie, CSRF, throttle shared with the
relay, bearer tokens and their scopes."""
import time

import pytest

from console_env import PASSWORD
from console_fixtures import cluster, console  # noqa: F401


def test_login_me_logout(console):
    c = console.client()
    assert c.get('me').status_code == 401
    before = len(console.audit('login'))
    r = c.login('Alice')
    assert r.status_code == 200, console.log()[-3000:]
    assert (r.json()['user'], r.json()['role']) == ('alice', 'owner')
    cookie = r.headers['Set-Cookie']
    for part in ('__Host-relaycam=', 'Secure', 'HttpOnly', 'SameSite=Strict',
                 'Path=/'):
        assert part in cookie
    assert c.get('me').json() == r.json()
    assert c.post('logout').status_code == 204
    c.http.cookies.clear()
    c.http.cookies.set('__Host-relaycam', cookie.split('=')[1].split(';')[0],
                       domain='localhost.local', path='/', secure=True)
    assert c.get('me').status_code == 401
    assert console.audited('login', before)[0] == 'alice'


def test_writes_need_the_csrf_token(console):
    c = console.login('alice')
    token = c.http.headers.pop('X-CSRF-Token')
    assert c.post('logout').json()['type'] == '/problems/csrf'
    c.http.headers['X-CSRF-Token'] = token[::-1]
    assert c.post('logout').json()['type'] == '/problems/csrf'
    c.http.headers['X-CSRF-Token'] = token
    assert c.post('logout').status_code == 204


def test_wrong_passwords_count_where_the_relay_counts_them(console):
    console.sql('DELETE FROM login_failures')
    for user in ('adam', 'nobody'):
        r = console.client().login(user, 'wrong')
        assert r.status_code == 401
        assert r.json()['type'] == '/problems/wrong-password'
    names = dict(console.sql('SELECT client_addr, failed FROM '
                             'login_failures'))
    assert names['name tried: adam'] == 1
    assert names['name tried: nobody'] == 1
    assert names['127.0.0.1'] == 2
    console.sql('DELETE FROM login_failures')


def test_failures_at_another_door_slow_this_one(console):
    # as the relay writes them; mia never logged in from here
    console.sql("INSERT INTO login_failures (client_addr, failed) VALUES "
                "('127.0.0.1', 4)")
    begun = time.monotonic()
    assert console.client().login('mia', 'wrong').status_code == 401
    assert time.monotonic() - begun > 3  # 0.5 s, doubled three times
    console.sql('DELETE FROM login_failures')


def test_a_new_password_and_a_disabled_person_end_logins(console):
    console.ctl.ok('user', 'add', 'zoe', '--team', 'demo', '--role', 'member',
                   '--password-stdin', input=PASSWORD + '\n')
    c = console.login('zoe')
    console.ctl.ok('user', 'passwd', 'zoe', '--password-stdin',
                   input=PASSWORD + '\n')
    assert c.get('me').status_code == 401
    c = console.login('zoe')
    console.ctl.ok('user', 'disable', 'zoe')
    assert c.get('me').status_code == 401
    assert console.client().login('zoe').status_code == 401


def test_bodies_that_are_no_json_objects(console):
    c = console.client()
    assert c.post('login', data='user=a').status_code == 415
    for text in ('[1]', '{', '{"user": "a", "user": "b"}', '"x"'):
        r = c.post('login', data=text,
                   headers={'Content-Type': 'application/json'})
        assert r.status_code == 400, text
    r = c.post('login', json={'user': 5, 'password': 'x'})
    assert r.status_code == 422
    assert r.json()['errors'][0]['pointer'] == '/user'


def test_bearer_tokens(console):
    c = console.login('alice')
    new = {'name': 'ci', 'scopes': ['sessions:read'], 'days': 7}
    r = c.post('tokens', json=new)
    assert r.status_code == 201, r.text
    token = r.json()['token']
    assert c.post('tokens', json=new).status_code == 409
    listed = c.get('tokens').json()['items']
    assert [t['name'] for t in listed] == ['ci']
    assert token not in c.get('tokens').text
    hashed = console.sql('SELECT encode(hash, %s) FROM api_tokens', ('hex',))
    assert token.removeprefix('rcam_') not in str(hashed)

    program = console.client(token)
    assert program.get('me').json()['user'] == 'alice'
    assert program.get('sessions').status_code == 200
    # another scope, and what no token may
    assert program.get('recordings').status_code == 403
    assert program.get('tokens').status_code == 403
    before = len(console.audit('refused'))
    assert program.post('tokens', json=new).status_code == 403
    assert console.audited('refused', before)[2]['door'] == 'api_token'
    assert c.get('tokens').json()['items'][0]['last_used_at']

    other = console.login('olga')
    assert other.delete(f'tokens/{r.json()["id"]}').status_code == 404
    assert c.delete(f'tokens/{r.json()["id"]}').status_code == 204
    assert program.get('me').status_code == 401


def test_tokens_die(console):
    c = console.login('alice')
    token = c.post('tokens', json={'name': 'old', 'scopes': ['*'],
                                   'days': 1}).json()['token']
    assert console.client(token).get('recordings').status_code == 200
    console.sql("UPDATE api_tokens SET expires_at = now() WHERE name = 'old'")
    assert console.client(token).get('recordings').status_code == 401


@pytest.mark.parametrize('body', [
    {'name': '', 'scopes': ['*'], 'days': 1},
    {'name': 'x', 'scopes': [], 'days': 1},
    {'name': 'x', 'scopes': ['a"}'], 'days': 1},
    {'name': 'x', 'scopes': '*', 'days': 1},
    {'name': 'x', 'scopes': ['*'], 'days': 0},
    {'name': 'x', 'scopes': ['*'], 'days': '1'}])
def test_tokens_that_cannot_be(console, body):
    assert console.login('alice').post('tokens',
                                       json=body).status_code == 422
