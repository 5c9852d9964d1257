"""Roles of the database: each program has what schema/grants.sql says, and
none can change the audit log (X7). The other tests show that the rights are
enough: their programs run with these roles."""
import json
import os
import re
import subprocess

import psycopg2
import pytest
from psycopg2 import errors

from ctl import CTL, Ctl
from pg import SCHEMA, USERS, Cluster

OK, FAILED = 0, 1
PROGRAMS = ['relaycam_relay', 'relaycam_storage', 'relaycam_console',
            'relaycam_admin']

pytestmark = pytest.mark.skipif(not os.path.exists(CTL),
                                reason='relaycam is not built')


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


@pytest.fixture(scope='module')
def db(cluster, tmp_path_factory):
    """A migrated database with a team, an endpoint, a session, a segment and
    an audit row."""
    c = Ctl(cluster, cluster.database('roles'), tmp_path_factory.mktemp('k'))
    c.ok('migrate')
    c.ok('team', 'add', 'demo')
    c.ok('user', 'add', 'alice', '--role', 'owner', '--password-stdin',
         input='correct horse\n')
    c.ok('endpoint', 'add', 'desk1', '--host', 'localhost:5901',
         '--password-stdin', input='secret12\n')
    c.segment(c.session(), 1)
    return c


class As:
    """One statement a transaction, as that role."""

    def __init__(self, db, role):
        self.connection = psycopg2.connect(
            db.url.replace('postgres@', f'{role}@'))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def run(self, query, params=None):
        with self.connection, self.connection.cursor() as cur:
            cur.execute(query, params)
            return cur.fetchall() if cur.description else cur.rowcount

    def refused(self, query, params=None):
        with pytest.raises(errors.InsufficientPrivilege):
            self.run(query, params)


def test_every_table_has_a_line(db):
    """A table that nobody thought of is out of reach of all programs; so
    that nobody is surprised, this names it."""
    with open(os.path.join(SCHEMA, 'grants.sql'), encoding='utf-8') as f:
        listed = set(re.findall(r"^\s+\('(\w+)',\s+'(?:relay|storage|console|"
                                r"admin)',", f.read(), re.M))
    tables = {r[0] for r in db.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p', 'v', 'm')")}
    assert tables - listed == set(), 'schema/grants.sql lacks these'
    assert listed - tables == set(), 'schema/grants.sql names what is not there'


def test_all_belongs_to_the_owner(db):
    rows = db.sql(
        "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c "
        "WHERE relnamespace = 'public'::regnamespace UNION ALL "
        "SELECT p.proname, pg_get_userbyid(p.proowner) FROM pg_proc p "
        "WHERE pronamespace = 'public'::regnamespace")
    assert {r[1] for r in rows} == {'relaycam_owner'} and len(rows) > 40
    for role in PROGRAMS:
        with As(db, role) as p:
            p.refused('CREATE TABLE x (y int)')
            p.refused('CREATE TEMP TABLE x (y int)')
            p.refused('SET ROLE relaycam_owner')
            assert p.run("SELECT pg_has_role('relaycam_owner', 'MEMBER')") \
                == [(False,)]


@pytest.mark.parametrize('role', PROGRAMS)
def test_audit_rows_are_out_of_reach(db, role):
    before = db.sql('SELECT count(*), max(id) FROM audit')[0]
    whole = db.sql('SELECT array_agg(a ORDER BY id)::text FROM audit a '
                   'WHERE id <= %s', (before[1],))
    with As(db, role) as p:
        for query in (
                "UPDATE audit SET actor = 'nobody'",
                'UPDATE audit SET at = now()', 'DELETE FROM audit',
                'TRUNCATE audit', 'DROP TABLE audit',
                'ALTER TABLE audit DISABLE TRIGGER audit_append_only',
                'ALTER TABLE audit DISABLE TRIGGER ALL',
                'DROP TRIGGER audit_append_only ON audit',
                'CREATE TRIGGER t BEFORE INSERT ON audit FOR EACH ROW '
                'EXECUTE FUNCTION audit_is_append_only()',
                'CREATE RULE r AS ON INSERT TO audit DO INSTEAD NOTHING',
                'ALTER TABLE audit RENAME TO gone',
                'ALTER TABLE audit OWNER TO ' + role,
                'CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS '
                "trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                'SET session_replication_role = replica',
                # nor is an entry made for another time, place or writer
                "INSERT INTO audit (actor, action, at) VALUES "
                "('a', 'b', '2020-01-01')",
                "INSERT INTO audit (actor, action, db_role) VALUES "
                "('a', 'b', 'relaycam_owner')",
                "INSERT INTO audit (id, actor, action) OVERRIDING SYSTEM "
                "VALUE VALUES (1, 'a', 'b')",
                "SELECT setval(pg_get_serial_sequence('audit', 'id'), 1)"):
            p.refused(query)
        # who may read it gets a warning only, and nothing is granted
        try:
            p.run(f'GRANT UPDATE, DELETE ON audit TO {role}')
        except errors.InsufficientPrivilege:
            pass
        assert p.run("SELECT has_any_column_privilege('audit', 'UPDATE'), "
                     "has_table_privilege('audit', 'DELETE, TRUNCATE')") == [
                         (False, False)]
        p.run("INSERT INTO audit (team_id, actor, action, object, detail) "
              "VALUES (1, 'someone', 'tried', 'x', '{}')")
    assert db.sql('SELECT array_agg(a ORDER BY id)::text FROM audit a '
                  'WHERE id <= %s', (before[1],)) == whole
    assert db.sql('SELECT actor, db_role FROM audit ORDER BY id DESC '
                  'LIMIT 1') == [('someone', role)]
    assert db.json('audit', 'list', '--action', 'tried')[0]['db_role'] == role


def test_even_the_owner_meets_the_trigger(db):
    """Only who may alter the table, and does, gets past it."""
    with As(db, 'relaycam_owner') as p:
        for query in ("UPDATE audit SET actor = 'nobody'",
                      'DELETE FROM audit', 'TRUNCATE audit'):
            with pytest.raises(errors.RaiseException):
                p.run(query)
    with pytest.raises(errors.RaiseException):
        db.sql('SET session_replication_role = replica; DELETE FROM audit')


@pytest.mark.parametrize('role,queries', [
    ('relaycam_relay', [
        "UPDATE people SET role = 'owner'", 'DELETE FROM people',
        "UPDATE people SET password_hash = 'x'",
        'UPDATE access_settings SET recording = false',
        'UPDATE endpoints SET allow_clear = true',
        "UPDATE endpoints SET secret_sealed = 'x'",
        'INSERT INTO endpoint_rights (person_id, endpoint_id, control) '
        'VALUES (1, 1, true)',
        "UPDATE segments SET sha256 = NULL", 'DELETE FROM segments',
        'DELETE FROM sessions', 'DELETE FROM gaps', 'SELECT * FROM audit',
        'INSERT INTO tickets (kind) VALUES (NULL)', 'SELECT * FROM evidence',
        'DELETE FROM schema_migrations']),
    ('relaycam_storage', [
        'SELECT password_hash FROM people', 'SELECT * FROM endpoints',
        'SELECT * FROM tickets', 'SELECT * FROM enrol_tokens',
        'UPDATE sessions SET recorded = false', 'DELETE FROM sessions',
        'UPDATE gaps SET to_mono_ns = 0', 'DELETE FROM gaps',
        'DELETE FROM evidence', "UPDATE evidence_keys SET host = 'x'",
        'SELECT * FROM audit']),
    ('relaycam_console', [
        'DELETE FROM segments', 'UPDATE segments SET sha256 = NULL',
        'DELETE FROM evidence', 'DELETE FROM gaps', 'DELETE FROM sessions',
        "UPDATE evidence SET sha256 = NULL"]),
    ('relaycam_admin', [
        'DELETE FROM segments', 'UPDATE segments SET sha256 = NULL',
        'DELETE FROM evidence', 'DELETE FROM gaps', 'DELETE FROM sessions',
        'UPDATE sessions SET recorded = false',
        'DELETE FROM schema_migrations'])])
def test_programs_have_no_more_than_they_need(db, role, queries):
    with As(db, role) as p:
        for query in queries:
            p.refused(query)


def test_the_ledger_follows_for_programs_without_rights_on_it(db):
    """gaps_update writes it, whoever changes a segment."""
    session = db.session()
    db.segment(session, 1)
    db.segment(session, 2)
    before = db.sql('SELECT ms FROM gaps WHERE session_id = %s AND '
                    'after_seq = 1', (session,))
    with As(db, 'relaycam_storage') as p:
        p.run("UPDATE segments SET end_mono_ns = end_mono_ns - 2000000000 "
              'WHERE session_id = %s AND seq = 1', (session,))
    after = db.sql('SELECT ms FROM gaps WHERE session_id = %s AND '
                   'after_seq = 1', (session,))
    assert after[0][0] - (before[0][0] if before else 0) == 2000


def test_definers_keep_to_their_schema(db):
    """A function with its owner's rights looks nowhere else."""
    rows = db.sql('SELECT proname, proconfig, prosecdef FROM pg_proc '
                  "WHERE pronamespace = 'public'::regnamespace "
                  'AND prosecdef ORDER BY 1')
    assert [r[0] for r in rows] == [
        'archive_open', 'device_capture_failed', 'device_capture_ordered',
        'device_capture_session_ended', 'endpoint_removed', 'event_of_access',
        'event_of_download', 'event_of_endpoint',
        'event_of_endpoint_test', 'event_of_segment', 'event_of_session',
        'file_opened', 'file_refusal', 'gaps_update', 'logins_end',
        'recording_watched', 'retention_apply', 'retention_changed',
        'segments_changed', 'team_defaults', 'upload_forgotten',
        'webhook_of_segment', 'webhook_of_session']
    assert all(r[1] == ['search_path=public, pg_temp'] for r in rows)


def test_definers_are_so_from_their_migration_on(db):
    """Programs run while migrations are applied, and rights come last: what
    they call then, or a trigger of theirs, acts as its owner already."""
    definers = {r[0] for r in db.sql('SELECT proname FROM pg_proc WHERE '
                                     'prosecdef')}
    seen = set()
    for name in sorted(os.listdir(SCHEMA)):
        if not re.match(r'\d+_', name) or name < '041':
            continue
        with open(os.path.join(SCHEMA, name)) as f:
            text = f.read()
        for head, replaces, function in re.findall(
                r'(CREATE (OR REPLACE )?FUNCTION (\w+)\(.*?\$\$)', text, re.S):
            if function in definers and (replaces or 'RETURNS trigger' in head):
                assert 'SECURITY DEFINER' in head, (name, function)
                seen.add(function)
    assert seen >= {'recording_watched', 'file_opened', 'file_refusal'}


def test_rights_are_given_anew(db):
    """What somebody granted by hand is gone after the next migrate."""
    db.sql('GRANT UPDATE ON audit TO relaycam_relay; '
           'GRANT SELECT (password_hash) ON people TO relaycam_storage; '
           'GRANT DELETE ON audit TO PUBLIC; '
           'REVOKE SELECT ON teams FROM relaycam_relay')
    bad = db.fails(FAILED, 'check')
    rules = db.run('check', '--json').stdout
    assert 'audit_reach' in rules and 'relaycam_relay' in rules and bad
    db.ok('migrate')
    with As(db, 'relaycam_relay') as p:
        p.refused("UPDATE audit SET actor = 'x'")
        p.refused('DELETE FROM audit')
        p.run('SELECT * FROM teams')
    with As(db, 'relaycam_storage') as p:
        p.refused('SELECT password_hash FROM people')


def test_a_superuser_migrates_for_the_owner(cluster, tmp_path):
    c = Ctl(cluster, cluster.database(), tmp_path)
    c.settings['database.owner_user'] = ''
    c.ok('migrate')
    assert c.sql("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class "
                 "WHERE relnamespace = 'public'::regnamespace") == [
                     ('relaycam_owner',)]


def test_an_installation_with_one_role_changes_over(cluster, tmp_path):
    """Tables, rows and functions that belonged to another role before."""
    name = 'old'
    cluster.sql('postgres', 'DROP ROLE IF EXISTS site; CREATE ROLE site LOGIN')
    cluster.sql('postgres', f'CREATE DATABASE {name} OWNER site '
                'TEMPLATE template0')
    c = Ctl(cluster, cluster.url(name), tmp_path)
    site = {'database.owner_user': 'site', 'database.admin_user': 'site'}
    own, c.settings = c.settings, {**c.settings, **site}
    c.ok('migrate')
    c.ok('team', 'add', 'demo')
    c.sql('CREATE TABLE notes_of_the_site (x int)')
    r = subprocess.run(
        ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', cluster.url(name)],
        input=c.ok('migrate', '--roles'), capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    c.settings = own
    assert 'nothing to do' in c.ok('migrate')
    assert c.json('team', 'list')[0]['name'] == 'demo'
    owners = dict(c.sql("SELECT relname, pg_get_userbyid(relowner) FROM "
                        "pg_class WHERE relnamespace = 'public'::regnamespace"))
    assert owners.pop('notes_of_the_site') == 'postgres'
    assert set(owners.values()) == {'relaycam_owner'}
    with pytest.raises(psycopg2.OperationalError, match='CONNECT'):
        psycopg2.connect(c.url.replace('postgres@', 'site@'))


def test_roles_again_while_programs_run(db):
    """It waits for nobody, so it cannot end in a deadlock with them."""
    with As(db, 'relaycam_owner') as p:
        p.connection.cursor().execute(
            'LOCK TABLE nodes, sessions, segments IN ROW EXCLUSIVE MODE')
        r = subprocess.run(
            ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c',
             "SET lock_timeout = '2s'", '-f', '-', db.url],
            input=db.ok('migrate', '--roles'), capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_the_administrators_role_can_check_all(db):
    """Each rule of schema/check.sql looks at tables that it may read; what
    other tests left behind may break some."""
    r = db.run('check', '--json')
    assert r.stdout, r.stderr
    assert json.loads(r.stdout)['rules'] > 60


# --- doctor ------------------------------------------------------------------

def doctor(db, **changes):
    """{(check, level): lines} of doctor with other settings."""
    argv = db.argv('doctor', '--json')
    for key, value in changes.items():  # what is set later wins
        argv[-2:-2] = ['--set', f'{key.replace("__", ".")}={value}']
    out = subprocess.run(argv, capture_output=True, text=True, timeout=60,
                         env=db.env).stdout
    lines = {}
    for x in json.loads(out)['checks']:
        lines.setdefault((x['check'], x['level']), []).append(x)
    return lines


def test_doctor_is_content_with_the_roles(db):
    lines = doctor(db, **{k.replace('.', '__'): v for k, v in USERS.items()})
    assert len(lines['roles', 'ok']) == 4 and ('roles', 'FAIL') not in lines
    assert ('database TLS', 'ok') in lines


@pytest.mark.parametrize('user,says', [
    ('postgres', 'is a superuser'), ('relaycam_owner', 'owns the table'),
    ('member', 'owns the table'), ('nobody-at-all', 'does not exist'),
    ('granted', 'has more than INSERT'), ('powerless', 'cannot add')])
def test_doctor_finds_a_role_that_can_change_audit_rows(db, user, says):
    db.sql("DO $$ BEGIN "
           "IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'member') THEN "
           'CREATE ROLE member; GRANT relaycam_owner TO member; '
           'CREATE ROLE granted; CREATE ROLE powerless; END IF; END $$; '
           'GRANT UPDATE (object) ON audit TO granted')
    lines = doctor(db, database__relay_user=user)
    text, = [x for x in lines['roles', 'FAIL'] if 'the relay' in x['text']]
    assert user in text['text'] and says in text['text'] and text['remedy']


@pytest.mark.parametrize('url,level,says', [
    ('postgresql://x@db.example/relaycam', 'warn', 'sslmode=prefer'),
    ('host=db.example sslmode=require', 'warn', 'sslmode=require'),
    ('host=db.example sslmode=verify-ca', 'warn', 'verify-ca'),
    ('host=db.example sslmode=verify-full', 'ok', 'verify-full'),
    ('host=/run/postgresql,db.example', 'warn', 'TCP'),
    ('hostaddr=192.0.2.1', 'warn', 'TCP'),
    ('postgresql:///relaycam?host=/run/postgresql', 'ok', 'Unix socket')])
def test_doctor_advises_verify_full(db, url, level, says):
    lines = doctor(db, database__url=f'{url}' + (
        '&connect_timeout=1' if '?' in url else '' if '://' in url
        else ' connect_timeout=1'))
    line, = lines['database TLS', level]
    assert says in line['text']
    assert level == 'ok' or 'verify-full' in line['remedy']
