"""Lists of the console: pages by cursor in both orders, what cursors and
limits are refused; the disk space. Their statements: test_console_plans.py."""
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from console_env import Console
from console_fixtures import cluster  # noqa: F401


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


def sums(console):
    """What is kept, and what the segments say."""
    kept = console.sql('SELECT endpoint_id, recordings, bytes FROM disk_use '
                       'WHERE recordings <> 0 OR bytes <> 0 ORDER BY 1')
    real = console.sql(
        "SELECT endpoint_id, count(*), coalesce(sum(bytes), 0) FROM segments "
        "WHERE status NOT IN ('missing', 'expired', 'deleted') GROUP BY 1 "
        'ORDER BY 1')
    session = console.sql(
        "SELECT s.id, s.n_segments, s.bytes, s.recording_state, count(g.id), "
        "coalesce(sum(g.bytes), 0), CASE WHEN count(g.id) = 0 THEN CASE WHEN "
        "NOT s.recorded THEN 'off' WHEN s.ended_at IS NULL THEN 'under_way' "
        "ELSE 'none' END WHEN count(*) FILTER (WHERE g.status IN ('missing', "
        "'encoding_failed', 'corrupted')) > 0 THEN 'failed' WHEN count(*) "
        "FILTER (WHERE g.status IN ('recording', 'transfer', 'downloaded', "
        "'encoding')) > 0 THEN 'under_way' ELSE 'uploaded' END FROM sessions "
        's LEFT JOIN segments g ON g.session_id = s.id GROUP BY s.id')
    assert session == [(i, n, b, r, n, b, r)
                       for i, n, b, r, _, _, _ in session]
    return kept, real


STATUSES = ('recording', 'transfer', 'downloaded', 'encoding', 'available',
            'missing', 'encoding_failed', 'corrupted', 'expired', 'deleted')


def test_sums_follow_every_change(console):
    """One row, many at once, bytes that are not known yet, a session that
    changes hands, and rows that go."""
    session = console.ctl.session()
    ids = [console.ctl.segment(session, n + 1, status=status, size=n or None)
           for n, status in enumerate(STATUSES)]
    try:
        for status in STATUSES:
            for gid in ids:
                console.sql('UPDATE segments SET status = %s WHERE id = %s',
                            (status, gid))
            kept, real = sums(console)
            assert kept == real, status
        for change in (
                "status = 'available', bytes = seq * 10", 'bytes = NULL',
                "status = CASE seq % 2 WHEN 0 THEN 'deleted' ELSE 'missing' "
                'END', "status = 'available', bytes = 7", 'notes = notes'):
            console.sql(f"UPDATE segments SET {change} WHERE session_id = "
                        f"'{session}'")
            kept, real = sums(console)
            assert kept == real, change
        for change in (
                "endpoint_id = (SELECT id FROM endpoints WHERE name = "
                "'desk2')", "end_reason = 'x'", 'recorded = false'):
            console.sql(f"UPDATE sessions SET {change} WHERE id = '{session}'")
            kept, real = sums(console)
            assert kept == real, change
    finally:
        console.sql('DELETE FROM segments WHERE session_id = %s', (session,))
        console.sql('DELETE FROM sessions WHERE id = %s', (session,))
    kept, real = sums(console)
    assert kept == real


def test_sums_hold_when_many_write_at_once(console):
    """Segments of one endpoint, in sessions of their own and in one."""
    shared = console.ctl.session()
    own = [console.ctl.session() for _ in range(4)]

    def write(n):
        for i in range(25):
            for session in (own[n], shared):
                gid = console.ctl.segment(
                    session, 1 + i if session != shared else 1 + 25 * n + i,
                    status='recording', size=None)
                for status in ('transfer', 'available', 'deleted')[:1 + i % 3]:
                    console.sql('UPDATE segments SET status = %s, bytes = %s '
                                'WHERE id = %s', (status, 100 + i, gid))

    threads = [ThreadPoolExecutor(1).submit(write, n) for n in range(4)]
    try:
        for t in threads:
            t.result(120)
        kept, real = sums(console)
        assert kept == real
        assert console.sql('SELECT n_segments FROM sessions WHERE id = %s',
                           (shared,)) == [(100,)]
    finally:
        for session in (shared, *own):
            console.sql('DELETE FROM segments WHERE session_id = %s',
                        (session,))
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
