"""Passkeys at the console, made and used by Chromium: logins without a user
name, passkeys in place of a code, and what is refused. The hostile bytes are
in tests/unit/test_passkey.c."""
import base64
import json

import pytest

from console_env import PASSWORD, Console
from passkey_page import PasskeyPage
from pg import Cluster
from storage_env import wait_for
from totp import Authenticator


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        c.settings['console.public_url'] = c.url
        c.start()
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(scope='module')
def page(console):
    p = PasskeyPage(f'{console.url}/api/v1/login/methods', console.cert)
    yield p
    p.close()


@pytest.fixture(autouse=True)
def fresh(console, page):
    console.sql('DELETE FROM login_failures')
    page.new_authenticator()


def add(console, name):
    r = console.people['alice'].post('users', json={
        'name': name, 'password': PASSWORD})
    assert r.status_code == 201, r.text
    return r.json()['id'], console.login(name)


def create(page, client):
    options = client.post('me/passkeys/options')
    assert options.status_code == 200, options.text
    return page.create(options.json())


def register(page, client, name='laptop'):
    credential = create(page, client)
    assert isinstance(credential, dict), credential
    r = client.post('me/passkeys', json={'name': name,
                                         'credential': credential})
    assert r.status_code == 201, r.text
    return r.json()['id']


def signed(console, page):
    options = console.client().post('login/passkey/options')
    assert options.status_code == 200, options.text
    credential = page.get(options.json())
    assert isinstance(credential, dict), credential
    return credential


def login(console, credential):
    c = console.client()
    r = c.post('login/passkey', json={'credential': credential})
    if r.status_code == 200:
        c.http.headers['X-CSRF-Token'] = r.json()['csrf_token']
    return c, r


def kind(r):
    return r.status_code, r.json()['type'].removeprefix('/problems/')


WRONG = (401, 'wrong-passkey')


def test_register_log_in_name_and_remove(console, page):
    assert console.client().get('login/methods').json()['passkeys'] is True
    _, tom = add(console, 'tom')
    assert tom.get('me/passkeys').json() == {'items': []}
    number = register(page, tom)
    (item,) = tom.get('me/passkeys').json()['items']
    assert (item['id'], item['name'], item['last_used_at']) == (
        number, 'laptop', None)

    credential = signed(console, page)
    c, r = login(console, credential)
    assert r.status_code == 200, (r.text, console.log()[-3000:])
    assert r.json()['user'] == 'tom'
    assert c.get('me').json() == r.json()
    assert c.post('logout').status_code == 204
    assert tom.get('me/passkeys').json()['items'][0]['last_used_at']
    assert console.audited('login')[2]['by'] == 'passkey'
    # what was signed is good once
    assert kind(login(console, credential)[1]) == WRONG
    assert login(console, signed(console, page))[1].status_code == 200

    path = f'me/passkeys/{number}'
    assert tom.patch(path, json={'name': 'phone'}).json()['name'] == 'phone'
    mia = console.people['mia']
    assert mia.patch(path, json={'name': 'mine'}).status_code == 404
    assert mia.delete(path).content == mia.delete(
        'me/passkeys/987654321').content
    assert tom.delete(path).status_code == 204
    assert tom.delete(path).status_code == 404
    assert kind(login(console, signed(console, page))[1]) == WRONG
    for action in ('passkey_new', 'passkey_set', 'passkey_deleted'):
        assert console.audit(action)[-1][:2] == ('tom', 'tom'), action


def test_a_passkey_is_known_once(console, page):
    _, ida = add(console, 'ida')
    register(page, ida)
    # the browser is told which ones there are
    assert create(page, ida) == 'InvalidStateError'
    # one name is one passkey
    page.new_authenticator()
    r = ida.post('me/passkeys', json={'name': 'laptop',
                                      'credential': create(page, ida)})
    assert kind(r) == (409, 'exists')
    _, eva = add(console, 'eva')
    other = create(page, eva)
    assert eva.post('me/passkeys', json={
        'name': 'a', 'credential': other}).status_code == 201
    # nor is its challenge good twice
    r = eva.post('me/passkeys', json={'name': 'b', 'credential': other})
    assert r.json()['errors'][0]['pointer'] == '/credential'


def test_what_was_made_for_another_person_or_use(console, page):
    _, kim = add(console, 'kim')
    credential = create(page, kim)
    r = console.people['mia'].post('me/passkeys', json={
        'name': 'stolen', 'credential': credential})
    assert r.json()['errors'][0]['pointer'] == '/credential'
    assert kim.post('me/passkeys', json={
        'name': 'own', 'credential': credential}).status_code == 201
    # a challenge of a registration is none of a login
    options = console.client().post('login/passkey/options').json()
    options['publicKey']['challenge'] = kim.post(
        'me/passkeys/options').json()['publicKey']['challenge']
    assert kind(login(console, page.get(options))[1]) == WRONG
    # nor is one that is made up
    options['publicKey']['challenge'] = base64.urlsafe_b64encode(
        b'x' * 64).decode().rstrip('=')
    assert kind(login(console, page.get(options))[1]) == WRONG
    assert login(console, signed(console, page))[1].status_code == 200


def test_who_does_not_say_who_they_are(console, page):
    """Without user verification nothing is signed, and what is changed is
    not taken."""
    _, uma = add(console, 'uma')
    register(page, uma)
    good = signed(console, page)
    for name, value in (('authenticatorData', ''), ('signature', None),
                        ('clientDataJSON', 'x' * 100000),
                        ('userHandle', 'AAAA')):
        bad = json.loads(json.dumps(good))
        bad['response'][name] = value
        assert kind(login(console, bad)[1]) == WRONG
    for bad in ({}, {**good, 'response': []}):
        assert kind(login(console, bad)[1]) == WRONG
    assert login(console, good)[1].status_code == 200
    for body in ({}, {'credential': 'x'}, {'credential': []}):
        assert console.client().post('login/passkey', json=body
                                     ).status_code == 422
    page.new_authenticator(verified=False)
    assert create(page, uma) in ('NotAllowedError', 'ConstraintError')


def test_a_copy_is_found_by_its_counter(console, page):
    _, cora = add(console, 'cora')
    number = register(page, cora)
    credential = signed(console, page)
    console.sql('UPDATE passkeys SET sign_count = 1000000 WHERE id = %s',
                (number,))
    assert kind(login(console, credential)[1]) == WRONG
    assert 'passkey_refused' in console.log() and 'why=copy' in console.log()
    console.sql('UPDATE passkeys SET sign_count = 0 WHERE id = %s', (number,))
    assert login(console, signed(console, page))[1].status_code == 200
    ((count,),) = console.sql('SELECT sign_count FROM passkeys WHERE id = %s',
                              (number,))
    assert count > 0


def test_wrong_ones_count_for_the_address(console, page):
    _, gus = add(console, 'gus')
    register(page, gus)
    bad = signed(console, page)
    bad['response']['signature'] = 'AAAA'
    before = len(console.audit('login_failed'))
    assert kind(login(console, bad)[1]) == WRONG
    wait_for('the row', lambda: len(console.audit('login_failed')) > before,
             60)
    rows = dict(console.sql('SELECT client_addr, failed FROM login_failures'))
    assert rows == {'127.0.0.1': 1}


def test_in_place_of_a_code(console, page):
    _, otto = add(console, 'otto')
    register(page, otto)
    app = Authenticator(otto.post('me/totp').json()['secret'])
    assert otto.post('me/totp/confirm', json={'code': app.code()}
                     ).status_code == 200
    body = {'user': 'otto', 'password': PASSWORD}
    assert kind(console.client().post('login', json=body)) == (
        401, 'second-factor')
    r = console.client().post('login', json={
        **body, 'credential': signed(console, page)})
    assert r.json()['user'] == 'otto'
    assert console.audited('login')[2]['by'] == 'password and passkey'
    # by itself it is enough, and a code is not asked for
    assert login(console, signed(console, page))[1].status_code == 200
    # another person's is not
    page.new_authenticator()
    _, max_ = add(console, 'max')
    register(page, max_)
    r = console.client().post('login', json={
        **body, 'credential': signed(console, page)})
    assert kind(r) == WRONG


def test_disabled_people_are_out(console, page):
    number, dan = add(console, 'dan')
    register(page, dan)
    alice = console.people['alice']
    assert alice.patch(f'users/{number}', json={'disabled': True}
                       ).status_code == 200
    assert kind(login(console, signed(console, page))[1]) == WRONG


def test_who_takes_anothers_away(console, page):
    number, lost = add(console, 'lost')
    path = f'users/{number}/passkeys'
    alice = console.people['alice']
    assert alice.delete(path).status_code == 404
    register(page, lost)
    assert alice.get(f'users/{number}').json()['passkeys'] == 1
    for name, status in (('adam', 403), ('mia', 403), ('olga', 404)):
        assert console.people[name].delete(path).status_code == status, name
    assert alice.delete(path).status_code == 204
    assert console.audit('passkeys_deleted')[-1][:2] == ('alice', 'lost')
    assert kind(login(console, signed(console, page))[1]) == WRONG
    register(page, lost, 'again')
    console.ctl.ok('user', 'passkeys-off', 'lost')
    assert lost.get('me/passkeys').json() == {'items': []}


def test_twenty_at_most(console, page):
    add(console, 'many')
    console.sql(
        "INSERT INTO passkeys (person_id, name, credential_id, algorithm, "
        "public_key, sign_count) SELECT p.id, 'k' || n, "
        "decode(md5(n::text), 'hex'), -7, '\\x00', 0 FROM people p, "
        "generate_series(1, 20) n WHERE p.name = 'many'")
    many = console.login('many')  # the first one ended that by password
    r = many.post('me/passkeys', json={'name': 'one more',
                                       'credential': create(page, many)})
    assert kind(r) == (409, 'not-done')


@pytest.mark.parametrize('url', [None, 'https://192.0.2.7:8443'])
def test_without_a_name_there_are_none(tmp_path, url):
    with Cluster() as cluster:
        c = Console(tmp_path, cluster)
        if url:
            c.settings['console.public_url'] = url
        c.start()
        try:
            assert c.client().get('login/methods').json()['passkeys'] is False
            assert kind(c.client().post('login/passkey/options')) == (
                409, 'not-done')
            assert kind(c.login('mia').post('me/passkeys/options')) == (
                409, 'not-done')
        finally:
            assert c.stop() == 0, c.log()
