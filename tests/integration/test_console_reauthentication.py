"""Who changes credentials shows again that it is them: a cookie alone, which
may be stolen, makes no passkey, code, token or person (X7)."""
import re
import subprocess

import pytest

from console_env import PASSWORD, PROGRAM
from console_fixtures import cluster, started  # noqa: F401
from test_console_totp import enrol, forget_steps, kind
from totp import Authenticator

STALE = (403, 'reauthentication-required')


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        c.settings['console.reauthentication_seconds'] = '10m'
        c.start()
        c.alice = c.login('alice')
        yield c


@pytest.fixture(autouse=True)
def no_failures(console):
    console.sql('DELETE FROM login_failures')


def person(console, name, role='member'):
    console.alice = console.login('alice')
    r = console.alice.post('users', json={
        'name': name, 'password': PASSWORD, 'role': role})
    assert r.status_code == 201, r.text
    return r.json()['id'], console.login(name)


def age(console, name, minutes=11):
    """As if all logins of a person had been made that long ago."""
    console.sql("UPDATE logins l SET confirmed_at = now() - %s * interval '1 "
                "minute' FROM people p WHERE p.id = l.person_id AND p.name = "
                "%s", (minutes, name))


def again(client, **body):
    return client.post('me/reauthentication', json=body)


def is_confirmed(client):
    return client.get('me/reauthentication').json()['is_confirmed']


def guarded():
    """[(method, path)] of the routes whose row says so."""
    table = subprocess.run([PROGRAM, 'rights'], capture_output=True,
                           text=True, check=True, timeout=60).stdout
    return re.findall(r'^\| `(\w+) /api/v1/(\S+)` \| [^|]*'
                      r'\(a confirmed login\) \|', table, re.M)


def test_which_routes_are_guarded():
    assert set(guarded()) == {
        ('POST', 'me/totp'), ('POST', 'me/totp/confirm'),
        ('POST', 'me/totp/remove'), ('POST', 'me/recovery-codes'),
        ('POST', 'me/passkeys/options'), ('POST', 'me/passkeys'),
        ('DELETE', 'me/passkeys/{id}'), ('POST', 'tokens'),
        ('POST', 'users'), ('PATCH', 'users/{id}'),
        ('PUT', 'users/{id}/identity'), ('DELETE', 'users/{id}/identity'),
        ('DELETE', 'users/{id}/totp'), ('DELETE', 'users/{id}/passkeys'),
        ('DELETE', 'users/{id}/tokens'), ('PATCH', 'settings/logins'),
        ('PATCH', 'settings/single-sign-on'),
        ('DELETE', 'settings/single-sign-on'),
        ('POST', 'webhooks'), ('PATCH', 'webhooks/{id}'),
        ('DELETE', 'webhooks/{id}'), ('POST', 'webhooks/{id}/test'),
        ('POST', 'webhooks/{id}/retry')}


def test_an_old_login_changes_no_credentials(console):
    alice = console.login('alice')
    assert is_confirmed(alice)
    age(console, 'alice', 9)
    assert is_confirmed(alice)
    age(console, 'alice')
    assert not is_confirmed(alice)
    before = len(console.audit('refused'))
    paths = guarded()
    for method, path in paths:
        r = alice.request(method, path.replace('{id}', '1'),
                          **({} if method == 'DELETE' else {'json': {}}))
        assert kind(r) == STALE, (method, path, r.text)
    rows = console.audit('refused')[before:]
    assert len(rows) == len(paths)
    assert {r[2]['why'] for r in rows} == {
        'the login was not confirmed lately'}
    # all else goes on
    assert alice.get('users').status_code == 200
    assert alice.get('tokens').status_code == 200
    # who may not at all is told that, not to confirm
    mia = console.login('mia')
    age(console, 'mia')
    assert kind(mia.post('users', json={})) == (403, 'forbidden')


def test_by_password(console):
    _, c = person(console, 'peter')
    age(console, 'peter')
    assert c.get('me/reauthentication').json() == {
        'is_confirmed': False, 'password': True, 'code': False,
        'passkey': False, 'single_sign_on': False}
    token = {'name': 'x', 'scopes': ['*'], 'days': 1}
    assert kind(c.post('tokens', json=token)) == STALE
    assert kind(again(c, password='wrong')) == (403, 'wrong-password')
    assert kind(c.post('tokens', json=token)) == STALE
    assert again(c, password=PASSWORD).status_code == 204
    assert console.audited('reauthenticated')[0] == 'peter'
    assert console.audited('reauthenticated')[2]['by'] == 'password'
    assert c.post('tokens', json=token).status_code == 201


def test_of_this_login_alone(console):
    _, c = person(console, 'paula')
    other = console.login('paula')
    age(console, 'paula')
    assert again(c, password=PASSWORD).status_code == 204
    assert is_confirmed(c) and not is_confirmed(other)


def test_wrong_passwords_count_for_all_doors(console):
    _, c = person(console, 'pia')
    for _ in range(3):
        assert again(c, password='wrong').status_code == 403
    assert dict(console.sql('SELECT client_addr, failed FROM login_failures')
                )['name tried: pia'] == 3


def test_by_a_code_that_is_good_once(console):
    _, c = person(console, 'carl')
    app, codes = enrol(c)
    age(console, 'carl')
    assert c.get('me/reauthentication').json()['code']
    forget_steps(console, 'carl')
    code = app.code()
    assert kind(again(c, code='000000' if code != '000000' else '000001')
                ) == (403, 'wrong-code')
    assert again(c, code=code).status_code == 204
    assert is_confirmed(c)
    age(console, 'carl')
    assert kind(again(c, code=code)) == (403, 'wrong-code')
    assert again(c, code=codes[0]).status_code == 204


@pytest.mark.parametrize('body', [
    {}, {'password': PASSWORD, 'code': '123456'}, {'password': ''},
    {'password': 1}, {'code': 'x' * 65}, {'other': 'x'},
    {'credential': {}, 'password': PASSWORD}])
def test_one_of_them(console, body):
    assert console.login('mia').post(
        'me/reauthentication', json=body).status_code == 422


def test_a_credential_that_is_none(console):
    r = again(console.login('mia'), credential={'id': 'AAAA'})
    assert kind(r) == (403, 'wrong-passkey')


def test_a_login_that_waits_for_its_second_factor_can(console):
    """It is good for setting one up, and gets old too."""
    alice = console.login('alice')
    app = Authenticator(alice.post('me/totp').json()['secret'])
    codes = alice.post('me/totp/confirm', json={'code': app.code()}).json()
    r = alice.patch('settings/logins', json={'second_factor': 'required'})
    assert r.status_code == 200
    try:
        mia = console.client()
        assert mia.login('mia').json()['second_factor_missing']
        age(console, 'mia')
        assert kind(mia.post('me/totp')) == STALE
        assert again(mia, password=PASSWORD).status_code == 204
        enrol(mia)
    finally:
        alice.patch('settings/logins', json={'second_factor': 'optional'})
        console.sql('DELETE FROM totp')
        assert codes['recovery_codes']


def test_tokens_have_scopes_instead(console):
    alice = console.login('alice')
    token = alice.post('tokens', json={
        'name': 'for people', 'scopes': ['users:write'], 'days': 1}).json()
    client = console.client(token['token'])
    age(console, 'alice')
    r = client.post('users', json={'name': 'tina', 'password': PASSWORD})
    assert r.status_code == 201
    assert client.get('me/reauthentication').status_code == 403


# --- other logins of a person -------------------------------------------------

def test_setting_up_a_code_ends_logins_by_password(console):
    _, c = person(console, 'oscar')
    others = [console.login('oscar') for _ in range(2)]
    enrol(c)
    assert c.get('me').status_code == 200
    assert [o.get('me').status_code for o in others] == [401, 401]


def test_the_secret_that_was_shown_is_the_one_that_counts(console):
    """Two tabs: between a code's check and its taking another secret came."""
    _, c = person(console, 'tess')
    app = Authenticator(c.post('me/totp').json()['secret'])
    code = app.code()
    sealed = console.sql('SELECT secret_sealed FROM totp t JOIN people p ON '
                         "p.id = t.person_id WHERE p.name = 'tess'")[0][0]
    (problem,), = console.sql(
        "SELECT problem FROM console_totp_confirm((SELECT id FROM people WHERE"
        " name = 'tess'), '{}', jsonb_build_object('step', 1, 'hashes', "
        "'[]'::jsonb, 'sealed', encode(%s::bytea || '\\x00', 'hex')))",
        (bytes(sealed),))
    assert problem == 'not-done'
    assert c.post('me/totp/confirm', json={'code': code}).status_code == 200


def user(console, name):
    return next(u['id'] for u in console.alice.get('users').json()['items']
                if u['name'] == name)


def test_admins_end_logins_and_tokens(console):
    number, c = person(console, 'lost')
    token = c.post('tokens', json={'name': 'x', 'scopes': ['*'], 'days': 1})
    program = console.client(token.json()['token'])
    adam = console.login('adam')
    assert adam.delete(f'users/{number}/logins').status_code == 204
    assert c.get('me').status_code == 401
    assert program.get('me').status_code == 200
    assert adam.delete(f'users/{number}/tokens').status_code == 204
    assert program.get('me').status_code == 401
    assert console.audited('logins_ended')[:2] == ('adam', 'lost')
    assert console.audited('tokens_deleted')[2]['tokens'] == 1
    # an owner's are for owners, and another team's are not there
    owner = user(console, 'alice')
    for what in ('logins', 'tokens'):
        assert kind(adam.delete(f'users/{owner}/{what}')) == (403, 'forbidden')
        assert console.login('olga').delete(
            f'users/{owner}/{what}').status_code == 404
        assert console.login('mia').delete(
            f'users/{number}/{what}').status_code == 403
    assert console.alice.get('me').status_code == 200
