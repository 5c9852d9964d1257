"""Reads the text format of Prometheus 0.0.4 and holds it to its rules, and to
those of OpenMetrics 1.0 that are about names."""
import re

NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
SAMPLE = re.compile(
    rf'({NAME})(\{{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\\\n]*"\}})? (\d+)')


def read(text, prefix):
    """{series: value}; an AssertionError says what is wrong."""
    types, found, last = {}, {}, None
    assert text.endswith('\n')
    for line in text.splitlines():
        if line.startswith('# HELP '):
            name, _, what = line[7:].partition(' ')
            assert what and name not in types, line
            last = name
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert name == last and kind in ('counter', 'gauge'), line
            assert name.startswith(prefix), line
            assert (kind == 'counter') == name.endswith('_total'), line
            types[name] = kind
        else:
            m = SAMPLE.fullmatch(line)
            assert m and m[1] == last and last in types, line
            assert m[1] + (m[2] or '') not in found, line
            found[m[1] + (m[2] or '')] = int(m[3])
    # the family of a counter is its name without _total
    families = [n.removesuffix('_total') for n in types]
    assert len(families) == len(set(families)), families
    assert {s.split('{')[0] for s in found} == set(types)
    return found
