"""Reads the text formats of Prometheus 0.0.4 and OpenMetrics 1.0 and holds
them to their rules: each family once, its head before its samples, each series
once, histograms cumulative and whole."""
import re
import urllib.request

NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\\\\n]*"'
SAMPLE = re.compile(
    rf'({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (\d+(?:\.\d+)?)')
OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
PLAIN = 'text/plain; version=0.0.4; charset=utf-8'
KINDS = ('counter', 'gauge', 'histogram')


def number(text):
    return float(text) if '.' in text else int(text)


def family_of(name, types, is_open):
    """The family that a sample belongs to."""
    for end in ('_bucket', '_count', '_sum'):
        if types.get(name.removesuffix(end)) == 'histogram':
            return name.removesuffix(end)
    return name.removesuffix('_total') if is_open else name


def check_histograms(types, found):
    for family in (n for n, kind in types.items() if kind == 'histogram'):
        rows = {}
        for series, value in found.items():
            if series.startswith(f'{family}_bucket'):
                labels = re.sub(r',?le="[^"]*"', '', series.split('{')[1])
                rows.setdefault(labels, []).append(
                    (float(re.search(r'le="([^"]*)"', series)[1]), value))
        assert rows, family
        for labels, buckets in rows.items():
            labels = '' if labels == '}' else '{' + labels
            assert buckets == sorted(buckets), (family, labels)
            values = [v for _, v in buckets]
            assert values == sorted(values) and buckets[-1][0] == float('inf')
            assert found[f'{family}_count{labels}'] == values[-1]
            assert f'{family}_sum{labels}' in found


def read(text, prefix, is_open=False):
    """{series: value}; an AssertionError says what is wrong."""
    types, units, found, last = {}, {}, {}, None
    lines = text.split('\n')
    assert lines.pop() == ''
    if is_open:
        assert lines.pop() == '# EOF'
    for line in lines:
        if line.startswith('# HELP '):
            name, _, what = line[7:].partition(' ')
            assert what and name not in types, line
            last = name
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert name == last and kind in KINDS and name not in types, line
            assert name.startswith((prefix, 'process_')), line
            assert is_open or \
                (kind == 'counter') == name.endswith('_total'), line
            types[name] = kind
        elif line.startswith('# UNIT '):
            name, unit = line[7:].split(' ')
            assert is_open and name == last and name.endswith(f'_{unit}'), line
            units[name] = unit
        else:
            m = SAMPLE.fullmatch(line)
            assert m, line
            series = m[1] + (m[2] or '')
            assert family_of(m[1], types, is_open) == last in types, line
            assert (types[last] == 'counter') == m[1].endswith('_total'), line
            assert series not in found, line
            found[series] = number(m[3])
    if is_open:
        assert set(units) == {n for n in types
                              if n.endswith(('_bytes', '_seconds'))}
    # the family of a counter is its name without _total
    families = [n.removesuffix('_total') for n in types]
    assert len(families) == len(set(families)), families
    assert {family_of(s.split('{')[0], types, is_open)
            for s in found} == set(types)
    check_histograms(types, found)
    return found


def scrape(port, prefix):
    """Both formats of a daemon's page, which must have the same series; the
    values of the second one."""
    pages = []
    for accept in ('text/plain', 'application/openmetrics-text'):
        request = urllib.request.Request(f'http://127.0.0.1:{port}/metrics',
                                         headers={'Accept': accept})
        with urllib.request.urlopen(request, timeout=60) as answer:
            is_open = accept.startswith('application')
            assert answer.headers['Content-Type'] == (
                OPEN if is_open else PLAIN)
            pages.append(read(answer.read().decode(), prefix, is_open))
    assert set(pages[0]) == set(pages[1])
    return pages[1]
