"""Single sign-on against a provider that does what a conforming one does not:
every token, key or answer that is not what it should be logs nobody in."""
import base64
import threading
import time
import urllib.parse

import pytest
from Cryptodome.PublicKey import RSA

from console_env import Console
from ctl import Ctl
from oidc_env import (CALLBACK, CLIENT, SECRET, Browser, FakeProvider, Key,
                      hs256)
from pg import Cluster
from storage_env import wait_for

NEVER = 'X' * 300_000


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp('console')
    cert, key = Ctl.certificate(folder, prefix='provider')
    with Cluster() as cluster:
        console = Console(folder, cluster,
                          **{'console.provider_ca_file': cert,
                             'console.provider_seconds': '10'})
        console.settings['console.public_url'] = console.url
        fake = FakeProvider(cert, key)
        both = folder / 'both.pem'
        both.write_text(open(console.cert).read() + open(cert).read())
        console.both = both
        console.start()
        console.alice = console.login('alice')
        yield console, fake
        fake.close()
        assert console.stop() == 0, console.log()


@pytest.fixture
def fake(site):
    console, fake = site
    fake.reset()
    console.sql('DELETE FROM single_sign_on')
    console.sql('DELETE FROM identities')

    def change(**members):
        r = console.alice.patch('settings/single-sign-on', json=members)
        assert r.status_code == 200, r.text
    fake.change = change
    fake.set = {'issuer': fake.issuer, 'client_id': CLIENT,
                'client_secret': SECRET, 'enabled': True}
    change(**fake.set)
    console.sql("INSERT INTO identities (person_id, team_id, issuer, subject)"
                " SELECT id, team_id, %s, 'u1' FROM people WHERE name = 'mia'",
                (fake.issuer,))
    return fake


def log_in(site, **params):
    console, fake = site
    b = Browser(console, console.both)
    return b, b.answer(fake, **params)


def expect_in(site, **params):
    b, r = log_in(site, **params)
    assert r.status_code == 200, (r.text, site[0].log()[-2000:])
    assert b.me().json()['user'] == 'mia'


def expect_refused(site, status, words, **params):
    """words: of the log."""
    log = len(site[0].log())
    b, r = log_in(site, **params)
    assert r.status_code == status, (r.text, site[0].log()[-2000:])
    assert 'Back to the login page' in r.text
    assert b.me().status_code == 401
    wait_for(f'the log: {words}', lambda: words in site[0].log()[log:])


def test_the_good_one(site, fake):
    """All others differ from this in what they say."""
    expect_in(site)
    assert [a[0] for a in fake.asked] == ['discovery', 'token', 'jwks',
                                          'userinfo']
    # documents are kept, for all workers
    for _ in range(6):
        expect_in(site)
    assert fake.count('discovery') == fake.count('jwks') == 1


def test_what_the_token_endpoint_is_asked(site, fake):
    expect_in(site, code='a+b/c=')
    form, head = next(a[1:] for a in fake.asked if a[0] == 'token')
    assert form['grant_type'] == 'authorization_code'
    assert form['code'] == 'a+b/c='
    assert form['redirect_uri'] == site[0].url + CALLBACK
    assert 43 <= len(form['code_verifier']) <= 128
    assert 'client_secret' not in form and 'client_id' not in form
    user, _, secret = base64.b64decode(
        head['Authorization'].removeprefix('Basic ')).decode().partition(':')
    assert (urllib.parse.unquote(user), urllib.parse.unquote(secret)) == (
        CLIENT, SECRET)
    # each login has texts of its own
    expect_in(site)
    verifiers = [a[1]['code_verifier'] for a in fake.asked if a[0] == 'token']
    assert len(set(verifiers)) == 2


def test_the_secret_in_the_form(site, fake):
    fake.more = {'token_endpoint_auth_methods_supported':
                 ['client_secret_post']}
    expect_in(site)
    form, head = next(a[1:] for a in fake.asked if a[0] == 'token')
    assert (form['client_id'], form['client_secret']) == (CLIENT, SECRET)
    assert 'Authorization' not in head


def test_a_public_client(site, fake):
    fake.change(client_secret=None)
    fake.more = {'token_endpoint_auth_methods_supported': ['none']}
    expect_in(site)
    form, head = next(a[1:] for a in fake.asked if a[0] == 'token')
    assert form['client_id'] == CLIENT and 'client_secret' not in form
    assert 'Authorization' not in head


def test_userinfo_is_not_asked_when_the_token_has_it_all(site, fake):
    fake.claims = {'preferred_username': 'mia'}
    expect_in(site)
    assert fake.count('userinfo') == 0


# --- ID tokens --------------------------------------------------------------

def token_cases(fake):
    now = int(time.time())
    stranger = Key('k1')
    return {
        'alg_none': ('not with RS256', {'header': {'alg': 'none'},
                                        'sign': lambda text: b'x'}),
        'alg_hs256': ('not with RS256', {'header': {'alg': 'HS256'},
                                         'sign': hs256(SECRET.encode())}),
        'hs256_with_the_public_key': (
            'not with RS256', {'header': {'alg': 'HS256'}, 'sign': hs256(
                fake.key.rsa.public_key().export_key())}),
        'another_algorithm': ('not with RS256', {'header': {'alg': 'RS512'}}),
        'no_algorithm': ('not with RS256', {'header': {'alg': None}}),
        'another_key': ('signature', {'sign': stranger.sign}),
        'critical': ('critical', {'header': {'crit': ['exp']}}),
        'issuer': ('another issuer', {'claims': {'iss': 'https://x'}}),
        'audience': ('another client', {'claims': {'aud': 'x'}}),
        'audiences_without_azp': ('another party',
                                  {'claims': {'aud': [CLIENT, 'x']}}),
        'azp': ('another party', {'claims': {'azp': 'x'}}),
        'nonce': ('another login', {'claims': {'nonce': 'x'}}),
        'no_nonce': ('another login', {'claims': {'nonce': None}}),
        'expired': ('compare the clocks', {'claims': {'exp': now - 120}}),
        'of_the_future': ('compare the clocks',
                          {'claims': {'iat': now + 600, 'exp': now + 900}}),
        'at_hash': ('another access token', {'claims': {'at_hash': 'AAAA'}}),
        'no_subject': ('no subject', {'claims': {'sub': ''}}),
        'userinfo_of_another': ('another person',
                                {'info': {'sub': 'u2',
                                          'preferred_username': 'alice'}}),
    }


@pytest.mark.parametrize('name', [
    'alg_none', 'alg_hs256', 'hs256_with_the_public_key', 'another_algorithm',
    'no_algorithm', 'another_key', 'critical', 'issuer', 'audience',
    'audiences_without_azp', 'azp', 'nonce', 'no_nonce', 'expired',
    'of_the_future', 'at_hash', 'no_subject', 'userinfo_of_another'])
def test_tokens_that_log_nobody_in(site, fake, name):
    words, how = token_cases(fake)[name]
    for attribute, value in how.items():
        setattr(fake, attribute, value)
    before = len(site[0].audit('login_failed'))
    expect_refused(site, 502, words)
    # it may be an attack: the team sees it
    row = site[0].audited('login_failed', before)
    assert words in row[2]['why'] and row[2]['by'] == 'single sign-on'


def test_clocks_that_differ_a_little(site, fake):
    now = int(time.time())
    fake.claims = {'iat': now + 30, 'exp': now + 330}
    expect_in(site)
    fake.claims = {'iat': now - 300, 'exp': now - 20}
    expect_in(site)


def test_several_audiences_with_azp(site, fake):
    fake.claims = {'aud': ['x', CLIENT], 'azp': CLIENT}
    expect_in(site)


# --- keys -------------------------------------------------------------------

UNKNOWN = [{'kty': 'AKP', 'alg': 'ML-DSA-65', 'kid': 'k1', 'pub': 'AA'},
           {'kty': 'OKP', 'crv': 'Ed25519', 'kid': 'k1', 'x': 'AA'},
           {'kty': 'oct', 'kid': 'k1', 'k': 'AA'}, 5, {}, None]


def test_unknown_keys_are_skipped(site, fake):
    fake.published = UNKNOWN + [fake.key.public()]
    expect_in(site)


def test_a_key_of_1024_bits_is_none(site, fake):
    weak = Key('k1')
    weak.rsa = RSA.generate(1024)
    fake.published, fake.sign = [weak.public()], weak.sign
    expect_refused(site, 502, 'none of its keys')


def test_an_unknown_kid_asks_once_a_minute(site, fake):
    expect_in(site)
    assert fake.count('jwks') == 1
    fake.header = {'kid': 'nine'}
    for _ in range(6):
        expect_refused(site, 502, 'none of its keys')
    assert fake.count('jwks') == 1  # it was asked just now
    site[0].sql("UPDATE single_sign_on_documents SET asked_at = now() - "
                "interval '61 seconds', fetched_at = now() - "
                "interval '61 seconds'")
    for _ in range(6):
        expect_refused(site, 502, 'none of its keys')
    assert fake.count('jwks') == 2


def test_logins_wait_while_another_asks_for_new_keys(site, fake):
    """Key rotation: who comes while the new keys are under way gets in too,
    at whichever worker."""
    expect_in(site)
    site[0].sql("UPDATE single_sign_on_documents SET asked_at = now() - "
                "interval '61 seconds', fetched_at = now() - "
                "interval '61 seconds'")
    new = Key('k2')
    fake.published, fake.header = [new.public()], {'kid': 'k2'}
    fake.sign = new.sign
    go = fake.hold['jwks'] = threading.Event()
    console = site[0]
    # one after the other: the fake provider knows one nonce at a time
    asked = fake.count('jwks')
    b = [Browser(console, console.both) for _ in range(2)]
    results = [None, None]

    def run(i):
        results[i] = b[i].answer(fake)
    first = threading.Thread(target=run, args=(0,))
    first.start()
    wait_for('the keys are asked for', lambda: fake.count('jwks') > asked)
    second = threading.Thread(target=run, args=(1,))
    tokens = fake.count('token')
    second.start()
    wait_for('the second token', lambda: fake.count('token') > tokens)
    go.set()
    first.join()
    second.join()
    assert [r.status_code for r in results] == [200, 200], console.log()[-2000:]
    assert fake.count('jwks') == asked + 1


def test_keys_without_kid(site, fake):
    key = fake.key.public()
    del key['kid']
    fake.published = [Key('x').public(), key]
    fake.header = {'kid': None}
    expect_in(site)


# --- answers that are too long, broken or late ------------------------------

@pytest.mark.parametrize('name,answer,status,words', [
    ('discovery', (200, NEVER), 502, 'too long'),
    ('discovery', (200, '{'), 502, 'no JSON object'),
    ('discovery', (404, {}), 502, 'HTTP status 404'),
    ('discovery', (500, {}), 503, 'HTTP status 500'),
    ('discovery', (302, {}), 502, 'HTTP status 302')])
def test_discovery_documents(site, fake, name, answer, status, words):
    fake.answers[name] = answer
    log = len(site[0].log())
    r = Browser(site[0], site[0].both).start()
    assert r.status_code == status and 'Location' not in r.headers
    wait_for('the log', lambda: words in site[0].log()[log:])


@pytest.mark.parametrize('more,words', [
    ({'issuer': 'https://evil.example'}, 'another issuer'),
    ({'token_endpoint': 'http://localhost/token'}, 'no https URL'),
    ({'jwks_uri': 'file:///etc/passwd'}, 'no https URL'),
    ({'authorization_endpoint': 'javascript:alert(1)'}, 'no https URL'),
    ({'id_token_signing_alg_values_supported': ['HS256']}, 'sign with RS256'),
    ({'response_types_supported': ['id_token']}, 'code flow')])
def test_discovery_documents_that_say_what_cannot_be(site, fake, more, words):
    fake.more = more
    log = len(site[0].log())
    assert Browser(site[0], site[0].both).start().status_code == 502
    wait_for('the log', lambda: words in site[0].log()[log:])


@pytest.mark.parametrize('name,answer,status,words', [
    ('token', (200, NEVER), 502, 'too long'),
    ('token', (200, {'token_type': 'Bearer'}), 502, 'no ID token'),
    ('token', (200, {'token_type': 'mac', 'access_token': 'a',
                     'id_token': 'a'}), 502, 'no bearer token'),
    ('token', (200, {'token_type': 'Bearer', 'access_token': 'a',
                     'id_token': 'a.b.c'}), 502, 'no signed JWT'),
    ('token', (200, []), 502, 'JSON object'),
    ('token', (400, {'error': 'invalid_grant'}), 400, 'invalid_grant'),
    ('token', (401, {'error': 'invalid_client'}), 502, 'invalid_client'),
    ('token', (400, {'error': '<script>'}), 502, 'HTTP status 400'),
    ('token', (503, 'away'), 503, 'HTTP status 503'),
    ('token', (302, {}), 502, 'HTTP status 302'),
    ('jwks', (200, NEVER), 502, 'too long'),
    ('jwks', (200, {'keys': {}}), 502, 'JWK Set'),
    ('jwks', (200, {'keys': []}), 502, 'none of its keys'),
    ('jwks', (200, '\ud800'.encode('utf-16', 'surrogatepass')), 502,
     'JWK Set'),
    ('userinfo', (200, NEVER), 502, 'too long'),
    ('userinfo', (200, 'eyJ.e30.AA'), 502, 'no JSON object'),
    ('userinfo', (200, {'preferred_username': 'alice'}), 502,
     'another person'),
    ('userinfo', (401, {}), 502, 'HTTP status 401')])
def test_answers(site, fake, name, answer, status, words):
    fake.answers[name] = answer
    expect_refused(site, status, words)


@pytest.mark.parametrize('name', ['discovery', 'token', 'jwks', 'userinfo'])
def test_slow_answers(site, fake, name):
    """provider_seconds is 10; others are served meanwhile."""
    if name != 'discovery':
        Browser(site[0], site[0].both).begin()
    fake.hold[name] = threading.Event()
    log = len(site[0].log())
    result = []

    def run():
        b = Browser(site[0], site[0].both)
        result.append(b.start() if name == 'discovery' else b.answer(fake))
    t = threading.Thread(target=run)
    begun = time.monotonic()
    t.start()
    wait_for('it is asked', lambda: fake.count(name) > 0)
    for _ in range(4):  # both workers, with this one waiting
        assert site[0].client().get('login/methods').status_code == 200
    assert t.is_alive() or time.monotonic() - begun >= 10
    t.join()
    fake.hold[name].set()
    assert result[0].status_code == 503, result[0].text
    assert 'cannot be reached now' in result[0].text
    wait_for('the log', lambda: 'single_sign_on_failed' in site[0].log()[log:])


def test_the_certificate_is_verified(site, fake):
    """The same server by a name that its certificate does not have."""
    fake.change(issuer=fake.issuer.replace('localhost', '127.0.0.1'),
                client_secret='x')
    log = len(site[0].log())
    assert Browser(site[0], site[0].both).start().status_code == 503
    wait_for('the log', lambda: 'SSL' in site[0].log()[log:])
    assert fake.asked == []


def test_clients_have_a_share_of_the_requests(site, fake):
    """More than 8 of one address are refused, others of
    the site go on."""
    fake.hold['discovery'] = threading.Event()
    codes = []

    def run():
        codes.append(Browser(site[0], site[0].both).start().status_code)
    threads = [threading.Thread(target=run) for _ in range(40)]
    for t in threads:
        t.start()
    wait_for('a refusal', lambda: 429 in codes)
    assert fake.count('discovery') <= 2 * 8  # workers
    fake.hold['discovery'].set()
    for t in threads:
        t.join()
    assert set(codes) <= {303, 429, 503}


# --- the answer in the URL --------------------------------------------------

def test_answer_of_another_issuer(site, fake):
    """RFC 9207, mix-up."""
    expect_in(site, iss=fake.issuer)
    expect_refused(site, 502, 'another issuer', iss='https://evil.example')
    expect_refused(site, 502, 'another issuer', iss='x' * 3000)
    assert fake.count('token') == 1
    # a provider that says that it always sends it
    fake.more = {'authorization_response_iss_parameter_supported': True}
    site[0].sql('DELETE FROM single_sign_on_documents')
    expect_refused(site, 502, 'another issuer')
    expect_in(site, iss=fake.issuer)


def test_errors_of_the_provider(site, fake):
    b, r = log_in(site, code=None, error='access_denied',
                  error_description='<b>no</b>')
    assert r.status_code == 403 and '(access_denied)' in r.text
    assert '<b>' not in r.text
    b, r = log_in(site, code=None, error='<script>')
    assert r.status_code == 403 and 'script' not in r.text
    b, r = log_in(site, code=None)
    assert r.status_code == 403
    b, r = log_in(site, code='x' * 5000)
    assert r.status_code == 403
    assert fake.count('token') == 0


def test_states_that_are_not_ours(site, fake):
    for state in (None, '', 'x', 'A' * 43, 'A' * 500):
        b, r = log_in(site, state=state)
        assert r.status_code == 400, state
    assert fake.count('token') == 0


def test_nothing_secret_is_in_the_log(site, fake):
    expect_in(site, code='the-secret-code')
    log = site[0].log()
    for text in ('the-secret-code', SECRET, fake.nonce):
        assert text not in log
