"""T12: recordings are deleted when their days are over, locked ones stay, rows
stay; a change of the days holds for what is stored, in small batches, and not
before its first day is over. Days are shorter here, by setting."""
import datetime
import os
import time
import uuid

from storage_env import Segment, wait_for
from storage_fixtures import cluster, env  # noqa: F401

SMALL = 4096
SECOND = 10**9


def ended(env, seconds_ago):
    end = time.time_ns() - seconds_ago * SECOND
    return Segment(env, SMALL, start_wall_ns=end - SECOND,
                   end_wall_ns=end).place()


def in_store(env, seg):
    return os.path.exists(os.path.join(env.store, seg.key))


def set_days(env, days):
    env.rows('UPDATE access_settings SET retention_days = %s', days)


def test_ninety_days_in_ninety_seconds(env):
    env.start(storage__retention_day_seconds='1')
    old, new = ended(env, 85), ended(env, 0)
    row = new.wait('available', 60)
    assert row['expires_at'] - row['ended_at'] == datetime.timedelta(
        seconds=90)
    gone = old.wait('expired', 60)
    # what came late is kept for a week, which is more than is left of 90 days
    assert gone['expires_at'] - gone['stored_at'] == datetime.timedelta(
        seconds=7)
    assert gone['store'] is None and gone['object_key'] == old.key
    assert gone['bytes'] == SMALL and not in_store(env, old)
    assert [r['action'] for r in env.rows(
        "SELECT action FROM audit WHERE action = 'recording_expired' AND "
        'object = %s', old.id)] == ['recording_expired']
    assert (new.row()['status'], in_store(env, new)) == (
        'available', True) or time.time() > row['expires_at'].timestamp()


def test_a_change_holds_for_what_is_stored(env):
    env.start()
    free, locked, young = ended(env, 900), ended(env, 900), ended(env, 0)
    for seg in (free, locked, young):
        seg.wait_stored(60)
    env.rows('UPDATE segments SET locked = true WHERE id = %s', locked.id)
    env.stop()
    set_days(env, 600)
    env.start(storage__retention_day_seconds='1')
    free.wait('expired', 60)
    assert locked.row()['status'] == 'available' and in_store(env, locked)
    row = young.row()
    assert row['status'] == 'available'
    assert row['expires_at'] - row['ended_at'] == datetime.timedelta(
        seconds=600)
    env.rows('UPDATE segments SET locked = false WHERE id = %s', locked.id)
    locked.wait('expired', 60)
    audit = env.rows("SELECT detail FROM audit WHERE action = "
                     "'retention_applied'")
    assert [a['detail'] for a in audit] == [
        {'access': 'unattended', 'retention_days': 600, 'recordings': 3},
        {'access': 'attended', 'retention_days': 600, 'recordings': 0}] or [
        a['detail'] for a in audit] == [
        {'access': 'attended', 'retention_days': 600, 'recordings': 0},
        {'access': 'unattended', 'retention_days': 600, 'recordings': 3}]
    assert env.rows('SELECT * FROM retention_changes') == []


def test_a_wrong_number_can_be_taken_back(env):
    env.start()
    seg = ended(env, 900)
    before = seg.wait_stored(60)['expires_at']
    set_days(env, 1)
    env.rows("NOTIFY relaycam_segment")
    wait_for('the change is applied', lambda: seg.row()['expires_at'] !=
             before and not env.rows('SELECT 1 FROM retention_changes'), 60)
    # "stored + a day" is the later one of the two, by less than a minute
    left = seg.row()['expires_at'] - datetime.datetime.now(
        datetime.timezone.utc)
    assert datetime.timedelta(hours=23) < left <= datetime.timedelta(days=1)
    set_days(env, 90)
    env.rows("NOTIFY relaycam_segment")
    wait_for('it is taken back',
             lambda: seg.row()['expires_at'] == before, 60)


def rows_without_objects(env, n):
    """Stored an hour ago and expired, the first one first."""
    env.rows(
        'INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, '
        "recorded, client_addr, started_at) VALUES (%s, %s, %s, %s, "
        "'unattended', true, '', now())", sid := str(uuid.uuid4()),
        env.team_id, env.endpoint_id, env.person_id)
    env.rows(
        'INSERT INTO segments (id, session_id, seq, status, split_reason, '
        'frame_rate, width, height, codec, started_at, ended_at, '
        'start_mono_ns, end_mono_ns, bytes, sha256, store, object_key, '
        "stored_at, expires_at) SELECT gen_random_uuid(), %s, i, 'available', "
        "'start', 10, 640, 480, 'vp9', now(), now(), i, i + 1, 1, "
        "sha256('x'), 'folder', 'acme/desk1/' || i || '.webm', "
        "now() - interval '1 hour', now() - interval '1 hour' "
        "+ i * interval '1 ms' FROM generate_series(1, %s) i", sid, n)


def test_what_cannot_be_deleted_bars_no_other(env):
    """Two batches and more; the oldest is a folder with something in it."""
    env.start()  # the folder is marked: one that lacks all files is not taken
    wait_for('the folder is taken', lambda: os.path.exists(
        os.path.join(env.store, '.relaycam-store')), 60)
    env.stop()
    rows_without_objects(env, 250)
    os.makedirs(os.path.join(env.store, 'acme/desk1/1.webm/x'))
    env.start()
    wait_for('all others are expired', lambda: env.rows(
        "SELECT count(*) FROM segments WHERE status = 'expired'"
    )[0]['count'] == 249, 60)
    assert env.rows("SELECT object_key FROM segments WHERE status = "
                    "'available'") == [{'object_key': 'acme/desk1/1.webm'}]
    wait_for('it is tried again', lambda: env.metric(
        'remove_errors_total') >= 2, 60)
    os.rmdir(os.path.join(env.store, 'acme/desk1/1.webm/x'))
    os.rmdir(os.path.join(env.store, 'acme/desk1/1.webm'))
    wait_for('it goes, too', lambda: not env.rows(
        "SELECT 1 FROM segments WHERE status = 'available'"), 60)
