"""Endpoints, rights on them and enrolment tokens at the console: who may do
what, what is refused, what is audited, and that no secret comes back (M7, C1,
X7)."""
import hashlib
import json

import pytest

from console_env import Console
from ctl import Ctl
from pg import Cluster
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        c.ids = {name: str(i) for name, i in c.sql(
            'SELECT name, id FROM endpoints')}
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture
def alice(console):
    return console.people['alice']


def added(client, name, **body):
    r = client.post('endpoints', json={'name': name, **body})
    assert r.status_code == 201, r.text
    return r.json()


def wrong(r, *pointers):
    assert r.status_code == 422, r.text
    assert sorted(e['pointer'] for e in r.json()['errors']) == sorted(pointers)


RIGHTS = {'control': True, 'record': False, 'manage': False}
ROUTES = [  # method, path, body, what an admin gets, what mia with control
    ('GET', 'endpoints/{id}', None, 200, 200),
    ('PATCH', 'endpoints/{id}', {'title': 'x'}, 200, 403),
    ('POST', 'endpoints/{id}/revoke', {}, 409, 403),
    ('GET', 'endpoints/{id}/rights', None, 200, 403),
    ('PUT', 'endpoints/{id}/rights/mia', RIGHTS, 200, 403),
    ('DELETE', 'endpoints/{id}/rights/adam', None, 204, 403),
    ('DELETE', 'endpoints/{id}', None, 204, 403)]


@pytest.mark.parametrize('method,path,body,admins,members', ROUTES)
def test_cells(console, alice, method, path, body, admins, members):
    kw = {} if body is None else {'json': body}

    def ask(person, endpoint):
        return console.people[person].request(
            method, path.format(id=endpoint), **kw)

    for n, (person, grant, want) in enumerate((
            ('mia', {}, 403), ('mia', {'manage': True}, 403),
            ('mia', {'control': True, 'manage': True}, members),
            ('adam', {}, admins), ('alice', {}, admins))):
        name = f'{method.lower()}{path.count("/")}-{n}'
        e = added(alice, name, host='127.0.0.1')['id']
        console.grant('mia', name, **grant)
        before = len(console.audit('refused'))
        assert ask(person, e).status_code == want, (person, grant)
        if want == 403:  # written beside the answer
            wait_for('the entry', lambda: [
                r[:2] for r in console.audit('refused')[before:]] == [
                    (person, e)], 60)
        if want == 204 and path.endswith('{id}'):
            assert ask(person, e).status_code == 404
        elif person == 'mia' or want == 204:
            assert alice.get(f'endpoints/{e}').status_code == 200


@pytest.mark.parametrize('method,path,body', [r[:3] for r in ROUTES])
def test_another_teams_id_is_like_one_that_never_was(console, method, path,
                                                     body):
    olga = console.people['olga']
    kw = {} if body is None else {'json': body}
    theirs = olga.request(method, path.format(id=console.ids['desk1']), **kw)
    nobodys = olga.request(method, path.format(id=987654321), **kw)
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content
    assert theirs.headers.keys() == nobodys.headers.keys()


def test_names_of_another_team_are_unknown(console, alice):
    olga = console.people['olga']
    assert [e['name'] for e in olga.get('endpoints').json()['items']] == [
        'desk2']
    path = f'endpoints/{console.ids["desk1"]}/rights/'
    theirs = alice.request('PUT', path + 'olga', json=RIGHTS)
    nobodys = alice.request('PUT', path + 'nobody', json=RIGHTS)
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content
    added(alice, 'ours', kind='agent')
    theirs, nobodys = (olga.post('enrol-tokens', json={'endpoint': n})
                       for n in ('ours', 'nothing'))
    wrong(theirs, '/endpoint')
    assert theirs.content == nobodys.content
    token = alice.post('enrol-tokens', json={'endpoint': 'ours'}).json()['id']
    theirs, nobodys = (olga.delete(f'enrol-tokens/{n}')
                       for n in (token, 987654321))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content
    assert olga.get('enrol-tokens').json()['items'] == []
    assert token in [t['id'] for t in
                     alice.get('enrol-tokens').json()['items']]


def test_members_list_what_they_may_control(console, alice):
    added(alice, 'seen', host='a.example', title='Front desk')
    added(alice, 'unseen', host='b.example')
    console.grant('mia', 'seen', control=True)
    console.grant('mia', 'unseen', manage=True)
    names = [e['name'] for e in
             console.people['mia'].get('endpoints').json()['items']]
    assert 'seen' in names and 'unseen' not in names

    def found(**params):
        return {e['name'] for e in
                alice.get('endpoints', params=params).json()['items']}

    assert found(name='seen') == {'seen'}
    assert found(text='FRONT') == {'seen'}
    assert {'seen', 'unseen'} <= found(kind='direct')
    assert not {'seen', 'unseen'} & found(kind='agent')
    assert found(access='attended') == set()
    assert console.people['mia'].post(
        'endpoints', json={'name': 'x', 'host': 'y'}).status_code == 403
    for method in ('get', 'post'):
        kw = {} if method == 'get' else {'json': {'endpoint': 'seen'}}
        assert getattr(console.people['mia'], method)(
            'enrol-tokens', **kw).status_code == 403


def test_pages(console, alice):
    for n in range(5):
        added(alice, f'page{n}', host='h')
    all_of_them, cursor = [], None
    while True:
        page = alice.get('endpoints', params={
            'limit': 2, **({'cursor': cursor} if cursor else {})}).json()
        all_of_them += [e['name'] for e in page['items']]
        cursor = page['cursor']
        if cursor is None:
            break
    assert len(all_of_them) == len(set(all_of_them))
    assert set(all_of_them) == {r[0] for r in console.sql(
        "SELECT e.name FROM endpoints e JOIN teams t ON t.id = e.team_id "
        "WHERE t.name = 'demo' AND e.deleted_at IS NULL")}


def test_an_endpoint_is_as_relaycam_makes_it(console, alice, tmp_path):
    """The same row by both ways, the same audit entry, and no secret in an
    answer or in the log."""
    cert, _ = Ctl.certificate(tmp_path)
    pin = hashlib.sha256(b'x').hexdigest()
    secret = 'pa55-word-of-vnc'
    ours = added(alice, 'by-api', host='pc.example', port=5901,
                 username='vnc', password=secret, ca_pem=cert.read_text(),
                 tls_name='pc', pin_sha256=pin, consent='ask',
                 access='attended', title='A "PC"')
    console.ctl.ok('endpoint', 'add', 'by-ctl', '--team', 'demo', '--host',
                   'pc.example:5901', '--username', 'vnc',
                   '--password-stdin', '--ca', cert, '--tls-name', 'pc',
                   '--pin', pin, '--consent', 'ask', '--access', 'attended',
                   '--title', 'A "PC"', input=secret + '\n')
    rows = console.sql(
        "SELECT to_jsonb(e) - 'id' - 'name' - 'created_at' - 'secret_sealed',"
        " length(secret_sealed) FROM endpoints e WHERE name LIKE 'by-%'")
    assert rows[0] == rows[1]
    theirs = {e['name']: e for e in console.ctl.json(
        'endpoint', 'list', '--team', 'demo')}['by-ctl']
    for key, value in ours.items():
        if key not in ('id', 'name', 'created_at'):
            assert value == theirs[key], key
    entries = {name: detail for _, name, detail in
               console.audit('endpoint_add') if name.startswith('by-')}
    assert {k: v for k, v in entries['by-api'].items()
            if k not in ('client', 'door')} == {
                k: v for k, v in entries['by-ctl'].items()
                if k != 'system_account'}
    for text in (json.dumps(ours), console.log(), json.dumps(entries),
                 alice.get(f'endpoints/{ours["id"]}').text):
        assert secret not in text
    # null takes away what may be absent
    r = alice.patch(f'endpoints/{ours["id"]}', json={
        'password': None, 'ca_pem': None, 'pin_sha256': None,
        'tls_name': None, 'username': None, 'consent': 'team',
        'allow_clear': True})
    assert r.status_code == 200, r.text
    e = r.json()
    assert (e['has_password'], e['has_ca'], e['pin_sha256'], e['tls_name'],
            e['username'], e['consent'], e['allow_clear']) == (
                False, False, None, None, None, 'team', True)
    assert (e['host'], e['port']) == ('pc.example', 5901)
    assert console.audit('endpoint_set')[-1][:2] == ('alice', 'by-api')


@pytest.mark.parametrize('body,pointers', [
    ({}, ['', '/name']),
    ({'host': 'h'}, ['/name']),
    ({'name': 'Big', 'host': 'h:5900', 'port': 0, 'shoe': 1},
     ['/name', '/host', '/port', '/shoe']),
    ({'name': '123456789', 'host': 'h'}, ['/name']),
    ({'name': 'n'}, ['/host']),
    ({'name': 'n', 'host': ''}, ['/host']),
    ({'name': 'n', 'host': 'a b'}, ['/host']),
    ({'name': 'n', 'host': '::zz'}, ['/host']),
    ({'name': 'n', 'host': None}, ['/host']),
    ({'name': 'n', 'kind': 'agent', 'host': 'h'}, ['/host']),
    ({'name': 'n', 'kind': 'agent', 'port': 5900}, ['/port']),
    ({'name': 'n', 'kind': 'attended'}, ['/kind']),
    ({'name': 'n', 'host': 'h', 'capture': 'both'}, ['/capture']),
    ({'name': 'n', 'kind': 'agent', 'capture': 'mine'}, ['/capture']),
    ({'name': 'n', 'host': 'h', 'client_cert_sha256': 'ab' * 32},
     ['/client_cert_sha256']),
    ({'name': 'n', 'host': 'h', 'pin_sha256': 'ab' * 31}, ['/pin_sha256']),
    ({'name': 'n', 'host': 'h', 'allow_clear': True, 'pin_sha256':
      ':'.join(['ab'] * 32)}, ['/allow_clear']),
    ({'name': 'n', 'host': 'h', 'ca_pem': 'no PEM'}, ['/ca_pem']),
    ({'name': 'n', 'host': 'h', 'tls_name': 'a/b'}, ['/tls_name']),
    ({'name': 'n', 'host': 'h', 'password': 'a\nb'}, ['/password']),
    ({'name': 'n', 'host': 'h', 'password': ''}, ['/password']),
])
def test_all_that_is_wrong_is_told(console, alice, body, pointers):
    before = alice.get('endpoints', params={'limit': 200}).json()
    wrong(alice.post('endpoints', json=body), *pointers)
    assert alice.get('endpoints', params={'limit': 200}).json() == before


def test_who_captures(console, alice):
    """C7: only where an agent is."""
    e = added(alice, 'captures', kind='agent', capture='device')
    assert e['capture'] == 'device'
    path = f'endpoints/{e["id"]}'
    assert alice.patch(path, json={'title': 't'}).json()['capture'] == 'device'
    assert alice.patch(path, json={'capture': 'both'}).json()[
        'capture'] == 'both'
    assert console.audit('endpoint_set')[-1][2]['capture'] == 'both'
    changed = alice.patch(path, json={'kind': 'direct', 'host': 'h'}).json()
    assert changed['capture'] == 'relay'
    wrong(alice.patch(path, json={'capture': 'device'}), '/capture')


def test_names_are_taken_once(console, alice):
    added(alice, 'twice', host='::1')
    r = alice.post('endpoints', json={'name': 'twice', 'host': 'h'})
    assert (r.status_code, r.json()['type']) == (409, '/problems/exists')


def test_rights_are_as_relaycam_gives_them(console, alice):
    e = added(alice, 'rights', host='h')['id']
    path = f'endpoints/{e}/rights'
    all_three = {'control': True, 'record': True, 'manage': True}

    def entries():
        return [(action, detail['endpoint'], detail['rights'])
                for action, detail in console.sql(
                    "SELECT action, detail FROM audit WHERE action LIKE "
                    "'right_%' AND object = 'mia' AND detail->>'endpoint' = "
                    "'rights' ORDER BY id")]

    r = alice.request('PUT', f'{path}/mia', json=all_three)
    assert r.json() == {'user': 'mia', 'role': 'member', **all_three}
    assert alice.get(path).json() == {'items': [r.json()]}
    assert console.people['mia'].get(f'endpoints/{e}').status_code == 200
    alice.request('PUT', f'{path}/mia', json=RIGHTS)
    assert entries() == [
        ('right_grant', 'rights', ['control', 'record', 'manage']),
        ('right_revoke', 'rights', ['record', 'manage'])]
    assert alice.delete(f'{path}/mia').status_code == 204
    assert entries()[2:] == [('right_revoke', 'rights', ['control'])]
    assert alice.get(path).json() == {'items': []}
    assert console.people['mia'].get(f'endpoints/{e}').status_code == 403
    # nothing is left to take: no entry says that something was
    assert alice.delete(f'{path}/mia').status_code == 204
    assert len(entries()) == 3
    wrong(alice.request('PUT', f'{path}/mia', json={'control': 1}),
          '/control', '/record', '/manage')
    for user in ('MIA', 'a%2Fb', 'x' * 64, ''):
        assert alice.request('PUT', f'{path}/{user}',
                             json=RIGHTS).status_code == 404


def test_an_enrolment_token_is_shown_once(console, alice):
    e = added(alice, 'pc-7', kind='agent')
    assert e['state'] == 'not_enrolled'
    first = alice.post('enrol-tokens', json={'endpoint': 'pc-7'}).json()
    second = alice.post('enrol-tokens', json={'endpoint': 'pc-7',
                                              'seconds': 60}).json()
    assert first['token'].startswith('rce_') and len(first['token']) == 47
    # the one before is void
    rows = console.sql('SELECT hash, created_by, extract(epoch FROM '
                       'expires_at - k.created_at) FROM enrol_tokens k JOIN '
                       "endpoints e ON e.id = k.endpoint_id WHERE e.name = "
                       "'pc-7'")
    assert [(bytes(h), by, int(s)) for h, by, s in rows] == [
        (hashlib.sha256(second['token'].encode()).digest(), 'alice', 60)]
    text = alice.get('enrol-tokens', params={'endpoint': 'pc-7'}).text
    (item,) = json.loads(text)['items']
    assert (item['id'], item['used_at']) == (second['id'], None)
    for token in (first['token'], second['token']):
        assert token not in text + console.log()
        assert not console.sql(
            'SELECT 1 FROM audit WHERE detail::text LIKE %s', (f'%{token}%',))
    assert console.audit('endpoint_token')[-1] == ('alice', 'pc-7', {
        'client': '127.0.0.1', 'door': 'console', 'kind': 'agent',
        'seconds': 60})
    assert alice.delete(f'enrol-tokens/{item["id"]}').status_code == 204
    assert alice.delete(f'enrol-tokens/{item["id"]}').status_code == 404
    assert console.audit('endpoint_token_deleted')[-1][1] == 'pc-7'


def test_a_token_that_was_used_stays(console, alice):
    added(alice, 'pc-8', kind='agent')
    k = alice.post('enrol-tokens', json={'endpoint': 'pc-8'}).json()['id']
    console.sql('UPDATE enrol_tokens SET used_at = now() WHERE id = %s', (k,))
    assert alice.delete(f'enrol-tokens/{k}').status_code == 409
    assert [t['id'] for t in alice.get('enrol-tokens', params={
        'used': 'true', 'endpoint': 'pc-8'}).json()['items']] == [k]


def test_an_id_for_a_server_that_dials_in(console, alice):
    e = added(alice, 'tv-1', kind='reverse')
    assert (e['state'], e['has_id']) == ('away', False)
    r = alice.post('enrol-tokens', json={'endpoint': 'tv-1'}).json()
    assert r['kind'] == 'reverse' and 'token' not in r
    name, _, secret = r['server_id'].rpartition('-')
    assert name == 'TV-1' and len(secret) == 26
    (stored,) = console.sql("SELECT reverse_secret_sha256 FROM endpoints "
                            "WHERE name = 'tv-1'")[0]
    assert bytes(stored) == hashlib.sha256(secret.encode()).digest()
    path = f'endpoints/{e["id"]}'
    assert alice.get(path).json()['has_id']
    assert secret not in alice.get(path).text + console.log()
    wrong(alice.post('enrol-tokens', json={'endpoint': 'tv-1',
                                           'seconds': 60}), '/seconds')
    r = alice.post(path + '/revoke', json={})
    assert r.status_code == 200 and not r.json()['has_id']
    assert console.audit('endpoint_revoke')[-1][1] == 'tv-1'
    cert = 'AB:' * 31 + 'AB'
    r = alice.patch(path, json={'client_cert_sha256': cert})
    assert r.json()['client_cert_sha256'] == 'ab' * 32
    added(alice, 'tv-2', kind='reverse')
    r = alice.post('endpoints', json={'name': 'tv-3', 'kind': 'reverse',
                                      'client_cert_sha256': 'ab' * 32})
    assert r.status_code == 409 and 'certificate' in r.json()['detail']
    # another kind takes the way in away
    r = alice.patch(path, json={'kind': 'direct', 'host': 'h'})
    assert r.json()['client_cert_sha256'] is None
    assert (r.json()['host'], r.json()['port']) == ('h', 5900)
    wrong(alice.patch(path, json={'kind': 'agent', 'host': 'h'}), '/host')
    assert alice.get(path).json() == r.json()


@pytest.mark.parametrize('body,pointers', [
    ({}, ['', '/endpoint']),
    ({'endpoint': 'desk1', 'seconds': 59}, ['/seconds']),
    ({'endpoint': 'desk1', 'seconds': 30 * 86400 + 1}, ['/seconds']),
    ({'endpoint': 1}, ['/endpoint']),
    ({'endpoint': 'desk1', 'token_hash': 'ab' * 32}, ['/token_hash']),
])
def test_wrong_enrolments(console, alice, body, pointers):
    wrong(alice.post('enrol-tokens', json=body), *pointers)


def test_only_those_that_dial_in_get_tokens(console, alice):
    r = alice.post('enrol-tokens', json={'endpoint': 'desk1'})
    assert (r.status_code, r.json()['type']) == (409, '/problems/not-done')


def test_a_removed_one_is_gone_with_its_rights(console, alice):
    e = added(alice, 'gone', host='h', password='secret')
    console.grant('mia', 'gone', control=True)
    path = f'endpoints/{e["id"]}'
    assert alice.delete(path).status_code == 204
    for method, body in (('GET', None), ('PATCH', {'title': 'x'}),
                         ('DELETE', None)):
        assert alice.request(method, path, **({} if body is None else {
            'json': body})).status_code == 404
    assert console.sql('SELECT secret_sealed FROM endpoints WHERE id = %s',
                       (e['id'],)) == [(None,)]
    assert not console.sql('SELECT 1 FROM endpoint_rights WHERE endpoint_id = '
                           '%s', (e['id'],))
    assert console.audit('endpoint_remove')[-1][:2] == ('alice', 'gone')
    added(alice, 'gone', host='h')
