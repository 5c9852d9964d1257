"""Single sign-on with a real OpenID provider: npm oidc-provider, over TLS."""
import json
import re

import pytest

from console_env import Console
from ctl import Ctl
from oidc_env import CALLBACK, CLIENT, SECRET, Browser, Key, Provider
from pg import Cluster
from storage_env import wait_for

PEOPLE = {
    'u-mia': {'preferred_username': 'someone-else', 'name': 'Mia M.',
              'email': 'mia@example.com', 'email_verified': True,
              'groups': ['staff']},
    'u-new': {'preferred_username': 'New.Person', 'name': 'New <b>Person</b>',
              'email': 'new@Example.com', 'email_verified': True,
              'groups': ['staff', 'chiefs']},
    'u-adam': {'preferred_username': 'adam', 'email': 'adam@evil.example',
               'email_verified': True, 'groups': ['guests']},
    'u-unverified': {'preferred_username': 'x', 'email': 'x@example.com',
                     'email_verified': False, 'groups': ['staff']},
    'u-alice': {'preferred_username': 'alice', 'email': 'alice@example.com',
                'email_verified': True, 'groups': ['staff']},
}


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """(console, provider)"""
    folder = tmp_path_factory.mktemp('console')
    cert, key = Ctl.certificate(folder, prefix='provider')
    with Cluster() as cluster:
        console = Console(folder, cluster)
        provider = Provider(folder, cert, key, PEOPLE)
        console.settings['console.public_url'] = console.url
        console.settings['console.provider_ca_file'] = cert
        provider.serve(console.url + CALLBACK)
        console.start()
        console.alice = console.login('alice')
        yield console, provider
        provider.stop()
        assert console.stop() == 0, console.log()


@pytest.fixture
def settings(site):
    """The team's settings anew; changes them by members."""
    console, provider = site
    console.sql('DELETE FROM single_sign_on')
    console.sql('DELETE FROM identities')
    console.sql('DELETE FROM people WHERE password_hash IS NULL')
    alice = console.alice

    def change(**members):
        r = alice.patch('settings/single-sign-on', json=members)
        assert r.status_code == 200, r.text
        return r.json()
    change(issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET,
           enabled=True, scopes='openid profile email groups')
    change.link = lambda name, subject: link(alice, name, subject)
    return change


def link(alice, name, subject):
    user = next(u['id'] for u in alice.get('users').json()['items']
                if u['name'] == name)
    r = alice.request('PUT', f'users/{user}/identity',
                      json={'subject': subject})
    assert r.status_code == 200, r.text


def browser(site):
    console, provider = site
    both = console.dir / 'both.pem'
    both.write_text(open(console.cert).read() +
                    open(provider.config['cert']).read())
    return Browser(console, both)


def log_in(site, user):
    """A browser that came back, and the answer."""
    b = browser(site)
    r = b.come_back(b.sign_in(user))
    return b, r


def refused(site, user, status, words):
    b, r = log_in(site, user)
    assert r.status_code == status, (r.text, site[0].log()[-2000:])
    assert words in r.text, r.text
    assert 'Back to the login page' in r.text
    assert b.me().status_code == 401
    return r


def test_somebody_who_is_linked(site, settings):
    console, provider = site
    settings.link('mia', 'u-mia')
    before = len(console.audit('login'))
    b, r = log_in(site, 'u-mia')
    assert r.status_code == 200, (r.text, console.log()[-2000:])
    assert 'content="0;url=/"' in r.text
    me = b.me().json()
    assert (me['user'], me['role'], me['team']) == ('mia', 'member', 'demo')
    row = console.audited('login', before)
    assert row[0] == 'mia'
    assert (row[2]['by'], row[2]['door']) == ('single sign-on', 'console')
    # the cookie of the login under way is gone, the session's is Strict
    cookies = r.headers['Set-Cookie']
    assert '__Host-relaycam-login=;' in cookies
    assert re.search('__Host-relaycam=[0-9a-f]{64};.*SameSite=Strict', cookies)
    assert console.sql('SELECT last_login_at IS NOT NULL FROM identities'
                       ) == [(True,)]


def test_a_provider_that_knows_the_person_answers_at_once(site, settings):
    settings.link('mia', 'u-mia')
    b, r = log_in(site, 'u-mia')
    b.site.cookies.clear()
    b.begin()
    hops, url = [], b.location
    while not url.startswith(site[0].url):
        r = b.other.get(url, allow_redirects=False, timeout=60)
        assert r.is_redirect, 'it shows a page'
        hops.append(r.status_code)
        url = r.headers['Location']
    assert 'iss=' in url  # RFC 9207
    assert b.come_back(url).status_code == 200
    assert b.me().json()['user'] == 'mia'


def test_a_provider_that_knows_the_person_asks_again(site, settings):
    """To confirm a login: prompt and max_age."""
    settings.link('mia', 'u-mia')
    b = browser(site)
    assert b.come_back(b.sign_in('u-mia')).status_code == 200
    asked = []
    b.other.hooks['response'].append(
        lambda r, **kw: asked.append('name="login"' in r.text))
    url = b.sign_in('u-mia', reauthenticate='true')
    assert any(asked)
    assert b.come_back(url).status_code == 200, site[0].log()[-2000:]
    assert b.me().json()['user'] == 'mia'


def test_nobody_is_made_unless_the_team_wants_it(site, settings):
    refused(site, 'u-new', 403, 'ask an owner of your team')
    assert site[0].sql("SELECT count(*) FROM people WHERE name LIKE 'new%'"
                       ) == [(0,)]
    row = site[0].audit('login_failed')[-1]
    assert (row[0], row[1]) == ('new.person', 'console')
    assert row[2]['subject'] == 'u-new'


def test_people_are_made_and_follow_their_groups(site, settings):
    console, provider = site
    settings(create_people=True, admin_groups=['chiefs'],
             member_groups=['staff'])
    b, r = log_in(site, 'u-new')
    assert r.status_code == 200, (r.text, console.log()[-2000:])
    assert (b.me().json()['user'], b.me().json()['role']) == (
        'new.person', 'admin')
    assert console.sql("SELECT title, password_hash FROM people WHERE name = "
                       "'new.person'") == [('New <b>Person</b>', None)]
    assert console.audit('user_add')[-1][2]['by'] == 'single sign-on'
    # another role from the next login on
    settings(admin_groups=[])
    b, r = log_in(site, 'u-new')
    assert b.me().json()['role'] == 'member'
    row = console.audit('user_set')[-1]
    assert (row[1], row[2]['role_before'], row[2]['role']) == (
        'new.person', 'admin', 'member')
    # and none
    settings(member_groups=['nobody'])
    refused(site, 'u-new', 403, 'no group')


def test_a_taken_name_gets_a_number(site, settings):
    settings(create_people=True)
    b, r = log_in(site, 'u-adam')
    assert b.me().json()['user'] == 'adam-2'


def test_linking_by_name(site, settings):
    settings(link_people=True)
    b, r = log_in(site, 'u-adam')
    assert (b.me().json()['user'], b.me().json()['role']) == ('adam', 'admin')
    assert site[0].audit('user_link')[-1][2]['subject'] == 'u-adam'
    # never an owner
    refused(site, 'u-alice', 403, 'ask an owner of your team')


def test_email_comes_from_userinfo_and_has_to_be_verified(site, settings):
    settings(create_people=True, email_domains=['example.com'])
    b, r = log_in(site, 'u-new')
    assert r.status_code == 200, (r.text, site[0].log()[-2000:])
    refused(site, 'u-adam', 403, 'e-mail')
    refused(site, 'u-unverified', 403, 'e-mail')


def test_disabled_people_stay_out(site, settings):
    console, _ = site
    settings.link('mia', 'u-mia')
    console.sql("UPDATE people SET disabled = true WHERE name = 'mia'")
    try:
        refused(site, 'u-mia', 403, 'disabled')
    finally:
        console.sql("UPDATE people SET disabled = false WHERE name = 'mia'")


def test_the_team_keeps_its_owners(site, settings):
    """Groups that say member do not unmake the owner who has a password."""
    settings.link('alice', 'u-alice')
    settings(member_groups=['staff'])
    b, r = log_in(site, 'u-alice')
    assert b.me().json()['role'] == 'owner'


def test_an_answer_is_good_once(site, settings):
    settings.link('mia', 'u-mia')
    b = browser(site)
    url = b.sign_in('u-mia')
    state = b.site.cookies.copy()
    assert b.come_back(url).status_code == 200
    # the browser's back button: no cookie any more
    assert b.come_back(url).status_code == 400
    # with the cookie too
    again = browser(site)
    again.site.cookies = state
    r = again.come_back(url)
    assert r.status_code == 400 and 'Begin again' in r.text
    assert again.me().status_code == 401
    wait_for('the log', lambda: 'a second time' in site[0].log())


def test_an_answer_is_for_the_browser_that_began(site, settings):
    """Login CSRF: an address that somebody else prepared."""
    settings.link('mia', 'u-mia')
    attacker, victim = browser(site), browser(site)
    url = attacker.sign_in('u-mia')
    r = victim.come_back(url)
    assert r.status_code == 400 and victim.me().status_code == 401
    mine = victim.sign_in('u-mia')  # has a cookie now, of another login
    r = victim.come_back(url)
    assert r.status_code == 400 and victim.me().status_code == 401
    # and that one goes on
    assert victim.come_back(mine).status_code == 200
    assert attacker.come_back(url).status_code == 200


def test_a_code_is_good_once(site, settings):
    """The provider refuses a code that came back with another login."""
    settings.link('mia', 'u-mia')
    b = browser(site)
    url = b.sign_in('u-mia')
    code = re.search(r'code=([^&]+)', url)[1]
    assert b.come_back(url).status_code == 200
    other = browser(site)
    state = other.begin()['state']
    r = other.come_back(
        f'{site[0].url}{CALLBACK}?code={code}&state={state}&iss='
        f'{site[1].issuer}')
    assert r.status_code == 400 and other.me().status_code == 401


def test_where_to_afterwards(site, settings):
    settings.link('mia', 'u-mia')
    b = browser(site)
    r = b.come_back(b.sign_in('u-mia', return_to='/recordings?a=1&b=2'))
    assert 'content="0;url=/recordings?a=1&amp;b=2"' in r.text


@pytest.mark.parametrize('path', [
    'https://evil.example/', '//evil.example', '/\\evil.example', 'x',
    '/\tx', '/"x', '', '/' + 'x' * 256])
def test_open_redirects(site, settings, path):
    r = browser(site).start(return_to=path)
    assert r.status_code == 422 and 'Location' not in r.headers


def test_the_provider_changes_its_keys(site, settings):
    console, provider = site
    settings.link('mia', 'u-mia')
    assert log_in(site, 'u-mia')[1].status_code == 200
    provider.stop()
    provider.keys = [Key('second')]
    provider.start()
    # asked a moment ago: not again within a minute
    assert log_in(site, 'u-mia')[1].status_code == 502
    console.sql("UPDATE single_sign_on_documents SET asked_at = now() - "
                "interval '61 seconds', fetched_at = now() - "
                "interval '61 seconds'")
    for _ in range(4):  # whichever worker
        b, r = log_in(site, 'u-mia')
        assert r.status_code == 200, (r.text, console.log()[-2000:])


def test_the_provider_is_away(site, settings):
    console, provider = site
    settings.link('mia', 'u-mia')
    b = browser(site)
    url = b.sign_in('u-mia')
    provider.stop()
    try:
        r = b.come_back(url)
        assert r.status_code == 503 and 'cannot be reached now' in r.text
        assert 'log in with a password' in r.text
        console.sql('DELETE FROM single_sign_on_documents')
        r = browser(site).start()
        assert r.status_code == 503 and 'cannot be reached now' in r.text
        assert console.client().login('mia').status_code == 200
    finally:
        provider.start()
    assert log_in(site, 'u-mia')[1].status_code == 200


def test_a_wrong_secret_is_named_in_the_log(site, settings):
    settings(client_secret='wrong')
    settings.link('mia', 'u-mia')
    refused(site, 'u-mia', 502, 'Ask an owner')
    wait_for('the log', lambda: 'invalid_client' in site[0].log())


def test_what_is_not_there(site, settings):
    b = browser(site)
    assert b.start(team='other').status_code == 404
    assert b.start(team='x').status_code == 404
    settings(enabled=False)
    assert b.start().status_code == 404
    assert b.site.get(f'{site[0].url}/api/v1/login/single-sign-on',
                      timeout=60).status_code == 422
    assert b.site.head(f'{site[0].url}{CALLBACK}',
                       timeout=60).status_code == 405


def test_programs_get_problem_documents(site, settings):
    c = site[0].client()
    assert c.get('login/single-sign-on?team=x').json()[
        'type'] == '/problems/not-found'
    assert c.get('login/single-sign-on/callback').json()[
        'type'] == '/problems/login-expired'


def test_switched_off_meanwhile(site, settings):
    settings.link('mia', 'u-mia')
    b = browser(site)
    url = b.sign_in('u-mia')
    settings(enabled=False)
    assert b.come_back(url).status_code == 404
    assert b.me().status_code == 401


def test_doctor_looks_at_the_provider(site, settings):
    console, provider = site

    def lines(*words):
        out = console.ctl.run(
            '--set', f'console.provider_ca_file={provider.config["cert"]}',
            '--set', 'console.provider_private_addresses=on', *words,
            'doctor', '--json').stdout
        return [(d['level'], d['text']) for d in json.loads(out)['checks']
                if 'single sign-on' in d['check'] or 'secret' in d['text']]
    assert lines() == [('ok', f'team demo: {provider.issuer} answers')]
    assert lines('--set', 'console.provider_private_addresses=off') == [
        ('FAIL', f'team demo: {provider.issuer} has a private address, which '
         'the console does not connect to')]
    other = console.dir / 'other.key'
    other.write_bytes(bytes(32))
    other.chmod(0o600)
    assert ('FAIL', 'the client secret of team demo was sealed with another '
            'key') in lines('--set', f'secrets.seal_key_file={other}')
    settings(issuer=provider.issuer + '/')
    level, text = lines()[0]
    assert level == 'FAIL' and 'calls itself' in text
    settings(issuer=provider.issuer + '/x')
    assert lines()[0] == ('FAIL', f'team demo: {provider.issuer}/x/.well-known'
                          '/openid-configuration answers with status 404')
    settings(issuer=provider.issuer.replace('localhost', '127.0.0.1'))
    assert lines()[0][0] == 'FAIL'  # its certificate does not have that name
