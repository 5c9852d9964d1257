"""Exports of the console as CSV, and the audit log (T5, T7, X7)."""
import csv
import io
import socket
import ssl

import pytest

from console_fixtures import cluster, console  # noqa: F401
from storage_env import wait_for


def rows(r):
    assert r.status_code == 200, r.text
    assert r.headers['Content-Type'].startswith('text/csv; charset=utf-8')
    assert r.text.endswith('\r\n')
    return list(csv.DictReader(io.StringIO(r.content.decode(), newline='')))


@pytest.fixture
def clean(console):
    yield
    console.sql('DELETE FROM segments')
    console.sql('DELETE FROM sessions')
    console.sql("UPDATE teams SET time_zone = 'UTC'")


def test_times_are_in_the_teams_zone_and_texts_whole(console, clean):
    console.sql("UPDATE teams SET time_zone = 'Asia/Kathmandu' WHERE name = "
                "'demo'")
    sid = console.ctl.session(start='2026-11-20 20:00Z',
                              end='2026-11-20 21:00:05Z',
                              desktop='a "b", c\r\nd é')
    (row,) = rows(console.login('alice').get('sessions.csv'))
    assert row['id'] == sid
    assert row['started_at'] == '2026-11-21 01:45:00'
    assert row['ended_at'] == '2026-11-21 02:45:05'
    assert row['duration_s'] == '3605'
    assert row['desktop_name'] == 'a "b", c\r\nd é'


@pytest.mark.parametrize('text', [
    '=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '  =cmd|x', '＝1', '\n@x'])
def test_formulas_stay_texts(console, clean, text):
    console.ctl.session(desktop=text)
    (row,) = rows(console.login('alice').get('sessions.csv'))
    assert row['desktop_name'] == "'" + text


def test_other_texts_are_left_alone(console, clean):
    for text in ('pc-1', 'a=b', "'x", ''):
        console.ctl.session(desktop=text)
    found = rows(console.login('alice').get('sessions.csv'))
    assert {r['desktop_name'] for r in found} == {'pc-1', 'a=b', "'x", ''}


def test_filters_rights_and_the_audit_entry(console, clean):
    early = console.ctl.session(start='2026-11-01 08:00Z',
                                end='2026-11-01 09:00Z')
    late = console.ctl.session()
    ask = console.login('alice').get
    assert [r['id'] for r in rows(ask('sessions.csv'))] == [late, early]
    assert [r['id'] for r in rows(ask('sessions.csv?order=asc'))] == [
        early, late]
    assert [r['id'] for r in rows(ask('sessions.csv?to=2026-11-10'))] == [
        early]
    assert ask('sessions.csv?state=x').status_code == 422
    assert ask('sessions.csv?from=x').status_code == 400
    for who in ('mia', 'olga'):
        assert rows(console.login(who).get('sessions.csv')) == []
    actor, target, detail = console.audit('export')[0]
    assert (actor, target) == ('alice', '/api/v1/sessions.csv')
    assert detail['client'] == '127.0.0.1'


def fill(console, n, size=20):
    console.sql(
        "INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, "
        "recorded, client_addr, desktop_name, started_at, ended_at, "
        "end_code, end_reason) SELECT gen_random_uuid(), e.team_id, e.id, "
        "p.id, 'unattended', true, '', repeat('x', %s), timestamptz "
        "'2026-10-01Z' + i / 3 * interval '1 minute', now(), 'normal', "
        "'left' FROM endpoints e, people p, generate_series(1, %s) i WHERE "
        "e.name = 'desk1' AND p.name = 'alice'", (size, n))


@pytest.mark.parametrize('n', [0, 499, 500, 501, 1000, 2345])
def test_every_row_comes_once(console, clean, n):
    fill(console, n)
    found = rows(console.login('alice').get('sessions.csv'))
    want = [str(i) for i, in console.sql(
        'SELECT id FROM sessions ORDER BY started_at DESC, id DESC')]
    assert [r['id'] for r in found] == want and len(want) == n


def test_head_has_no_body(console, clean):
    r = console.login('alice').http.head(
        f'{console.url}/api/v1/sessions.csv', timeout=60)
    assert (r.status_code, r.content) == (200, b'')
    assert r.headers['Content-Type'].startswith('text/csv')


def ask_raw(console, path):
    """A connection that asked, of which nothing is read yet."""
    cookie = console.login('alice').http.cookies['__Host-relaycam']
    context = ssl.create_default_context(cafile=str(console.cert))
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(60)
    s.connect(('127.0.0.1', console.port))
    tls = context.wrap_socket(s, server_hostname='localhost')
    tls.sendall(f'GET /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n'
                f'Cookie: __Host-relaycam={cookie}\r\n\r\n'.encode())
    return tls


def test_a_client_that_does_not_read_is_waited_for(console, clean):
    """The next page is asked for when the last one is taken."""
    fill(console, 4000, size=2000)
    tls = ask_raw(console, 'sessions.csv')
    head = tls.recv(1000)
    assert head.startswith(b'HTTP/1.1 200 ')
    # meanwhile others are served
    other = console.login('alice')
    for _ in range(5):
        assert other.get('me').status_code == 200
    # through a window of 4 KB the rest would take a quarter of an hour
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    data = bytearray(head)
    while not data.endswith(b'\r\n0\r\n\r\n'):
        part = tls.recv(1 << 16)
        assert part, 'it ends too early'
        data += part
    assert data.count(b'"normal"') == 4000
    tls.close()


def test_a_client_that_goes_away_costs_nothing(console, clean):
    fill(console, 4000, size=2000)
    for _ in range(3):
        tls = ask_raw(console, 'sessions.csv')
        assert tls.recv(1000).startswith(b'HTTP/1.1 200 ')
        tls.close()
    assert console.login('alice').get('me').status_code == 200


# --- audit -------------------------------------------------------------------

def test_audit_is_for_admins_and_of_the_team(console):
    assert console.login('mia').get('audit').status_code == 403
    assert console.login('mia').get('audit.csv').status_code == 403
    for who in ('alice', 'adam'):
        page = console.login(who).get('audit?limit=200').json()
        actors = {i['actor'] for i in page['items']}
        assert {'alice', 'adam'} & actors and 'olga' not in actors
    console.login('olga')
    found = console.login('olga').get('audit').json()['items']
    actors = {i['actor'] for i in found}
    assert 'olga' in actors and not {'alice', 'adam', 'mia'} & actors


def test_audit_filters_pages_and_csv(console):
    alice = console.login('alice')
    console.sql(
        "INSERT INTO audit (team_id, actor, action, object, detail) SELECT "
        "id, 'eve', 'lock', '=thing' || i, '{\"value\": \"b\"}' FROM teams, "
        "generate_series(1, 5) i WHERE name = 'demo'")
    assert [i['object'] for i in alice.get('audit?actor=eve').json()['items']
            ] == [f'=thing{i}' for i in (5, 4, 3, 2, 1)]
    assert len(alice.get('audit?object==thing3').json()['items']) == 1
    assert len(alice.get('audit?text=THING3').json()['items']) == 1
    assert alice.get('audit?actor=eve&action=unlock').json()['items'] == []
    assert alice.get('audit?actor=eve&to=2020-01-01').json()['items'] == []
    first = alice.get('audit?actor=eve&limit=3').json()
    rest = alice.get('audit?actor=eve&limit=3&cursor=' + first['cursor'])
    assert [i['object'][-1] for i in first['items'] + rest.json()['items']
            ] == list('54321')
    table = rows(alice.get('audit.csv?actor=eve'))
    assert [t['object'] for t in table] == [
        f"'=thing{i}" for i in (5, 4, 3, 2, 1)]
    assert table[0]['detail'] == '{"value": "b"}'


def test_requests_of_clients_that_left_are_freed(console):
    """LeakSanitizer reports them when the console ends."""
    console.sql("INSERT INTO login_failures (client_addr, failed) VALUES "
                "('127.0.0.1', 3) ON CONFLICT (client_addr) DO UPDATE SET "
                "failed = 3, last_at = now()")
    body = b'{"user": "nobody", "password": "x"}'
    context = ssl.create_default_context(cafile=str(console.cert))
    failed = console.metric('login_failures_total')
    with socket.create_connection(('127.0.0.1', console.port), 60) as s, \
            context.wrap_socket(s, server_hostname='localhost') as tls:
        tls.sendall(b'POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n'
                    b'Content-Type: application/json\r\nContent-Length: ' +
                    str(len(body)).encode() + b'\r\n\r\n' + body)
    wait_for('the check of the password', lambda: console.metric(
        'login_failures_total') == failed + 1, 60)
    console.sql('DELETE FROM login_failures')
