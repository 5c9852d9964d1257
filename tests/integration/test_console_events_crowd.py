"""GET events with 500 listeners that come back by themselves, while a worker is
killed, the console is started again, and PostgreSQL is killed and comes back:
no event is lost, none comes twice. And one that does not read."""
import asyncio
import hashlib
import os
import signal
import socket
import ssl
import time

import pytest

from console_env import Console
from console_events import Crowd, Listener
from console_fixtures import cluster  # noqa: F401
from storage_env import wait_for

N_LISTENERS = 500


@pytest.fixture
def console(tmp_path, cluster):
    c = Console(tmp_path, cluster, **{
        'console.max_event_streams_per_address': '0'}).start()
    yield c
    assert c.stop() == 0, c.log()


def cookies(console, n):
    """Logins of n people: owners, admins, and members who may control desk1.
    Passwords would take their time."""
    secrets = [os.urandom(32) for _ in range(n)]
    console.sql(
        "INSERT INTO people (team_id, name, role) SELECT t.id, 'p' || g, "
        "(ARRAY['owner', 'admin', 'member'])[1 + g %% 3] FROM teams t, "
        "generate_series(1, %s) g WHERE t.name = 'demo'", (n,))
    console.sql(
        "INSERT INTO endpoint_rights (person_id, endpoint_id, control) SELECT "
        "p.id, e.id, true FROM people p, endpoints e WHERE p.role = 'member' "
        "AND p.name LIKE 'p%%' AND e.name = 'desk1'", ())
    console.sql(
        "INSERT INTO logins (hash, person_id, client_addr, expires_at) SELECT "
        "h.hash, p.id, '127.0.0.1', now() + interval '1 hour' FROM unnest("
        "%s::bytea[]) WITH ORDINALITY h (hash, n) JOIN people p ON p.name = "
        "'p' || h.n", ([hashlib.sha256(s).digest() for s in secrets],))
    return [f'__Host-relaycam={s.hex()}' for s in secrets]


async def until(what, condition, timeout_s=300):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f'no {what} within {timeout_s} s'
        await asyncio.sleep(0.1)


def started(seen):
    return [data['id'] for _, name, data in seen if name == 'session_started']


async def crowd_over_restarts(console, cluster):
    crowd = Crowd(console, cookies(console, N_LISTENERS))
    crowd.start()
    await until('listeners', lambda: all(crowd.ready))
    sessions = []

    async def add(n):
        for _ in range(n):
            sessions.append(await asyncio.to_thread(
                console.ctl.session, end=None))

    async def all_have(session):
        await until('listener without a gap', lambda: all(
            session in started(s[-50:]) for s in crowd.seen))

    await add(5)
    await all_have(sessions[-1])

    # a worker: its listeners go to the others
    opened = crowd.opened
    os.kill(console.workers()[0], signal.SIGKILL)
    await add(5)
    await all_have(sessions[-1])
    assert crowd.opened > opened

    # all of the console, once in order and once not
    for how in (signal.SIGTERM, signal.SIGKILL):
        console.process.send_signal(how)
        await asyncio.to_thread(console.process.wait, 60)
        await add(5)
        await asyncio.to_thread(console.start)
        await add(5)
        await all_have(sessions[-1])

    # the database: streams stay open
    await asyncio.to_thread(cluster.kill)
    await asyncio.to_thread(cluster.boot)
    await add(5)
    await all_have(sessions[-1])
    await crowd.stop()
    return crowd, sessions


def test_no_event_is_lost_and_none_comes_twice(console, cluster):
    crowd, sessions = asyncio.run(crowd_over_restarts(console, cluster))
    for seen in crowd.seen:
        assert started(seen) == sessions
        ids = [i for i, _, _ in seen]
        assert ids == sorted(set(ids))
        assert 'reset' not in [name for _, name, _ in seen]


def many_recordings(console, n):
    """Of one session, by one statement: n events of some 10 KB. Their ids."""
    return [r[0] for r in console.sql(
        "INSERT INTO segments (id, session_id, seq, status, split_reason, "
        "monitor, frame_rate, width, height, codec, started_at, "
        "start_mono_ns, notes) SELECT gen_random_uuid(), %s, g, 'recording', "
        "'size', 1, 10, 640, 480, 'vp9', now(), g, repeat('x', 9000) FROM "
        "generate_series(1, %s) g RETURNING id::text",
        (console.ctl.session(end=None), n))]


def recordings(events, n):
    """Ids of the next n recordings of a Listener."""
    return [events.until('recording_changed')['data']['id']
            for _ in range(n)]


def test_a_listener_that_does_not_read(console):
    """It costs little memory, others do not wait for it, and when it reads
    again it has missed nothing."""
    alice = console.login('alice')
    context = ssl.create_default_context(cafile=str(console.cert))
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(('127.0.0.1', console.port))
    slow = context.wrap_socket(raw, server_hostname='localhost')
    cookie = alice.http.cookies['__Host-relaycam']
    slow.sendall(b'GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\nCookie: '
                 b'__Host-relaycam=' + cookie.encode() + b'\r\n\r\n')
    slow.settimeout(60)
    text = b''
    while b'event: ready' not in text:
        text += slow.recv(1)
    with Listener(alice) as events:
        events.until('ready')
        made = many_recordings(console, 600)
        assert recordings(events, 600) == made
    # 6 MB waited for it, most of them in the database
    while made[-1].encode() not in text:
        part = slow.recv(65536)
        assert part, 'it was closed'
        text += part
    slow.close()
    places = [text.index(f'"id" : "{g}"'.encode()) for g in made]
    assert places == sorted(places)
    assert text.count(b'event: recording_changed') == 600


def test_a_listener_that_never_reads_is_closed(console):
    alice = console.login('alice')
    console.stop()
    console.settings['console.request_seconds'] = '10'
    console.start()
    # a silent one that reads stays for longer than that
    with Listener(alice) as events:
        events.until('ready')
        never = Listener(alice)
        wait_for('two', lambda: console.metric('event_streams') == 2)
        made = many_recordings(console, 600)
        assert recordings(events, 600) == made
        wait_for('that it is closed',
                 lambda: console.metric('event_streams') == 1, 120)
        last = many_recordings(console, 1)
        assert recordings(events, 1) == last
        never.close()
