"""T12: a change of a team's retention says how many recordings it deletes, and
when, before it does: `relaycam settings set`, GET settings/retention."""
import datetime

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401

NOW = datetime.datetime.now(datetime.timezone.utc)


def days_ago(console, days, locked=False):
    session = console.ctl.session()
    gid = console.ctl.segment(session, 1, size=1 << 20)
    end = NOW - datetime.timedelta(days=days)
    console.sql(
        'UPDATE segments SET ended_at = %s, stored_at = %s, expires_at = '
        "%s + interval '90 days', locked = %s WHERE id = %s",
        (end, end, end, locked, gid))
    return gid


@pytest.fixture(scope='module', name='filled')
def filled_console(console):
    """Of 5, 25 and 45 days, and a locked one of 60."""
    for days in (5, 25, 45, 46):
        days_ago(console, days)
    days_ago(console, 60, locked=True)
    return console


def days_now(console):
    return console.ctl.json('settings', 'show', '--team', 'demo')[1][
        'retention_days']


def preview(console, days, who='alice', access='unattended'):
    return console.people[who].get(
        f'settings/retention?access={access}&days={days}')


def test_what_a_shorter_time_deletes(filled):
    r = preview(filled, 30)
    assert r.status_code == 200, r.text
    found = r.json()
    first = datetime.datetime.fromisoformat(
        found['first_day'].pop('from').replace('Z', '+00:00'))
    # nothing goes within the first day
    assert datetime.timedelta(hours=23) < first - NOW <= datetime.timedelta(
        hours=25)
    later = datetime.datetime.fromisoformat(
        found['later'].pop('from').replace('Z', '+00:00'))
    assert abs(later - NOW - datetime.timedelta(days=5)) < (
        datetime.timedelta(minutes=1))
    assert found == {
        'access': 'unattended', 'retention_days': 30,
        'retention_days_now': 90,
        'first_day': {'recordings': 2, 'bytes': 2 << 20},
        'later': {'recordings': 2, 'bytes': 2 << 20},
        'longer': 0, 'locked': 1}


def test_a_longer_time_deletes_nothing(filled):
    found = preview(filled, 100).json()
    assert found['longer'] == 4
    for part in ('first_day', 'later'):
        assert found[part] == {'recordings': 0, 'bytes': 0, 'from': None}
    assert preview(filled, 30, access='attended').json()['later'][
        'recordings'] == 0
    # another team has none
    assert preview(filled, 1, who='olga').json()['first_day'][
        'recordings'] == 0


@pytest.mark.parametrize('query,pointer', [
    ('', '?access'), ('access=all&days=3', '?access'),
    ('access=attended', '?days'), ('access=attended&days=0', '?days'),
    ('access=attended&days=36501', '?days'),
    ('access=attended&days=', '?days'), ('access=attended&days=-1', '?days'),
    ('access=attended&days=1e3', '?days'),
    ('access=attended&days=99999999999', '?days')])
def test_what_is_refused(filled, query, pointer):
    r = filled.people['alice'].get(f'settings/retention?{query}')
    assert r.status_code == 422, r.text
    assert [e['pointer'] for e in r.json()['errors']] == [pointer]


def test_the_command_asks_before(filled):
    ctl = filled.ctl
    err = ctl.fails(1, 'settings', 'set', '--team', 'demo',
                    'unattended.retention_days=30',
                    'unattended.frame_rate=12')
    assert '--yes' in err
    assert days_now(filled) == 90
    out = ctl.ok('settings', 'set', '--team', 'demo', '--dry-run',
                 'unattended.retention_days=30')
    assert out.count('2 recordings (2048 kB) are deleted earlier than '
                     'now') == 2
    assert '1 recordings are locked' in out
    assert days_now(filled) == 90
    # nothing goes earlier: no question
    ctl.ok('settings', 'set', '--team', 'demo',
           'unattended.retention_days=95')
    assert days_now(filled) == 95
    ctl.ok('settings', 'set', '--team', 'demo', '--yes',
           'unattended.retention_days=30')
    assert days_now(filled) == 30
    assert filled.sql('SELECT access, days FROM retention_changes') == [
        ('unattended', 30)]
