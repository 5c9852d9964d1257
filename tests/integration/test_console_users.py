"""People and one-time tickets at the console: who may make and change whom,
the owner that a team keeps, and that no password comes back (M7, X7)."""
import concurrent.futures
import hashlib
import json

import pytest

from console_env import PASSWORD, Console
from pg import Cluster
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        c.ids = {name: str(i) for name, i in c.sql(
            'SELECT name, id FROM people')}
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


@pytest.fixture
def alice(console):
    return console.people['alice']


def added(client, name, **body):
    r = client.post('users', json={'name': name, 'password': PASSWORD, **body})
    assert r.status_code == 201, r.text
    return r.json()


def wrong(r, *pointers):
    assert r.status_code == 422, r.text
    assert sorted(e['pointer'] for e in r.json()['errors']) == sorted(pointers)


def refused(console, person, ask):
    """It is answered with 403, and there is an entry that says so."""
    def entries():
        return [r[0] for r in console.audit('refused')].count(person)
    before = entries()
    r = ask()
    assert r.status_code == 403, r.text
    wait_for('the entry', lambda: entries() == before + 1, 60)


@pytest.mark.parametrize('person,may', [
    ('alice', ('owner', 'admin', 'member')), ('adam', ('admin', 'member')),
    ('mia', ())])
def test_cells(console, alice, person, may):
    """An admin who could give an owner a new password would be one."""
    c = console.people[person]
    mias = console.ids['mia']
    for path in ('users', f'users/{mias}'):
        if may:
            assert c.get(path).status_code == 200
        else:
            refused(console, person, lambda p=path: c.get(p))
    for role in ('owner', 'admin', 'member'):
        name = f'{role}-by-{person}'

        def new():
            return c.post('users', json={'name': name, 'role': role,
                                         'password': PASSWORD})
        target = added(alice, f'{role}-for-{person}', role=role)
        path = f'users/{target["id"]}'
        if role in may:
            assert new().status_code == 201
            assert c.patch(path, json={'title': 'x'}).status_code == 200
            continue
        refused(console, person, new)
        for body in ({'title': 'x'}, {'password': 'another one'},
                     {'disabled': True}, {'role': 'member'}):
            refused(console, person, lambda b=body: c.patch(path, json=b))
        assert alice.get(path).json() == target
    if 'owner' not in may:  # nor does one make oneself an owner
        path = f'users/{console.ids[person]}'
        refused(console, person, lambda: c.patch(path, json={
            'role': 'owner'}))


@pytest.mark.parametrize('method', ['GET', 'PATCH'])
def test_another_teams_id_is_like_one_that_never_was(console, method):
    olga = console.people['olga']
    kw = {} if method == 'GET' else {'json': {'title': 'x'}}
    theirs = olga.request(method, f'users/{console.ids["mia"]}', **kw)
    nobodys = olga.request(method, 'users/987654321', **kw)
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content
    assert theirs.headers.keys() == nobodys.headers.keys()
    assert [u['name'] for u in olga.get('users').json()['items']] == ['olga']


def test_a_person_is_made_and_logs_in(console, alice):
    u = added(alice, 'new.one', title='New "One"', role='admin')
    assert (u['role'], u['title'], u['has_password'], u['disabled']) == (
        'admin', 'New "One"', True, False)
    assert console.login('new.one').get('me').json()['role'] == 'admin'
    assert console.audit('user_add')[-1] == ('alice', 'new.one', {
        'client': '127.0.0.1', 'door': 'console', 'role': 'admin'})
    r = alice.post('users', json={'name': 'new.one', 'password': PASSWORD})
    assert (r.status_code, r.json()['type']) == (409, '/problems/exists')
    # a name of another team is taken in the same words
    assert alice.post('users', json={
        'name': 'olga', 'password': PASSWORD}).content == r.content
    found = alice.get('users', params={'role': 'admin', 'text': '"ONE'})
    assert [i['name'] for i in found.json()['items']] == ['new.one']
    assert alice.get('users', params={
        'name': 'new.one', 'disabled': 'true'}).json()['items'] == []


def test_a_new_password_ends_logins_and_is_nowhere(console, alice):
    u = added(alice, 'pat')
    theirs = console.login('pat')
    secret = 'a new and long one'
    r = alice.patch(f'users/{u["id"]}', json={'password': secret})
    assert r.status_code == 200, r.text
    assert theirs.get('me').status_code == 401
    assert console.client().login('pat', secret).status_code == 200
    assert console.audit('user_passwd')[-1][:2] == ('alice', 'pat')
    (stored,) = console.sql("SELECT password_hash FROM people WHERE name = "
                            "'pat'")[0]
    assert stored.startswith('$argon2id$')
    entries = json.dumps(console.sql('SELECT detail FROM audit'))
    for text in (r.text, alice.get('users').text, console.log(), entries):
        assert secret not in text and 'argon2id' not in text


def test_disabled_people_are_out(console, alice):
    u = added(alice, 'dan')
    theirs = console.login('dan')
    path = f'users/{u["id"]}'
    assert alice.patch(path, json={'disabled': True}).json()['disabled']
    assert theirs.get('me').status_code == 401
    assert console.client().login('dan').status_code == 401
    assert not alice.patch(path, json={'disabled': False}).json()['disabled']
    assert console.client().login('dan').status_code == 200
    for action in ('user_disable', 'user_enable'):
        assert console.audit(action)[-1][:2] == ('alice', 'dan')
    assert alice.patch(path, json={'role': 'admin'}).status_code == 200
    detail = console.audit('user_set')[-1][2]
    assert (detail['role_before'], detail['role']) == ('member', 'admin')


def test_a_team_keeps_an_owner(console):
    """Also when two owners take each other's role at the same moment."""
    olga = console.people['olga']
    path = f'users/{console.ids["olga"]}'
    for body in ({'role': 'admin'}, {'role': 'member'}, {'disabled': True}):
        r = olga.patch(path, json=body)
        assert (r.status_code, r.json()['type']) == (
            409, '/problems/not-done'), r.text
        assert 'only owner' in r.json()['detail']
    assert olga.get(path).json()['role'] == 'owner'
    other = added(olga, 'oscar', role='owner')
    oscar = console.login('oscar')
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n in range(5):
            both = [pool.submit(c.patch, p, json={'role': 'admin'})
                    for c, p in ((olga, f'users/{other["id"]}'),
                                 (oscar, path))]
            # who was second is an admin by then, or took the last one away
            assert sorted(f.result().status_code for f in both) in (
                [200, 403], [200, 409])
            owners = console.sql(
                "SELECT count(*) FROM people p JOIN teams t ON t.id = "
                "p.team_id WHERE t.name = 'other' AND role = 'owner' AND NOT "
                "disabled")
            assert owners == [(1,)], n
            console.sql("UPDATE people SET role = 'owner' WHERE name IN "
                        "('olga', 'oscar')")
    assert 'team_owner' not in console.ctl.run('check').stdout


@pytest.mark.parametrize('body,pointers', [
    ({}, ['', '/name', '/password']),
    ({'name': 'N', 'password': 'short', 'role': 'king', 'team_id': 1},
     ['/name', '/password', '/role', '/team_id']),
    ({'name': 'n', 'password': 'x' * 1025}, ['/password']),
    ({'name': 'n', 'password': 'with\nline end'}, ['/password']),
    ({'name': 'n', 'password_hash': '$argon2id$'},
     ['/password', '/password_hash']),
    ({'name': '-n', 'password': 12345678}, ['/name', '/password']),
    ({'name': 'n', 'password': PASSWORD, 'title': None}, ['/title']),
])
def test_all_that_is_wrong_is_told(console, alice, body, pointers):
    r = alice.post('users', json=body)
    wrong(r, *pointers)
    for value in body.values():
        if isinstance(value, str) and len(value) > 8:
            assert value not in r.text
    if 'name' not in body:
        wrong(alice.patch(f'users/{console.ids["mia"]}', json=body), '')


# --- tickets ----------------------------------------------------------------

def test_a_ticket_is_shown_once(console):
    console.grant('mia', 'desk1', control=True)
    mia = console.people['mia']
    r = mia.post('tickets', json={'endpoint': 'desk1', 'display': 'second',
                                  'monitor': 2, 'seconds': 300})
    assert r.status_code == 201, r.text
    t = r.json()
    assert t['user'] == 'mia@desk1/second+2'
    # by the name that was asked for, at the relay's usual ports
    assert t['address'] == 'localhost'
    assert t['url'] == f'https://localhost/#ticket={t["password"]}'
    digest = hashlib.sha256(t['password'].encode()).digest()
    (row,) = console.sql(
        'SELECT t.kind, t.target, p.name, e.name, extract(epoch FROM '
        't.expires_at - t.created_at), used_at FROM tickets t JOIN people p '
        'ON p.id = t.person_id JOIN endpoints e ON e.id = t.endpoint_id '
        'WHERE t.hash = %s', (digest,))
    assert (*row[:4], int(row[4]), row[5]) == (
        'ticket', '/second+2', 'mia', 'desk1', 300, None)
    assert console.audit('ticket')[-1] == ('mia', 'desk1', {
        'client': '127.0.0.1', 'door': 'console', 'user': 'mia',
        'kind': 'ticket', 'target': '/second+2', 'port': 0, 'seconds': 300})
    assert t['password'] not in console.log() + json.dumps(
        console.sql('SELECT detail FROM audit'))
    again = mia.post('tickets', json={'endpoint': 'desk1'}).json()
    assert again['user'] == 'mia@desk1'
    assert again['password'] != t['password']


@pytest.mark.parametrize('person,grant,status', [
    ('mia', {}, 403), ('mia', {'record': True, 'manage': True}, 403),
    ('mia', {'control': True}, 201), ('adam', {}, 201), ('alice', {}, 201)])
def test_who_may_have_a_ticket(console, person, grant, status):
    console.grant('mia', 'desk1', **grant)

    def ask():
        return console.people[person].post('tickets', json={
            'endpoint': 'desk1'})
    if status == 403:
        n = console.sql('SELECT count(*) FROM tickets')
        refused(console, person, ask)
        assert console.sql('SELECT count(*) FROM tickets') == n
    else:
        assert ask().status_code == status


def test_another_teams_endpoint_is_unknown(console):
    theirs, nobodys = (console.people['olga'].post(
        'tickets', json={'endpoint': n}) for n in ('desk1', 'nothing'))
    wrong(theirs, '/endpoint')
    assert theirs.content == nobodys.content


@pytest.mark.parametrize('body,pointers', [
    ({}, ['', '/endpoint']),
    ({'endpoint': 'desk1', 'seconds': 0}, ['/seconds']),
    ({'endpoint': 'desk1', 'seconds': 3601, 'monitor': 65},
     ['/seconds', '/monitor']),
    ({'endpoint': 'desk1', 'display': 'a/b'}, ['/display']),
    ({'endpoint': 'desk1', 'hash': 'ab' * 32, 'user': 'adam'},
     ['/hash', '/user']),
])
def test_wrong_tickets(console, alice, body, pointers):
    wrong(alice.post('tickets', json=body), *pointers)
