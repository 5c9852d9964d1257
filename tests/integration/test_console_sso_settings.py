"""Settings of single sign-on and links of people: by the API, without a
provider."""
import pytest

from console_env import PASSWORD, Console
from pg import Cluster

SECRET = 'top+secret/="\u00e4'
NEW = {'issuer': 'https://op.example/realm', 'client_id': 'relaycam',
       'client_secret': SECRET, 'title': 'Example', 'member_groups': ['staff']}


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster,
                    **{'console.public_url': 'https://console.example'})
        c.start()
        yield c
        assert c.stop() == 0, c.log()


@pytest.fixture
def alice(console):
    console.sql('DELETE FROM single_sign_on')
    console.sql('DELETE FROM identities')
    return console.login('alice')


def change(c, **members):
    return c.patch('settings/single-sign-on', json=members)


def is_set_up(c):
    return c.get('settings/logins').json()['single_sign_on']


def test_set_up_show_and_remove(console, alice):
    assert alice.get('settings/single-sign-on').status_code == 404
    assert is_set_up(alice) is False
    r = change(alice, **NEW)
    assert is_set_up(alice) is True
    assert is_set_up(console.login('olga')) is False
    assert r.status_code == 200, (r.text, console.log()[-3000:])
    s = r.json()
    assert s['enabled'] is False and s['has_client_secret'] is True
    assert (s['algorithm'], s['scopes']) == ('RS256', 'openid profile email')
    assert s['redirect_uri'] == ('https://console.example/api/v1/login/'
                                 'single-sign-on/callback')
    assert s['member_groups'] == ['staff']
    assert alice.get('settings/single-sign-on').json() == s
    methods = alice.get('login/methods').json()
    assert methods['password'] and methods['single_sign_on'] == []
    s = change(alice, enabled=True, email_domains=['Example.COM']).json()
    assert s['password_owner'] == 'alice'
    assert s['email_domains'] == ['example.com']
    assert alice.get('login/methods').json()['single_sign_on'] == [
        {'name': 'Example',
         'start_url': '/api/v1/login/single-sign-on?team=demo'}]
    change(alice, listed=False)
    assert alice.get('login/methods').json()['single_sign_on'] == []
    assert alice.get('login/methods?team=demo').json()['single_sign_on']
    assert alice.get('login/methods?team=other').json()['single_sign_on'] == []
    assert alice.delete('settings/single-sign-on').status_code == 204
    assert is_set_up(alice) is False
    assert alice.get('settings/single-sign-on').status_code == 404
    assert alice.delete('settings/single-sign-on').status_code == 404


def test_the_secret_is_sealed_and_never_shown(console, alice):
    r = change(alice, **NEW)
    assert SECRET not in r.text
    assert SECRET not in alice.get('settings/single-sign-on').text
    sealed = bytes(console.sql('SELECT secret_sealed FROM single_sign_on')[0][0])
    assert len(sealed) == len(SECRET.encode()) + 40
    assert SECRET.encode() not in sealed
    assert SECRET not in str(console.sql('SELECT detail FROM audit'))
    assert SECRET not in console.log()
    # another one is audited without a value, too
    before = len(console.audit('settings_set'))
    change(alice, client_secret='another')
    assert len(console.audit('settings_set')) == before + 1
    assert console.audit('settings_set')[-1][1] == 'single_sign_on.client_secret'
    assert change(alice, client_secret=None).json()['has_client_secret'] is False


def test_another_issuer_does_not_get_the_secret(console, alice):
    change(alice, **NEW)
    s = change(alice, issuer='https://evil.example').json()
    assert s['has_client_secret'] is False
    s = change(alice, issuer='https://op.example', client_secret='x').json()
    assert s['has_client_secret'] is True
    # the same one keeps it
    assert change(alice, issuer='https://op.example').json()[
        'has_client_secret'] is True


@pytest.mark.parametrize('member,value', [
    ('issuer', 'http://op.example'), ('issuer', 'https://op.example?x=1'),
    ('issuer', 'https://op.example#x'), ('issuer', 'https://a@op.example'),
    pytest.param('issuer', 'https://' + 'x' * 500, id='long'), ('issuer', None),
    ('client_id', ''), ('client_secret', ''), pytest.param('client_secret', 'x' * 1025, id='long_secret'),
    ('algorithm', 'none'), ('algorithm', 'HS256'), ('algorithm', 'EdDSA'),
    ('scopes', 'profile'), ('scopes', 'openid  email'), ('scopes', 'openid '),
    ('scopes', 'openid "'), ('scopes', 'openidx'), ('name_claim', ''),
    ('owner_groups', 'x'), ('owner_groups', ['']), ('owner_groups', [5]),
    ('owner_groups', ['x'] * 101), ('owner_groups', ['x' * 201]),
    ('email_domains', ['a\nb']), ('enabled', 'yes'),
    ('password_owner', 'adam'), ('password_owner', 'olga'),
    ('password_owner', 'nobody'), ('password_owner', None),
    ('redirect_uri', 'https://x'), ('has_client_secret', False)])
def test_values_that_cannot_be(console, alice, member, value):
    r = change(alice, **{**NEW, member: value})
    assert r.status_code == 422, r.text
    assert r.json()['errors'][0]['pointer'].startswith(f'/{member}')
    assert alice.get('settings/single-sign-on').status_code == 404


def test_issuer_and_client_are_needed_at_first(console, alice):
    assert change(alice, client_id='x').json()['errors'][0][
        'pointer'] == '/issuer'
    assert change(alice, issuer='https://x').json()['errors'][0][
        'pointer'] == '/client_id'
    assert change(alice).status_code == 422


def test_owners_alone_change_it(console, alice):
    change(alice, **NEW)
    adam, mia = console.login('adam'), console.login('mia')
    assert adam.get('settings/single-sign-on').status_code == 200
    assert mia.get('settings/single-sign-on').status_code == 403
    for c in (adam, mia):
        assert change(c, enabled=True).status_code == 403
        assert c.delete('settings/single-sign-on').status_code == 403
    assert console.login('olga').get(
        'settings/single-sign-on').status_code == 404


def test_tokens_need_the_scope(console, alice):
    def client(name, *scopes):
        r = alice.post('tokens', json={'name': name, 'scopes': list(scopes),
                                       'days': 1})
        assert r.status_code == 201, r.text
        return console.client(r.json()['token'])
    change(alice, **NEW)
    assert change(client('a', 'settings:write', 'users:write'),
                  title='x').status_code == 403
    assert change(client('b', 'single-sign-on:write'),
                  title='x').status_code == 200


def test_an_owner_with_a_password_stays(console, alice):
    change(alice, **NEW, enabled=True, password_owner='alice')
    console.sql("UPDATE people SET role = 'owner' WHERE name = 'adam'")
    me = next(u for u in alice.get('users').json()['items']
              if u['name'] == 'alice')
    for body in ({'role': 'admin'}, {'disabled': True}):
        r = alice.patch(f'users/{me["id"]}', json=body)
        assert r.status_code == 409, r.text
        assert 'another one first' in r.json()['detail']
    assert 'another one first' in console.ctl.fails(
        1, 'user', 'disable', 'alice')
    assert change(alice, password_owner='adam').status_code == 200
    assert change(alice, password_owner='alice').status_code == 200
    console.sql("UPDATE people SET role = 'admin' WHERE name = 'adam'")


def test_each_change_is_audited(console, alice):
    change(alice, **NEW)
    before = len(console.audit('settings_set'))
    change(alice, title='Other', listed=False, client_id='relaycam')
    rows = console.audit('settings_set')[before:]
    assert [(r[0], r[1], r[2]['before'], r[2]['after']) for r in rows] == [
        ('alice', 'single_sign_on.listed', 'true', 'false'),
        ('alice', 'single_sign_on.title', 'Example', 'Other')]
    assert rows[0][2]['door'] == 'console'
    alice.delete('settings/single-sign-on')
    assert console.audit('single_sign_on_removed')[-1][0] == 'alice'


# --- people -----------------------------------------------------------------

def user_id(c, name):
    return next(u['id'] for u in c.get('users').json()['items']
                if u['name'] == name)


def test_links_of_people(console, alice):
    mia, adam = user_id(alice, 'mia'), user_id(alice, 'adam')
    link = {'subject': 'u-17'}
    assert alice.request('PUT', f'users/{mia}/identity',
                         json=link).status_code == 409
    change(alice, **NEW)
    assert alice.get(f'users/{mia}/identity').status_code == 404
    r = alice.request('PUT', f'users/{mia}/identity', json=link)
    assert r.status_code == 200, r.text
    assert (r.json()['issuer'], r.json()['subject']) == (NEW['issuer'], 'u-17')
    assert alice.get(f'users/{mia}/identity').json() == r.json()
    r = alice.request('PUT', f'users/{adam}/identity', json=link)
    assert r.status_code == 409 and 'mia' in r.json()['detail']
    assert alice.request('PUT', f'users/{mia}/identity',
                         json={'subject': 'u-18'}).status_code == 200
    assert alice.request('PUT', f'users/{mia}/identity',
                         json={'subject': 'x' * 256}).status_code == 422
    assert console.audit('user_link')[-1][2]['before'] == 'u-17'
    assert alice.delete(f'users/{mia}/identity').status_code == 204
    assert alice.delete(f'users/{mia}/identity').status_code == 404


def test_an_admin_does_not_link_an_owner(console, alice):
    change(alice, **NEW)
    adam = console.login('adam')
    link = {'subject': 'u-1'}
    assert adam.request('PUT', f'users/{user_id(alice, "mia")}/identity',
                        json=link).status_code == 200
    owner = user_id(alice, 'alice')
    assert adam.request('PUT', f'users/{owner}/identity',
                        json={'subject': 'u-2'}).status_code == 403
    assert console.login('mia').request(
        'PUT', f'users/{owner}/identity', json=link).status_code == 403
    olga = console.login('olga')
    for method in ('GET', 'DELETE'):
        assert olga.request(
            method, f'users/{owner}/identity').status_code == 404
    assert olga.request('PUT', f'users/{owner}/identity',
                        json=link).status_code == 404


def test_passwords_can_be_closed(console, alice):
    change(alice, **NEW, enabled=True)
    assert console.client().login('mia').status_code == 200
    change(alice, password_login=False)
    before = len(console.audit('login_failed'))
    r = console.client().login('mia')
    assert r.status_code == 403
    assert console.audited('login_failed', before)[0] == 'mia'
    assert r.json()['type'] == '/problems/single-sign-on-needed'
    # a wrong password says nothing of that
    assert console.client().login('mia', 'wrong').status_code == 401
    console.sql('DELETE FROM login_failures')
    assert console.client().login('alice', PASSWORD).status_code == 200
    change(alice, enabled=False)
    assert console.client().login('mia').status_code == 200
