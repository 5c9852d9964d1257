"""Who may do what at the console: sessions and recordings by role, grant and
playback setting, and what lists show of them (T3, M7, X7). Every route, cell
by cell, and other teams: test_console_matrix.py."""
import pytest

from console_env import Console
from pg import Cluster


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.session = c.ctl.session()
        c.active = c.ctl.session(end=None)
        c.recording = c.ctl.segment(c.session, 1)
        c.people = {n: c.login(n) for n in ('alice', 'adam', 'mia', 'olga')}
        yield c
        assert c.stop() == 0, c.log()


def path_of(console, path):
    return path.format(session=console.session, active=console.active,
                       recording=console.recording)


def test_another_team_lists_nothing(console):
    for path in ('sessions', 'recordings'):
        assert console.people['olga'].get(path).json() == {
            'items': [], 'cursor': None}


GRANTS = [{}, {'control': True}, {'manage': True},
          {'control': True, 'manage': True}]


def may_play(role, playback, grant):
    control = role != 'member' or grant.get('control', False)
    order = ('member', 'admin', 'owner')
    return control and order.index(role) >= order.index(playback)


@pytest.mark.parametrize('playback', ['owner', 'admin', 'member'])
@pytest.mark.parametrize('person,role,grant', [
    ('alice', 'owner', {}), ('adam', 'admin', {}),
    *(('mia', 'member', g) for g in GRANTS)])
def test_cells(console, playback, person, role, grant):
    console.set_playback(playback)
    console.grant('mia', 'desk1', **grant)
    c = console.people[person]
    plays = may_play(role, playback, grant)
    keeps = plays and (role != 'member' or grant.get('manage', False))
    controls = role != 'member' or grant.get('control', False)
    path = path_of(console, 'recordings/{recording}')

    def expect(allowed, ok, method, path, **kw):
        before = len(console.audit('refused'))
        r = c.request(method, path, **kw)
        assert r.status_code == (ok if allowed else 403), (path, r.text)
        if not allowed:
            assert console.audited('refused', before)[0] == person

    expect(controls, 200, 'GET', path_of(console, 'sessions/{session}'))
    expect(plays, 200, 'GET', path)
    expect(plays, 201, 'POST', path + '/links')
    expect(keeps, 200, 'POST', path + '/lock')
    expect(keeps, 200, 'PATCH', path, json={'notes': 'seen'})
    expect(keeps, 409, 'DELETE', path + '?reason=locked')
    expect(keeps, 200, 'POST', path + '/unlock')
    listed = [i['id'] for i in c.get('recordings').json()['items']]
    assert (console.recording in listed) == plays
    listed = [i['id'] for i in c.get('sessions').json()['items']]
    assert (console.session in listed) == controls


@pytest.mark.parametrize('grant,allowed', [
    ({}, 403), ({'control': True}, 403), ({'manage': True}, 202)])
def test_orders_to_sessions_of_others(console, grant, allowed):
    """PATCH and DELETE go by session_command(); manage is needed, as alice is
    the technician of the session."""
    console.grant('mia', 'desk1', **grant)
    c = console.people['mia']
    path = f'sessions/{console.active}'
    r = c.delete(path + '?reason=enough')
    assert r.status_code == allowed, r.text
    r = c.patch(path, json={'frame_rate': 5})
    assert r.status_code == (403 if allowed == 403 else 200), r.text
    orders = console.sql('SELECT given_by FROM session_orders')
    assert (('mia',) in orders) == (allowed == 202)


def test_what_was_done_is_in_the_audit_log(console):
    console.set_playback('owner')
    alice = console.people['alice']
    path = f'recordings/{console.recording}'
    for action, ask in (
            ('lock', lambda: alice.post(path + '/lock')),
            ('unlock', lambda: alice.post(path + '/unlock')),
            ('link', lambda: alice.post(path + '/links')),
            ('notes', lambda: alice.patch(path, json={'notes': 'a "b"'})),
            ('delete', lambda: alice.delete(path + '?reason=old'))):
        before = len(console.audit(action))
        assert ask().status_code in (200, 201), action
        rows = console.audit(action)
        assert len(rows) == before + 1
        actor, target, detail = rows[-1]
        assert (actor, target) == ('alice', console.recording)
        assert detail['client'] == '127.0.0.1'
        assert detail['door'] == 'console'
    assert alice.get(path).json()['status'] == 'deleted'
    assert alice.get(path).json()['status_detail'] == 'old'
