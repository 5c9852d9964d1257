"""Several recordings as one ZIP, made while it is sent: from a folder, from
S3, and what is still in the spool; read by three programs. How far downloads
are, as the list says it (M1, M6, T11, X7)."""
import os
import subprocess
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctl import Ctl
from storage_env import Segment, Storage, wait_for
from storage_fixtures import ceph, cluster, env  # noqa: F401
from test_paused_downloads import Player

LARGE = 20_000_000  # more than the sockets of both sides hold


@pytest.fixture(params=['folder', 's3'])
def both(request, tmp_path, cluster):  # noqa: F811
    e = Storage(tmp_path, cluster, request.getfixturevalue('ceph')
                if request.param == 's3' else None)
    yield e
    e.close()


def archive(env, segments, session=None, person=None):
    """The answer, as the API and `relaycam` get it."""
    row, = env.rows(
        "SELECT problem, detail, answer FROM archive_new(%s, %s, 'alice', "
        "'{}', %s::uuid[], %s)", env.team_id, person,
        [s.id for s in segments] if session is None else None, session)
    assert row['problem'] is None, row
    return row['answer']


def key_of(answer):
    return f'archive/{answer["id"]}.zip'


def opened(env, answer, action='link_opened'):
    """The lines of the audit log about a ZIP."""
    return env.rows("SELECT detail FROM audit WHERE action = %s AND "
                    "detail->>'archive' = %s", action, answer['id'])


def name_of(seg):
    return seg.key.partition('/')[2]  # without the team


def read(path, segments):
    """By three programs that share no code."""
    for argv in (['unzip', '-tqq', path], ['bsdtar', '-tf', path]):
        r = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert r.returncode == 0, (argv, r.stdout, r.stderr)
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        assert z.namelist() == [name_of(s) for s in segments]
        for info, seg in zip(z.infolist(), segments):
            assert info.compress_type == zipfile.ZIP_STORED
            assert z.read(info) == seg.data


def save(env, response):
    path = os.path.join(env.dir, f'{uuid.uuid4()}.zip')
    with open(path, 'wb') as f:
        f.write(response.content)
    return path


def test_a_zip_has_all_of_a_session_by_monitor_and_time(both):
    env = both
    env.start()
    first = Segment(env, 300_000)
    rest = [Segment(env, size, session=first.session, seq=n + 2)
            for n, size in enumerate((1, 700_000, 40_000))]
    rest[0].manifest['monitor'] = 2
    rest[0].key = rest[0].key.replace('monitor-1', 'monitor-2')
    rest[0].manifest['object_key'] = rest[0].key
    for seg in (first, *rest):
        seg.place().wait_stored()
    answer = archive(env, (), session=first.session)
    assert (answer['files'], answer['left_out']) == (4, [])
    assert answer['bytes'] == 1_040_001
    r = env.get(env.link(key_of(answer)))
    assert r.status_code == 200, r.text
    assert r.headers['Content-Type'] == 'application/zip'
    assert r.headers['Content-Disposition'] == (
        f'attachment; filename="recordings-{answer["id"][:8]}.zip"')
    read(save(env, r), [first, rest[1], rest[2], rest[0]])
    assert len(opened(env, answer, 'download')) == 4
    assert len(opened(env, answer)) == 4
    # again, and twice at once: the first opening has listed them (X7)
    with ThreadPoolExecutor(2) as pool:
        for again in pool.map(lambda _: env.get(env.link(key_of(answer))),
                              range(2)):
            assert again.status_code == 200, again.text
    assert len(opened(env, answer)) == 4
    wait_for('its end', lambda: env.metric('files_active') == 0, 60)
    assert env.stop() == 0


def test_a_zip_adds_lines_per_address_up_to_a_limit(env):
    env.start()
    segments = [Segment(env, 1000).place() for _ in range(2)]
    for s in segments:
        s.wait_stored()
    answer = archive(env, segments)
    for n in [*range(20), 3, 19]:
        env.rows("SELECT * FROM archive_open(%s, NULL, 'storage', %s, NULL)",
                 answer['id'], f'{{"client": "192.0.2.{n}"}}')
    rows = opened(env, answer)
    assert len(rows) == 2 * 16
    assert {r['detail']['client'] for r in rows} == {
        f'192.0.2.{n}' for n in range(16)}
    # another link has lines of its own
    other = archive(env, segments)
    assert env.get(env.link(key_of(other))).status_code == 200
    assert len(opened(env, other)) == 2


def test_a_file_still_in_the_spool_comes_along(tmp_path, cluster, ceph):  # noqa: F811
    env = Storage(tmp_path, cluster, ceph)
    try:
        env.start()
        stored = Segment(env, 30_000).place()
        stored.wait_stored()
        env.gate.hold = 2
        waiting = Segment(env, 8 << 20).place()
        wait_for('its transfer', lambda: (r := waiting.row()) and
                 r['progress'] > 0, 60)
        answer = archive(env, (stored, waiting))
        read(save(env, env.get(env.link(key_of(answer)))),
             [stored, waiting])
    finally:
        env.close()


def test_one_that_is_gone_is_left_out_and_said(env):
    env.start()
    segments = [Segment(env, 1000).place() for _ in range(3)]
    for s in segments:
        s.wait_stored()
    env.rows("UPDATE segments SET status = 'missing' WHERE id = %s",
             segments[1].id)
    answer = archive(env, segments)
    assert answer['left_out'] == [{'id': segments[1].id, 'status': 'missing'}]
    read(save(env, env.get(env.link(key_of(answer)))),
         [segments[0], segments[2]])
    # taken back after the link was made
    env.rows("UPDATE segments SET status = 'deleted' WHERE id = %s",
             segments[0].id)
    r = env.get(env.link(key_of(answer)))
    assert r.status_code == 403 and 'is deleted' in r.text


def test_a_person_who_lost_the_right_gets_no_byte(env):
    env.start()
    seg = Segment(env, 1000).place()
    seg.wait_stored()
    mia, = env.rows("INSERT INTO people (team_id, name, role) VALUES (%s, "
                    "'mia', 'member') RETURNING id", env.team_id)
    answer = archive(env, [seg])
    url = env.link(key_of(answer), person=mia['id'])
    r = env.get(url)
    assert r.status_code == 403 and 'taken back' in r.text
    assert env.get(env.link(key_of(answer), expires=1)).status_code == 403
    assert env.get(url.replace(answer['id'][:8], '0' * 8)).status_code == 403
    r = env.get(env.link(f'archive/{uuid.uuid4()}.zip'))
    assert r.status_code == 404


def test_a_file_that_changed_breaks_the_zip_off(env):
    """A ZIP that looks whole and is not would be worse."""
    env.start()
    one, two = [Segment(env, LARGE).place() for _ in range(2)]
    for s in (one, two):
        s.wait_stored(60)
    url = env.link(key_of(archive(env, (one, two))))
    p = Player(env, url)
    assert p.status == 200
    with open(os.path.join(env.store, two.key), 'ab') as f:
        f.write(b'x')
    p.s.settimeout(60)
    got = p.rest()
    assert one.data[:1000] in got[:2000]
    assert b'PK\x05\x06' not in got[-100:]
    r = env.get(url)
    assert r.status_code == 409 and two.key in r.text


def test_relaycam_saves_a_session(env):
    env.start()
    seg = Segment(env, 5000).place()
    more = Segment(env, 6000, session=seg.session, seq=2).place()
    for s in (seg, more):
        s.wait_stored()
    ctl = Ctl(env.cluster, env.url, None, **{
        k: v for k, v in env.settings.items() if k.startswith('store.')})
    path = os.path.join(env.dir, 'a.zip')
    said = ctl.ok('recordings', 'zip', seg.session[:8], '--output', path,
                  '--ca', f'{env.dir}/tls.crt')
    assert said == f'{path}: 2 recordings, 11000 bytes\n'
    read(path, [seg, more])
    assert 'already' in ctl.fails(1, 'recordings', 'zip', seg.session,
                                  '--output', path)
    env.rows("UPDATE segments SET status = 'missing'")
    other = os.path.join(env.dir, 'b.zip')
    assert 'None of these' in ctl.fails(1, 'recordings', 'zip', seg.session,
                                        '--output', other)
    assert not os.path.exists(other)


def test_the_list_says_that_it_is_downloaded(both):
    env = both
    seg = Segment(env.start(), LARGE).place()
    seg.wait_stored(60)
    ctl = Ctl(env.cluster, env.url, None)

    def listed():
        row, = ctl.json('recordings', 'list')
        return row['status'], row['progress'], row['status_text']
    assert listed()[0] == 'available'
    p = Player(env, env.link(key_of(archive(env, [seg]))))
    p.take(LARGE // 2)
    half = wait_for('its half', lambda: (r := listed())[0] == 'downloading'
                    and 50 <= r[1] < 100 and r, 60)
    assert half[2] == f'downloading {half[1]} %'
    p.close()  # that is how a download is cancelled
    wait_for('its end', lambda: listed()[0] == 'available', 60)
    wait_for('no row', lambda: not env.rows('SELECT * FROM downloads'), 60)


def test_what_a_dead_daemon_sent_is_forgotten(env):
    seg = Segment(env.start(), LARGE).place()
    seg.wait_stored(60)
    p = Player(env, env.link(seg.key) + '&download=1')
    wait_for('its row', lambda: env.rows('SELECT * FROM downloads'), 60)
    env.kill()
    p.close()
    assert env.rows('SELECT * FROM downloads') != []
    env.start()
    wait_for('no row', lambda: not env.rows('SELECT * FROM downloads'), 60)
