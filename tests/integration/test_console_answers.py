"""How the console answers: compression, ETag and 304, and the requests under
way at SIGTERM."""
import gzip
import json
import signal
import threading

import pytest
import requests

from console_env import Console
from console_fixtures import cluster  # noqa: F401
from storage_env import wait_for


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    c = Console(tmp_path_factory.mktemp('console'), cluster)
    for _ in range(10):
        c.ctl.session()
    yield c.start()
    assert c.stop() == 0, c.log()


def plain(client, path, **fields):
    """The bytes as they came, and the fields."""
    r = client.http.get(f'{client.console.url}/api/v1/{path}', timeout=60,
                        stream=True, headers=fields)
    return r.raw.read(decode_content=False), r


@pytest.mark.parametrize('accept', [
    'gzip', 'deflate, gzip;q=0.5', 'br, gzip', 'gzip, *;q=0'])
def test_long_answers_are_compressed_when_asked(console, accept):
    c = console.login('alice')
    body, r = plain(c, 'sessions', **{'Accept-Encoding': accept})
    assert r.headers['Content-Encoding'] == 'gzip'
    assert r.headers['Vary'] == 'Accept-Encoding'
    assert int(r.headers['Content-Length']) == len(body)
    whole, _ = plain(c, 'sessions', **{'Accept-Encoding': 'identity'})
    assert len(body) < len(whole) / 2
    assert gzip.decompress(body) == whole


@pytest.mark.parametrize('accept', [
    'identity', 'br', 'gzip;q=0', 'gzip; q=0', 'gzip;q=0.0', 'gzip ;q=0',
    'xgzip', 'gzippy', ''])
def test_others_get_the_plain_text(console, accept):
    body, r = plain(console.login('alice'), 'sessions',
                    **{'Accept-Encoding': accept})
    assert 'Content-Encoding' not in r.headers
    assert r.headers['Vary'] == 'Accept-Encoding'
    assert len(json.loads(body)['items']) == 10


def test_short_answers_are_not_compressed(console):
    body, r = plain(console.login('alice'), 'me',
                    **{'Accept-Encoding': 'gzip'})
    assert 'Content-Encoding' not in r.headers
    assert len(body) < 1024
    body, r = plain(console.login('alice'), 'sessions?limit=1&endpoint=none',
                    **{'Accept-Encoding': 'gzip'})
    assert 'Content-Encoding' not in r.headers


def test_an_answer_that_the_client_has_is_not_sent_again(console):
    c = console.login('alice')
    r = c.get('sessions')
    etag = r.headers['ETag']
    assert etag.startswith('"') and etag.endswith('"')
    for have in (etag, f'"other", {etag}', f'W/{etag}', '*'):
        again = c.get('sessions', headers={'If-None-Match': have})
        assert (again.status_code, again.content) == (304, b''), have
        assert again.headers['ETag'] == etag
        assert 'Content-Type' not in again.headers
    for have in ('"other"', etag[:-2] + '"', etag.strip('"')):
        again = c.get('sessions', headers={'If-None-Match': have})
        assert again.status_code == 200, have
        assert again.json() == r.json()


def test_an_etag_changes_with_the_answer(console):
    c = console.login('alice')
    old = c.get('sessions').headers['ETag']
    sid = console.ctl.session()
    r = c.get('sessions', headers={'If-None-Match': old})
    assert r.status_code == 200 and r.headers['ETag'] != old
    assert sid in [i['id'] for i in r.json()['items']]
    console.sql('DELETE FROM sessions WHERE id = %s', (sid,))
    # the same as before: the first one holds again
    assert c.get('sessions', headers={'If-None-Match': old}
                 ).status_code == 304


def test_another_persons_answer_has_another_etag(console):
    tag = console.login('alice').get('me').headers['ETag']
    r = console.login('adam').get('me', headers={'If-None-Match': tag})
    assert r.status_code == 200 and r.json()['user'] == 'adam'


def test_writes_have_no_etag(console):
    r = console.login('alice').post('tokens', json={
        'name': 'etag', 'scopes': ['*'], 'days': 1})
    assert r.status_code == 201 and 'ETag' not in r.headers


# --- SIGTERM -----------------------------------------------------------------

def test_requests_under_way_at_sigterm_are_answered(cluster, tmp_path):
    """A lock holds some of them up in the database until the console has
    stopped listening."""
    console = Console(tmp_path, cluster, **{
        'console.workers': '1', 'console.stop_seconds': '300',
        'database.answer_seconds': '300'}).start()
    console.ctl.session()
    clients = [console.login('alice') for _ in range(3)]
    answers = []

    def ask(client):
        answers.append(client.get('sessions'))

    lock = cluster.connect(console.ctl.name)
    lock.autocommit = False
    lock.cursor().execute('LOCK TABLE segments')
    threads = [threading.Thread(target=ask, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    wait_for('requests that wait', lambda: cluster.sql(
        console.ctl.name, "SELECT count(*) FROM pg_stat_activity WHERE "
        "datname = current_database() AND wait_event_type = 'Lock'"
        )[0][0] == 3, 60)
    console.process.send_signal(signal.SIGTERM)

    def refuses():
        try:
            requests.get(console.url, verify=console.cert, timeout=5)
            return False
        except requests.ReadTimeout:
            return False  # it was taken in the moment of the signal
        except requests.ConnectionError:
            return True
    wait_for('no new connections', refuses, 60)
    assert console.process.poll() is None and answers == []
    lock.rollback()
    for t in threads:
        t.join(60)
    assert [r.status_code for r in answers] == [200] * 3
    assert all(r.headers['Connection'] == 'close' for r in answers)
    assert console.process.wait(60) == 0, console.log()


def test_a_drain_has_an_end(cluster, tmp_path):
    console = Console(tmp_path, cluster, **{
        'console.workers': '1', 'console.stop_seconds': '1'}).start()
    c = console.login('alice')
    lock = cluster.connect(console.ctl.name)
    lock.autocommit = False
    lock.cursor().execute('LOCK TABLE segments')
    failed = []

    def ask():
        try:
            c.get('sessions')
        except requests.RequestException as e:
            failed.append(e)
    t = threading.Thread(target=ask)
    t.start()
    wait_for('a request that waits', lambda: cluster.sql(
        console.ctl.name, "SELECT count(*) FROM pg_stat_activity WHERE "
        "datname = current_database() AND wait_event_type = 'Lock'"
        )[0][0] == 1, 60)
    console.process.send_signal(signal.SIGTERM)
    assert console.process.wait(60) == 0, console.log()
    t.join(60)
    assert len(failed) == 1
    lock.rollback()
