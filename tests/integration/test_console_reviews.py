"""Reviews: marks that somebody looked at a recording, who may set and take them
back, which recordings nobody has watched, and the same by `relaycam` (M5, X7).
"""
import pytest

from console_events import Listener
from console_fixtures import cluster, console_with_people  # noqa: F401


@pytest.fixture(scope='module', autouse=True)
def members_play(console):
    console.set_playback('member')


@pytest.fixture
def recording(console):
    """mia's session."""
    session = console.ctl.session()
    console.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE "
                "name = 'mia') WHERE id = %s", (session,))
    console.grant('mia', 'desk1', control=True, manage=True)
    gid = console.ctl.segment(session, 1)
    yield gid
    console.sql('DELETE FROM segments WHERE id = %s', (gid,))


def listed(client, **query):
    return [r['id'] for r in client.get('recordings',
                                        params=query).json()['items']]


def test_a_review_is_kept_listed_and_audited(console, recording):
    alice = console.people['alice']
    path = f'recordings/{recording}'
    assert recording in listed(alice, reviewed='false')
    assert recording not in listed(alice, reviewed='true')
    r = alice.post(path + '/review', json={'remark': 'all as agreed'})
    assert r.status_code == 200, r.text
    shown = r.json()
    assert (shown['reviewed_by'], shown['review_remark']) == (
        'alice', 'all as agreed')
    assert shown['reviewed_at'] and alice.get(path).json() == shown
    assert recording not in listed(alice, reviewed='false')
    assert recording in listed(alice, reviewed='true')
    actor, target, detail = console.audited('review')
    assert (actor, target, detail['value']) == ('alice', recording,
                                                'all as agreed')
    again = console.people['adam'].post(path + '/review')
    assert again.status_code == 409 and 'alice' in again.json()['detail']
    r = console.people['adam'].delete(path + '/review')
    assert r.status_code == 200, r.text
    assert r.json()['reviewed_by'] is r.json()['reviewed_at'] is None
    assert r.json()['review_remark'] == ''
    assert console.audited('review_undo')[2]['reviewed_by'] == 'alice'
    assert alice.delete(path + '/review').status_code == 409


def test_nobody_reviews_their_own_session(console, recording):
    path = f'recordings/{recording}/review'
    for ask in (console.people['mia'].post, console.people['mia'].delete):
        before = len(console.audit('refused'))
        r = ask(path)
        assert (r.status_code, r.json()['type']) == (403,
                                                     '/problems/forbidden')
        assert console.audited('refused', before)[:2] == ('mia', recording)
    assert console.people['alice'].get(f'recordings/{recording}').json()[
        'reviewed_by'] is None


def test_members_take_back_only_their_own(console, recording):
    console.sql("UPDATE sessions SET person_id = (SELECT id FROM people WHERE "
                "name = 'adam') WHERE id = (SELECT session_id FROM segments "
                'WHERE id = %s)', (recording,))
    path = f'recordings/{recording}/review'
    mia = console.people['mia']
    assert console.people['alice'].post(path).status_code == 200
    before = len(console.audit('refused'))
    assert mia.delete(path).status_code == 403
    assert console.audited('refused', before)[0] == 'mia'
    assert console.people['alice'].delete(path).status_code == 200
    assert mia.post(path).status_code == 200
    assert mia.delete(path).status_code == 200


@pytest.mark.parametrize('body,pointer', [
    ({'remark': 'x' * 501}, '/remark'), ({'remark': 7}, '/remark'),
    ({'remark': 'a\x00b'}, '/remark'), ({'reviewed_by': 'x'}, '/reviewed_by')])
def test_wrong_bodies_are_refused(console, recording, body, pointer):
    path = f'recordings/{recording}'
    alice = console.people['alice']
    r = alice.post(path + '/review', json=body)
    assert r.status_code in (400, 422), r.text
    if r.status_code == 422:
        assert r.json()['errors'][0]['pointer'] == pointer
    assert alice.get(path).json()['reviewed_by'] is None


@pytest.mark.parametrize('status', [
    'recording', 'transfer', 'downloaded', 'encoding', 'missing',
    'encoding_failed', 'corrupted', 'expired', 'deleted'])
def test_only_a_stored_recording_is_reviewed(console, recording, status):
    console.sql('UPDATE segments SET status = %s WHERE id = %s',
                (status, recording))
    alice = console.people['alice']
    assert recording not in listed(alice, reviewed='false')
    assert recording not in listed(alice, watched='false')
    r = alice.post(f'recordings/{recording}/review')
    assert r.status_code == 409 and 'storage' in r.json()['detail']


def test_a_mark_stays_when_the_file_goes(console, recording):
    alice = console.people['alice']
    assert alice.post(f'recordings/{recording}/review').status_code == 200
    console.sql("UPDATE segments SET status = 'expired' WHERE id = %s",
                (recording,))
    assert recording in listed(alice, reviewed='true')


def open_link(console, recording, actor, action='link_opened'):
    console.sql(
        'INSERT INTO audit (team_id, actor, action, object) SELECT team_id, '
        '%s, %s, id::text FROM segments WHERE id = %s',
        (actor, action, recording))


def test_watched_by_somebody_else(console, recording):
    """What the technician opens does not count, nor a link that nobody has
    opened."""
    alice = console.people['alice']
    path = f'recordings/{recording}'
    open_link(console, recording, 'mia')
    assert alice.post(path + '/links').status_code == 201
    assert recording in listed(alice, watched='false')
    assert alice.get(path).json()['watched_at'] is None
    open_link(console, recording, 'alice')
    first = alice.get(path).json()['watched_at']
    assert first
    open_link(console, recording, 'adam')
    assert alice.get(path).json()['watched_at'] == first
    assert recording not in listed(alice, watched='false')
    assert recording in listed(alice, watched='true')
    assert recording in listed(alice, watched='true', reviewed='false')


def test_a_link_to_s3_counts_when_it_is_made(console, recording):
    """The server there opens it, and tells nobody."""
    console.sql("UPDATE segments SET store = 's3' WHERE id = %s", (recording,))
    open_link(console, recording, 'mia', 'link')
    assert recording in listed(console.people['alice'], watched='false')
    open_link(console, recording, 'alice', 'link')
    assert recording not in listed(console.people['alice'], watched='false')


def test_entries_about_other_things_are_no_watching(console, recording):
    console.sql(
        "INSERT INTO audit (team_id, actor, action, object) SELECT t.id, "
        "'alice', 'link_opened', o FROM teams t, unnest(%s) o",
        ([recording[:-1], recording.upper() + ' ', '', 'desk1'],))
    console.sql(
        "INSERT INTO audit (team_id, actor, action, object) SELECT id, 'olga',"
        " 'link_opened', %s FROM teams WHERE name = 'other'", (recording,))
    assert recording in listed(console.people['alice'], watched='false')


def test_marks_are_events(console, recording):
    alice = console.people['alice']
    with Listener(console.people['adam']) as events:
        events.until('ready')
        assert alice.post(f'recordings/{recording}/review').status_code == 200
        seen = events.until('recording_changed')['data']
        assert seen['id'] == recording and seen['reviewed_by'] == 'alice'


def test_the_command_line_does_the_same(console, recording):
    ctl = console.ctl

    def ids(*flags):
        return [r['id'] for r in ctl.json('recordings', 'list', *flags)]

    assert recording in ids('--unreviewed') and recording in ids('--unwatched')
    assert recording in ids('--device', 'ESK') and not ids('--device', 'none')
    ctl.fails(1, 'recordings', 'review', recording, '--by', 'mia')
    ctl.fails(1, 'recordings', 'review', recording, '--by', 'olga')
    ctl.fails(2, 'recordings', 'review', recording)
    assert 'alice' in ctl.ok('recordings', 'review', recording[:13], '--by',
                             'alice', '--remark', 'fine')
    actor, target, detail = console.audited('review')
    assert (actor, target, detail['value']) == ('alice', recording, 'fine')
    assert detail['system_account'] and detail['door'].startswith('relaycam@')
    assert recording not in ids('--unreviewed')
    (row,) = [r for r in ctl.json('recordings', 'list')
              if r['id'] == recording]
    assert (row['reviewed_by'], row['review_remark']) == ('alice', 'fine')
    ctl.fails(1, 'recordings', 'review', recording, '--by', 'adam')
    ctl.ok('recordings', 'unreview', recording, '--by', 'adam')
    assert recording in ids('--unreviewed')
