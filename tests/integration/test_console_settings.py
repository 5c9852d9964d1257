"""The team's settings at the console: who may see and change them, what is
refused, and that each change is audited with its value before and after (T2,
T3, T7, X7)."""
import json

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401
from storage_env import wait_for

PATH = 'settings/access'


@pytest.mark.parametrize('person,sees,changes', [
    ('alice', 200, 200), ('adam', 200, 403), ('mia', 403, 403)])
def test_who_may(console, person, sees, changes):
    """An admin who could change the playback role would give it to
    himself."""
    c = console.people[person]
    before = console.people['alice'].get(PATH).json()
    assert c.get(PATH).status_code == sees
    r = c.patch(PATH, json={'attended': {'frame_rate': 11}})
    assert r.status_code == changes, r.text
    refusals = (sees, changes).count(403)
    # written beside the answer
    wait_for('the entries', lambda: [
        r[0] for r in console.audit('refused')].count(person) == refusals, 60)
    if changes == 403:
        assert console.people['alice'].get(PATH).json() == before


def test_a_token_needs_the_scope(console):
    token = console.people['alice'].post('tokens', json={
        'name': 'reads settings', 'scopes': ['settings:read'],
        'days': 1}).json()['token']
    c = console.client(token)
    assert c.get(PATH).status_code == 200
    assert c.patch(PATH, json={'time_zone': 'UTC'}).status_code == 403


def test_all_that_relaycam_knows_is_there(console):
    """`relaycam settings show` and the API have the same settings."""
    listed = {row['access']: row for row in console.ctl.json(
        'settings', 'show', '--team', 'demo')}
    answer = console.people['alice'].get(PATH).json()
    assert answer['time_zone'] == 'UTC'
    for access in ('attended', 'unattended'):
        want = {k: v for k, v in listed[access].items()
                if k not in ('team', 'access')}
        assert answer[access] == want


VALUES = {
    'recording': True, 'playback_role': 'member',
    'on_record_failure': 'continue', 'manual_recording': True,
    'consent': 'ask', 'consent_seconds': 45, 'vnc_auth': True,
    'clipboard': 'off', 'frame_rate': 25, 'min_visible_ms': 60,
    'quality': 'lossless', 'max_session_s': 3600, 'warn_seconds': 60,
    'segment_bytes': 1 << 20, 'retention_days': 7}


def test_each_setting_changes_and_says_so(console):
    alice = console.people['alice']
    olgas = console.people['olga'].get(PATH).json()
    old = alice.get(PATH).json()
    assert set(VALUES) == set(old['unattended'])
    active = console.ctl.session(end=None)
    recorded = alice.get(f'sessions/{active}').json()['recorded']
    n = len(console.audit('settings_set'))
    r = alice.patch(PATH, json={'unattended': VALUES,
                                'time_zone': 'Europe/Berlin'})
    assert r.status_code == 200, r.text
    new = r.json()
    assert new == alice.get(PATH).json()
    assert new == {**old, 'unattended': VALUES,
                   'time_zone': 'Europe/Berlin'}
    rows = console.audit('settings_set')[n:]
    assert [row[1] for row in rows] == [
        f'unattended.{k}' for k in sorted(VALUES)
        if VALUES[k] != old['unattended'][k]]

    def text(v):
        return str(v)[0].lower() if isinstance(v, bool) else str(v)

    for actor, target, detail in rows:
        key = target.split('.')[1]
        assert actor == 'alice'
        assert detail == {'client': '127.0.0.1', 'door': 'console',
                          'before': text(old['unattended'][key]),
                          'after': text(VALUES[key])}
    actor, target, detail = console.audit('team_set')[-1]
    assert (actor, target) == ('alice', 'demo')
    assert (detail['before'], detail['after']) == ('UTC', 'Europe/Berlin')
    # a session that runs keeps what it began with
    assert alice.get(f'sessions/{active}').json()['recorded'] == recorded
    # and another team keeps its own
    assert console.people['olga'].get(PATH).json() == olgas


def test_what_stays_as_it_is_is_no_change(console):
    alice = console.people['alice']
    n = len(console.audit('settings_set'))
    old = alice.get(PATH).json()
    assert alice.patch(PATH, json=old).json() == old
    assert len(console.audit('settings_set')) == n


@pytest.mark.parametrize('body,pointers', [
    ({}, ['']),
    ({'attended': 1}, ['/attended']),
    ({'team_id': 2}, ['/team_id']),
    ({'attended': {'team_id': 2, 'access': 'unattended'}},
     ['/attended/access', '/attended/team_id']),
    ({'attended': {'a/b~': 1}}, ['/attended/a~1b~0']),
    ({'attended': {'recording': 'on', 'frame_rate': 61, 'quality': 'te',
                   'consent': 'off|ask', 'retention_days': 0,
                   'segment_bytes': 1.5, 'warn_seconds': None}},
     ['/attended/consent', '/attended/frame_rate', '/attended/quality',
      '/attended/recording', '/attended/retention_days',
      '/attended/segment_bytes', '/attended/warn_seconds']),
    ({'time_zone': 'Mars/Olympus'}, ['/time_zone']),
    ({'time_zone': ''}, ['/time_zone']),
    ({'time_zone': "UTC' OR true"}, ['/time_zone']),
    ({'unattended': {'recording': True}, 'time_zone': 'Nowhere'},
     ['/time_zone']),
])
def test_all_that_is_wrong_is_told(console, body, pointers):
    alice = console.people['alice']
    alice.patch(PATH, json={'unattended': {'recording': False}})
    old = alice.get(PATH).json()
    r = alice.patch(PATH, json=body)
    assert r.status_code == 422, r.text
    assert r.headers['Content-Type'] == 'application/problem+json'
    assert r.json()['type'] == '/problems/invalid'
    assert sorted(e['pointer'] for e in r.json()['errors']) == pointers
    assert all(e['detail'] for e in r.json()['errors'])
    assert alice.get(PATH).json() == old


def test_a_quota_is_set_seen_and_audited(console):
    alice = console.people['alice']
    gid = console.ctl.segment(console.ctl.session(), 1, size=800)
    used = alice.get('disk-space').json()
    assert (used['quota_bytes'], used['quota_state']) == (None, 'none')
    total = used['used_bytes']
    for quota, percent, state in ((total * 2, 80, 'ok'),
                                  (total * 2, 50, 'warning'),
                                  (total, 50, 'full')):
        r = alice.patch(PATH, json={'quota_bytes': quota,
                                    'quota_warn_percent': percent})
        assert r.status_code == 200, r.text
        assert (r.json()['quota_bytes'], r.json()['quota_warn_percent']) == (
            quota, percent)
        now = alice.get('disk-space').json()
        assert (now['quota_bytes'], now['quota_state']) == (quota, state)
        assert now['quota_percent'] == 100 * total // quota
    row, = [t for t in console.ctl.json('team', 'list')
            if t['name'] == 'demo']
    assert row['quota_state'] == 'full'
    line, = [x for x in json.loads(console.ctl.run(
        'doctor', '--json').stdout)['checks'] if x['check'] == 'quotas']
    assert line['level'] == 'FAIL' and 'no new recording' in line['text']
    entries = [(what, d['before'], d['after']) for _, what, d in
               console.audit('settings_set') if what.startswith('quota')]
    assert entries == [
        ('quota_bytes', None, str(total * 2)),
        ('quota_warn_percent', '80', '50'),
        ('quota_bytes', str(total * 2), str(total))]
    # what is deleted counts no more
    console.sql("UPDATE segments SET status = 'deleted' WHERE id = %s",
                (gid,))
    assert alice.get('disk-space').json()['quota_percent'] < 100
    for wrong in (0, -1, 'x', 2**53 + 1, 1.5):
        assert alice.patch(PATH, json={'quota_bytes': wrong}
                           ).status_code == 422
    assert alice.patch(PATH, json={'quota_warn_percent': 101}
                       ).status_code == 422
    assert alice.patch(PATH, json={'quota_bytes': None, 'quota_warn_percent':
                                   80}).json()['quota_bytes'] is None
    console.ctl.ok('team', 'set', 'demo', '--quota', '2G')
    assert alice.get(PATH).json()['quota_bytes'] == 2 << 30
    console.ctl.ok('team', 'set', 'demo', '--quota', 'none')
    assert alice.get(PATH).json()['quota_bytes'] is None
