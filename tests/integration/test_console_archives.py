"""A ZIP of several recordings, as the console gives a link to it: who may have
it, what is left out, and the audit log (M6, M7, X7). The ZIP itself:
test_archives.py."""
import urllib.parse
import uuid

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401


@pytest.fixture
def session(console):
    return console.ctl.session()


def ask(console, person='alice', **body):
    return console.people[person].post('archives', json=body)


def test_a_link_to_a_selection(console, session):
    ids = [console.ctl.segment(session, n + 1, size=100 + n)
           for n in range(3)]
    gone = console.ctl.segment(session, 4, status='missing')
    before = len(console.audit('download'))
    r = ask(console, recordings=[*ids[1:], gone])
    assert r.status_code == 201, r.text
    a = r.json()
    assert (a['files'], a['bytes']) == (2, 203)
    assert a['left_out'] == [{'id': gone, 'status': 'missing'}]
    url = urllib.parse.urlsplit(a['url'])
    assert url.path == f'/files/archive/{a["id"]}.zip'
    assert {'expires', 'person', 'signature', 'download'} == set(
        urllib.parse.parse_qs(url.query))
    rows = console.audit('download')[before:]
    assert {(actor, what) for actor, what, _ in rows} == {
        ('alice', i) for i in ids[1:]}
    assert {d['archive'] for _, _, d in rows} == {a['id']}
    whole = ask(console, session=session).json()
    assert (whole['files'], whole['bytes']) == (3, 303)


@pytest.mark.parametrize('body, pointer', [
    ({}, ''), ({'recordings': []}, '/recordings'),
    ({'recordings': 'x'}, '/recordings'), ({'session': 7}, '/session'),
    ({'recordings': ['x'], 'session': 'x'}, '/recordings'),
    ({'recordings': [str(uuid.uuid4())] * 1001}, '/recordings')])
def test_a_wrong_order_is_said(console, body, pointer):
    r = ask(console, **body)
    assert r.status_code == 422, r.text
    assert pointer in {e['pointer'] for e in r.json()['errors']}


def test_all_of_it_has_to_be_ones_own(console, session):
    one = console.ctl.segment(session, 1)
    for body in ({'recordings': [one, str(uuid.uuid4())]},
                 {'recordings': ['x']}, {'session': str(uuid.uuid4())},
                 {'session': 'x'}):
        assert ask(console, **body).status_code == 404, body
    for person in ('olga', 'mia'):
        for body in ({'recordings': [one]}, {'session': session}):
            assert ask(console, person, **body).status_code == 404
    console.sql("UPDATE segments SET status = 'missing' WHERE id = %s",
                (one,))
    assert ask(console, recordings=[one]).status_code == 409


def test_a_recording_that_is_sent_is_shown_as_such(console, session):
    gid = console.ctl.segment(session, 1)
    console.sql("INSERT INTO nodes (id, program, host, version) VALUES "
                "('11111111-1111-4111-8111-111111111111', 'storage', 'n1', "
                "'1') ON CONFLICT DO NOTHING")
    console.sql("INSERT INTO downloads (node_id, number, segment_id, bytes, "
                "bytes_sent, seen_at) SELECT id, 1, %s, 1000, 421, now() + "
                "interval '1 hour' FROM nodes WHERE host = 'n1'", (gid,))
    alice = console.people['alice']
    row = alice.get(f'recordings/{gid}').json()
    assert (row['status'], row['progress']) == ('downloading', 42)
    row, = [r for r in alice.get('recordings?status=available').json()[
        'items'] if r['id'] == gid]
    assert row['status'] == 'downloading'
    # a daemon that died says nothing more
    console.sql("UPDATE downloads SET seen_at = now() - interval '31 s'")
    assert alice.get(f'recordings/{gid}').json()['status'] == 'available'
