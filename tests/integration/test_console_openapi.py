"""docs/openapi.yaml says what the server does, and nothing else: the routes
are the same, and the schemas are strict ones. Answers of all other
test_console_*.py are validated by console_env.Client."""
import re
import subprocess

import jsonschema
import pytest

from console_env import PROGRAM
from console_fixtures import cluster, console  # noqa: F401
from console_openapi import DOCUMENT


def server_routes():
    """{(method, path): scope} of `relaycam-console rights`."""
    table = subprocess.run([PROGRAM, 'rights'], capture_output=True,
                           text=True, check=True, timeout=60).stdout
    rows = re.findall(r'^\| `(\w+) /api/v1(\S+)` \|.*\| (.+) \|$', table,
                      re.M)
    return {(method, path): scope for method, path, scope in rows}


def test_every_route_is_documented_and_every_documented_one_is_there():
    routes = server_routes()
    assert len(routes) > 10
    assert set(routes) == set(DOCUMENT.operations)


def test_security_is_the_servers(console):
    """No token where the server takes none; every scope is named."""
    scopes = DOCUMENT.doc['components']['schemas']['Scope']['enum']
    for key, scope in server_routes().items():
        security = DOCUMENT.operations[key].get('security')
        takes_token = security is None or {'bearer': []} in security
        if security == []:
            status = console.client().request(
                key[0], key[1][1:], json={}).status_code
            assert status not in (401, 403), key
        else:
            assert takes_token == (scope != 'no token'), key
        if scope.startswith('`'):
            assert scope.strip('`') in scopes, key
    assert set(scopes) == {'*'} | {s.strip('`') for s in
                                   server_routes().values() if '`' in s}


def schemas(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'schema' or key == 'schemas':
                yield from ([value] if key == 'schema' else value.values())
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def test_schemas_are_of_json_schema_and_strict():
    found = list(schemas(DOCUMENT.doc))
    assert len(found) > 30
    for schema in found:
        jsonschema.Draft202012Validator.check_schema(schema)
    for name, schema in DOCUMENT.doc['components']['schemas'].items():
        if schema.get('type') == 'object':
            assert schema['additionalProperties'] is False, name
            assert set(schema['required']) <= set(schema['properties']), name


def test_every_operation_has_a_name_and_its_problems():
    names = [o['operationId'] for o in DOCUMENT.operations.values()]
    assert len(names) == len(set(names))
    for key, operation in DOCUMENT.operations.items():
        assert operation['responses']['default'] == {
            '$ref': '#/components/responses/Problem'}, key
        assert ('304' in operation['responses']) == (
            key[0] == 'GET' and any(
                'application/json' in DOCUMENT.resolve(a).get('content', {})
                for s, a in operation['responses'].items() if s == '200')), key


def test_an_answer_off_schema_is_found(console):
    """The check of the tests' client can fail."""
    c = console.login('alice')
    me = DOCUMENT.doc['components']['schemas']['Me']
    me['required'].append('shoe_size')
    try:
        with pytest.raises(AssertionError, match='shoe_size'):
            c.get('me')
    finally:
        me['required'].remove('shoe_size')
    assert c.get('me').status_code == 200
    with pytest.raises(AssertionError, match='not documented'):
        DOCUMENT.check('GET', '/nothing', c.get('me'))


def query_parameters():
    for (method, path), operation in DOCUMENT.operations.items():
        for p in map(DOCUMENT.resolve, operation.get('parameters', [])):
            schema = DOCUMENT.resolve(p['schema'])
            if p['in'] == 'query' and 'enum' in schema:
                yield method, path, p['name'], schema['enum'], needed_numbers(
                    operation)


def needed_numbers(operation):
    return {p['name']: p['schema']['minimum'] for p in map(
        DOCUMENT.resolve, operation.get('parameters', []))
        if p.get('required') and 'minimum' in p['schema']}


@pytest.mark.parametrize('method,path,name,values,others', query_parameters())
def test_documented_choices_are_the_servers(console, method, path, name,
                                            values, others):
    c = console.login('alice')
    for value in values:
        r = c.request(method, path[1:], params={name: value, **others})
        assert r.status_code == 200, r.text
    r = c.request(method, path[1:], params={name: 'xyzzy', **others})
    assert r.status_code == 422
    assert r.json()['errors'][0]['pointer'] == f'?{name}'
    assert r.json()['errors'][0]['detail'].split('|') == list(values)
