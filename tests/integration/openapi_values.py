"""Requests drawn by hypothesis from docs/openapi.yaml: mostly as the document
has them, some with one value that is wrong, a few that are nothing at all."""
import json
import os
import tempfile
import urllib.parse

# its tables of characters are kept there, not in the checkout
os.environ.setdefault('HYPOTHESIS_STORAGE_DIRECTORY', os.path.join(
    tempfile.gettempdir(), f'relaycam-hypothesis-{os.getuid()}'))
from hypothesis import strategies as st  # noqa: E402

TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(['', ' ', '*', '%', '\0', "'", '"', '\\', '{}', '-1',
                     'null', 'true', '0', '\N{SNOWMAN}', '\U0001f512',
                     'x' * 300, 'infinity', '2026-11-20', '24:00',
                     '2026-11-20T08:00:00+99:99', '9' * 30]))
INTEGERS = st.one_of(
    st.integers(-2, 300),
    st.sampled_from([2**31 - 1, 2**31, -2**31, 2**63 - 1, -2**63, 2**64]))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, TEXT,
              st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=3) |
    st.dictionaries(TEXT, inner, max_size=3), max_leaves=5)
# not in the JSON of RFC 8259, not UTF-8, or very deep
BROKEN = st.sampled_from([
    b'', b'{', b'nul', b'\xff\xfe', b'{"a":"\xc3"}', b'{"a":"\\ud800"}',
    b'{"a":"\\u0000"}', b'{"a":1,"a":2}', b'[' * 3000, b'{}{}', b'{"a":1e999}',
    b'\xef\xbb\xbf{}', b'{"a":NaN}', b'"text"', b'[]', b'7', b'null'])


class Values:
    """Strategies for the schemas of a Document of console_openapi."""

    def __init__(self, document, **known):
        """known: values of members of that name that are likely to exist."""
        self.document, self.known = document, known

    def of(self, schema):
        """Values that the schema allows."""
        schema = self.document.resolve(schema)
        if 'enum' in schema:
            return st.sampled_from(schema['enum'])
        for word in ('oneOf', 'anyOf'):
            if word in schema:
                return st.one_of([self.of(s) for s in schema[word]])
        kinds = schema.get('type', 'object')
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return st.one_of([self._of_kind(k, schema) for k in kinds])

    def _of_kind(self, kind, schema):
        if kind == 'string':
            return self._text(schema)
        if kind == 'integer':
            return st.integers(schema.get('minimum', -2**40),
                               schema.get('maximum', 2**40))
        if kind == 'number':
            return st.floats(schema.get('minimum', -1e6),
                             schema.get('maximum', 1e6))
        if kind == 'array':
            low = schema.get('minItems', 0)
            return st.lists(self.of(schema['items']), min_size=low,
                            max_size=min(low + 3, schema.get('maxItems', 99)))
        return {'boolean': st.booleans, 'null': st.none}.get(
            kind, lambda: self._object(schema))()

    @staticmethod
    def _text(schema):
        low, high = schema.get('minLength', 0), schema.get('maxLength', 60)
        if 'pattern' in schema:
            return st.from_regex(schema['pattern'].replace('$', r'\Z'))
        return st.one_of(st.text(min_size=low, max_size=min(high, low + 20)),
                         st.just('x' * high))

    def _object(self, schema):
        members = schema.get('properties', {})
        needed = schema.get('required', [])
        each = {k: st.one_of(st.sampled_from(self.known[k]), self.of(v))
                if k in self.known else self.of(v)
                for k, v in members.items()}
        return st.fixed_dictionaries(
            {k: v for k, v in each.items() if k in needed},
            optional={k: v for k, v in each.items() if k not in needed})

    @st.composite
    def body(draw, self, schema):
        """The bytes of a body."""
        kind = draw(st.sampled_from(
            ['right'] * 6 + ['changed'] * 3 + ['more', 'any', 'broken']))
        if kind == 'broken':
            return draw(BROKEN)
        if kind == 'any':
            return as_json(draw(JSON))
        body = draw(self.of(schema))
        if isinstance(body, dict):
            if kind == 'changed' and body:
                body[draw(st.sampled_from(sorted(body)))] = draw(JSON)
            elif kind == 'more':
                body[draw(TEXT)] = draw(JSON)
        return as_json(body)

    @st.composite
    def parameter(draw, self, schema):
        """The text of a parameter, as it is sent."""
        kind = draw(st.sampled_from(['right'] * 7 + ['any', 'any', 'broken']))
        if kind == 'broken':
            return draw(st.sampled_from(['%', '%zz', '%00', '%ff', '%c3', '']))
        value = draw(TEXT if kind == 'any' else self.of(schema))
        return urllib.parse.quote(value if isinstance(value, str)
                                  else json.dumps(value), safe='')


def as_json(value):
    return json.dumps(value).encode()
