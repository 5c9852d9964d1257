"""Lists of the console: pages by cursor in both orders, what cursors and
limits are refused, and indexes that their statements use."""
import json
import os
import re

import pytest

from console_env import Console
from pg import Cluster


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    c = Console(tmp_path_factory.mktemp('console'), cluster)
    # pairs of sessions and recordings of the same time: the id decides
    c.sessions = [c.ctl.session(start=f'2026-11-{10 + i // 2} 08:00Z',
                                end=f'2026-11-{10 + i // 2} 09:00Z')
                  for i in range(11)]
    c.recordings = [c.ctl.segment(s, 1 + n) for s in c.sessions[:5]
                    for n in range(2)]
    yield c.start()
    assert c.stop() == 0, c.log()


def pages(client, path, **query):
    """Ids of each page."""
    out, cursor = [], None
    while True:
        page = client.get(path, params={
            **query, **({'cursor': cursor} if cursor else {})}).json()
        out.append([i['id'] for i in page['items']])
        cursor = page['cursor']
        if cursor is None:
            return out
        assert len(out) < 100, 'it does not end'


@pytest.mark.parametrize('order', ['desc', 'asc'])
@pytest.mark.parametrize('limit', [1, 2, 3, 5, 10, 11, 200])
@pytest.mark.parametrize('path,table', [('sessions', 'sessions'),
                                        ('recordings', 'segments')])
def test_pages_have_every_row_once_and_in_order(console, path, table, limit,
                                                order):
    want = [str(i) for i, in console.sql(
        f'SELECT id FROM {table} ORDER BY started_at {order}, id {order}')]
    got = pages(console.login('alice'), path, limit=limit, order=order)
    assert sum(got, []) == want
    assert [len(p) for p in got[:-1]] == [limit] * (len(got) - 1)
    assert 0 < len(got[-1]) <= limit


def test_the_newest_come_first_unless_asked_otherwise(console):
    alice = console.login('alice')
    assert pages(alice, 'sessions', limit=4) == pages(
        alice, 'sessions', limit=4, order='desc')


def test_pages_with_a_filter_and_rows_that_come_meanwhile(console):
    alice = console.login('alice')
    query = {'limit': 3, 'to': '2026-11-14T00:00:00Z'}
    page = alice.get('sessions', params=query).json()
    new = console.ctl.session(start='2026-11-13 12:00Z',
                              end='2026-11-13 13:00Z')
    try:
        rest = pages(alice, 'sessions', cursor=page['cursor'], **query)
        ids = [i['id'] for i in page['items']] + sum(rest, [])
        assert new not in ids and len(ids) == len(set(ids)) == 8
    finally:
        console.sql('DELETE FROM sessions WHERE id = %s', (new,))


def refused(r, status):
    assert r.status_code == status, r.text
    assert r.headers['Content-Type'] == 'application/problem+json'
    return r.json()


@pytest.mark.parametrize('cursor', [
    'x', '00', 'zz', 'abc', '6162', '20', '%zz', 'a' * 2000,
    b'/api/v1/sessions desc '.hex(),
    b'/api/v1/sessions desc  '.hex(),
    b'/api/v1/sessions desc today'.hex(),
    b'/api/v1/sessions desc yesterday-ish 1'.hex(),
    b'/api/v1/sessions desc 2026-11-20 08:00:00+00 1'.hex(),
    (b'/api/v1/sessions desc 2026-11-20\0 '
     b'2b3b7a52-0c5c-4c5e-9f0e-6a7d0f1c2d3e').hex()])
def test_cursors_that_no_list_gave(console, cursor):
    r = console.login('alice').get(f'sessions?cursor={cursor}')
    assert refused(r, 400)['type'] == '/problems/bad-value'


def test_cursors_of_another_list_or_order(console):
    alice = console.login('alice')
    cursor = alice.get('sessions?limit=1').json()['cursor']
    for path in (f'recordings?cursor={cursor}',
                 f'sessions?order=asc&cursor={cursor}'):
        assert refused(alice.get(path), 400)['type'] == '/problems/bad-value'
    assert alice.get(f'sessions?cursor={cursor}').status_code == 200


def test_another_teams_cursor_shows_nothing_of_it(console):
    cursor = console.login('alice').get('sessions?limit=1').json()['cursor']
    assert console.login('olga').get(f'sessions?cursor={cursor}').json() == {
        'items': [], 'cursor': None}


@pytest.mark.parametrize('limit', ['0', '201', '-1', '+5', '%205', '1e1',
                                   'x', '5x', '4294967297', '9' * 40, '%zz'])
def test_limits_have_bounds(console, limit):
    r = console.login('alice').get(f'sessions?limit={limit}')
    assert refused(r, 422)['errors'][0]['pointer'] == '?limit'


@pytest.mark.parametrize('query', [
    'endpoint=' + 'a' * 300, 'text=%00', 'state=active%7Cended',
    'state=activ', 'order=up', 'access=attended%7C'])
def test_filters_are_not_left_out_when_they_are_wrong(console, query):
    r = console.login('alice').get('sessions?' + query)
    assert refused(r, 422)['errors'][0]['pointer'] == \
        '?' + query.split('=')[0]


# --- plans -----------------------------------------------------------------

def plans(text):
    """Of auto_explain's lines in PostgreSQL's log."""
    for block in re.findall(r'plan:\n((?:\t.*\n)+)', text):
        plan = json.loads(block.replace('\n\t', '\n'))
        if re.search(r'LIMIT \d+$', plan['Query Text']):
            yield plan


def nodes(plan):
    yield plan
    for child in plan.get('Plans', ()):
        yield from nodes(child)


FILL = """
INSERT INTO teams (name) SELECT 'bulk' || i FROM generate_series(1, 20) i;
INSERT INTO endpoints (team_id, name, host, port) SELECT id, 'pc' || n, 'h', 1
    FROM teams, generate_series(1, 20) n;
INSERT INTO people (team_id, name, role) SELECT id, name || '-owner', 'owner'
    FROM teams WHERE name LIKE 'bulk%';
INSERT INTO people (team_id, name, role) SELECT id, name || '-member', 'member'
    FROM teams WHERE name LIKE 'bulk%';
SET session_replication_role = replica;
INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, recorded,
    client_addr, started_at, ended_at, end_code, end_reason)
    SELECT gen_random_uuid(), e.team_id, e.id, p.id, 'unattended', true, '',
    timestamptz '2026-01-01Z' + n * interval '7 minutes' + e.id *
    interval '1 second', '2026-11-01Z', 'normal', 'left'
    FROM endpoints e JOIN people p ON p.team_id = e.team_id AND p.role =
    'member', generate_series(1, 50) n WHERE p.name LIKE 'bulk%';
INSERT INTO segments (id, session_id, seq, status, split_reason, frame_rate,
    width, height, codec, started_at, start_mono_ns, bytes)
    SELECT gen_random_uuid(), s.id, n, 'available', 'size', 10, 640, 480,
    'vp9', s.started_at + n * interval '1 minute', n, 1000
    FROM sessions s, generate_series(1, 3) n WHERE s.client_addr = '';
ANALYZE;
"""
LISTS = {
    'sessions': ('sessions_page', ['', 'from=2026-01-02', 'order=asc',
                                   'text=nothing', 'recording=failed',
                                   'access=unattended']),
    'recordings': (None, ['', 'from=2026-01-02', 'order=asc',
                                     'status=available', 'min_bytes=10'])}


@pytest.fixture(scope='module')
def bulk(tmp_path_factory, cluster):
    c = Console(tmp_path_factory.mktemp('bulk'), cluster,
                **{'console.workers': '1'})
    c.sql(f'ALTER DATABASE "{c.ctl.name}" SET session_preload_libraries = '
          'auto_explain')
    for name, value in (('log_min_duration', '0'),
                        ('log_format', 'json')):
        c.sql(f'ALTER DATABASE "{c.ctl.name}" SET auto_explain.{name} = '
              f"'{value}'")
    c.sql(FILL)
    for who in ('bulk7-owner', 'bulk7-member'):
        c.ctl.ok('user', 'passwd', who, '--password-stdin',
                 input='correct horse\n')
    c.start()
    c.cluster = cluster
    yield c
    assert c.stop() == 0, c.log()


@pytest.mark.parametrize('who', ['bulk7-owner', 'bulk7-member'])
@pytest.mark.parametrize('path', LISTS)
def test_list_statements_use_their_index(bulk, path, who):
    client = bulk.login(who)
    index, queries = LISTS[path]
    cursor = client.get(path, params={'limit': 5}).json()['cursor']
    for query in queries + ([f'cursor={cursor}'] if cursor else []):
        seen = len(bulk.cluster.log())
        assert client.get(f'{path}?limit=5&{query}').status_code == 200
        found = list(plans(bulk.cluster.log()[seen:]))
        assert len(found) == 1, query
        shown = json.dumps(found[0], indent=1)
        parts = list(nodes(found[0]['Plan']))
        assert not [n for n in parts if n['Node Type'] == 'Seq Scan' and
                    n['Relation Name'] in ('sessions', 'segments')], shown
        # the person's endpoints are found once, not for each session
        assert path != 'sessions' or '(hashed SubPlan' in shown, shown
        if index:
            assert index in [n.get('Index Name') for n in parts], shown
        # few sessions have a recording state, so that all are looked at
        if path == 'sessions' and not query.startswith('recording='):
            assert 'Sort' not in [n['Node Type'] for n in parts], (
                query, shown)


def test_the_audit_log_uses_its_index(bulk):
    bulk.sql("INSERT INTO audit (team_id, actor, action) SELECT t.id, 'eve', "
             "'link' FROM teams t, generate_series(1, 500)")
    bulk.sql('ANALYZE audit')
    client = bulk.login('bulk7-owner')
    cursor = client.get('audit?limit=5').json()['cursor']
    for query in ('', 'order=asc', 'actor=eve', f'cursor={cursor}'):
        seen = len(bulk.cluster.log())
        assert client.get(f'audit?limit=5&{query}').status_code == 200
        (plan,) = plans(bulk.cluster.log()[seen:])
        shown = json.dumps(plan, indent=1)
        parts = list(nodes(plan['Plan']))
        assert 'audit_page' in [n.get('Index Name') for n in parts], shown
        assert 'Sort' not in [n['Node Type'] for n in parts], shown


# --- disk space --------------------------------------------------------------

def test_disk_space_by_endpoint(console):
    console.sql("INSERT INTO endpoints (team_id, name, host, port) SELECT id, "
                "'desk9', 'h', 1 FROM teams WHERE name = 'demo'")
    session = console.ctl.session()
    console.sql("UPDATE sessions SET endpoint_id = (SELECT id FROM endpoints "
                "WHERE name = 'desk9') WHERE id = %s", (session,))
    console.ctl.segment(session, 1, size=70000)
    console.ctl.segment(session, 2, size=5, status='deleted')
    console.ctl.segment(session, 3, size=None, status='recording')
    try:
        space = console.login('adam').get('disk-space').json()
        assert [(e['endpoint'], e['used_bytes'], e['recordings'])
                for e in space['endpoints']] == [
                    ('desk9', 70000, 2), ('desk1', 10000, 10)]
        assert (space['used_bytes'], space['recordings']) == (80000, 12)
        assert console.login('olga').get('disk-space').json()[
            'endpoints'] == []
        assert console.login('mia').get('disk-space').status_code == 403
    finally:
        console.sql('DELETE FROM segments WHERE session_id = %s', (session,))
        console.sql('DELETE FROM sessions WHERE id = %s', (session,))


def test_free_space_is_that_of_the_stores_folder(cluster, tmp_path):
    c = Console(tmp_path, cluster, **{'store.folder': tmp_path}).start()
    space = c.login('alice').get('disk-space').json()
    disk = os.statvfs(tmp_path)
    assert space['total_bytes'] == disk.f_blocks * disk.f_frsize
    assert 0 < space['free_bytes'] <= space['total_bytes']
    assert c.stop() == 0, c.log()


def test_free_space_of_a_folder_that_is_not_there(cluster, tmp_path):
    c = Console(tmp_path, cluster,
                **{'store.folder': tmp_path / 'none'}).start()
    space = c.login('alice').get('disk-space').json()
    assert space['free_bytes'] is None and space['total_bytes'] is None
    assert c.stop() == 0, c.log()
