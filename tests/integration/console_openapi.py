"""docs/openapi.yaml, and whether an answer of relaycam-console is one that it
allows."""
import os
import re

import jsonschema
import yaml

from ctl import ROOT

PATH = os.path.join(ROOT, 'docs', 'openapi.yaml')
METHODS = ('get', 'post', 'patch', 'put', 'delete')


class Document:
    def __init__(self, path=PATH):
        with open(path, encoding='utf-8') as f:
            self.doc = yaml.safe_load(f)
        self.operations = {}
        for template, item in self.doc['paths'].items():
            for method in METHODS:
                if method in item:
                    self.operations[method.upper(), template] = item[method]

    def resolve(self, node):
        """What a $ref stands for."""
        while '$ref' in node:
            names = node['$ref'].removeprefix('#/').split('/')
            node = self.doc
            for name in names:
                node = node[name]
        return node

    def validator(self, schema):
        whole = {'allOf': [schema], 'components': self.doc['components']}
        return jsonschema.Draft202012Validator(whole)

    def find(self, method, path):
        """The template and operation of a path below /api/v1, or None: an
        exact one goes before one with a hole."""
        found = [(t, o) for (m, t), o in self.operations.items()
                 if m == method and re.fullmatch(
                     re.sub(r'\\{\w+\\}', '[^/]+', re.escape(t)), path)]
        return min(found, key=lambda f: '{' in f[0], default=None)

    def check_body(self, operation, body):
        """A request that the server took is one that is documented."""
        given = self.resolve(operation.get('requestBody', {})).get('content')
        if given:
            self.validator(given['application/json']['schema']).validate(body)

    def check_answer(self, operation, r):
        assert ('Deprecation' in r.headers) == operation.get(
            'deprecated', False)
        answers = operation['responses']
        answer = answers.get(str(r.status_code))
        if answer is None:
            assert r.status_code >= 400, f'{r.status_code} is not documented'
            answer = answers['default']
        content = self.resolve(answer).get('content')
        if content is None:
            assert r.content == b'', r.text
            return
        kind = r.headers['Content-Type'].split(';')[0]
        assert kind in content, f'{kind} is not documented'
        if kind.endswith('json'):
            self.validator(content[kind]['schema']).validate(r.json())

    def check(self, method, path, r, body=None):
        """path: below /api/v1, without the query; r: of requests; body: the
        JSON that was sent."""
        found = self.find(method, path)
        if found is None:
            assert r.status_code in (404, 405), f'{path} is not documented'
            self.validator({'$ref': '#/components/schemas/Problem'}).validate(
                r.json())
            return
        try:
            self.check_answer(found[1], r)
            if body is not None and r.status_code < 300:
                self.check_body(found[1], body)
        except (jsonschema.ValidationError, AssertionError) as e:
            raise AssertionError(
                f'{method} {path}: {r.status_code}: {e}') from e


DOCUMENT = Document()
