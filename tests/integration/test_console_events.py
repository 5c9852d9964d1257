"""GET events: what changes comes as it changes, to those who may see it."""
import time

import pytest

from console_events import Listener
from console_fixtures import cluster, console_with_people  # noqa: F401
from storage_env import wait_for


def end(console, session):
    console.sql("UPDATE sessions SET ended_at = now(), end_code = 'normal', "
                "end_reason = 'done' WHERE id = %s", (session,))


def test_a_session_from_start_to_end(console):
    alice = console.people['alice']
    with Listener(alice) as events:
        assert events.next()['event'] == 'ready'
        s = console.ctl.session(end=None)
        e = events.until('session_started', id=s)
        assert e['data'] == {**alice.get(f'sessions/{s}').json(),
                             'duration_ms': e['data']['duration_ms']}
        console.sql('UPDATE sessions SET frame_rate = 5 WHERE id = %s', (s,))
        assert events.until('session_changed')['data']['frame_rate'] == 5
        # nothing changes: nothing is said
        console.sql('UPDATE sessions SET frame_rate = 5 WHERE id = %s', (s,))
        end(console, s)
        e = events.next()
        assert (e['event'], e['data']['state']) == ('session_ended', 'ended')


def test_a_recording_and_its_percentages(console):
    alice = console.people['alice']
    s = console.ctl.session()
    with Listener(alice) as events:
        events.until('ready')
        g = console.ctl.segment(s, 1, status='transfer')
        assert events.until('recording_changed')['data']['id'] == g
        for percent in (1, 50, 100):
            console.sql('UPDATE segments SET progress = %s WHERE id = %s',
                        (percent, g))
            e = events.until('recording_changed', progress=percent)
            assert e['data']['status'] == 'transfer'
            # T5: the column of the list of sessions
            e = events.until('session_changed', id=s)
            assert e['data']['recording'] == 'under_way'
            assert e['data']['recording_progress'] == percent
        console.sql("UPDATE segments SET status = 'available' WHERE id = %s",
                    (g,))
        events.until('recording_changed', status='available')
        assert events.until('session_changed')['data']['recording'] == \
            'uploaded'
        console.sql('DELETE FROM segments WHERE id = %s', (g,))
        assert events.until('recording_removed')['data'] == {'id': g}


def test_endpoints(console):
    alice = console.people['alice']
    with Listener(alice) as events:
        events.until('ready')
        r = alice.post('endpoints', json={'name': 'desk9', 'kind': 'agent'})
        assert events.until('endpoint_changed')['data'] == r.json()
        node = console.sql(
            "INSERT INTO nodes (id, program, host, version) VALUES "
            "(gen_random_uuid(), 'relay', 'n', '1') RETURNING id")[0][0]
        console.sql("UPDATE endpoints SET agent_node = %s, agent_cert_sha256 "
                    "= decode(repeat('ab', 32), 'hex') WHERE name = 'desk9'",
                    (node,))
        events.until('endpoint_changed', state='connected')
        console.sql("UPDATE endpoints SET agent_seen_at = now() WHERE name = "
                    "'desk9'")
        console.sql("UPDATE endpoints SET agent_node = NULL WHERE name = "
                    "'desk9'")
        assert events.next()['data']['state'] == 'away'
        alice.delete(f"endpoints/{r.json()['id']}")
        assert events.until('endpoint_removed')['data'] == {
            'id': r.json()['id']}


def tell_all(console):
    """An event that everybody of the team sees."""
    console.sql("SELECT event_add('access', id, NULL, NULL, '') FROM teams "
                "WHERE name = 'demo'")


def changes(console):
    """One event of each kind, and then one that everybody sees."""
    s = console.ctl.session(end=None)
    g = console.ctl.segment(s, 1, status='transfer')
    end(console, s)
    console.sql('UPDATE segments SET progress = 7 WHERE id = %s', (g,))
    console.sql("UPDATE endpoints SET title = title || 'x' WHERE name = "
                "'desk1'")
    tell_all(console)
    return s, g


@pytest.mark.parametrize('playback', ['owner', 'admin', 'member'])
@pytest.mark.parametrize('person,role,grant', [
    ('alice', 'owner', {}), ('adam', 'admin', {}),
    *(('mia', 'member', g) for g in (
        {}, {'control': True}, {'manage': True},
        {'control': True, 'manage': True}))])
def test_cells(console, playback, person, role, grant):
    """As the lists have it, by role, grant and playback setting."""
    console.set_playback(playback)
    console.grant('mia', 'desk1', **grant)
    client = console.people[person]
    with Listener(client) as events:
        events.until('ready')
        s, g = changes(console)
        names = events.names(until='reset')
    controls = role != 'member' or grant.get('control', False)
    order = ('member', 'admin', 'owner')
    plays = controls and order.index(role) >= order.index(playback)
    assert ('session_started' in names) == controls
    assert ('session_ended' in names) == controls
    assert ('endpoint_changed' in names) == controls
    assert ('recording_changed' in names) == plays
    if not controls:
        assert names == ['reset']
    # the same by the lists
    listed = [i['id'] for i in client.get('sessions').json()['items']]
    assert (s in listed) == controls
    listed = [i['id'] for i in client.get('recordings').json()['items']]
    assert (g in listed) == plays


def test_ones_own_session_is_heard_without_a_right(console):
    console.grant('mia', 'desk1')
    with Listener(console.people['mia']) as events:
        events.until('ready')
        s = console.ctl.session(end=None)
        console.sql("UPDATE sessions SET person_id = (SELECT id FROM people "
                    "WHERE name = 'mia') WHERE id = %s", (s,))
        assert events.next()['data']['user'] == 'mia'
        end(console, s)
        assert events.next()['event'] == 'session_ended'


def test_another_team_hears_nothing(console):
    with Listener(console.people['olga']) as events, \
            Listener(console.people['alice']) as hers:
        events.until('ready')
        hers.until('ready')
        changes(console)
        hers.names(until='reset')
        console.sql("INSERT INTO endpoints (team_id, name, host, port) SELECT "
                    "id, 'desk3', '127.0.0.1', 5900 FROM teams WHERE name = "
                    "'other'")
        assert events.next()['data']['name'] == 'desk3'


def test_a_right_that_is_taken_away_ends_its_events(console):
    console.grant('mia', 'desk1', control=True)
    with Listener(console.people['mia']) as events:
        events.until('ready')
        s = console.ctl.session(end=None)
        events.until('session_started', id=s)
        console.grant('mia', 'desk1')
        assert events.next()['event'] == 'reset'
        # of the end she hears nothing: of what follows it she does
        end(console, s)
        tell_all(console)
        assert events.next()['event'] == 'reset'
        console.grant('mia', 'desk1', control=True)
        assert events.next()['event'] == 'reset'
        s = console.ctl.session(end=None)
        assert events.next()['data']['id'] == s


@pytest.mark.parametrize('how', ['logout', 'password', 'disabled', 'expired'])
def test_the_end_of_a_login_ends_the_stream(console, how):
    mia = console.login('mia')
    with Listener(mia) as events:
        events.until('ready')
        if how == 'logout':
            assert mia.post('logout').status_code == 204
        elif how == 'expired':
            console.sql("UPDATE logins SET expires_at = now() WHERE person_id "
                        "= (SELECT id FROM people WHERE name = 'mia')")
        elif how == 'password':
            console.ctl.ok('user', 'passwd', 'mia', '--password-stdin',
                           input='correct horse\n')
        else:
            console.ctl.ok('user', 'disable', 'mia')
            console.ctl.ok('user', 'enable', 'mia')
        while (e := events.next()) is not None:
            assert e['event'] == 'reset'
    console.people['mia'] = console.login('mia')


def test_a_token_hears_with_its_scope_until_it_is_taken_back(console):
    alice = console.people['alice']
    tokens = {}
    for scope in ('events:read', 'sessions:read'):
        r = alice.post('tokens', json={'name': f'for {scope}',
                                       'scopes': [scope], 'days': 1})
        tokens[scope] = r.json()
    other = Listener(console.client(tokens['sessions:read']['token']))
    assert other.answer.status == 403
    other.close()
    with Listener(console.client(tokens['events:read']['token'])) as events:
        events.until('ready')
        s = console.ctl.session(end=None)
        events.until('session_started', id=s)
        alice.delete(f"tokens/{tokens['events:read']['id']}")
        assert events.next() is None


def test_a_listener_continues_behind_its_last_event(console):
    alice = console.people['alice']
    with Listener(alice) as events:
        events.until('ready')
        first = console.ctl.session(end=None)
        last = events.until('session_started', id=first)['id']
    missed = [console.ctl.session(end=None) for _ in range(3)]
    for session in missed[:2]:
        for rate in (1, 2, 3):
            console.sql('UPDATE sessions SET frame_rate = %s WHERE id = %s',
                        (rate, session))
    for how in ({'after': last}, {'path': f'events?last_event_id={last}'}):
        with Listener(alice, **how) as events:
            got = [events.next() for _ in range(5)]
            assert [(e['event'], e['data']['id']) for e in got] == [
                *(('session_started', s) for s in missed),
                # several changes of one thing are one
                *(('session_changed', s) for s in missed[:2])]
            assert [e['id'] for e in got] == sorted({e['id'] for e in got})


@pytest.mark.parametrize('after', ['0', '999999999999', 'abc', '-1', '1' * 19])
def test_a_listener_that_is_too_far_behind_is_told(console, after):
    kept = console.sql('SELECT events_kept()')[0][0]
    console.sql("SELECT setval(pg_get_serial_sequence('events', 'id'), "
                "nextval(pg_get_serial_sequence('events', 'id')) + %s)",
                (kept,))
    alice = console.people['alice']
    console.ctl.session(end=None)
    with Listener(alice, after=after) as events:
        assert events.next()['event'] == 'reset'
        s = console.ctl.session(end=None)
        assert events.next()['data']['id'] == s


def test_events_are_bounded(console):
    kept = console.sql('SELECT events_kept()')[0][0]
    console.sql("SELECT event_add('access', 1, NULL, NULL, '') FROM "
                "generate_series(1, 2 * %s)", (kept,))
    assert console.sql('SELECT count(*) FROM events')[0][0] < kept + 200


def test_numbers_are_in_the_order_of_commits(console):
    """A transaction that began first and commits last is not missed."""
    import psycopg2
    alice = console.people['alice']
    first, second = (console.ctl.session(end=None) for _ in range(2))
    with Listener(alice) as events:
        events.until('ready')
        slow = psycopg2.connect(console.ctl.url)
        with slow, slow.cursor() as cur:
            cur.execute('UPDATE sessions SET frame_rate = 7 WHERE id = %s',
                        (first,))
            console.sql('UPDATE sessions SET frame_rate = 8 WHERE id = %s',
                        (second,))
            e = events.next()
            assert e['data']['id'] == second
        later = events.next()
        assert later['data']['id'] == first and later['id'] > e['id']
        slow.close()


def test_the_database_is_asked_once_for_all_listeners(console):
    alice, olga = console.people['alice'], console.people['olga']
    listeners = [Listener(p) for p in (alice, olga) for _ in range(15)]
    for x in listeners:
        x.until('ready')
    wait_for('all streams', lambda: console.metric('event_streams') == 30)
    # what the beginnings made is over when a change has come
    console.ctl.session(end=None)
    for x in listeners[:15]:
        x.until('session_started')
    before = console.metric('queries_total')
    s = console.ctl.session(end=None)
    for x in listeners[:15]:
        x.until('session_started', id=s)
    # each worker once for the change, and perhaps for a beat
    assert console.metric('queries_total') - before <= 6
    for x in listeners:
        x.close()
    wait_for('no stream', lambda: console.metric('event_streams') == 0)


def test_head_and_bounds(console):
    alice = console.people['alice']
    r = alice.http.head(f'{console.url}/api/v1/events', timeout=60)
    assert r.status_code == 200
    assert r.headers['Content-Type'] == 'text/event-stream'
    limit = 20
    # per worker: of two, one is full with twice as many
    listeners = [Listener(alice) for _ in range(2 * limit + 1)]
    refused = [x for x in listeners if x.answer.status == 429]
    assert refused
    assert b'max_event_streams_per_person' in refused[0].answer.read()
    for x in listeners:
        x.close()
    # the places are free again
    wait_for('no stream', lambda: console.metric('event_streams') == 0)
    with Listener(alice) as events:
        events.until('ready')
