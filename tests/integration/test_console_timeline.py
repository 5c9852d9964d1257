"""A session's timeline at the console: recordings by monitor and time, gaps in
milliseconds with their reasons, activity; posters, notes at a moment, and
what a recording is checked with (X2, X3, X5, M5, T3, X7)."""
import hashlib
import urllib.parse
import uuid

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401

SECOND = 10**9


def put(console, session, seq, from_s, to_s, **columns):
    """A recording from a second of the session's clock to another."""
    gid = console.ctl.segment(session, seq, monitor=columns.pop('monitor', 1))
    columns = {'start_mono_ns': int((5 + from_s) * SECOND),
               'end_mono_ns': to_s and int((5 + to_s) * SECOND),
               'duration_ms': to_s and int((to_s - from_s) * 1000),
               'end_why': 'monitor', **columns}
    console.sql('UPDATE segments SET ' + ', '.join(
        f'{name} = %s' for name in columns) + ' WHERE id = %s',
        (*columns.values(), gid))
    return gid


def timeline(client, session, **params):
    r = client.get(f'sessions/{session}/timeline', params=params)
    assert r.status_code == 200, r.text
    return r.json()


@pytest.fixture(scope='module')
def split(console):
    """Two monitors, a recorder that died for 1234 ms, and one that grows."""
    session = console.ctl.session(end=None)
    ids = [put(console, session, 1, 0, 10, activity=bytes(
               [0, 3, 0, 7]) + bytes(4 * 8) + bytes([3, 232, 255, 255]),
               merged=bytes([0, 0, 1, 1]), n_merged=257),
           put(console, session, 2, 10, 20, monitor=2,
               monitor_name='left "4K"', split_reason='monitor'),
           put(console, session, 3, 21.234, None, split_reason='recorder_restart',
               gap_start_mono_ns=25 * SECOND, status='recording',
               first_frame=None, last_frame=None, frames=None, sha256=None,
               bytes=None, store=None, stored_at=None)]
    return session, ids


def test_recordings_stand_by_monitor_and_time(console, split):
    session, ids = split
    found = timeline(console.people['alice'], session)
    assert (found['session'], found['state']) == (session, 'active')
    assert [(m['monitor'], m['name'], [r['recording'] for r in m['recordings']])
            for m in found['monitors']] == [
        (1, '', [ids[0], ids[2]]), (2, 'left "4K"', [ids[1]])]
    first, last = found['monitors'][0]['recordings']
    second = found['monitors'][1]['recordings'][0]
    assert [(r['from_ms'], r['to_ms'], r['split_reason'])
            for r in (first, second, last)] == [
        (0, 10000, 'start'), (10000, 20000, 'monitor'),
        (21234, None, 'recorder_restart')]
    assert last['status'] == 'recording'
    assert found['cursor'] is None


def test_gaps_have_their_milliseconds_and_reason(console, split):
    gaps = timeline(console.people['alice'], split[0])['gaps']
    assert [(g['from_ms'], g['to_ms'], g['ms'], g['why'], g['after_seq'],
             g['before_seq'], g['monitors']) for g in gaps] == [
        (20000, 21234, 1234, 'recorder_restart', 2, 3, [1, 2])]


def test_activity_is_what_happened_in_each_second(console, split):
    alice = console.people['alice']
    found = timeline(alice, split[0])['monitors']
    idle = [0, 0, 0]
    assert found[0]['recordings'][0]['activity'] == [
        [3, 7, 0], [0, 0, 257], *[idle] * 7, [1000, 65535, 0]]
    assert found[0]['recordings'][1]['activity'] is None
    console.sql('UPDATE segments SET activity = %s WHERE id = %s',
                (bytes([0, 1, 0, 2]), split[1][1]))
    found = timeline(alice, split[0])['monitors']
    assert found[1]['recordings'][0]['activity'] == [[1, 2, None]]
    found = timeline(alice, split[0], activity='false')['monitors']
    assert found[0]['recordings'][0]['activity'] is None


def test_pages_have_each_recording_and_gap_once(console):
    session = console.ctl.session()
    ids = [put(console, session, seq, 3 * seq, 3 * seq + 2,
               split_reason='start' if seq == 1 else 'recorder_restart',
               monitor=1 + seq % 2) for seq in range(1, 8)]
    console.sql("UPDATE segments SET gap_start_mono_ns = %s, split_reason = "
                "'recorder_restart' WHERE id = %s", (6 * SECOND, ids[0]))
    console.sql("UPDATE segments SET ended_at = '2026-11-20 08:59:59Z', "
                "recovered = true WHERE id = %s", (ids[-1],))
    alice = console.people['alice']
    whole = timeline(alice, session)
    assert [g['after_seq'] for g in whole['gaps']] == list(range(8))
    assert whole['gaps'][0]['from_ms'] == 0
    assert whole['gaps'][-1]['before_seq'] is None
    for limit in (1, 2, 3, 6, 7):
        seen, gaps, cursor = [], [], ''
        while cursor is not None:
            page = timeline(alice, session, limit=limit,
                            **({'cursor': cursor} if cursor else {}))
            assert page['starts_at'] == whole['starts_at']
            rows = [r for m in page['monitors'] for r in m['recordings']]
            assert 1 <= len(rows) <= limit
            seen += rows
            gaps += page['gaps']
            cursor = page['cursor']
        assert [r['recording'] for r in sorted(
            seen, key=lambda r: r['seq'])] == ids
        assert gaps == whole['gaps']


@pytest.mark.parametrize('name,value', [
    ('limit', '0'), ('limit', '201'), ('limit', 'x'), ('cursor', 'x'),
    ('cursor', '00000000'), ('cursor', 'ffffffff'), ('activity', 'no')])
def test_wrong_parameters_are_named(console, split, name, value):
    r = console.people['alice'].get(f'sessions/{split[0]}/timeline',
                                    params={name: value})
    assert r.status_code == 422
    assert r.json()['errors'][0]['pointer'] == '?' + name


def test_a_session_without_a_recording_has_an_empty_one(console):
    found = timeline(console.people['alice'], console.ctl.session())
    assert (found['monitors'], found['gaps'], found['starts_at']) == (
        [], [], None)


def test_who_may_not_play_back_sees_times_alone(console, split):
    console.set_playback('owner')
    console.grant('mia', 'desk1', control=True)
    console.sql('UPDATE segments SET poster_key = %s WHERE id = %s',
                ('demo/desk1/p.jpg', split[1][0]))
    try:
        for name, plays in (('alice', True), ('mia', False)):
            row = timeline(console.people[name],
                           split[0])['monitors'][0]['recordings'][0]
            assert row['has_poster'] == plays
            assert (row['activity'] is not None) == plays
    finally:
        console.sql('UPDATE segments SET poster_key = NULL')
        console.grant('mia', 'desk1')


# --- beside a recording ------------------------------------------------------

def test_a_poster_is_a_signed_link(console):
    session = console.ctl.session()
    gid = console.ctl.segment(session, 1)
    alice = console.people['alice']
    ask = f'recordings/{gid}/poster'
    assert alice.get(ask, allow_redirects=False).status_code == 404
    key = f'demo/desk1/{gid}.jpg'
    console.sql('UPDATE segments SET poster_key = %s WHERE id = %s',
                (key, gid))
    r = alice.get(ask, allow_redirects=False)
    assert r.status_code == 303
    url = urllib.parse.urlsplit(r.headers['Location'])
    assert url.path == '/files/' + key
    assert 'signature=' in url.query
    console.sql("UPDATE segments SET status = 'deleted' WHERE id = %s", (gid,))
    assert alice.get(ask, allow_redirects=False).status_code == 404


def test_the_manifest_says_what_a_recording_is_checked_with(console):
    session = console.ctl.session()
    gid = console.ctl.segment(session, 1)
    alice = console.people['alice']
    nothing = alice.get(f'recordings/{gid}/manifest').json()
    assert (nothing['root'], nothing['key'], nothing['url']) == (None,) * 3
    assert not console.audit('manifest')
    public = bytes(range(32))
    key = hashlib.sha256(public).hexdigest()[:16]
    console.sql("INSERT INTO evidence_keys (id, public_key, host) VALUES "
                "(%s, %s, 'node1')", (key, public))
    console.sql('INSERT INTO evidence (segment_id, root, sha256, object_key, '
                'key_id, signature) VALUES (%s, %s, %s, %s, %s, %s)',
                (gid, b'\x11' * 32, b'\xab' * 32, f'demo/desk1/{gid}.json',
                 key, b'\x22' * 64))
    found = alice.get(f'recordings/{gid}/manifest').json()
    assert found['root'] == '11' * 32
    assert found['signature'] == '22' * 64
    assert found['key']['id'] == key
    assert found['key']['public_key'] == public.hex()
    assert found['head'] is None
    url = urllib.parse.urlsplit(found['url'])
    assert url.path == f'/files/demo/desk1/{gid}.json'
    actor, target, detail = console.audit('manifest')[-1]
    assert (actor, target, detail['door']) == ('alice', gid, 'console')


def test_notes_stand_at_a_moment(console):
    session = console.ctl.session()
    gid = console.ctl.segment(session, 1)
    path = f'recordings/{gid}/notes'
    alice, adam = console.people['alice'], console.people['adam']
    console.set_playback('admin')
    assert alice.get(path).json() == {'items': []}
    for client, at_ms, text in ((alice, 59000, 'here\n"it" breaks'),
                                (adam, 1500, 'login ä')):
        r = client.post(path, json={'at_ms': at_ms, 'text': text})
        assert r.status_code == 201, r.text
        assert (r.json()['at_ms'], r.json()['text']) == (at_ms, text)
    assert [(n['at_ms'], n['author']) for n in alice.get(path).json()['items']
            ] == [(1500, 'adam'), (59000, 'alice')]
    actor, target, detail = console.audit('note')[-1]
    assert (actor, target, detail['at_ms'], detail['value']) == (
        'adam', gid, 1500, 'login ä')


@pytest.mark.parametrize('body,pointer', [
    ({'at_ms': 60001, 'text': 'x'}, '/at_ms'),
    ({'at_ms': -1, 'text': 'x'}, '/at_ms'),
    ({'at_ms': 86400001, 'text': 'x'}, '/at_ms'),
    ({'at_ms': 1.5, 'text': 'x'}, '/at_ms'),
    ({'text': 'x'}, '/at_ms'),
    ({'at_ms': 1, 'text': ''}, '/text'),
    ({'at_ms': 1, 'text': 'ä' * 1001}, '/text'),
    ({'at_ms': 1, 'text': 'x', 'author': 'olga'}, '/author')])
def test_wrong_notes_are_refused(console, body, pointer):
    gid = console.ctl.segment(console.ctl.session(), 1)
    alice = console.people['alice']
    r = alice.post(f'recordings/{gid}/notes', json=body)
    assert r.status_code == 422
    assert r.json()['errors'][0]['pointer'] == pointer
    assert alice.get(f'recordings/{gid}/notes').json() == {'items': []}


def test_notes_are_bounded(console):
    gid = console.ctl.segment(console.ctl.session(), 1)
    console.sql("INSERT INTO recording_notes (segment_id, at_ms, text, author)"
                " SELECT %s, n, 'x', 'alice' FROM generate_series(1, 1000) n",
                (gid,))
    r = console.people['alice'].post(
        f'recordings/{gid}/notes', json={'at_ms': 1, 'text': 'one more'})
    assert r.status_code == 409
    assert 'at most 1000' in r.json()['detail']


# --- another team -------------------------------------------------------------

@pytest.mark.parametrize('method,path', [
    ('GET', 'recordings/{}/notes'), ('POST', 'recordings/{}/notes'),
    ('GET', 'recordings/{}/manifest'), ('GET', 'recordings/{}/poster')])
@pytest.mark.parametrize('person,playback,status', [
    ('mia', 'owner', 403), ('adam', 'owner', 403), ('alice', 'owner', None),
    ('adam', 'admin', None), ('olga', 'member', 404)])
def test_it_needs_the_right_to_play_back(console, method, path, person,
                                         playback, status):
    console.set_playback(playback)
    console.grant('mia', 'desk1', control=True)
    gid = console.ctl.segment(console.ctl.session(), 1)
    body = {'json': {'at_ms': 0, 'text': 'x'}} if method == 'POST' else {}
    r = console.people[person].request(method, path.format(gid), **body)
    console.grant('mia', 'desk1')
    allowed = {'POST': 201}.get(
        method, 404 if path.endswith('poster') else 200)
    assert r.status_code == (status or allowed), r.text


def test_a_bearer_token_reaches_them_by_its_scopes(console):
    session = console.ctl.session()
    gid = console.ctl.segment(session, 1)
    alice = console.people['alice']
    console.set_playback('owner')
    token = alice.post('tokens', json={
        'name': str(uuid.uuid4()), 'scopes': ['recordings:read'],
        'days': 1}).json()['token']
    program = console.client(token)
    assert program.get(f'recordings/{gid}/notes').status_code == 200
    assert program.post(f'recordings/{gid}/notes', json={
        'at_ms': 1, 'text': 'x'}).status_code == 403
    assert program.get(f'sessions/{session}/timeline').status_code == 403
