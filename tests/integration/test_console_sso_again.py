"""Confirming a login by single sign-on: the provider has to ask the person
again, and to say when it did (OpenID Connect Core sections 2 and 3.1.2.1)."""
import time
import urllib.parse

import pytest

from oidc_env import CALLBACK, Browser
from storage_env import wait_for
from test_console_sso_hostile import fake, site  # noqa: F401 (fixtures)


def log_in(site, fake, **params):
    b = Browser(site[0], site[0].both)
    query = b.begin(**params)
    fake.nonce = query['nonce']
    r = b.come_back(f'{site[0].url}{CALLBACK}?' + urllib.parse.urlencode(
        {'code': 'c', 'state': query['state']}))
    return query, b, r


def is_confirmed(site, b):
    return b.site.get(f'{site[0].url}/api/v1/me/reauthentication',
                      timeout=60).json()['is_confirmed']


@pytest.fixture(scope='module', autouse=True)
def ten_minutes(site):
    site[0].stop()
    site[0].settings['console.reauthentication_seconds'] = '10m'
    site[0].start()
    site[0].alice = site[0].login('alice')


def test_the_person_is_asked_again(site, fake):
    fake.claims = {'auth_time': int(time.time())}
    query, b, r = log_in(site, fake, reauthenticate='true')
    assert (query['prompt'], query['max_age']) == ('login', '0')
    assert r.status_code == 200, (r.text, site[0].log()[-2000:])
    assert is_confirmed(site, b)
    # other logins do not ask for that
    query, _, _ = log_in(site, fake)
    assert 'prompt' not in query and 'max_age' not in query


@pytest.mark.parametrize('at', [
    lambda: None, lambda: time.time() - 3600, lambda: 0, lambda: 'now'],
    ids=['none', 'an hour ago', 'zero', 'a text'])
def test_a_provider_that_did_not_ask_confirms_nothing(site, fake, at):
    fake.claims = {'auth_time': at()}
    log = len(site[0].log())
    _, b, r = log_in(site, fake, reauthenticate='true')
    assert r.status_code == 502
    assert b.me().status_code == 401
    wait_for('the log', lambda: 'did not ask the person again' in
             site[0].log()[log:], 60)


@pytest.mark.parametrize('ago, want', [
    (None, False), (3600, False), (30, True)])
def test_a_login_is_as_old_as_the_provider_says(site, fake, ago, want):
    fake.claims = {} if ago is None else {
        'auth_time': int(time.time()) - ago}
    _, b, r = log_in(site, fake)
    assert r.status_code == 200
    assert is_confirmed(site, b) is want
