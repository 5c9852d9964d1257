"""docs/openapi.yaml by programs that are not ours: a linter from npm, and ajv
for answers of the running console (tests/openapi)."""
import datetime
import json
import os
import subprocess

import pytest

from console_fixtures import cluster, console  # noqa: F401
from console_openapi import DOCUMENT, PATH
from ctl import ROOT
from oidc_env import node

FOLDER = os.path.join(ROOT, 'tests', 'openapi')


def run(script, *args, text=None):
    return subprocess.run(
        [node(), os.path.join(FOLDER, script), *map(str, args)], input=text,
        capture_output=True, text=True, timeout=300)


def test_the_document_is_clean():
    r = run('lint.mjs', PATH)
    assert (r.returncode, r.stdout) == (0, ''), (r.stdout, r.stderr)


@pytest.mark.parametrize('wrong, rule', [
    (('operationId: login\n', 'operationId: me\n'), 'operation-operationId'),
    (("$ref: '#/components/requestBodies/Login'",
      "$ref: '#/components/requestBodies/None'"), 'no-unresolved-refs'),
    # as the comma of a sentence in a flow mapping is
    (('maxLength: 64, description:', 'maxLength: 64, or so: , description:'),
     'struct')])
def test_the_linter_sees_mistakes(tmp_path, wrong, rule):
    with open(PATH, encoding='utf-8') as f:
        text = f.read()
    assert wrong[0] in text
    bad = tmp_path / 'openapi.yaml'
    bad.write_text(text.replace(wrong[0], wrong[1], 1), encoding='utf-8')
    r = run('lint.mjs', bad)
    assert r.returncode == 1 and rule in r.stdout, (r.stdout, r.stderr)


def pointer(*names):
    return ''.join('/' + n.replace('~', '~0').replace('/', '~1')
                   for n in names)


def schema_of(method, path, r):
    """JSON pointer to the schema of an answer."""
    template, operation = DOCUMENT.find(method, '/' + path.split('?')[0])
    status = str(r.status_code)
    status = status if status in operation['responses'] else 'default'
    answer = operation['responses'][status]
    where = (answer['$ref'][1:] if '$ref' in answer else
             pointer('paths', template, method.lower(), 'responses', status))
    kind = r.headers['Content-Type'].split(';')[0]
    return where + pointer('content', kind, 'schema')


def tour(console):
    """[(method, path, answer)] with JSON of every kind of resource."""
    alice, mia = console.login('alice'), console.login('mia')
    session = console.ctl.session()
    recording = console.ctl.segment(session, 1)
    asked = []

    def ask(client, method, path, **kw):
        r = client.request(method, path, **kw)
        if r.content and 'json' in r.headers['Content-Type']:
            asked.append((method, path, r))
        return r
    for method, template in sorted(DOCUMENT.operations):
        if method == 'GET' and '{' not in template and template != '/events':
            for client in (alice, mia):
                ask(client, 'GET', template[1:], allow_redirects=False)
    endpoint = alice.get('endpoints').json()['items'][0]['id']
    person = alice.get('users').json()['items'][0]['id']
    for path in (f'sessions/{session}', f'sessions/{session}/timeline',
                 f'recordings/{recording}', f'recordings/{recording}/notes',
                 f'recordings/{recording}/manifest', f'endpoints/{endpoint}',
                 f'endpoints/{endpoint}/rights', f'users/{person}',
                 f'users/{person}/identity', 'settings/retention?access='
                 'attended&days=30', 'sessions/no', 'endpoints/987654321'):
        ask(alice, 'GET', path)
    for path, body in (
            ('users', {'name': 'nora', 'password': 'correct horse'}),
            ('users', {'name': '', 'password': 1}), ('login', {}),
            ('tokens', {'name': 'x', 'scopes': ['*'], 'days': 1}),
            ('me/totp', {}), ('tickets', {'endpoint': 'desk1'}),
            (f'recordings/{recording}/notes', {'at_ms': 1, 'text': 'a'}),
            (f'recordings/{recording}/lock', {}),
            ('endpoints', {'name': 'pc', 'host': 'localhost', 'port': 5900,
                           'allow_clear': True})):
        ask(alice, 'POST', path, json=body)
    return [a for a in asked if DOCUMENT.find(a[0], '/' + a[1].split('?')[0])]


def test_answers_by_another_validator(console, tmp_path):
    document = tmp_path / 'openapi.json'
    document.write_text(json.dumps(
        DOCUMENT.doc, default=lambda d: d.isoformat()
        if isinstance(d, (datetime.date, datetime.datetime)) else str(d)))
    answers = [{'schema': schema_of(*a), 'body': a[2].json()}
               for a in tour(console)]
    assert len(answers) >= 50
    r = run('answers.mjs', document, text=json.dumps(answers))
    assert r.returncode == 0, (r.stdout, r.stderr)
    assert f'{len(answers)} answers' in r.stdout
    # and it sees what is wrong
    for a in answers:
        a['body'] = [a['body']]
    r = run('answers.mjs', document, text=json.dumps(answers))
    assert r.returncode == 1
    assert len(r.stdout.splitlines()) == len(answers) + 1
