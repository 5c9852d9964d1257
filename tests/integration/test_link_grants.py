"""A client that opened a link while it lived continues after its death, that
client alone, that file alone, for a bounded time, and as long as nothing was
taken back. T6, X7."""
import hashlib
import hmac
import http.cookies
import subprocess
import time
import urllib.parse

import pytest
import requests

from pg import Cluster
from storage_env import Ceph, Segment, Storage, wait_for

NAME = '__Secure-relaycam-grant'
SIZE = 3_000_000


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def ceph(tmp_path_factory):
    server = Ceph(tmp_path_factory.mktemp('ceph'))
    yield server
    server.stop()


@pytest.fixture(params=['folder', 's3'])
def env(request, tmp_path, cluster):
    e = Storage(tmp_path, cluster, request.getfixturevalue('ceph')
                if request.param == 's3' else None)
    yield e
    e.close()


@pytest.fixture
def seg(env):
    s = Segment(env.start(), SIZE).place()
    s.wait_stored()
    return s


def client(env):
    """A browser as far as cookies go."""
    s = requests.Session()
    s.verify = f'{env.dir}/tls.crt'
    s.trust_env = False
    return s


def is_dead(env, url):
    wait_for('the link to be dead', lambda: env.get(
        url, Range='bytes=0-9').status_code == 403)
    return True


def opened(env, seg, **kw):
    """A link that was opened and is dead by now; the client; its cookie."""
    url = env.link(seg.key, seconds=3, **kw)
    c = client(env)
    r = c.get(url, headers={'Range': 'bytes=0-99'}, timeout=20)
    assert r.status_code == 206, r.text
    assert is_dead(env, url)
    return url, c, c.cookies.get(NAME)


def ask(env, url, cookie):
    return env.get(url, Range='bytes=5-104', Cookie=f'{NAME}={cookie}')


def audit(env, action):
    return env.rows('SELECT * FROM audit WHERE action = %s ORDER BY id',
                    action)


def test_who_began_continues(env, seg):
    url, c, _ = opened(env, seg)
    for first, last in ((5, 104), (0, SIZE - 1), (SIZE - 10, SIZE - 1)):
        r = c.get(url, headers={'Range': f'bytes={first}-{last}'},
                  timeout=20)
        assert r.status_code == 206
        assert r.content == seg.data[first:last + 1]
    assert c.head(url, timeout=20).status_code == 200
    # the link alone, as somebody else has it, stays dead
    r = env.get(url)
    assert r.status_code == 403 and 'expired' in r.text
    assert 'Set-Cookie' not in r.headers
    assert env.metric('files_resumed_total') >= 4


def test_the_cookie(env, seg):
    url = env.link(seg.key)
    r = env.get(url, method='HEAD')
    morsel = http.cookies.SimpleCookie(r.headers['Set-Cookie'])[NAME]
    path = urllib.parse.urlparse(url).path
    assert (morsel['path'], morsel['samesite']) == (path, 'Lax')
    assert morsel['secure'] and morsel['httponly'] and not morsel['domain']
    assert 86000 < int(morsel['max-age']) <= 86400
    version, expires, person, ident, mac = morsel.value.split('.')
    assert (version, person, len(ident)) == ('1', '0', 16)
    # as docs/relaycam-storage.md describes it
    text = f'relaycam-grant\n{seg.key}\n{expires}\n0\n{ident}'.encode()
    assert mac == hmac.new(env.link_key, text, 'sha256').hexdigest()
    # a client that has one is not given another
    again = env.get(url, method='HEAD', Cookie=f'{NAME}={morsel.value}')
    assert 'Set-Cookie' not in again.headers


def test_forged_and_borrowed_cookies(env, seg):
    other = Segment(env, 1000).place()
    other.wait_stored()
    url, _, cookie = opened(env, seg)
    assert ask(env, url, cookie).status_code == 206
    version, expires, person, ident, mac = cookie.split('.')
    later = str(int(expires) + 1)
    for bad in ('', 'x', cookie[:-1], cookie + '0',
                '.'.join((version, later, person, ident, mac)),
                '.'.join((version, expires, '7', ident, mac)),
                '.'.join((version, expires, person, ident[::-1], mac)),
                '.'.join((version, expires, person, ident,
                          hashlib.sha256(b'').hexdigest()))):
        assert ask(env, url, bad).status_code == 403, bad
    # of another file, and with a link that was never signed
    dead = env.link(other.key, expires=int(time.time()) - 1)
    assert ask(env, dead, cookie).status_code == 403
    assert ask(env, url[:-1] + ('0' if url[-1] != '0' else '1'),
               cookie).status_code == 403
    # a link of a person takes no grant of nobody's
    dead = env.link(seg.key, expires=int(time.time()) - 1,
                    person=env.person_id)
    assert ask(env, dead, cookie).status_code == 403


def test_a_grant_ends(env):
    seg = Segment(env.start(storage__grant_seconds='6'), 1000).place()
    seg.wait_stored()
    url, _, cookie = opened(env, seg)
    assert ask(env, url, cookie).status_code == 206
    wait_for('its end', lambda: ask(env, url, cookie).status_code == 403)
    expires = int(cookie.split('.')[1])
    assert abs(time.time() - expires) < 5


def test_grants_can_be_switched_off(env):
    seg = Segment(env.start(storage__grant_seconds='0'), 1000).place()
    seg.wait_stored()
    url = env.link(seg.key, seconds=2)
    assert 'Set-Cookie' not in env.get(url).headers
    is_dead(env, url)


@pytest.mark.parametrize('status', ['deleted', 'expired'])
def test_a_deleted_recording_ends_its_grants(env, seg, status):
    url, _, cookie = opened(env, seg)
    assert ask(env, url, cookie).status_code == 206
    # a row whose object could not be removed yet
    env.rows('UPDATE segments SET locked = true WHERE id = %s', seg.id)
    env.rows('UPDATE segments SET status = %s WHERE id = %s', status, seg.id)
    r = ask(env, url, cookie)
    assert r.status_code == 403 and status in r.text


@pytest.mark.parametrize('taken', [
    'UPDATE people SET disabled = true WHERE id = %s',
    "UPDATE access_settings SET playback_role = 'owner'; "
    "UPDATE people SET role = 'member' WHERE id = %s"],
    ids=['disabled', 'role'])
def test_rights_taken_back_end_grants(env, seg, taken):
    url, _, cookie = opened(env, seg, person=env.person_id)
    assert ask(env, url, cookie).status_code == 206
    env.rows(taken, env.person_id)
    r = ask(env, url, cookie)
    assert r.status_code == 403 and 'taken back' in r.text


def test_audit_says_who_opened_and_who_continued(env, seg):
    """One line each, however many ranges are asked for."""
    url, c, cookie = opened(env, seg, person=env.person_id)
    for _ in range(5):
        assert c.get(url, headers={'Range': 'bytes=0-9'},
                     timeout=20).status_code == 206
    nobody = env.link(seg.key)
    assert env.get(nobody, Range='bytes=0-9').status_code == 206
    wait_for('three lines', lambda: len(audit(env, 'link_opened')) == 2 and
             len(audit(env, 'link_resumed')) == 1)
    mine, unknown = audit(env, 'link_opened')
    resumed, = audit(env, 'link_resumed')
    for row in (mine, unknown, resumed):
        assert row['object'] == seg.id and row['team_id'] == env.team_id
        assert row['detail']['object_key'] == seg.key
        assert row['detail']['client'] == '127.0.0.1'
        assert row['db_role'] != row['actor']
    assert (mine['actor'], resumed['actor']) == ('alice', 'alice')
    assert unknown['actor'].startswith('storage@')
    ident = cookie.split('.')[3]
    assert ident == mine['detail']['grant'] == resumed['detail']['grant']


def test_curl_with_and_without_a_jar(env, seg, tmp_path):
    def curl(*argv):
        return subprocess.run(
            ['curl', '-s', '--cacert', f'{env.dir}/tls.crt', '--noproxy',
             '*', '-o', str(tmp_path / 'out'), '-w', '%{http_code}', *argv],
            capture_output=True, text=True, timeout=60).stdout
    url = env.link(seg.key, seconds=3)
    jar = str(tmp_path / 'jar')
    assert curl('-c', jar, '-r', '0-999999', url) == '206'
    is_dead(env, url)
    assert curl('-C', '1000000', url) == '403'
    (tmp_path / 'out').write_bytes(seg.data[:1_000_000])
    assert curl('-b', jar, '-C', '-', url) == '206'
    assert (tmp_path / 'out').read_bytes() == seg.data


