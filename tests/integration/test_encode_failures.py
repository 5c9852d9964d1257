"""When encoding fails (M3): three times at most, by hand again, bounded in
processor time, one team after the other, and by one node at a time."""
import os
import subprocess

import pytest

from storage_env import RECORDER, wait_for
from storage_fixtures import cluster, env  # noqa: F401
from test_capture import Capture, violations
from test_encode_queue import ctl


def program(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return str(path)


def failures(env, c):
    r = c.row()
    return r and (r['status'], r['encode_failures'])


def test_three_failures_keep_the_capture(env):
    env.settings['storage.recorder_program'] = '/bin/false'
    c = Capture(env, frames=5).place()
    for n in (1, 2, 3):
        env.start()
        wait_for(f'failure {n}',
                 lambda: failures(env, c) == ('encoding_failed', n), 60)
        assert env.stop() == 0
    # the next start leaves it alone, and says why
    env.start()
    row = wait_for('it is given up', lambda: (
        r := c.row()) and r['status'] == 'encoding_failed' and
        'not tried again' in r['status_detail'] and r, 60)
    assert 'ended with status 1' in row['status_detail']
    assert 'relaycam recordings encode' in row['status_detail']
    assert row['encode_failures'] == 3
    assert c.files() == {'.capture', '.capture.json'}
    assert env.log().count('encode_start') == 3
    assert env.stop() == 0
    # a better program, and somebody who asks for it
    env.settings['storage.recorder_program'] = RECORDER
    env.start()
    wait_for('it is given up again', lambda: env.log().count(
        'encode_given_up') >= 2, 60)
    r = ctl(env, 'recordings', 'encode', c.id)
    assert r.returncode == 0, r.stderr
    assert c.wait_encoded(300)['encode_failures'] == 0
    assert env.rows("SELECT * FROM audit WHERE action = 'recording_encode' "
                    'AND object = %s', c.id)
    assert not violations(env)
    r = ctl(env, 'recordings', 'encode', c.id)
    assert r.returncode == 1 and 'available' in r.stderr


def test_killed_ones_count(env, tmp_path):
    """By the kernel for want of memory, say: tried again, but not for ever."""
    env.settings['storage.recorder_program'] = program(
        tmp_path, 'killed', 'kill -9 $$')
    env.start()
    c = Capture(env, frames=5).place()
    row = wait_for('it is given up', lambda: (
        r := c.row()) and r['status'] == 'encoding_failed' and r, 60)
    assert row['encode_failures'] == 3
    assert 'killed by signal 9' in row['status_detail']


def test_processor_time_is_bounded(env, tmp_path):
    env.settings.update({
        'storage.recorder_program': program(tmp_path, 'busy',
                                            'while :; do :; done'),
        'storage.encode_seconds': '1'})
    env.start()
    c = Capture(env, frames=5).place()  # half a second
    row = wait_for('its end', lambda: (
        r := c.row()) and r['status'] == 'encoding_failed' and r, 120)
    assert 's of processor time' in row['status_detail']
    assert f'encoder_too_slow capture={c.id}' in env.log()
    assert c.files() == {'.capture', '.capture.json'}


def test_teams_take_turns(env, tmp_path):
    """One place: a team with one capture does not wait for all of another."""
    env.settings.update({
        'storage.recorder_program': program(tmp_path, 'fails', 'exit 1'),
        'storage.encoders': '1'})
    other = env.rows("INSERT INTO teams (name) VALUES ('zebra') RETURNING id")
    person = env.rows(
        "INSERT INTO people (team_id, name, role) VALUES (%s, 'zoe', 'owner') "
        'RETURNING id', other[0]['id'])
    endpoint = env.rows(
        "INSERT INTO endpoints (team_id, name, host, port) VALUES (%s, "
        "'desk2', '127.0.0.1', 5900) RETURNING id", other[0]['id'])
    many = [Capture(env, frames=2).place() for _ in range(4)]
    one = Capture(env, frames=2)
    one.manifest.update(
        team='zebra', team_id=other[0]['id'], person_id=person[0]['id'],
        endpoint='desk2', endpoint_id=endpoint[0]['id'],
        object_key=one.key.replace('acme/desk1', 'zebra/desk2'))
    one.place()
    env.start()
    for c in (*many, one):
        c.wait('encoding_failed', 120)
    order = [line.split('capture=')[1].split()[0]
             for line in env.log().splitlines() if 'encode_start' in line]
    assert order.index(one.id) <= 1, order


@pytest.mark.parametrize('left_s,is_free', [(-1, True), (600, False)])
def test_lease_of_another_node(env, left_s, is_free):
    """What a dead node had is taken over when its lease is over."""
    env.settings['storage.recorder_program'] = '/bin/false'
    env.start()
    c = Capture(env, frames=5).place()
    c.wait('encoding_failed', 60)
    assert env.stop() == 0
    env.rows("UPDATE segments SET status = 'downloaded' WHERE id = %s", c.id)
    env.rows("UPDATE segments SET status = 'encoding', encode_node = "
             "gen_random_uuid(), encode_until = now() + %s * interval '1 s' "
             'WHERE id = %s', left_s, c.id)
    env.settings['storage.recorder_program'] = RECORDER
    env.start()
    if is_free:
        c.wait_encoded(300)
        return
    wait_for('it was looked at', lambda: env.log().count(
        f'capture_state capture={c.id} from=closed to=wait') >= 1, 60)
    assert c.row()['status'] == 'encoding'
    assert env.log().count('encode_start') == 1  # the one of before
    env.rows("UPDATE segments SET encode_until = now() WHERE id = %s", c.id)
    c.wait_encoded(300)
