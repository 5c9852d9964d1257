"""The second factor of logins at the console: an authenticator's codes and
recovery codes, each good once, and who may take them away (X7)."""
import concurrent.futures
import json
import urllib.parse

import pytest

from console_env import PASSWORD, Console
from pg import Cluster
from storage_env import wait_for
from totp import Authenticator


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()
        assert 'violation' not in c.ctl.ok('check')


@pytest.fixture(autouse=True)
def no_failures(console):
    console.sql('DELETE FROM login_failures')


def add(console, name, role='member'):
    r = console.people['alice'].post('users', json={
        'name': name, 'password': PASSWORD, 'role': role})
    assert r.status_code == 201, r.text
    return r.json()['id'], console.login(name)


def enrol(client):
    """Sets a second factor up; returns the authenticator and the codes."""
    r = client.post('me/totp')
    assert r.status_code == 201, r.text
    app = Authenticator(r.json()['secret'])
    r = client.post('me/totp/confirm', json={'code': app.code()})
    assert r.status_code == 200, r.text
    return app, r.json()['recovery_codes']


def forget_steps(console, name):
    """As if a while had passed since the last code."""
    console.sql('UPDATE totp SET last_step = 0 FROM people p WHERE p.id = '
                'person_id AND p.name = %s', (name,))


def login(console, name, code=None, password=PASSWORD):
    return console.client().post('login', json={
        'user': name, 'password': password,
        **({} if code is None else {'code': code})})


def kind(r):
    return r.status_code, r.json()['type'].removeprefix('/problems/')


def failed(console, name):
    return dict(console.sql('SELECT client_addr, failed FROM login_failures')
                ).get(f'name tried: {name}', 0)


def test_set_up_and_log_in(console):
    _, c = add(console, 'tom')
    off = {'is_on': False, 'confirmed_at': None, 'recovery_codes_left': 0}
    assert c.get('me/totp').json() == off
    first = c.post('me/totp').json()
    second = c.post('me/totp').json()
    assert first['secret'] != second['secret']
    url = urllib.parse.urlsplit(second['url'])
    assert (url.scheme, url.netloc, url.path) == (
        'otpauth', 'totp', '/Relaycam:tom')
    assert dict(urllib.parse.parse_qsl(url.query)) == {
        'secret': second['secret'], 'issuer': 'Relaycam', 'algorithm': 'SHA1',
        'digits': '6', 'period': '30'}
    assert second['qr_svg'].startswith('<svg ')

    # what is not confirmed is not asked for
    app = Authenticator(second['secret'])
    assert login(console, 'tom').status_code == 200
    assert login(console, 'tom', app.wrong()).status_code == 200
    assert kind(c.post('me/totp/confirm', json={'code': app.wrong()})) == (
        403, 'wrong-code')
    assert kind(c.post('me/totp/confirm', json={
        'code': Authenticator(first['secret']).code()})) == (403, 'wrong-code')
    assert c.get('me/totp').json() == off
    r = c.post('me/totp/confirm', json={'code': app.code()})
    codes, confirmed = r.json()['recovery_codes'], app.shown
    assert len(set(codes)) == 10
    on = c.get('me/totp').json()
    assert (on['is_on'], on['recovery_codes_left']) == (True, 10)
    assert kind(c.post('me/totp')) == (409, 'exists')
    assert kind(c.post('me/totp/confirm', json={'code': app.code()})) == (
        409, 'not-done')

    assert kind(login(console, 'tom')) == (401, 'second-factor')
    assert kind(login(console, 'tom', app.wrong())) == (401, 'wrong-code')
    assert kind(login(console, 'tom', password='wrong')) == (
        401, 'wrong-password')
    # the code of the confirmation is used up, the next one is not
    assert kind(login(console, 'tom', confirmed)) == (401, 'wrong-code')
    code = app.code(1)
    assert login(console, 'tom', code).status_code == 200
    assert kind(login(console, 'tom', code)) == (401, 'wrong-code')
    assert console.audited('login')[2]['by'] == 'password and code'
    assert [r[:2] for r in console.audit('totp_on')] == [('tom', 'tom')]

    told = console.log() + json.dumps(
        console.sql('SELECT detail FROM audit')) + str(console.sql(
            "SELECT encode(secret_sealed, 'escape') FROM totp"))
    for secret in (second['secret'], *codes):
        assert secret not in told


def test_recovery_codes_are_good_once(console):
    _, c = add(console, 'rita')
    app, codes = enrol(c)
    assert login(console, 'rita', codes[0].upper().replace('-', ' ')
                 ).status_code == 200
    assert kind(login(console, 'rita', codes[0])) == (401, 'wrong-code')
    assert c.get('me/totp').json()['recovery_codes_left'] == 9
    console.sql('DELETE FROM login_failures')
    forget_steps(console, 'rita')
    r = c.post('me/recovery-codes', json={'code': app.code()})
    new = r.json()['recovery_codes']
    assert not set(new) & set(codes)
    assert kind(login(console, 'rita', codes[1])) == (401, 'wrong-code')
    assert login(console, 'rita', new[1]).status_code == 200
    assert console.audit('recovery_codes_new')[-1][:2] == ('rita', 'rita')
    # nor are they anybody else's
    _, d = add(console, 'rudi')
    _, others = enrol(d)
    assert kind(login(console, 'rudi', new[2])) == (401, 'wrong-code')
    assert login(console, 'rudi', others[2]).status_code == 200


@pytest.mark.parametrize('what', ['totp', 'recovery'])
def test_of_many_at_once_one_gets_in(console, what):
    _, c = add(console, f'many-{what}')
    app, codes = enrol(c)
    forget_steps(console, f'many-{what}')
    code = app.code() if what == 'totp' else codes[5]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = [f.result().status_code for f in [
            pool.submit(login, console, f'many-{what}', code)
            for _ in range(4)]]
    assert sorted(got) == [200, 401, 401, 401]


def test_wrong_codes_count_like_wrong_passwords(console):
    """And a right password in between takes none of them back."""
    _, c = add(console, 'gus')
    app, _ = enrol(c)
    for n in range(1, 3):
        assert kind(login(console, 'gus', app.wrong())) == (
            401, 'wrong-code')
        wait_for('the row', lambda k=n: failed(console, 'gus') == k, 60)
    assert kind(login(console, 'gus')) == (401, 'second-factor')
    assert kind(c.post('me/totp/remove', json={'code': app.wrong()})) == (
        403, 'wrong-code')
    wait_for('the row', lambda: failed(console, 'gus') == 3, 60)
    assert len([r for r in console.audit('login_failed')
                if r[0] == 'gus']) == 3
    forget_steps(console, 'gus')
    assert login(console, 'gus', app.code()).status_code == 200
    wait_for('no rows', lambda: failed(console, 'gus') == 0, 60)


def test_six_digits_cannot_be_tried_out(console):
    """By somebody who knows the password, from whatever addresses."""
    def tries():
        ((n,),) = console.sql("SELECT tries FROM totp JOIN people p ON p.id = "
                              "person_id WHERE p.name = 'ray'")
        return n
    _, c = add(console, 'ray')
    app, codes = enrol(c)
    forget_steps(console, 'ray')
    assert kind(login(console, 'ray', app.wrong())) == (401, 'wrong-code')
    assert kind(login(console, 'ray')) == (401, 'second-factor')
    assert tries() == 1
    assert login(console, 'ray', app.code()).status_code == 200
    assert tries() == 0

    console.sql('UPDATE totp SET tries = 10, tried_at = now()')
    forget_steps(console, 'ray')
    assert kind(login(console, 'ray', app.code())) == (401, 'wrong-code')
    assert kind(c.post('me/totp/remove', json={'code': app.code()})) == (
        403, 'wrong-code')
    assert tries() == 10
    # one in 15 minutes is looked at
    console.sql("UPDATE totp SET tried_at = now() - interval '16 minutes'")
    assert kind(login(console, 'ray', app.wrong())) == (401, 'wrong-code')
    assert kind(login(console, 'ray', app.code())) == (401, 'wrong-code')
    assert tries() == 11
    # a recovery code is taken, and ends it
    assert login(console, 'ray', codes[3]).status_code == 200
    forget_steps(console, 'ray')
    assert login(console, 'ray', app.code()).status_code == 200


def test_one_takes_ones_own_away(console):
    _, c = add(console, 'otto')
    app, codes = enrol(c)
    assert kind(c.post('me/totp/remove', json={'code': app.shown})) == (
        403, 'wrong-code')  # that of the confirmation
    forget_steps(console, 'otto')
    assert c.post('me/totp/remove', json={'code': app.code()}
                  ).status_code == 204
    assert login(console, 'otto').status_code == 200
    assert c.get('me/totp').json()['recovery_codes_left'] == 0
    assert console.audit('totp_off')[-1][:2] == ('otto', 'otto')
    # with none there is no code that is right
    for path in ('me/totp/remove', 'me/recovery-codes'):
        assert kind(c.post(path, json={'code': codes[0]})) == (
            403, 'wrong-code')


def test_who_takes_anothers_away(console):
    number, c = add(console, 'lost')
    path = f'users/{number}/totp'
    alice = console.people['alice']
    assert not alice.get(f'users/{number}').json()['has_totp']
    assert alice.delete(path).status_code == 404
    app, _ = enrol(c)
    assert alice.get(f'users/{number}').json()['has_totp']
    for name, status in (('adam', 403), ('mia', 403), ('olga', 404)):
        assert console.people[name].delete(path).status_code == status, name
    wait_for('the entries', lambda: {'adam', 'mia'} <= {
        r[0] for r in console.audit('refused')}, 60)
    nobody = console.people['olga'].delete('users/987654321/totp')
    assert nobody.content == console.people['olga'].delete(path).content
    assert kind(login(console, 'lost')) == (401, 'second-factor')
    assert alice.delete(path).status_code == 204
    assert login(console, 'lost').status_code == 200
    assert console.audit('totp_off')[-1][:2] == ('alice', 'lost')


def test_the_administrator_takes_it_away(console):
    _, c = add(console, 'shell')
    enrol(c)
    row, = [u for u in console.ctl.json('user', 'list')
            if u['name'] == 'shell']
    assert row['has_totp'] is True
    console.ctl.ok('user', 'totp-off', 'shell')
    assert login(console, 'shell').status_code == 200
    assert console.audit('totp_off')[-1][1] == 'shell'
    assert 'no authenticator' in console.ctl.fails(1, 'user', 'totp-off',
                                                   'shell')


@pytest.mark.parametrize('body,pointer', [
    ({'code': 287082}, '/code'), ({'code': 'x' * 65}, '/code'),
    ({'code': None}, '/code')])
def test_codes_that_cannot_be(console, body, pointer):
    r = console.client().post('login', json={
        'user': 'mia', 'password': PASSWORD, **body})
    assert r.status_code == 422, r.text
    assert r.json()['errors'][0]['pointer'] == pointer
    for path in ('me/totp/confirm', 'me/totp/remove', 'me/recovery-codes'):
        r = console.people['mia'].post(path, json=body)
        assert r.status_code == 422, r.text
