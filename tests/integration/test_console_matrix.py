"""Every route of the console's table of rights: role, grant, playback setting,
access and whose session it is, cell by cell; tokens with and without their
scope; CSRF; and another team, byte for byte (T3, M7, C1, X7).

The table is what `relaycam-console rights` prints: a route that is new there
needs a row here."""
import itertools
import re
import subprocess
import uuid

import pytest

from console_env import PROGRAM, Console
from console_openapi import DOCUMENT
from pg import Cluster
from storage_env import wait_for


class Row:
    """A request, and the status of one that is allowed. before: SQL that
    makes it possible again."""

    def __init__(self, status, json=None, query='', before=None, valid=None):
        self.status, self.json, self.query = status, json, query
        self.before = before
        self.valid = valid if valid is not None else json  # when it is found


REVIEWED = ('UPDATE segments SET reviewed_by = %s, reviewed_at = %s, '
            "status = 'available'")
EVIDENCE = ("UPDATE segments SET status = 'available'; INSERT INTO evidence "
            '(segment_id, root, sha256, object_key) SELECT id, sha256, sha256, '
            "object_key || '.json' FROM segments ON CONFLICT DO NOTHING")
LOCK = 'UPDATE segments SET locked = %s, status = \'available\''
RESTORE = 'UPDATE endpoints SET deleted_at = NULL'
NEVER = str(uuid.UUID(int=7))
# What has an empty body is 422 once it is allowed.
ROWS = {
    ('POST', '/login'): Row(401, {'user': 'nobody', 'password': 'x'}),
    ('POST', '/logout'): Row(204),
    ('GET', '/me'): Row(200),
    ('GET', '/login/methods'): Row(200),
    ('GET', '/login/single-sign-on'): Row(422),
    ('GET', '/login/single-sign-on/callback'): Row(422),
    ('POST', '/first-run'): Row(422, {}),
    ('POST', '/login/passkey/options'): Row(200),
    ('POST', '/login/passkey'): Row(422, {}),
    ('GET', '/me/passkeys'): Row(200),
    ('POST', '/me/passkeys/options'): Row(409),  # needs public_url
    ('POST', '/me/passkeys'): Row(422, {}),
    ('PATCH', '/me/passkeys/{id}'): Row(422, {}, valid={'name': 'x'}),
    ('DELETE', '/me/passkeys/{id}'): Row(404),
    ('GET', '/me/reauthentication'): Row(200),
    ('POST', '/me/reauthentication'): Row(422, {}),
    ('GET', '/me/totp'): Row(200),
    ('POST', '/me/totp'): Row(201, {}),
    ('POST', '/me/totp/confirm'): Row(422, {}),
    ('POST', '/me/totp/remove'): Row(422, {}),
    ('POST', '/me/recovery-codes'): Row(422, {}),
    ('GET', '/tokens'): Row(200),
    ('POST', '/tokens'): Row(422, {}),
    ('DELETE', '/tokens/{id}'): Row(404),
    ('GET', '/sessions'): Row(200),
    ('GET', '/sessions.csv'): Row(200),
    ('GET', '/sessions/{id}'): Row(200),
    ('PATCH', '/sessions/{id}'): Row(200, {'frame_rate': 5}),
    ('DELETE', '/sessions/{id}'): Row(202),
    ('GET', '/sessions/{id}/timeline'): Row(200),
    ('GET', '/recordings/{id}/notes'): Row(200),
    ('POST', '/recordings/{id}/notes'): Row(
        201, {'at_ms': 1000, 'text': 'seen'}),
    ('GET', '/recordings/{id}/manifest'): Row(200),
    ('GET', '/recordings/{id}/captions'): Row(200),
    ('GET', '/recordings/{id}/poster'): Row(404),
    ('GET', '/recordings'): Row(200),
    ('GET', '/recordings/{id}'): Row(200),
    ('PATCH', '/recordings/{id}'): Row(200, {'notes': 'seen'}),
    ('DELETE', '/recordings/{id}'): Row(409, query='?reason=locked',
                                        before=(LOCK, (True,))),
    ('POST', '/recordings/{id}/lock'): Row(200, before=(LOCK, (False,))),
    ('POST', '/recordings/{id}/unlock'): Row(200, before=(LOCK, (True,))),
    ('POST', '/recordings/{id}/links'): Row(201),
    ('POST', '/recordings/{id}/clips'): Row(
        201, {'from_ms': 0, 'to_ms': 9000, 'reason': 'seen'},
        before=(EVIDENCE, None)),
    ('POST', '/recordings/{id}/review'): Row(200, before=(REVIEWED, (None,) * 2)),
    ('DELETE', '/recordings/{id}/review'): Row(
        200, before=(REVIEWED, ('mia', '2026-11-20'))),
    ('POST', '/archives'): Row(422, {}),
    ('GET', '/endpoints'): Row(200),
    ('POST', '/endpoints'): Row(422, {}),
    ('GET', '/endpoints/{id}'): Row(200),
    ('PATCH', '/endpoints/{id}'): Row(422, {}, valid={'title': 'x'}),
    ('DELETE', '/endpoints/{id}'): Row(204),
    ('POST', '/endpoints/{id}/revoke'): Row(409),
    ('POST', '/endpoints/{id}/test'): Row(
        202, before=('DELETE FROM endpoint_tests', None)),
    ('GET', '/endpoints/{id}/rights'): Row(200),
    ('PUT', '/endpoints/{id}/rights/{user}'): Row(422, {}, valid={
        'control': True, 'record': False, 'manage': False}),
    ('DELETE', '/endpoints/{id}/rights/{user}'): Row(204),
    ('GET', '/enrol-tokens'): Row(200),
    ('POST', '/enrol-tokens'): Row(422, {}),
    ('DELETE', '/enrol-tokens/{id}'): Row(404),
    ('GET', '/users'): Row(200),
    ('POST', '/users'): Row(422, {}),
    ('GET', '/users/{id}'): Row(200),
    ('PATCH', '/users/{id}'): Row(422, {}, valid={'title': 'x'}),
    ('GET', '/users/{id}/identity'): Row(404),
    ('PUT', '/users/{id}/identity'): Row(422, {}, valid={
        'subject': 'x'}),
    ('DELETE', '/users/{id}/identity'): Row(404),
    ('DELETE', '/users/{id}/totp'): Row(
        404, before=('DELETE FROM totp', None)),
    ('DELETE', '/users/{id}/passkeys'): Row(404),
    ('DELETE', '/users/{id}/tokens'): Row(204),
    ('DELETE', '/users/{id}/logins'): Row(204),
    ('POST', '/tickets'): Row(422, {}),
    ('GET', '/settings/access'): Row(200),
    ('PATCH', '/settings/access'): Row(422, {}),
    ('GET', '/settings/single-sign-on'): Row(404),
    ('PATCH', '/settings/single-sign-on'): Row(422, {}),
    ('DELETE', '/settings/single-sign-on'): Row(404),
    ('GET', '/settings/retention'): Row(422),
    ('GET', '/settings/logins'): Row(200),
    ('PATCH', '/settings/logins'): Row(422, {}),
    ('GET', '/webhooks'): Row(200),
    ('POST', '/webhooks'): Row(422, {}),
    ('PATCH', '/webhooks/{id}'): Row(422, {}, valid={'enabled': False}),
    ('DELETE', '/webhooks/{id}'): Row(404),
    ('POST', '/webhooks/{id}/test'): Row(404),
    ('GET', '/webhooks/{id}/deliveries'): Row(404),
    ('POST', '/webhooks/{id}/retry'): Row(422, {}, valid={'delivery': NEVER}),
    ('GET', '/disk-space'): Row(200),
    ('GET', '/events'): Row(200),
    ('GET', '/audit'): Row(200),
    ('GET', '/audit.csv'): Row(200),
}


def read_table():
    """{(method, path): (right, scope)}."""
    table = subprocess.run([PROGRAM, 'rights'], capture_output=True,
                           text=True, check=True, timeout=60).stdout
    rows = re.findall(r'^\| `(\w+) /api/v1(\S+)` \| .* \| (.+) \| (.+) \|$',
                      table, re.M)
    return {(method, path): (right, scope.strip('`'))
            for method, path, right, scope in rows}


TABLE = read_table()


class Cell:
    """Who asks, and for what."""

    def __init__(self, person, role, grant, access, playback, own):
        self.person, self.role, self.grant = person, role, grant
        self.access, self.playback, self.own = access, playback, own

    def has(self, right):
        return self.role != 'member' or right in self.grant

    def plays(self):
        order = ('member', 'admin', 'owner')
        return self.has('control') and (
            order.index(self.role) >= order.index(self.playback))

    def __str__(self):
        return (f'{self.person} {self.grant} {self.access} {self.playback} '
                f'{"own" if self.own else ""}')


# the right as the table has it -> whether a cell has it
RIGHTS = {
    'a login': lambda c: True,
    "control of the endpoint, or the session is one's own":
        lambda c: c.own or c.has('control'),
    'control of the endpoint': lambda c: c.has('control'),
    'control of the endpoint, and the playback role': Cell.plays,
    'control and manage of the endpoint, and the playback role':
        lambda c: c.plays() and c.has('manage'),
    'manage of the endpoint': lambda c: c.has('manage'),
    "manage of the endpoint, or control in one's own session":
        lambda c: c.has('manage') or (c.own and c.has('control')),
    'role admin or owner': lambda c: c.role != 'member',
    'role owner': lambda c: c.role == 'owner',
}
ANYBODY = 'nobody needs to have logged in'
GRANTS = [g for n in range(4)
          for g in itertools.combinations(('control', 'record', 'manage'), n)]
PEOPLE = [('alice', 'owner', ()), ('adam', 'admin', ()),
          *(('mia', 'member', g) for g in GRANTS)]
ENDPOINTS = {'unattended': 'desk1', 'attended': 'help1'}


def cells(path):
    """Those that may differ for a path."""
    kind = path.split('/')[1] if '{id}' in path else ''
    is_session, is_recording = kind == 'sessions', kind == 'recordings'
    for (person, role, grant), access, playback, own in itertools.product(
            PEOPLE, ENDPOINTS, ('owner', 'admin', 'member'), (False, True)):
        if not is_recording and playback != 'owner':
            continue
        if own and not (is_session and person == 'mia'):
            continue
        if kind in ('', 'users', 'tokens', 'enrol-tokens') and (
                access == 'attended' or len(grant) == 1):
            continue
        yield Cell(person, role, grant, access, playback, own)


class Matrix(Console):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.sql("INSERT INTO endpoints (team_id, name, host, port, access) "
                 "SELECT id, 'help1', '127.0.0.1', 5900, 'attended' FROM "
                 "teams WHERE name = 'demo'")
        # the technician of others' sessions: nobody reviews their own
        self.sql("INSERT INTO people (team_id, name) SELECT id, 'tess' FROM "
                 "teams WHERE name = 'demo'")
        self.sessions, self.recordings = {}, {}
        for access, endpoint in ENDPOINTS.items():
            for own in (False, True):
                sid = self.ctl.session(end=None)
                self.sql(
                    'UPDATE sessions SET access = %s, endpoint_id = (SELECT '
                    'id FROM endpoints WHERE name = %s), person_id = (SELECT '
                    'id FROM people WHERE name = %s) WHERE id = %s',
                    (access, endpoint, 'mia' if own else 'tess', sid))
                self.sessions[access, own] = sid
            self.recordings[access] = self.ctl.segment(
                self.sessions[access, False], 1)

    def sql(self, query, params=None):
        """On one connection: there are many."""
        if not hasattr(self, 'db'):
            self.db = self.ctl.cluster.connect(self.ctl.name)
        with self.db.cursor() as cursor:
            cursor.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    def id_of(self, table, name):
        return str(self.sql(f'SELECT id FROM {table} WHERE name = %s',
                            (name,))[0][0])

    def prepare(self, cell):
        for endpoint in ENDPOINTS.values():
            self.grant('mia', endpoint, **dict.fromkeys(cell.grant, True))
        other = 'member' if cell.playback == 'owner' else 'owner'
        self.sql('UPDATE access_settings SET playback_role = CASE access '
                 'WHEN %s THEN %s ELSE %s END',
                 (cell.access, cell.playback, other))

    def path(self, path, cell):
        kind = path.split('/')[1]
        found = {
            'sessions': lambda: self.sessions[cell.access, cell.own],
            'recordings': lambda: self.recordings[cell.access],
            'endpoints': lambda: self.id_of('endpoints',
                                            ENDPOINTS[cell.access]),
            'users': lambda: self.id_of('people', 'tess'),
        }.get(kind, lambda: '999999')
        return path.replace('{id}', found() if '{id}' in path else ''
                            ).replace('{user}', 'mia')[1:]

    def ask(self, client, key, cell):
        row = ROWS[key]
        self.sql(RESTORE)
        if row.before:
            self.sql(*row.before)
        body = {} if row.json is None else {'json': row.json}
        r = client.request(key[0], self.path(key[1], cell) + row.query,
                           stream=key[1] == '/events', **body)
        r.close()  # events have no end
        return r


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Matrix(tmp_path_factory.mktemp('console'), cluster).start()
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        yield c
        assert c.stop() == 0, c.log()


def test_every_route_has_a_row():
    assert set(ROWS) == set(TABLE) == set(DOCUMENT.operations)
    assert {right for right, _ in TABLE.values()} <= {ANYBODY, *RIGHTS}


ASKED = sorted(k for k in TABLE if TABLE[k][0] != ANYBODY)


@pytest.mark.parametrize('method,path', ASKED)
def test_cells(console, method, path):
    key = method, path
    refused, n = {}, len(console.audit('refused'))
    for cell in cells(path):
        console.prepare(cell)
        client = console.people[cell.person] if path != '/logout' \
            else console.login(cell.person)
        r = console.ask(client, key, cell)
        allowed = RIGHTS[TABLE[key][0]](cell)
        assert r.status_code == (ROWS[key].status if allowed else 403), (
            str(cell), r.text)
        if not allowed:
            assert r.json()['type'] == '/problems/forbidden'
            refused[cell.person] = refused.get(cell.person, 0) + 1
    # every refusal is in the audit log, and nothing else is
    wait_for('the audit rows', lambda: len(console.audit('refused')) >=
             n + sum(refused.values()))
    rows = console.audit('refused')[n:]
    assert {a: [r[0] for r in rows].count(a) for a in refused} == refused
    assert len(rows) == sum(refused.values())
    assert all(r[2]['client'] == '127.0.0.1' and r[2]['door'] == 'console'
               for r in rows)


ANY = Cell('alice', 'owner', (), 'unattended', 'owner', False)


@pytest.mark.parametrize('method,path', ASKED)
def test_without_a_login_or_a_csrf_token(console, method, path):
    console.prepare(ANY)
    r = console.ask(console.client(), (method, path), ANY)
    assert (r.status_code, r.json()['type']) == (
        401, '/problems/not-logged-in')
    if method == 'GET':
        return
    alice = console.people['alice']
    token = alice.http.headers.pop('X-CSRF-Token')
    try:
        for wrong in (None, '', token[:-1], '0' * len(token)):
            if wrong is not None:
                alice.http.headers['X-CSRF-Token'] = wrong
            r = console.ask(alice, (method, path), ANY)
            assert (r.status_code, r.json()['type']) == (
                403, '/problems/csrf')
    finally:
        alice.http.headers['X-CSRF-Token'] = token


def token(console, scopes):
    name = ' '.join(scopes)[:90] + uuid.uuid4().hex[:8]
    r = console.people['alice'].post('tokens', json={
        'name': name, 'scopes': scopes, 'days': 1})
    assert r.status_code == 201, r.text
    return console.client(r.json()['token'])


@pytest.mark.parametrize('method,path', ASKED)
def test_scopes_of_tokens(console, method, path):
    key = method, path
    scope = TABLE[key][1]
    console.prepare(ANY)
    everything = token(console, ['*'])
    scopes = sorted(set(DOCUMENT.doc['components']['schemas']['Scope']['enum'])
                    - {'*', scope})
    all_others = token(console, scopes)
    r = console.ask(everything, key, ANY)
    if scope == 'no token':
        assert r.status_code == 403
        return
    assert r.status_code == ROWS[key].status, r.text
    r = console.ask(all_others, key, ANY)
    assert r.status_code == (ROWS[key].status if scope == 'any' else 403)
    if scope != 'any':
        r = console.ask(token(console, [scope]), key, ANY)
        assert r.status_code == ROWS[key].status, r.text


# --- another team ------------------------------------------------------------

def same(a, b):
    """The same answer, byte for byte."""
    assert (a.status_code, a.content) == (b.status_code, b.content)
    fields = [{k: v for k, v in r.headers.items() if k != 'Date'}
              for r in (a, b)]
    assert fields[0] == fields[1]
    return a


WITH_ID = sorted(k for k in TABLE if '{id}' in k[1])
# what exists of team demo, and what never did
THERE = {
    'sessions': lambda c: (c.sessions['unattended', False], NEVER),
    'recordings': lambda c: (c.recordings['unattended'], NEVER),
    'endpoints': lambda c: (c.id_of('endpoints', 'desk1'), '999999'),
    'users': lambda c: (c.id_of('people', 'mia'), '999999'),
    'tokens': lambda c: (str(c.sql('SELECT max(id) FROM api_tokens')[0][0]),
                         '999999'),
    'enrol-tokens': lambda c: (enrol_token(c), '999999'),
    'webhooks': lambda c: (webhook(c), '999999'),
    'me': lambda c: (passkey(c), '999999'),
}


def webhook(console):
    return str(console.sql(
        "INSERT INTO webhooks (team_id, url, events, secret_sealed) SELECT "
        "id, 'https://x/', '{session.ended}', '' FROM teams WHERE name = "
        "'demo' RETURNING id")[0][0])


def passkey(console):
    return str(console.sql(
        "INSERT INTO passkeys (person_id, name, credential_id, algorithm, "
        "public_key, sign_count) SELECT id, md5(random()::text), "
        "decode(md5(random()::text), 'hex'), -7, '', 0 FROM people WHERE "
        "name = 'mia' RETURNING id")[0][0])


def enrol_token(console):
    console.sql("INSERT INTO endpoints (team_id, name, kind) SELECT id, "
                "'laptop', 'agent' FROM teams WHERE name = 'demo' "
                'ON CONFLICT DO NOTHING')
    return str(console.sql(
        "INSERT INTO enrol_tokens (hash, endpoint_id, created_by, expires_at)"
        " SELECT decode(md5(random()::text) || md5(random()::text), 'hex'), "
        "id, 'alice', now() + interval '1 hour' FROM endpoints WHERE name = "
        "'laptop' RETURNING id")[0][0])


@pytest.mark.parametrize('method,path', WITH_ID)
def test_another_teams_id_is_like_one_that_never_was(console, method, path):
    olga, row = console.people['olga'], ROWS[method, path]
    body = {} if row.valid is None else {'json': row.valid}
    console.sql(RESTORE)
    token(console, ['*'])
    answers = [
        olga.request(method, path.replace('{id}', i).replace(
            '{user}', 'mia')[1:] + row.query, **body)
        for i in THERE[path.split('/')[1]](console)]
    assert same(*answers).status_code == 404


@pytest.mark.parametrize('method,path', [
    k for k in sorted(TABLE) if '{user}' in k[1]])
def test_another_teams_person_is_like_nobody(console, method, path):
    body = {} if ROWS[method, path].valid is None else {
        'json': ROWS[method, path].valid}
    desk = console.id_of('endpoints', 'desk2')
    path = path.replace('{id}', desk)[1:]
    olga = console.people['olga']
    assert same(*(olga.request(method, path.replace('{user}', who), **body)
                  for who in ('mia', 'nobody'))).status_code in (404, 422)


@pytest.mark.parametrize('path', ['tickets', 'enrol-tokens'])
def test_another_teams_endpoint_is_like_none(console, path):
    olga = console.people['olga']
    assert same(*(olga.post(path, json={'endpoint': name})
                  for name in ('desk1', 'never'))).status_code == 422


def list_filters():
    """Those that take a text of the person who asks."""
    for (method, path), operation in sorted(DOCUMENT.operations.items()):
        if 'text/event-stream' in str(operation['responses']):
            continue
        for p in map(DOCUMENT.resolve, operation.get('parameters', [])):
            schema = DOCUMENT.resolve(p['schema'])
            if method == 'GET' and p['in'] == 'query' and p['name'] not in (
                    'cursor', 'from', 'to') and \
                    schema.get('type') == 'string' and '{' not in path:
                yield path, p['name']


@pytest.mark.parametrize('path,name', list_filters())
def test_lists_show_nothing_of_another_team(console, path, name):
    """Nor do they by a filter that names what another team has."""
    olga = console.people['olga']
    named = {'endpoint': ('desk1', 'never'), 'user': ('mia', 'nobody'),
             'actor': ('alice', 'nobody'), 'name': ('desk1', 'never'),
             'session': (console.sessions['unattended', False], NEVER)}.get(
                 name, ('desk1', 'xyzzy'))
    if path.startswith('/users') and name == 'name':
        named = 'mia', 'nobody'
    same(*(olga.get(path[1:], params={name: value}) for value in named))
