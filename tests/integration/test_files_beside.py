"""Signed links to what is kept beside a recording, its poster and its signed
manifest, from a folder and from S3 through the storage daemon; links that
browsers save; which pages may read them (T6, X3, X5)."""
import json

import pytest
import requests

from storage_env import Segment, Storage, evidence
from storage_fixtures import ceph, cluster  # noqa: F401

JPEG = b'\xff\xd8\xff\xe0' + b'picture' * 100

CONSOLE = 'https://console.example:8443'


@pytest.fixture(params=['folder', 's3'])
def env(request, tmp_path, cluster):  # noqa: F811
    e = Storage(tmp_path, cluster, request.getfixturevalue('ceph')
                if request.param == 's3' else None)
    e.settings['storage.cors_origin'] = CONSOLE
    yield e.start()
    e.close()


def complete(env, **changes):
    """With poster and manifest; stored."""
    seg = Segment(env, 300_000, **changes)
    seg.manifest['poster'] = f'{seg.id}.jpg'
    seg.manifest['evidence'] = evidence(seg.id, seg.data, 100)
    seg.write('.jpg', JPEG)
    seg.place().wait_stored()
    return seg


def test_poster_and_manifest_are_served(env):
    seg = complete(env)
    for suffix, kind in (('.jpg', 'image/jpeg'),
                         ('.json', 'application/json')):
        r = env.get(env.link(seg.key.replace('.webm', suffix)))
        assert r.status_code == 200, r.text
        assert not r.history  # not by way of the S3 server
        assert r.headers['Content-Type'] == kind
        assert r.headers['Access-Control-Allow-Origin'] == CONSOLE
        if suffix == '.jpg':
            assert r.content == JPEG
        else:
            assert json.loads(r.content)['segment'] == seg.id
    assert env.metric('files_active') == 0


def test_a_large_manifest_is_served_whole(env):
    seg = complete(env, activity=[[7, 65535, 0]] * 89000,
                   duration_ms=89_000_000)
    r = env.get(env.link(seg.key.replace('.webm', '.json')))
    assert r.status_code == 200, r.text
    assert len(r.content) > 1_000_000
    assert json.loads(r.content)['activity'] == seg.manifest['activity']


def test_what_was_never_there_is_not_found(env):
    seg = Segment(env, 300_000).place()
    seg.wait_stored()
    r = env.get(env.link(seg.key.replace('.webm', '.jpg')))
    assert r.status_code == 404


def test_a_link_can_be_one_that_is_saved(env):
    seg = complete(env)
    url = env.link(seg.key)
    for more, want in (('', 'inline'), ('&download=1', 'attachment'),
                       ('&download=0', 'inline'), ('&download=x', 'inline')):
        r = env.get(url + more)
        assert r.content == seg.data
        assert r.headers['Content-Disposition'].startswith(
            want + '; filename="desk1_')


def test_pages_of_the_console_alone_may_read(env):
    seg = complete(env)
    r = requests.options(env.link(seg.key), verify=False, timeout=30, headers={
        'Origin': 'https://other.example', 'Access-Control-Request-Headers':
        'range', 'Access-Control-Request-Method': 'GET'})
    assert r.headers['Access-Control-Allow-Origin'] == CONSOLE
    assert 'Access-Control-Allow-Credentials' not in r.headers
    assert int(r.headers['Access-Control-Max-Age']) <= 600
