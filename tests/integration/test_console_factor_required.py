"""Teams that require a second factor: who has none logs in to set one up, and
for nothing else."""
import concurrent.futures
import hashlib
import json

import pytest

from console_env import PASSWORD
from console_fixtures import cluster, console  # noqa: F401
from storage_env import wait_for
from totp import Authenticator

MISSING = (403, 'second-factor-missing')


@pytest.fixture(autouse=True)
def optional(console):
    # setting up a second factor ends a person's logins by a password alone
    console.people = {n: console.login(n)
                      for n in ('alice', 'adam', 'mia', 'olga')}
    yield
    console.sql("UPDATE teams SET second_factor = 'optional'")
    console.sql('DELETE FROM totp')
    console.sql('DELETE FROM login_failures')


def require(console):
    r = console.people['alice'].patch('settings/logins', json={
        'second_factor': 'required'})
    assert r.json() == {'second_factor': 'required'}, r.text


def kind(r):
    return r.status_code, r.json()['type'].removeprefix('/problems/')


def paths(client):
    """What a limited login may not see, of each kind of right."""
    return [client.get(p) for p in ('sessions', 'sessions.csv', 'recordings',
                                    'endpoints', 'users', 'settings/access',
                                    'audit', 'tokens')] + [
        client.post('tokens', json={'name': 'x', 'scopes': ['*'], 'days': 1}),
        client.post('tickets', json={'endpoint': 'desk1'})]


@pytest.mark.parametrize('person', ['alice', 'mia'])
def test_one_is_set_up_first(console, person):
    require(console)
    c = console.login(person)
    assert c.get('me').json()['second_factor_missing'] is True
    for r in paths(c):
        assert kind(r) == MISSING
    # also what is not there, and what one may not do
    assert kind(c.get('endpoints/987654321')) == MISSING
    actor, _, detail = console.audit('refused')[-1]
    assert (actor, detail['why']) == (person, 'a second factor is missing')
    app = Authenticator(c.post('me/totp').json()['secret'])
    assert c.post('me/totp/confirm', json={'code': app.code()}
                  ).status_code == 200
    # the same login is good for all from now on
    assert 'limited_login' not in console.ctl.run('check').stdout
    assert 'second_factor_missing' not in c.get('me').json()
    assert c.get('sessions').status_code == 200
    r = console.client().login(person)
    assert kind(r) == (401, 'second-factor')
    r = console.client().post('login', json={
        'user': person, 'password': PASSWORD, 'code': app.code(1)})
    assert r.status_code == 200 and 'second_factor_missing' not in r.json()


def test_logins_that_are_open_stay(console):
    require(console)
    assert console.people['mia'].get('sessions').status_code == 200
    assert 'second_factor_missing' not in console.people['mia'].get(
        'me').json()


def test_a_limited_login_logs_out(console):
    require(console)
    c = console.login('adam')
    assert kind(c.get('users')) == MISSING
    assert c.post('logout').status_code == 204
    assert c.get('me').status_code == 401


def test_tokens_and_other_teams_are_left_alone(console):
    token = console.people['adam'].post('tokens', json={
        'name': 'ci', 'scopes': ['sessions:read'], 'days': 1}).json()['token']
    require(console)
    assert console.client(token).get('sessions').status_code == 200
    assert console.login('olga').get('sessions').status_code == 200


def test_who_has_a_passkey_only_is_asked_for_it(console):
    require(console)
    console.sql(
        "INSERT INTO passkeys (person_id, name, credential_id, algorithm, "
        "public_key, sign_count) SELECT id, 'k', '\\x01', -7, '\\x00', 0 "
        "FROM people WHERE name = 'mia'")
    try:
        assert kind(console.client().login('mia')) == (401, 'second-factor')
        console.sql("UPDATE teams SET second_factor = 'optional'")
        assert console.client().login('mia').status_code == 200
    finally:
        console.sql('DELETE FROM passkeys')


def add_passkey(console, client):
    """As POST me/passkeys of mia does, when the credential is right."""
    cookie = bytes.fromhex(client.http.cookies['__Host-relaycam'])
    body = {'name': 'k', 'credential_id': '01', 'public_key': '00',
            'algorithm': -7, 'sign_count': 0, 'challenge': '22' * 32,
            'login': hashlib.sha256(cookie).hexdigest()}
    return console.sql(
        "SELECT problem FROM people p, console_login_passkey_new(p.id, '{}', "
        "%s::jsonb) WHERE p.name = 'mia'", (json.dumps(body),))[0][0]


def set_up_code(console, client):
    app = Authenticator(client.post('me/totp').json()['secret'])
    assert client.post('me/totp/confirm', json={'code': app.code()}
                       ).status_code == 200


@pytest.mark.parametrize('set_up', [add_passkey, set_up_code])
def test_only_the_login_that_sets_one_up_is_complete(console, set_up):
    """Somebody who knows the password alone may wait in another one."""
    require(console)
    c, waiting = console.login('mia'), console.login('mia')
    open_before = console.people['mia']
    assert kind(c.get('sessions')) == kind(waiting.get('sessions')) == MISSING
    set_up(console, c)
    try:
        assert c.get('sessions').status_code == 200
        assert kind(waiting.get('sessions')) == (401, 'not-logged-in')
        assert kind(waiting.post('me/totp')) == (401, 'not-logged-in')
        # it proved the password alone, too
        assert kind(open_before.get('sessions')) == (401, 'not-logged-in')
    finally:
        console.sql('DELETE FROM passkeys')
        console.sql('DELETE FROM passkey_challenges')


def test_a_factor_set_up_during_a_login_is_asked_for(console):
    """After its password was found right, and before the login is made."""
    require(console)
    other = console.ctl.cluster.connect(console.ctl.name)
    other.autocommit = False
    with concurrent.futures.ThreadPoolExecutor(1) as pool, other, \
            other.cursor() as cur:
        cur.execute('LOCK TABLE logins')
        answer = pool.submit(console.client().login, 'mia')
        wait_for('a login that is made', lambda: console.sql(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = "
            "'logins'::regclass"))
        cur.execute(
            'INSERT INTO totp (person_id, secret_sealed, confirmed_at) '
            "SELECT id, '', now() FROM people WHERE name = 'mia'")
    other.close()
    assert kind(answer.result()) == (401, 'second-factor')
    assert 'Set-Cookie' not in answer.result().headers


def test_a_limited_login_adds_nothing_to_a_factor(console):
    """One that was made while the factor was."""
    require(console)
    c = console.login('mia')
    set_up_code(console, c)
    console.sql("UPDATE logins SET is_limited = true FROM people p "
                "WHERE p.id = person_id AND p.name = 'mia'")
    try:
        assert add_passkey(console, c) == 'forbidden'
        assert kind(c.get('sessions')) == MISSING
    finally:
        console.sql('UPDATE logins SET is_limited = false')


def test_a_passkey_completes_a_login(console):
    require(console)
    c = console.login('mia')
    assert kind(c.get('sessions')) == MISSING
    assert add_passkey(console, c) is None
    try:
        assert c.get('sessions').status_code == 200
    finally:
        console.sql('DELETE FROM passkey_challenges')
        console.sql('DELETE FROM passkeys')


def test_a_new_owner_by_link_sets_one_up(console):
    require(console)
    url = console.ctl.json('console', 'first-run-link', '--team', 'demo')['url']
    token = url.split('#token=')[1].split('&')[0]
    c = console.client()
    r = c.post('first-run', json={'token': token, 'name': 'nora',
                                  'password': PASSWORD})
    assert r.json()['second_factor_missing'] is True
    assert kind(c.get('users')) == MISSING


def test_who_may_set_it(console):
    for person, get, patch in (('alice', 200, 200), ('adam', 200, 403),
                               ('mia', 403, 403)):
        c = console.people[person]
        assert c.get('settings/logins').status_code == get, person
        assert c.patch('settings/logins', json={'second_factor': 'optional'}
                       ).status_code == patch, person
    wait_for('the entries', lambda: {'adam', 'mia'} <= {
        r[0] for r in console.audit('refused')}, 60)
    require(console)
    actor, what, detail = console.audit('settings_set')[-1]
    assert (actor, what, detail['before'], detail['after']) == (
        'alice', 'logins.second_factor', 'optional', 'required')
    assert console.people['olga'].get('settings/logins').json() == {
        'second_factor': 'optional', 'single_sign_on': False}
    for body in ({}, {'second_factor': 'yes'}, {'second_factor': None},
                 {'second_factor': 'required', 'x': 1}):
        assert console.people['alice'].patch('settings/logins', json=body
                                             ).status_code == 422


def test_the_administrator_sets_it(console):
    console.ctl.ok('team', 'set', 'demo', '--second-factor', 'required')
    (row,) = [t for t in console.ctl.json('team', 'list')
              if t['name'] == 'demo']
    assert row['second_factor'] == 'required'
    assert kind(console.login('mia').get('sessions')) == MISSING
    assert console.audit('team_set')[-1][2]['second_factor'] == 'required'
    assert 'expected required' in console.ctl.fails(
        2, 'team', 'set', 'demo', '--second-factor', 'maybe')
