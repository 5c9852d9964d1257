"""What the console says to who wants a clip of a recording: links that are
right, refusals that say why, and the audit log (M5, T6, X7). Clips
themselves: test_clips.py."""
import urllib.parse

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401

BODY = {'from_ms': 1000, 'to_ms': 5000, 'reason': 'complaint 4711'}


@pytest.fixture
def recording(console):
    gid = console.ctl.segment(console.ctl.session(), 1)
    console.ctl.evidence(gid)
    return gid


def ask(console, gid, person='alice', **changes):
    return console.people[person].post(f'recordings/{gid}/clips',
                                       json={**BODY, **changes})


def test_the_answer_has_two_links(console, recording):
    r = ask(console, recording)
    assert r.status_code == 201, r.text
    clip = r.json()
    assert {k: clip[k] for k in BODY} == BODY
    assert (clip['recording'], clip['person']) == (recording, 'alice')
    assert 'key' not in clip and 'files_url' not in clip
    for url, suffix in ((clip['url'], 'webm'), (clip['manifest_url'], 'json')):
        parts = urllib.parse.urlsplit(url)
        assert parts.path == (f'/files/demo/desk1/{recording}.clip-'
                              f'{clip["id"]}.{suffix}')
        assert 'download=1' in parts.query
    actor, what, detail = console.audited('clip')
    assert (actor, what, detail['clip']) == ('alice', recording, clip['id'])
    assert {k: detail[k] for k in BODY} == BODY


def test_a_range_ends_with_the_recording(console, recording):
    clip = ask(console, recording, to_ms=86400000).json()
    assert clip['to_ms'] == 60000  # as ctl.segment has it


@pytest.mark.parametrize('changes, pointer', [
    ({'to_ms': 1000}, '/to_ms'), ({'from_ms': 60000, 'to_ms': 60001},
                                  '/from_ms'),
    ({'from_ms': -1}, '/from_ms'), ({'to_ms': 86400001}, '/to_ms'),
    ({'reason': ''}, '/reason'), ({'reason': 'x' * 1001}, '/reason'),
    ({'reason': 7}, '/reason'), ({'more': 1}, '/more')])
def test_a_wrong_order_is_said(console, recording, changes, pointer):
    r = ask(console, recording, **changes)
    assert r.status_code == 422, r.text
    assert pointer in {e['pointer'] for e in r.json()['errors']}


@pytest.mark.parametrize('status', ['recording', 'transfer', 'corrupted',
                                    'deleted'])
def test_only_stored_recordings_have_clips(console, recording, status):
    console.sql('UPDATE segments SET status = %s WHERE id = %s',
                (status, recording))
    r = ask(console, recording)
    assert r.status_code == 409, r.text
    assert status in r.json()['detail']


def test_without_a_manifest_there_is_none(console):
    gid = console.ctl.segment(console.ctl.session(), 1)
    r = ask(console, gid)
    assert r.status_code == 409
    assert 'manifest' in r.json()['detail']


def test_a_thousand_are_enough(console, recording):
    console.sql("INSERT INTO clips (segment_id, from_ms, to_ms, reason, author)"
                " SELECT %s, 0, 1, 'x', 'y' FROM generate_series(1, 1000)",
                (recording,))
    r = ask(console, recording)
    assert r.status_code == 409
    assert '1000' in r.json()['detail']
