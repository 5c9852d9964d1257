"""Every route of docs/openapi.yaml with drawn requests, of an owner, of a
member, by a token and without a login: no 500, no hang, no answer that the
document does not allow, and nothing of another team.

The same requests each time; tests/api_fuzz draws other ones, for longer. A
failure prints the request."""
import gzip
import hashlib
import http.client
import json
import os
import re
import ssl
import uuid

import jsonschema
import openapi_values
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console_env import Console
from console_openapi import DOCUMENT
from pg import Cluster

MORE = os.environ.get('API_FUZZ_EXAMPLES')
VALUES = openapi_values.Values(
    DOCUMENT, endpoint=['desk1', 'laptop', 'desk2'],
    host=['10.0.0.7', '::1', 'desk.example.com'])
fuzz = settings(
    max_examples=int(MORE or 25), derandomize=not MORE, deadline=None,
    database=None, print_blob=False, suppress_health_check=list(HealthCheck))

# ids of all teams, by the part of a path before {id}
IDS = {
    'sessions': 'SELECT id::text FROM sessions',
    'recordings': 'SELECT id::text FROM segments',
    'endpoints': 'SELECT id::text FROM endpoints',
    'users': "SELECT id::text FROM people WHERE name IN ('adam', 'olga', "
             "'spare')",
    'tokens': 'SELECT id::text FROM api_tokens',
    'enrol-tokens': 'SELECT id::text FROM enrol_tokens',
    'me': 'SELECT id::text FROM passkeys',
}
# a wrong password or code makes the next one wait, so of these there are few
GUESSES = re.compile('/(login|first-run|totp|recovery-codes|passkey)')
ACTORS = ('alice', 'alice', 'mia', 'token', None)


class Answer:
    """As requests has it, for Document.check."""

    def __init__(self, response, content):
        self.status_code = response.status
        self.headers = response.headers
        self.content = gzip.decompress(content) \
            if response.headers['Content-Encoding'] == 'gzip' else content

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


class Fuzzed(Console):
    """A console with a bit of everything, and actors that stay logged in."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.connections = {}
        self.db = self.ctl.cluster.connect(self.ctl.name)
        self.tls = ssl.create_default_context(cafile=str(self.cert))
        self.n_addresses = 0
        self.grant('mia', 'desk1', control=True, record=True)
        self.set_playback('member')

    def sql(self, query, params=None):
        """On one connection: there are many."""
        if not hasattr(self, 'db'):
            return super().sql(query, params)
        with self.db.cursor() as cursor:
            cursor.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    def stock(self):
        """Rows that earlier requests may have ended, removed or disabled."""
        self.sql("UPDATE people SET disabled = false WHERE name IN "
                 "('alice', 'mia', 'adam', 'olga')")
        self.sql("UPDATE people SET role = 'owner' WHERE name = 'alice'")
        self.sql("UPDATE people SET role = 'member' WHERE name = 'mia'")
        self.sql("INSERT INTO people (team_id, name, role) SELECT id, "
                 "'spare', 'member' FROM teams WHERE name = 'demo' "
                 "ON CONFLICT DO NOTHING")
        self.sql('UPDATE endpoints SET deleted_at = NULL')
        self.sql("INSERT INTO endpoints (team_id, name, kind) SELECT id, "
                 "'laptop', 'agent' FROM teams WHERE name = 'demo' "
                 'ON CONFLICT DO NOTHING')
        self.sql("INSERT INTO enrol_tokens (hash, endpoint_id, created_by, "
                 "expires_at) SELECT decode(md5(random()::text) || "
                 "md5(random()::text), 'hex'), id, 'alice', now() + interval "
                 "'1 hour' FROM endpoints WHERE kind = 'agent' AND NOT "
                 'EXISTS (SELECT FROM enrol_tokens WHERE used_at IS NULL)')
        self.sql("INSERT INTO passkeys (person_id, name, credential_id, "
                 "algorithm, public_key, sign_count) SELECT id, "
                 "md5(random()::text), decode(md5(random()::text), 'hex'), "
                 "-7, '', 0 FROM people WHERE name IN ('alice', 'mia')")
        done = self.ctl.session()
        self.ctl.segment(done, 1)
        self.ctl.session(end=None)
        for actor in ('alice', 'mia'):
            self.sql(
                'INSERT INTO logins (hash, person_id, client_addr, '
                "expires_at) SELECT %s, id, '127.0.0.1', now() + interval "
                "'1 day' FROM people WHERE name = %s ON CONFLICT DO NOTHING",
                (hashlib.sha256(self.secret(actor)).digest(), actor))
        self.sql(
            'INSERT INTO api_tokens (hash, person_id, name, scopes, '
            "expires_at) SELECT %s, id, 'fuzz', '{*}', now() + interval "
            "'1 day' FROM people WHERE name = 'alice' ON CONFLICT DO NOTHING",
            (hashlib.sha256(self.secret('token')).digest(),))

    @staticmethod
    def secret(actor):
        return hashlib.sha256(actor.encode()).digest()

    def credentials(self, actor):
        """The fields of a request by which the actor is known."""
        if actor is None:
            return {}
        secret = self.secret(actor)
        if actor == 'token':
            return {'Authorization': f'Bearer rcam_{secret.hex()}'}
        return {'Cookie': f'__Host-relaycam={secret.hex()}',
                'X-CSRF-Token': hashlib.sha256(b'csrf:' + secret).hexdigest()}

    def ids(self, path):
        """Those that fit into a path's {id}."""
        return sorted(r[0] for r in self.sql(
            IDS.get(path.split('/')[1]) or ' UNION '.join(IDS.values())))

    def ids_of_another_team(self, path):
        table = {'users': 'people', 'endpoints': 'endpoints'}.get(
            path.split('/')[1])
        return {r[0] for r in self.sql(
            f'SELECT x.id::text FROM {table} x JOIN teams t ON t.id = '
            "x.team_id WHERE t.name = 'other'")} if table else set()

    def connect(self, is_fresh):
        # each login from an address of its own: wrong ones are slowed down
        self.n_addresses += is_fresh
        n = self.n_addresses if is_fresh else 0
        return http.client.HTTPSConnection(
            'localhost', self.port, timeout=60, context=self.tls,
            source_address=(f'127.1.{n // 250}.{n % 250 + 1}', 0))

    def ask(self, method, target, body, fields, actor, is_fresh):
        key = None if is_fresh else actor
        c = self.connections.pop(key, None)
        if is_fresh or c is None:
            c = self.connect(is_fresh)
        try:
            r = self.send(c, method, target, body, fields)
        except (ConnectionError, ssl.SSLError):
            # it was idle for too long: one try more
            c = self.connect(is_fresh)
            r = self.send(c, method, target, body, fields)
        if is_fresh or r.headers.get('Connection') == 'close':
            c.close()
        else:
            self.connections[key] = c
        return r

    @staticmethod
    def send(c, method, target, body, fields):
        c.request(method, target, body, fields)
        response = c.getresponse()
        if response.headers.get_content_type() == 'text/event-stream':
            # it has no end
            c.close()
            return Answer(response, b'')
        return Answer(response, response.read())


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Fuzzed(tmp_path_factory.mktemp('console'), cluster,
                   **{'log.level': 'info'}).start()
        yield c
        assert c.stop() == 0, c.log()
        assert 'ERROR: ' not in c.log(), c.log()


FIELDS = st.fixed_dictionaries({}, optional={
    'If-None-Match': st.sampled_from(['*', '"0"', 'W/"', ',,', '"']),
    'Accept-Encoding': st.sampled_from(['gzip', 'gzip;q=0', '*', ',;=', '']),
    'Accept': st.sampled_from(['text/html', '*/*', ''])})
TYPES = st.sampled_from(
    ['application/json'] * 9 + ['application/json; charset=utf-8',
                                'APPLICATION/JSON', 'text/plain', ''])


def parameters(path, operation, where):
    item = DOCUMENT.doc['paths'][path]
    for p in item.get('parameters', []) + operation.get('parameters', []):
        p = DOCUMENT.resolve(p)
        if p['in'] == where:
            yield p['name'], p['schema']


def draw_path(draw, console, path, operation):
    """The path, and the id that is in it."""
    chosen = None
    for name, schema in parameters(path, operation, 'path'):
        kind = draw(st.sampled_from(['there'] * 8 + ['right', 'any']))
        number = draw(st.integers(0, 10**6))
        if kind == 'there' and name == 'id':
            ids = console.ids(path)
            value = chosen = ids[number % len(ids)]
        elif kind == 'there':
            value = ('mia', 'adam', 'olga', 'spare')[number % 4]
        elif kind == 'right':
            value = draw(VALUES.parameter(schema))
        else:
            value = draw(st.sampled_from(
                ['%00', '%2e%2e', '..', '', '%', '0', '9' * 18, '9' * 19,
                 '-1', '%2f', 'a' * 300, str(uuid.UUID(int=7))]))
        path = path.replace('{%s}' % name, value, 1)
    return path, chosen


def draw_query(draw, path, operation):
    pairs = []
    for name, schema in parameters(path, operation, 'query'):
        for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2]))):
            pairs.append(f'{name}={draw(VALUES.parameter(schema))}')
    if draw(st.integers(0, 9)) == 0:
        pairs.append(draw(st.sampled_from(['x=y', '=', '&', 'limit', '%=%'])))
    return '?' + '&'.join(pairs) if pairs else ''


def draw_body(draw, operation):
    """None, or bytes and their type."""
    content = DOCUMENT.resolve(operation.get('requestBody', {})).get('content')
    if content is None:
        return draw(st.sampled_from([None, None, None, b'{}', b'[1']))
    return draw(VALUES.body(content['application/json']['schema']))


def check(method, path, r, body):
    """What every answer has to be."""
    assert r.status_code < 500, 'a request is not the server\'s fault'
    DOCUMENT.check(method, path, r)
    assert r.headers['X-Content-Type-Options'] == 'nosniff'
    if r.status_code >= 400 and 'json' in r.headers['Content-Type']:
        assert r.json()['status'] == r.status_code
    if body is not None and r.status_code < 300:
        operation = DOCUMENT.find(method, path)[1]
        if 'requestBody' in operation:
            try:
                DOCUMENT.check_body(operation, json.loads(body or b'null'))
            except jsonschema.ValidationError as e:
                raise AssertionError(f'the document forbids it: {e}') from e


@pytest.mark.parametrize('method,path', sorted(DOCUMENT.operations))
def test_route(console, method, path):
    operation = DOCUMENT.operations[method, path]
    statuses = []
    console.stock()
    others = console.ids_of_another_team(path)

    @settings(fuzz, max_examples=fuzz.max_examples // (
        3 if GUESSES.search(path) else 1))
    @given(st.data())
    def run(data):
        draw = data.draw
        actor = draw(st.sampled_from(ACTORS))
        where, chosen = draw_path(draw, console, path, operation)
        target = '/api/v1' + where + draw_query(draw, path, operation)
        fields = {**draw(FIELDS), **console.credentials(actor)}
        for name, schema in parameters(path, operation, 'header'):
            if draw(st.booleans()):
                fields[name] = draw(VALUES.parameter(schema))
        body = None
        if method in ('POST', 'PUT', 'PATCH'):
            body = draw_body(draw, operation)
            if body is not None:
                fields['Content-Type'] = draw(TYPES)
        try:
            r = console.ask(method, target, body, fields, actor,
                            GUESSES.search(path) is not None)
            statuses.append(r.status_code)
            check(method, where, r, body)
            if actor is None and operation.get('security') != []:
                assert r.status_code >= 400, 'nobody has logged in'
            if chosen in others:
                assert r.status_code >= 400, 'it is another team\'s'
        except Exception as e:
            raise AssertionError(
                f'{actor}: {method} {target} {fields} {body!r}: {e}') from e
        if re.search('logout|users|login|tokens|passkeys', path):
            console.stock()

    run()
    print(sorted(statuses))


# --- requests that are none of the document ----------------------------------

METHODS = st.sampled_from(
    ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'PURGE', 'A',
     'POST', 'PUT', 'PATCH', 'DELETE'])
TARGETS = st.one_of(
    st.sampled_from(['/', '*', '//', '///', '/.', '/api', '/api/v1',
                     '/api/v1/', '/api//v1/me', '/api/v1/me/', '/?', '/#',
                     '//host:port/', '/%', '/%zz', '/\\', '/api/v1/me?' +
                     'a' * 8000, '//[', '//a@b:1/', '/api/v1/%6de']),
    st.from_regex(r'\A/[!-~]{0,30}\Z'))
MORE_FIELDS = st.sampled_from(
    ['', 'Expect: 100-continue\r\n', 'Expect: tea\r\n', 'Connection: close\r\n',
     'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n',
     'Proxy-Connection: close\r\n', 'Range: bytes=0-\r\n', 'X:\r\n'])


def test_any_request_line(console):
    """What no route is asked for has an answer of the same form."""
    @settings(fuzz, max_examples=10 * int(MORE or 20))
    @given(METHODS, TARGETS, st.sampled_from(['1.1', '1.1', '1.0']),
           MORE_FIELDS, st.booleans())
    def run(method, target, version, more, has_body):
        head = (f'{method} {target} HTTP/{version}\r\nHost: localhost\r\n'
                f'{more}')
        body = b''
        if has_body and method in ('POST', 'PUT', 'PATCH'):
            head += 'Content-Type: application/json\r\nContent-Length: 2\r\n'
            body = b'{}'
        c = console.connect(True)
        try:
            c.connect()
            c.sock.sendall(head.encode() + b'\r\n' + body)
            response = http.client.HTTPResponse(c.sock, method=method)
            response.begin()
            r = Answer(response, response.read())
            assert r.headers['X-Content-Type-Options'] == 'nosniff'
            assert r.status_code < 500 or r.status_code == 501
            if r.status_code < 500 and not target.startswith('/api/'):
                return  # it may be a page's
            assert r.status_code >= 400
            assert r.headers['Content-Type'] == 'application/problem+json'
            if method != 'HEAD':
                DOCUMENT.validator({'$ref': '#/components/schemas/Problem'}
                                   ).validate(r.json())
            else:
                assert r.content == b''
        except Exception as e:
            raise AssertionError(f'{head!r}: {e!r}') from e
        finally:
            c.close()

    run()
