"""Statements of long lists: which index each filter and order reads, and how
many rows; and that every filter finds what it should, page by page."""
import json
import os
import re

import pytest

from console_env import Console
from ctl import ROOT
from pg import Cluster

SESSIONS = 18000    # of team bulk1: 9,000 sessions, 225 endpoints of WIDE
READ_MAX = 2000     # LIST_READ_MAX of console/api/list.h
OWNER, MEMBER, WIDE, NOBODY = ('bulk1-owner1', 'bulk1-member3',
                               'bulk1-member1', 'bulk1-member2')
PEOPLE = (OWNER, MEMBER, WIDE, NOBODY)


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('plans'), cluster,
                    **{'console.workers': '1', 'log.level': 'info'})
        with open(os.path.join(ROOT, 'tests', 'bench', 'console_data.sql'),
                  encoding='utf-8') as f:
            c.sql(re.sub(r'(?<!:):sessions', str(SESSIONS), f.read()))
        c.sql('VACUUM ANALYZE')
        c.sql(f'ALTER DATABASE "{c.ctl.name}" SET session_preload_libraries '
              '= auto_explain')
        for name, value in (('log_min_duration', '0'), ('log_analyze', 'on'),
                            ('log_timing', 'off'), ('log_format', 'json')):
            c.sql(f'ALTER DATABASE "{c.ctl.name}" SET auto_explain.{name} = '
                  f"'{value}'")
        for who in PEOPLE:
            c.ctl.ok('user', 'passwd', who, '--password-stdin',
                     input='correct horse\n')
        c.start()
        c.cluster = cluster
        c.people = {who: c.login(who) for who in PEOPLE}
        c.values = values(c)
        yield c
        assert c.stop() == 0, c.log()


def values(c):
    """Of the filters: an endpoint that is used much, a person and a session
    of the team."""
    endpoint, user, session = c.sql(
        "SELECT e.name, p.name, s.id FROM sessions s JOIN endpoints e ON e.id "
        "= s.endpoint_id JOIN people p ON p.id = s.person_id WHERE "
        "s.endpoint_id = (SELECT endpoint_id FROM sessions JOIN teams t ON "
        "t.id = team_id WHERE t.name = 'bulk1' GROUP BY 1 ORDER BY count(*) "
        "DESC, 1 LIMIT 1) ORDER BY s.started_at LIMIT 1")[0]
    # PC-44, PC-440 to PC-449
    return {'endpoint': endpoint, 'user': user, 'session': str(session),
            'part': 'C-44'}


def test_the_generated_rows_are_sound(console):
    """As they are made with triggers off: no rule of `relaycam check` is
    broken, and keys lead somewhere."""
    assert console.ctl.json('check')['violations'] == []
    assert console.sql(
        'SELECT count(*) FROM segments g WHERE NOT EXISTS (SELECT FROM '
        'sessions s WHERE (s.id, s.team_id, s.endpoint_id, s.person_id) = '
        '(g.session_id, g.team_id, g.endpoint_id, g.person_id))') == [(0,)]
    assert console.sql(
        'SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT FROM '
        'endpoints WHERE id = s.endpoint_id) OR NOT EXISTS (SELECT FROM '
        'people WHERE id = s.person_id)') == [(0,)]
    assert console.sql("SELECT count(*) FROM segments") == [(SESSIONS * 5,)]


# the parameters, the index that is read, and the same as a condition
FILTERS = {
    'recordings': [
        ({}, 'segments_page', 'true'),
        ({'from': '2026-01-02'}, 'segments_page',
         "g.started_at >= '2026-01-02Z'"),
        ({'to': '2030-01-02'}, 'segments_page',
         "g.started_at < '2030-01-02Z'"),
        ({'session': '{session}'}, 'segments_session_page',
         "g.session_id = '{session}'"),
        ({'endpoint': '{endpoint}'}, 'segments_endpoint_page',
         "e.name = '{endpoint}'"),
        ({'endpoint': 'none'}, 'segments_endpoint_page', 'false'),
        ({'device': '{part}'}, 'segments_endpoint_page',
         "e.name ILIKE '%%{part}%%'"),
        ({'device': 'PC-'}, 'segments_page', 'true'),
        ({'device': 'no such one'}, 'segments_endpoint_page', 'false'),
        ({'device': '{part}', 'status': 'available'},
         'segments_endpoint_page', "e.name ILIKE '%%{part}%%' AND g.status = "
         "'available'"),
        ({'user': '{user}'}, 'segments_person_page', "p.name = '{user}'"),
        ({'user': 'olga'}, 'segments_person_page', 'false'),
        ({'reviewed': 'true'}, 'segments_review_page',
         'g.reviewed_by IS NOT NULL'),
        ({'reviewed': 'false'}, 'segments_review_page',
         "g.reviewed_by IS NULL AND g.status = 'available'"),
        ({'watched': 'false'}, 'segments_unwatched_page',
         "g.watched_at IS NULL AND g.status = 'available'"),
        ({'watched': 'true'}, 'segments_page', 'g.watched_at IS NOT NULL'),
        ({'reviewed': 'false', 'watched': 'true', 'status': 'available'},
         'segments_review_page', "g.reviewed_by IS NULL AND g.watched_at IS "
         "NOT NULL AND g.status = 'available'"),
        ({'locked': 'true'}, 'segments_locked_page', 'g.locked'),
        ({'locked': 'false'}, 'segments_page', 'NOT g.locked'),
        *[({'status': s}, 'segments_status_page', f"g.status = '{s}'")
          for s in ('available', 'expired', 'missing', 'encoding')],
        ({'min_bytes': '300000000'}, 'segments_page',
         'g.bytes >= 300000000'),
        ({'max_bytes': '1000100'}, 'segments_page', 'g.bytes <= 1000100'),
        ({'status': 'expired', 'user': '{user}', 'locked': 'false'},
         'segments_person_page', "g.status = 'expired' AND p.name = "
         "'{user}' AND NOT g.locked")],
    'sessions': [
        ({}, 'sessions_page', 'true'),
        ({'from': '2026-01-02'}, 'sessions_page',
         "s.started_at >= '2026-01-02Z'"),
        ({'endpoint': '{endpoint}'}, 'sessions_endpoint_page',
         "e.name = '{endpoint}'"),
        ({'device': '{part}'}, 'sessions_endpoint_page',
         "e.name ILIKE '%%{part}%%'"),
        ({'device': 'pc-'}, 'sessions_page', 'true'),
        ({'user': '{user}'}, 'sessions_person_page', "p.name = '{user}'"),
        ({'state': 'active'}, 'sessions_active_page', 's.ended_at IS NULL'),
        ({'state': 'ended'}, 'sessions_page', 's.ended_at IS NOT NULL'),
        *[({'recording': r}, 'sessions_recording_page',
           f"s.recording_state = '{r}'")
          for r in ('off', 'under_way', 'failed', 'uploaded')],
        ({'access': 'attended'}, 'sessions_access_page',
         "s.access = 'attended'"),
        ({'text': 'DESKTOP 77'}, 'sessions_page',
         "s.desktop_name LIKE 'desktop 77%%'"),
        ({'text': '{endpoint}'}, 'sessions_page',
         "e.name LIKE '%%{endpoint}%%'"),
        ({'text': 'no such text'}, 'sessions_page', 'false'),
        ({'access': 'unattended', 'recording': 'failed', 'text': 'browser'},
         'sessions_recording_page', "s.access = 'unattended' AND "
         "s.recording_state = 'failed' AND s.viewer = 'browser'")],
    'audit': [
        ({}, 'audit_page', 'true'),
        ({'from': '2026-01-02'}, 'audit_page', "a.at >= '2026-01-02Z'"),
        ({'actor': '{user}'}, 'audit_actor_page', "a.actor = '{user}'"),
        ({'action': 'watch'}, 'audit_action_page', "a.action = 'watch'"),
        ({'action': 'none'}, 'audit_action_page', 'false'),
        ({'object': '{session}'}, 'audit_object_page',
         "a.object = '{session}'"),
        ({'text': 'session_start'}, 'audit_page',
         "a.action = 'session_start'")],
}
TABLES = {'recordings': 'segments', 'sessions': 'sessions', 'audit': 'audit'}
# by endpoint, where a member has few
MINE = {'recordings': 'segments_endpoint_page',
        'sessions': 'sessions_endpoint_page'}
CASES = [(path, i) for path in FILTERS for i in range(len(FILTERS[path]))]


def case(console, path, i):
    query, index, condition = FILTERS[path][i]
    return ({k: v.format(**console.values) for k, v in query.items()}, index,
            condition.format(**console.values))


# --- plans -------------------------------------------------------------------

def plans(text, table):
    """Of auto_explain's lines in PostgreSQL's log, those that read pages of
    this table."""
    for block in re.findall(r'plan:\n((?:\t.*\n)+)', text):
        plan = json.loads(block.replace('\n\t', '\n'))
        if re.search(rf'FROM {table} \w.* LIMIT \d+', plan['Query Text']):
            yield plan


def nodes(plan):
    yield plan
    for child in plan.get('Plans', ()):
        yield from nodes(child)


def ask(console, who, path, query):
    """The answer and the plans of its statements on the table."""
    seen = len(console.cluster.log())
    r = console.people[who].get(path, params=query)
    assert r.status_code == 200, r.text
    found = list(plans(console.cluster.log()[seen:], TABLES[path]))
    assert found, query
    return r.json(), found


def check_plan(plan, path, index):
    shown = json.dumps(plan, indent=1)
    parts = list(nodes(plan['Plan']))
    table = TABLES[path]
    assert not [n for n in parts if n['Node Type'] == 'Seq Scan' and
                n['Relation Name'] in TABLES.values()], shown
    reads = [n for n in parts if n.get('Relation Name') == table]
    assert {n.get('Index Name') for n in reads} <= index, (index, shown)
    for n in reads:
        rows = n['Actual Rows'] + n.get('Rows Removed by Filter', 0)
        assert rows <= READ_MAX, (rows, shown)
    # rows come in the index's order, not all first and then sorted: of an
    # endpoint, a person and whatever else is read
    for n in parts:
        below = n.get('Plans', ())
        if n['Node Type'] == 'Limit' and 'InitPlan' in [
                b['Parent Relationship'] for b in below]:
            assert below[-1]['Node Type'] in ('Index Scan',
                                              'Index Only Scan'), shown


@pytest.mark.parametrize('who', PEOPLE)
@pytest.mark.parametrize('path,i', CASES)
def test_statements_read_one_index_and_few_rows(console, path, i, who):
    query, index, _ = case(console, path, i)
    if path == 'audit' and who != OWNER:
        assert console.people[who].get(path, params=query).status_code == 403
        return
    own = {index}
    if path in MINE and who in (MEMBER, NOBODY) and not (
            {'session', 'endpoint', 'device', 'user'} & set(query)):
        own = {MINE[path]} | ({'sessions_person_page'} if path == 'sessions'
                              else set())
    for order in ('desc', 'asc'):
        page, found = ask(console, who, path, {**query, 'limit': 5,
                                               'order': order})
        for plan in found:
            check_plan(plan, path, own)
        if page['cursor']:
            _, found = ask(console, who, path, {
                **query, 'limit': 5, 'order': order,
                'cursor': page['cursor']})
            for plan in found:
                check_plan(plan, path, own)


def test_a_page_far_down_reads_what_the_first_one_does(console):
    client = console.people[OWNER]
    cursor = None
    for _ in range(40):
        cursor = client.get('recordings', params={
            'limit': 200, 'cursor': cursor}).json()['cursor']
    _, found = ask(console, OWNER, 'recordings', {'limit': 50,
                                                  'cursor': cursor})
    (read,) = [n for n in nodes(found[0]['Plan'])
               if n.get('Relation Name') == 'segments']
    assert read['Index Name'] == 'segments_page'
    assert read['Actual Rows'] <= 60 and 'Filter' not in read


# --- what is found ---------------------------------------------------------

WANTED = {
    'recordings': "SELECT g.id::text FROM segments g JOIN sessions s ON s.id "
                  "= g.session_id JOIN endpoints e ON e.id = s.endpoint_id "
                  "JOIN people p ON p.id = s.person_id JOIN people w ON "
                  "w.name = %s AND w.team_id = s.team_id CROSS JOIN LATERAL "
                  "endpoint_rights_of(w.id, e.id) r WHERE r.playback AND "
                  "({}) ORDER BY g.started_at {}, g.id {}",
    'sessions': "SELECT s.id::text FROM sessions s JOIN endpoints e ON e.id = "
                "s.endpoint_id JOIN people p ON p.id = s.person_id JOIN "
                "people w ON w.name = %s AND w.team_id = s.team_id CROSS JOIN "
                "LATERAL endpoint_rights_of(w.id, e.id) r WHERE (r.control "
                "OR p.id = w.id) AND ({}) ORDER BY s.started_at {}, s.id {}",
    'audit': "SELECT a.id::text FROM audit a JOIN people w ON w.name = %s AND "
             "w.team_id = a.team_id WHERE ({}) ORDER BY a.at {}, a.id {}",
}


@pytest.mark.parametrize('who,order', [
    (OWNER, 'desc'), (MEMBER, 'asc'), (WIDE, 'desc'), (NOBODY, 'desc')])
@pytest.mark.parametrize('path,i', CASES)
def test_every_filter_finds_its_rows(console, path, i, who, order):
    """Pages may be short, or empty, while there is a cursor."""
    if path == 'audit' and who != OWNER:
        return
    query, _, condition = case(console, path, i)
    if path == 'audit':     # logins of this test come meanwhile
        query['to'] = '2030-01-01'
    want = [r for r, in console.sql(
        WANTED[path].format(condition, order, order), (who,))]
    got, cursor, n_pages = [], None, 0
    while len(got) <= 1000:
        page = console.people[who].get(path, params={
            **query, 'limit': 200, 'order': order, 'cursor': cursor}).json()
        got += [x['id'] for x in page['items']]
        cursor = page['cursor']
        n_pages += 1
        assert n_pages < 100
        if cursor is None:
            break
    assert got == want[:len(got)]
    assert cursor is not None or len(got) == len(want)


def test_a_filter_without_a_match_ends(console):
    """All sessions are read in steps, and none is passed over."""
    cursor, n_pages = None, 0
    while True:
        page = console.people[OWNER].get('sessions', params={
            'text': 'no such text', 'cursor': cursor}).json()
        n_pages += 1
        assert page['items'] == [] and n_pages < 20
        cursor = page['cursor']
        if cursor is None:
            break
    (n,) = console.sql("SELECT count(*) FROM sessions s JOIN teams t ON t.id "
                       "= s.team_id WHERE t.name = 'bulk1'")[0]
    assert n_pages == n // READ_MAX + 1


def test_csv_has_all_that_a_filter_leaves(console):
    text = console.people[OWNER].get('sessions.csv', params={
        'text': 'desktop 77'}).text
    got = [line.split(',')[0] for line in text.split('\r\n')[1:-1]]
    assert got == [r for r, in console.sql(WANTED['sessions'].format(
        "s.desktop_name LIKE 'desktop 77%%'", 'desc', 'desc'), (OWNER,))]
    assert got


# --- memory of exports -------------------------------------------------------

def memory_kb(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'RssAnon:\s+(\d+)', f.read()).group(1))


def test_a_long_export_needs_no_memory(console):
    """250,000 entries, some 80 MB of CSV: neither the worker nor its
    PostgreSQL processes hold them."""
    console.sql("ALTER DATABASE \"%s\" RESET session_preload_libraries" %
                console.ctl.name)
    console.sql(
        "INSERT INTO audit (team_id, actor, action, object, detail) SELECT "
        "id, 'eve', 'export_test', repeat('x', 200), jsonb_build_object("
        "'n', i) FROM teams, generate_series(1, 250000) i WHERE name = "
        "'bulk1'")
    (worker,) = console.workers()
    backends = [p for p, in console.sql(
        "SELECT pid FROM pg_stat_activity WHERE usename = "
        "'relaycam_console' AND datname = current_database()")]
    client = console.people[OWNER]
    client.get('audit.csv', params={'actor': 'nobody'})
    before = memory_kb(worker), [memory_kb(p) for p in backends]
    most, rows, size = 0, 0, 0
    with client.http.get(f'{console.url}/api/v1/audit.csv',
                         params={'actor': 'eve'}, stream=True,
                         timeout=300) as r:
        assert r.status_code == 200
        for part in r.iter_content(1 << 20):
            size += len(part)
            rows += part.count(b'\r\n')
            most = max(most, memory_kb(worker) - before[0])
    assert rows == 250001 and size > 60 << 20
    assert most < 16 << 10, f'{most} kB more'
    after = [memory_kb(p) for p in backends]
    assert max(b - a for a, b in zip(before[1], after)) < 16 << 10
