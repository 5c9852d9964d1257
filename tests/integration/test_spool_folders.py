"""A folder for each session in the spool, docs/spool.md: what lies in one is
that session's only, whoever wrote it (X4)."""
import fcntl
import json
import os
import shutil
import uuid

import spool_files
from storage_env import Segment, wait_for
from storage_fixtures import cluster, database_away, env  # noqa: F401
from test_capture import Capture

SMALL = 100_000


def audited(env, action):
    return env.rows('SELECT team_id, object, detail FROM audit '
                    'WHERE action = %s', action)


def aside(env, session):
    """Names of what was set aside of a session's folder, without the id."""
    return {name[36:] for name in spool_files.listing(
        os.path.join(env.spool, 'quarantine', session))}


def scanned(env):
    """Something that came later than all else was taken."""
    s = Segment(env, SMALL).place()
    s.wait_stored()
    wait_for('its folder to go', lambda: not os.path.exists(s.folder))


# ---- where files are found ----

def test_files_of_an_older_version_are_taken_too(env):
    """After an upgrade some lie beside the folders."""
    old = Segment(env, SMALL, flat=True, end='size').place()
    env.start()
    new = Segment(env, SMALL, session=old.session, seq=2,
                  split_reason='size').place()
    old.wait_stored()
    new.wait_stored()
    assert os.path.dirname(old.path('')) == env.spool


def test_capture_of_an_older_version_is_encoded(env):
    c = Capture(env, frames=5)
    c.folder = env.spool
    c.place()
    env.start()
    c.wait_encoded()


def test_folder_goes_with_its_last_file(env):
    env.start()
    first = Segment(env, SMALL, end='size').place()
    first.wait_stored()
    wait_for('the folder to go', lambda: not os.path.exists(first.folder))
    # the session goes on in a folder made anew
    second = Segment(env, SMALL, session=first.session, seq=2,
                     split_reason='size').place()
    second.wait_stored()
    wait_for('the folder to go', lambda: not os.path.exists(first.folder))
    assert os.listdir(env.spool) == []


def test_empty_folder_stays_while_a_recorder_lives(env):
    env.start()
    held, left = Segment(env, SMALL), Segment(env, SMALL)
    held.enter()
    left.enter()
    left.leave()
    wait_for('the folder that nobody holds to go',
             lambda: not os.path.exists(left.folder))
    assert os.path.isdir(held.folder)
    # it is still watched: no scan is needed to see what comes
    held.place()
    held.wait_stored()


def test_a_folder_is_watched_at_once(env):
    """No file waits for the next scan, also in a folder that is new."""
    env.start(storage__scan_seconds='86400', storage__retry_seconds='86400')
    for n in range(3):
        Segment(env, SMALL).place().wait_stored()
    one = Segment(env, SMALL, end='size').place()
    two = Segment(env, SMALL, session=one.session, seq=2,
                  split_reason='size').place()
    one.wait_stored()
    two.wait_stored()


# ---- what does not belong there ----

def test_entries_that_are_no_folders_of_sessions(env, tmp_path):
    """Neither followed, read nor removed."""
    def outside(name):
        s = Segment(env, SMALL)
        s.folder = str(tmp_path / name)
        s.place()
        return s
    linked, named, upper = outside('a'), outside('b'), outside('c')
    os.symlink(linked.folder, os.path.join(env.spool, linked.session))
    shutil.move(named.folder, os.path.join(env.spool, 'x' + named.session))
    shutil.move(upper.folder, os.path.join(env.spool, upper.session.upper()))
    with open(os.path.join(env.spool, str(uuid.uuid4())), 'wb') as f:
        f.write(b'no folder')
    deep = Segment(env, SMALL)
    deep.folder = os.path.join(env.spool, str(uuid.uuid4()), deep.session)
    os.makedirs(deep.folder)
    deep.place()
    before = sorted(os.listdir(env.spool))
    env.start()
    scanned(env)
    assert 'spool_entry_ignored' in env.log() and 'entries=4' in env.log()
    for s in (linked, named, upper, deep):
        assert s.row() is None
    assert sorted(os.listdir(env.spool)) == before
    assert linked.files() == {'.json', '.webm'}


def test_file_that_is_a_link_is_not_followed(env, tmp_path):
    """Such a recorder cannot make one; nothing else should follow it."""
    secret = tmp_path / 'secret'
    secret.write_bytes(os.urandom(SMALL))
    s = Segment(env, SMALL)
    s.write('.json', b'{}')
    os.unlink(s.path('.json'))
    os.symlink(secret, s.path('.webm'))
    os.symlink(secret, s.path('.json'))
    env.start()
    scanned(env)
    assert s.row() is None and 'spool_entry_ignored' not in env.log()


def test_folder_of_a_session_that_is_not_known(env):
    """The database was away when it began: its row is made (X1)."""
    env.start()
    s = Segment(env, SMALL).place()
    s.wait_stored()
    assert env.rows('SELECT id FROM sessions WHERE id = %s', s.session)


# ---- what says that it is another session's ----

def victim_and_thief(env, **changes):
    """A session with a recording, and a file of another session's folder
    whose manifest names the first one."""
    victim = Segment(env, SMALL, end='size').place()
    victim.wait_stored()
    known = Segment(env, SMALL, end='size').place()
    known.wait_stored()
    thief = Segment(env, SMALL, session=victim.session, seq=2,
                    split_reason='size', **changes)
    thief.folder = known.folder
    return victim, known, thief


def test_manifest_of_another_session_is_set_aside(env):
    env.start()
    victim, known, thief = victim_and_thief(env)
    thief.place()
    wait_for('it to be set aside',
             lambda: aside(env, known.session) == {'.json', '.webm'})
    assert not thief.files() and thief.row() is None
    entry, = audited(env, 'recording_quarantined')
    assert entry['object'] == known.session
    assert entry['team_id'] == env.team_id
    assert entry['detail'] == {'segment': thief.id, 'named': victim.session}
    assert 'manifest_of_another_session' in env.log()
    assert env.metric('quarantined_total') == 1
    rows = env.rows('SELECT id FROM segments WHERE session_id = %s',
                    victim.session)
    assert [r['id'] for r in rows] == [victim.id]
    # somebody looked, and it is right after all
    thief.folder = os.path.join(env.spool, victim.session)
    thief.enter()
    for name in os.listdir(os.path.join(env.spool, 'quarantine',
                                        known.session)):
        os.rename(os.path.join(env.spool, 'quarantine', known.session, name),
                  os.path.join(thief.folder, name))
    thief.leave()
    thief.wait_stored()


def test_setting_aside_that_was_cut_short_is_finished(env):
    env.start()
    _, known, thief = victim_and_thief(env)
    env.kill()
    thief.place()
    folder = os.path.join(env.spool, 'quarantine', known.session)
    os.makedirs(folder)
    os.rename(thief.path('.webm'), os.path.join(folder, thief.id + '.webm'))
    thief.leave()
    env.start()
    wait_for('the rest to follow',
             lambda: aside(env, known.session) == {'.json', '.webm'})
    assert thief.row() is None


def test_recording_that_turns_into_anothers(env):
    """The row that came with the opening manifest does not stay for ever."""
    env.start()
    victim = Segment(env, SMALL).place()
    victim.wait_stored()
    s = Segment(env, SMALL)
    opened = {k: v for k, v in s.manifest.items() if k not in (
        'end_mono_ns', 'end_wall_ns', 'first_frame', 'last_frame', 'frames',
        'duration_ms', 'bytes', 'recovered', 'end', 'retention_days')}
    with open(s.path('.webm.part'), 'wb') as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        part.write(s.data)
        s.write('.json.open', json.dumps(opened).encode())
        s.wait('recording')
        s.manifest.update(session=victim.session, object_key=s.key.replace(
            s.session, victim.session))
        s.write('.json', json.dumps(s.manifest).encode())
        os.rename(s.path('.webm.part'), s.path('.webm'))
    s.leave()
    assert 'names another session' in s.wait('missing')['status_detail']
    wait_for('the files', lambda: aside(env, s.session) == {
        '.json', '.webm', '.json.open'})


def test_capture_of_another_session_is_set_aside(env):
    env.start()
    victim, known, _ = victim_and_thief(env)
    c = Capture(env, session=victim.session, frames=5)
    c.folder = known.folder
    c.place()
    wait_for('it to be set aside', lambda: aside(env, known.session) == {
        '.capture', '.capture.json'})
    assert c.row() is None and not c.files()
    assert len(audited(env, 'recording_quarantined')) == 1


def test_without_a_database_nothing_is_set_aside(env):
    """The audit log hears of it first (X7)."""
    env.start()
    _, known, thief = victim_and_thief(env)
    with database_away(env):
        thief.place()
        wait_for('the log', lambda: 'manifest_of_another_session' in env.log())
        scans = env.log().count('spool_entry_ignored')
        os.symlink('/nowhere', os.path.join(env.spool, 'x'))
        wait_for('a scan that came later', lambda: env.log().count(
            'spool_entry_ignored') > scans)
        assert aside(env, known.session) == set()
        assert thief.files() == {'.json', '.webm'}
    wait_for('it to be set aside',
             lambda: aside(env, known.session) == {'.json', '.webm'}, 60)


# ---- what is no remnant ----

def test_file_that_is_being_opened_is_no_remnant(env):
    """At each split a recorder makes the next file before its manifest."""
    env.start()
    s = Segment(env, SMALL)
    with open(s.path('.webm.part'), 'wb') as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        scanned(env)
        assert 'spool_remnant' not in env.log()
    # nobody holds it now, but it was touched a moment ago
    s.write('.x', b'')
    scanned(env)
    assert 'spool_remnant' not in env.log()
    assert '.webm.part' in s.files()
