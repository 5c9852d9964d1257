"""The one-time link that makes an owner: `relaycam console first-run-link`,
POST first-run, and that it works once and for an hour at most (X7)."""
import concurrent.futures
import hashlib
import json
import urllib.parse

import pytest

from console_env import PASSWORD, Console
from pg import Cluster
from storage_env import wait_for

DEAD = (403, '/problems/dead-link')


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture
def empty(cluster, tmp_path):
    """An installation without teams and people."""
    class Empty(Console):
        def fill(self):
            pass
    c = Empty(tmp_path, cluster).start()
    c.ctl.settings['console.public_url'] = 'https://console.example:8443/'
    yield c
    assert c.stop() == 0, c.log()
    assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(scope='module')
def console(cluster, tmp_path_factory):
    c = Console(tmp_path_factory.mktemp('console'), cluster).start()
    yield c
    assert c.stop() == 0, c.log()
    assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture(autouse=True)
def no_failures(request):
    """Wrong links of the test before do not slow this one down."""
    for name in {'console', 'empty'} & set(request.fixturenames):
        request.getfixturevalue(name).sql('DELETE FROM login_failures')


def link(console, *args):
    """Its address without the fragment, and the fragment's values."""
    url = urllib.parse.urlsplit(console.ctl.json(
        'console', 'first-run-link', *args)['url'])
    values = dict(urllib.parse.parse_qsl(url.fragment))
    assert url.path == '/first-run' and url.query == ''
    return f'{url.scheme}://{url.netloc}', values


def use(console, token, name='nina', **body):
    c = console.client()
    r = c.post('first-run', json={
        'token': token, 'name': name, 'password': PASSWORD, **body})
    if r.status_code == 200:
        c.http.headers['X-CSRF-Token'] = r.json()['csrf_token']
    return c, r


def kind(r):
    return r.status_code, r.json()['type']


def test_the_first_owner_of_all(empty):
    base, values = link(empty)
    assert base == 'https://console.example:8443' and set(values) == {'token'}
    hashes = empty.sql('SELECT encode(hash, %s) FROM first_run_links',
                       ('hex',))
    assert hashes == [(hashlib.sha256(values['token'].encode()).hexdigest(),)]
    c, r = use(empty, values['token'])
    assert r.json()['errors'][0]['pointer'] == '/team'
    c, r = use(empty, values['token'], team='nord', time_zone='Mars/Base')
    assert r.json()['errors'][0]['pointer'] == '/time_zone'
    assert empty.sql('SELECT count(*) FROM teams') == [(0,)]

    c, r = use(empty, values['token'], team='nord', time_zone='Europe/Berlin')
    assert r.status_code == 200, (r.text, empty.log()[-3000:])
    assert [r.json()[k] for k in ('user', 'role', 'team', 'time_zone')] == [
        'nina', 'owner', 'nord', 'Europe/Berlin']
    assert c.get('me').json() == r.json()
    # the settings that every new team has, and one more person
    assert set(c.get('settings/access').json()) == {
        'time_zone', 'attended', 'unattended', 'quota_bytes',
        'quota_warn_percent'}
    assert c.post('users', json={'name': 'max', 'password': PASSWORD}
                  ).status_code == 201
    assert empty.login('nina').get('me').json()['role'] == 'owner'

    assert kind(use(empty, values['token'], 'eve', team='sued')[1]) == DEAD
    assert 'there is an owner already' in empty.ctl.fails(
        1, 'console', 'first-run-link')
    for action in ('team_add', 'user_add'):
        actor, _, detail = empty.audit(action)[0]
        assert (actor, detail['by'], detail['client'], detail['door']) == (
            'nina', 'first-run link', '127.0.0.1', 'console')
    assert 'violation' not in empty.ctl.ok('check')


def test_two_links_make_one_first_owner(empty):
    """Each makes a team; both are used at the same moment."""
    tokens = [link(empty)[1]['token'] for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        both = [pool.submit(use, empty, t, f'n{i}', team=f't{i}')
                for i, t in enumerate(tokens * 2)]
        got = sorted(f.result()[1].status_code for f in both)
    assert got == [200, 403, 403, 403]
    assert empty.sql('SELECT count(*) FROM teams') == [(1,)]


def test_an_owner_of_a_team_that_is_there(console):
    _, values = link(console, '--team', 'demo')
    assert values['team'] == 'demo'
    token = values['token']
    r = use(console, token, team='other')[1]
    assert r.json()['errors'][0]['pointer'] == '/team'
    r = use(console, token, name='olga')[1]
    assert kind(r) == (409, '/problems/exists')
    c, r = use(console, token, time_zone='Asia/Tokyo')
    assert (r.json()['team'], r.json()['time_zone']) == ('demo', 'Asia/Tokyo')
    assert c.get('users').status_code == 200
    entry = console.audit('team_set')[-1]
    assert (entry[0], entry[2]['before'], entry[2]['after']) == (
        'nina', 'UTC', 'Asia/Tokyo')
    assert console.audited('login')[2]['by'] == 'first-run link'
    assert kind(use(console, token, 'eve')[1]) == DEAD


def test_a_link_ends(console):
    token = link(console, '--team', 'demo')[1]['token']
    console.sql("UPDATE first_run_links SET created_at = now() - interval "
                "'2 hours', expires_at = now() - interval '1 hour' "
                'WHERE used_at IS NULL')
    before = len(console.audit('login_failed'))
    assert kind(use(console, token, 'late')[1]) == DEAD
    assert console.audited('login_failed', before)[0] == 'first-run link'
    assert console.ctl.fails(2, 'console', 'first-run-link', '--team', 'demo',
                             '--valid', '2h')
    link(console, '--team', 'demo', '--valid', '1m')
    (left,) = console.sql(
        'SELECT extract(epoch FROM expires_at - created_at) FROM '
        'first_run_links WHERE used_at IS NULL AND expires_at > now()')[0]
    assert left == 60


def test_wrong_tokens_are_slowed_down_and_audited(console):
    """By the throttle of all doors: they count for the address."""
    before = len(console.audit('login_failed'))
    for n in range(2):
        assert kind(use(console, f'rcf_{n}', 'eve')[1]) == DEAD
    wait_for('the entries', lambda: len(console.audit('login_failed')) ==
             before + 2, 60)
    rows = dict(console.sql('SELECT client_addr, failed FROM login_failures'))
    assert rows == {'127.0.0.1': 2}


@pytest.mark.parametrize('body,pointers', [
    ({'token': ''}, ['/token']),
    ({'name': 'N'}, ['/name']),
    ({'password': 'short'}, ['/password']),
    ({'team': 'a b', 'time_zone': ''}, ['/team', '/time_zone']),
    ({'password_hash': 'x', 'hash': '00', 'role': 'owner'},
     ['/hash', '/password_hash', '/role']),
])
def test_all_that_is_wrong_is_told(console, body, pointers):
    r = use(console, **{'token': 'rcf_x', **body})[1]
    assert r.status_code == 422, r.text
    assert sorted(e['pointer'] for e in r.json()['errors']) == pointers


def test_no_secret_comes_back(console):
    token = link(console, '--team', 'demo')[1]['token']
    _, r = use(console, token, 'quiet')
    assert r.status_code == 200
    told = console.log() + json.dumps(console.sql('SELECT detail FROM audit'))
    for secret in (token, PASSWORD, 'argon2id'):
        assert secret not in told and secret not in r.text
