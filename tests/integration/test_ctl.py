"""relaycam against a private PostgreSQL: every command's good case and its
bad siblings. No daemon runs here; what needs one is in test_ctl_services.py.
"""
import glob
import json
import os
import pty
import re
import shutil
import subprocess
import threading

import psycopg2
import pytest

from ctl import CTL, ROOT, Ctl
from pg import Cluster

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78

pytestmark = pytest.mark.skipif(not os.path.exists(CTL),
                                reason='relaycam is not built')


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        c.database('template')
        Ctl(c, c.url('template'), None).ok('migrate')
        yield c


@pytest.fixture
def ctl(cluster, tmp_path):
    """A migrated database of its own, and the command bound to it."""
    url = cluster.database(template='template')
    return Ctl(cluster, url, tmp_path)


@pytest.fixture
def demo(ctl):
    """Team, owner, member and endpoint."""
    ctl.ok('team', 'add', 'demo', '--time-zone', 'Europe/Berlin')
    ctl.ok('user', 'add', 'alice', '--role', 'owner', '--password-stdin',
           input='correct horse\n')
    ctl.ok('user', 'add', 'bob', '--password-stdin', input='battery12\n')
    ctl.ok('endpoint', 'add', 'desk1', '--host', 'localhost:5901',
           '--password-stdin', input='secret12\n')
    return ctl


def audit(ctl, action):
    return ctl.json('audit', 'list', '--action', action)


# --- the command line itself ------------------------------------------------

def test_help_of_every_command(ctl):
    listed = re.findall(r'^  ([a-z-]+)  ', ctl.ok('--help'), re.M)
    assert {'migrate', 'check', 'doctor', 'team', 'user', 'endpoint',
            'ticket', 'connect', 'settings', 'sessions', 'recordings',
            'verify', 'evidence-key', 'audit', 'console',
            'single-sign-on', 'storage',
            'webhook', 'top'} == set(listed)
    for name in listed:
        text = ctl.ok(name, '--help')
        assert text.startswith(f'usage: relaycam {name}')
        for verb in re.findall(r'^  ([a-z-]+) ', text.split('Verbs:')[1],
                               re.M) if 'Verbs:' in text else []:
            assert ctl.ok(name, verb, '--help').startswith(
                f'usage: relaycam {name} {verb}')


def test_manual_has_every_command_and_option(ctl):
    with open(os.path.join(ROOT, 'docs', 'relaycam.md'),
              encoding='utf-8') as f:
        manual = f.read()
    missing = []
    for name in re.findall(r'^  ([a-z-]+)  ', ctl.ok('--help'), re.M):
        text = ctl.ok(name, '--help')
        verbs = re.findall(r'^  ([a-z-]+) ', text.split('Verbs:')[1],
                           re.M) if 'Verbs:' in text else [None]
        for verb in verbs:
            words = [name] + ([verb] if verb else [])
            if '`' + ' '.join(words) not in manual:
                missing.append(' '.join(words))
            for option in re.findall(r'^  (--[a-z0-9-]+)', ctl.ok(
                    *words, '--help'), re.M):
                if option not in manual:
                    missing.append(f'{words} {option}')
    assert missing == []


@pytest.mark.parametrize('argv,says', [
    ([], 'usage:'),
    (['frobnicate'], 'no command "frobnicate"'),
    (['team'], 'usage: relaycam team VERB'),
    (['team', 'sing'], 'no "team sing"'),
    (['team', 'add'], 'usage: relaycam team add'),
    (['team', 'add', 'a', 'b'], 'unexpected argument "b"'),
    (['team', 'list', '--wrong'], 'unknown option --wrong'),
    (['team', 'list', '-x'], 'unknown option -x'),
    (['team', 'list', '--json=1'], '--json takes no value'),
    (['team', 'add', 'x', '--title'], '--title needs a value'),
    (['team', 'list', '--config', 'f'], 'goes before the command'),
    (['sessions', 'list', '--limit', '0'], 'from 1 to'),
    (['sessions', 'list', '--limit', '5x'], 'from 1 to'),
    (['sessions', 'list', '--from', 'yesterday'], 'expected 2026-11-21'),
    (['sessions', 'list', '--state', 'odd'], 'active, ended or all'),
    (['sessions', 'show', 'zz'], 'first 4'),
    (['migrate', '--json'], '--status'),
])
def test_wrong_arguments(ctl, argv, says):
    assert says in ctl.fails(USAGE, *argv)


def test_wrong_settings(ctl, tmp_path):
    conf = tmp_path / 'bad.conf'
    conf.write_text('[database]\nurl = x\nspeed = 3\n')
    r = subprocess.run([CTL, '--config', conf, 'team', 'list'],
                       capture_output=True, text=True)
    assert r.returncode == CONFIG
    assert 'bad.conf:3' in r.stderr and 'speed' in r.stderr


def test_settings_of_daemons_are_their_own(ctl, tmp_path):
    conf = tmp_path / 'good.conf'
    conf.write_text(f'[database]\nurl = {ctl.url}\n[relay]\nother = 1\n'
                    '[storage]\nodd = 2\n[console]\nx = y\n')
    subprocess.run([CTL, '--config', conf, 'team', 'list'], check=True)


def test_no_database(ctl):
    text = Ctl(ctl.cluster, 'postgresql:///none?host=/nonexistent',
               None).fails(FAILED, 'team', 'list')
    assert 'no database' in text and '[database] url' in text


def test_full_disk_is_no_success(ctl):
    with open('/dev/full', 'w') as full:
        r = subprocess.run(ctl.argv('team', 'list', '--json'), stdout=full,
                           stderr=subprocess.PIPE, text=True)
    assert r.returncode == FAILED and 'No space left' in r.stderr


# --- migrate ----------------------------------------------------------------

def schema_files():
    folder = os.path.join(ROOT, 'schema')
    return sorted(f for f in os.listdir(folder) if re.match(r'\d{3}_', f))


def copy_schema(tmp_path):
    folder = tmp_path / 'schema'
    folder.mkdir()
    for name in schema_files():
        with open(os.path.join(ROOT, 'schema', name), 'rb') as f:
            (folder / name).write_bytes(f.read())
    return folder, len(schema_files()) + 1


def test_migrate_twice_and_status(cluster, tmp_path):
    c = Ctl(cluster, cluster.database(), tmp_path)
    assert 'run "relaycam migrate"' in c.fails(FAILED, 'team', 'list')
    assert 'run "relaycam migrate"' in c.fails(FAILED, 'migrate', '--status')
    assert c.ok('migrate').splitlines() == [
        'applied ' + f[:-4] for f in schema_files()]
    assert 'nothing to do' in c.ok('migrate')
    rows = c.json('migrate', '--status')
    assert [r['version'] for r in rows] == list(
        range(1, len(schema_files()) + 1))
    assert c.json('check') == {'rules': c.json('check')['rules'],
                               'violations': []}


def test_migrate_by_several_at_once(cluster, tmp_path):
    c = Ctl(cluster, cluster.database(), tmp_path)
    ps = [subprocess.Popen(c.argv('migrate'), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
          for _ in range(4)]
    out = [p.communicate() for p in ps]
    assert [p.returncode for p in ps] == [0] * 4, out
    assert sum('applied 001_init' in o for o, _ in out) == 1
    assert sum('nothing to do' in o for o, _ in out) == 3


def test_migrate_refuses_a_changed_migration(ctl, tmp_path):
    folder, _ = copy_schema(tmp_path)
    first = folder / '001_init.sql'
    first.write_text(first.read_text() + '-- a word more\n')
    text = ctl.fails(FAILED, 'migrate', '--schema', folder)
    assert '001_init was changed after it was applied' in text


def test_migrate_refuses_missing_migrations(ctl, tmp_path):
    folder, n = copy_schema(tmp_path)
    (folder / f'{n:03}_more.sql').write_text('CREATE TABLE more (x int);')
    ctl.ok('migrate', '--schema', folder)
    assert 'use the newer programs' in ctl.fails(FAILED, 'migrate')
    (folder / f'{n:03}_more.sql').rename(folder / f'{n + 1:03}_more.sql')
    assert 'is missing' in ctl.fails(FAILED, 'migrate', '--schema', folder)
    empty = tmp_path / 'empty'
    empty.mkdir()
    assert 'no migrations' in ctl.fails(FAILED, 'migrate', '--schema', empty)
    assert 'No such file' in ctl.fails(FAILED, 'migrate', '--schema',
                                       tmp_path / 'nowhere')


def test_migrate_leaves_nothing_of_a_failure(ctl, tmp_path):
    folder, n = copy_schema(tmp_path)
    bad = folder / f'{n:03}_bad.sql'
    bad.write_text('CREATE TABLE half (x int);\nSELECT nonsense;')
    text = ctl.fails(FAILED, 'migrate', '--schema', folder)
    assert f'{n:03}_bad failed' in text and 'nonsense' in text
    assert ctl.sql("SELECT to_regclass('half')") == [(None,)]
    assert len(ctl.json('migrate', '--status')) == n - 1
    bad.write_text('CREATE TABLE half (x int); COMMIT;')
    assert 'ends the transaction' in ctl.fails(FAILED, 'migrate', '--schema',
                                               folder)
    bad.unlink()
    (folder / f'{n:03}_good.sql').write_text('CREATE TABLE g (x int);')
    ctl.fails(FAILED, 'migrate', '--status', '--schema', folder)
    assert f'applied {n:03}_good' in ctl.ok('migrate', '--schema', folder)


# --- team -------------------------------------------------------------------

def test_team(ctl):
    assert ctl.json('team', 'list') == []
    assert 'relaycam team add' in ctl.fails(FAILED, 'settings', 'set',
                                            'attended.recording=on')
    ctl.ok('team', 'add', 'ops', '--time-zone', 'Asia/Kolkata', '--title',
           'Operations')
    ctl.ok('team', 'add', 'demo')
    demo, ops = ctl.json('team', 'list')
    assert (demo['name'], demo['time_zone']) == ('demo', 'UTC')
    assert (ops['title'], ops['time_zone']) == ('Operations', 'Asia/Kolkata')
    ctl.ok('team', 'set', 'demo', '--time-zone', 'Europe/Berlin')
    assert ctl.json('team', 'list')[0]['time_zone'] == 'Europe/Berlin'
    assert audit(ctl, 'team_set')[0]['object'] == 'demo'
    assert len(audit(ctl, 'team_add')) == 2


@pytest.mark.parametrize('name', ['', 'Demo', '-x', 'a b', 'x' * 64, 'ä',
                                  '.x', "a'b"])
def test_team_names(ctl, name):
    assert 'use 1 to 63' in ctl.fails(USAGE, 'team', 'add', '--', name)
    assert ctl.json('team', 'list') == []


def test_team_refusals(ctl):
    ctl.ok('team', 'add', 'demo')
    assert 'exists already' in ctl.fails(FAILED, 'team', 'add', 'demo')
    for zone in ('Mars/Base', 'europe', ''):
        assert 'no time zone' in ctl.fails(USAGE, 'team', 'add', 'x',
                                           '--time-zone', zone)
    assert 'no team "x"' in ctl.fails(FAILED, 'team', 'set', 'x', '--title',
                                      't')
    assert 'nothing to change' in ctl.fails(USAGE, 'team', 'set', 'demo')
    assert len(ctl.json('team', 'list')) == 1


def test_times_in_the_teams_zone(ctl):
    ctl.ok('team', 'add', 'demo', '--time-zone', 'Asia/Kolkata')
    ctl.sql("UPDATE teams SET created_at = '2026-11-21 08:15:02.5Z'")
    assert '2026-11-21 13:45:02 +0530' in ctl.ok('team', 'list')
    assert '2026-11-21 08:15:02 +0000' in ctl.ok('team', 'list', '--utc')
    assert ctl.json('team', 'list')[0][
        'created_at'] == '2026-11-21T08:15:02.500Z'


# --- user -------------------------------------------------------------------

def test_user_add(demo):
    alice, bob = demo.json('user', 'list')
    assert (alice['role'], bob['role']) == ('owner', 'member')
    assert alice['has_password'] and not alice['disabled']
    (hashed,), = demo.sql(
        "SELECT password_hash FROM people WHERE name = 'alice'")
    assert hashed.startswith('$argon2id$v=19$m=65536,t=3,p=1$')
    assert 'horse' not in json.dumps(audit(demo, 'user_add'))


def test_user_password_sources(demo, tmp_path):
    path = tmp_path / 'pw'
    path.write_bytes(b'from a file\r\nsecond line\n')
    hashes = set()
    for argv, text in ((['--password-file', path], None),
                       (['--password-stdin'], 'from stdin\n'),
                       (['--generate'], None)):
        out = demo.ok('user', 'passwd', 'bob', *argv, input=text)
        hashes.add(demo.sql(
            "SELECT password_hash FROM people WHERE name = 'bob'")[0][0])
    assert len(hashes) == 3
    assert re.search(r'^password: [A-Za-z0-9]{20}$', out, re.M)
    assert len(audit(demo, 'user_passwd')) == 3


@pytest.mark.parametrize('text,says', [
    ('', 'too short'), ('seven77\n', 'too short'), ('x' * 1025, 'one line'),
    ('nul\0inside\n', 'one line')])
def test_user_bad_passwords(demo, text, says):
    assert says in demo.fails(FAILED, 'user', 'passwd', 'bob',
                              '--password-stdin', input=text)
    assert audit(demo, 'user_passwd') == []


def test_user_password_longest(demo):
    demo.ok('user', 'passwd', 'bob', '--password-stdin', input='x' * 1024)


def test_user_password_prompt_has_no_echo(demo):
    def typed(*words):
        pid, fd = pty.fork()
        if pid == 0:
            argv = demo.argv('user', 'passwd', 'bob')
            os.execve(argv[0], argv, demo.env)
        shown = b''
        for word in words:
            while not shown.endswith(b'bob: '):
                shown += os.read(fd, 1000)
            os.write(fd, word + b'\n')
            shown += b'|'
        try:
            while part := os.read(fd, 1000):
                shown += part
        except OSError:
            pass  # the terminal is gone with the program
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown
    status, shown = typed(b'typed secret', b'typed secret')
    assert status == OK and b'secret' not in shown
    status, shown = typed(b'typed secret', b'another secret')
    assert status == FAILED and b'differ' in shown


def test_user_without_terminal(demo):
    r = subprocess.run(demo.argv('user', 'passwd', 'bob'), env=demo.env,
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, start_new_session=True)
    assert r.returncode == USAGE and '--password-file' in r.stderr


def test_user_refusals(demo):
    assert 'exists already' in demo.fails(
        FAILED, 'user', 'add', 'bob', '--generate')
    assert 'expected owner, admin or member' in demo.fails(
        USAGE, 'user', 'add', 'carl', '--role', 'king', '--generate')
    assert '--generate makes' in demo.fails(
        USAGE, 'user', 'add', 'carl', '--generate', '--password-stdin')
    assert 'give one of' in demo.fails(
        USAGE, 'user', 'add', 'carl', '--password-file', '/x',
        '--password-stdin')
    assert 'No such file' in demo.fails(
        FAILED, 'user', 'add', 'carl', '--password-file', '/nonexistent')
    assert 'no user "carl"' in demo.fails(
        FAILED, 'user', 'passwd', 'carl', '--generate')
    assert 'no team "x"' in demo.fails(
        FAILED, 'user', 'add', 'carl', '--team', 'x', '--generate')
    demo.ok('team', 'add', 'other')
    assert 'say --team' in demo.fails(USAGE, 'user', 'add', 'carl',
                                      '--generate')
    assert 'needs --role owner' in demo.fails(
        FAILED, 'user', 'add', 'carl', '--team', 'other', '--generate')


def test_team_keeps_an_owner(demo):
    for argv in (['disable', 'alice'], ['set', 'alice', '--role', 'admin']):
        assert 'only owner' in demo.fails(FAILED, 'user', *argv)
    demo.ok('user', 'set', 'bob', '--role', 'owner')
    demo.ok('user', 'disable', 'alice')
    assert demo.json('user', 'list')[0]['disabled']
    assert 'only owner' in demo.fails(FAILED, 'user', 'disable', 'bob')
    demo.ok('user', 'enable', 'alice')
    assert not demo.json('user', 'list')[0]['disabled']
    assert len(audit(demo, 'user_disable')) == 1
    assert demo.json('check')['violations'] == []


def test_two_owners_cannot_leave_at_once(demo):
    demo.ok('user', 'set', 'bob', '--role', 'owner')
    ps = [subprocess.Popen(demo.argv('user', 'disable', who), env=demo.env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
          for who in ('alice', 'bob')]
    for p in ps:
        p.communicate()
    assert sorted(p.returncode for p in ps) == [OK, FAILED]


def test_rights(demo):
    demo.ok('user', 'grant', 'bob', 'desk1', 'control', 'record')
    demo.ok('user', 'grant', 'bob', 'desk1', 'manage')
    assert demo.json('user', 'list')[1]['rights'] == [
        {'endpoint': 'desk1', 'control': True, 'record': True,
         'manage': True}]
    demo.ok('user', 'revoke', 'bob', 'desk1', 'record')
    assert not demo.json('user', 'list')[1]['rights'][0]['record']
    demo.ok('user', 'revoke', 'bob', 'desk1')
    assert demo.json('user', 'list')[1]['rights'] == []
    assert len(audit(demo, 'right_grant')) == 2
    assert 'no right "fly"' in demo.fails(USAGE, 'user', 'grant', 'bob',
                                          'desk1', 'fly')
    assert 'no endpoint "desk2"' in demo.fails(FAILED, 'user', 'grant', 'bob',
                                               'desk2', 'control')


# --- endpoint ---------------------------------------------------------------

PIN = 'ab:' * 31 + 'CD'


def test_endpoint(demo, tmp_path):
    ca = demo.certificate(tmp_path)[0]
    demo.ok('endpoint', 'add', 'pc-7', '--host', '[::1]:5999', '--username',
            'svc', '--ca', ca, '--pin', PIN, '--access', 'attended',
            '--title', 'Office')
    desk, pc = demo.json('endpoint', 'list')
    assert (desk['host'], desk['port']) == ('localhost', 5901)
    assert desk['has_password'] and not desk['has_ca']
    assert (pc['host'], pc['port'], pc['username']) == ('::1', 5999, 'svc')
    assert pc['has_ca'] and pc['pin_sha256'] == 'ab' * 31 + 'cd'
    assert pc['access'] == 'attended' and not pc['allow_clear']
    demo.ok('endpoint', 'set', 'pc-7', '--no-pin', '--no-ca', '--allow-clear',
            '--host', 'pc7.lan', '--port', '5902', '--no-username')
    pc = demo.json('endpoint', 'list')[1]
    assert (pc['host'], pc['port'], pc['username']) == ('pc7.lan', 5902, None)
    assert pc['allow_clear'] and not pc['has_ca'] and not pc['has_pin']
    demo.ok('endpoint', 'set', 'pc-7', '--no-allow-clear')
    assert not demo.json('endpoint', 'list')[1]['allow_clear']
    assert len(audit(demo, 'endpoint_set')) == 2


@pytest.mark.parametrize('option', ['--ca', '--pin'])
def test_clear_beside_a_certificate_is_refused(demo, tmp_path, option):
    """Without TLS no certificate is looked at, so neither is worth a thing
    beside --allow-clear; the database refuses it as well."""
    value = {'--ca': demo.certificate(tmp_path)[0], '--pin': PIN}[option]
    name = option[2:]

    def refused(*args):
        assert '--allow-clear' in demo.fails(USAGE, 'endpoint', *args)

    refused('add', 'pc-7', '--host', 'h', option, value, '--allow-clear')
    demo.ok('endpoint', 'add', 'pc-7', '--host', 'h', option, value)
    refused('set', 'pc-7', '--allow-clear')
    refused('set', 'pc-7', option, value, '--allow-clear')
    demo.ok('endpoint', 'set', 'pc-7', f'--no-{name}', '--allow-clear')
    refused('set', 'pc-7', option, value)
    demo.ok('endpoint', 'set', 'pc-7', '--title', 'still clear')
    demo.ok('endpoint', 'set', 'pc-7', option, value, '--no-allow-clear')
    with pytest.raises(psycopg2.errors.CheckViolation):
        demo.sql("UPDATE endpoints SET allow_clear = true "
                 "WHERE name = 'pc-7'")


def schema_until(tmp_path, last):
    """A folder with the migrations up to that number."""
    folder = tmp_path / f'schema-{last}'
    folder.mkdir()
    for path in glob.glob(f'{ROOT}/schema/0*.sql'):
        if int(os.path.basename(path)[:3]) <= last:
            shutil.copy(path, folder)
    return folder


def test_clear_and_pinned_endpoints_of_before(cluster, tmp_path):
    """009: a pin of the first use goes, what a person gave stays and is
    enforced."""
    c = Ctl(cluster, cluster.database(), tmp_path)
    folder = schema_until(tmp_path, 8)
    c.ok('migrate', '--schema', folder)
    c.sql("INSERT INTO teams (name) VALUES ('acme')")
    c.sql("INSERT INTO endpoints (team_id, name, host, port, allow_clear, "
          "tls_pin_sha256, tls_ca_pem) SELECT id, x.name, 'h', 1, true, "
          "x.pin, x.ca FROM teams, (VALUES "
          "('seen', '\\x' || repeat('ab', 32), NULL), "
          "('given', '\\x' || repeat('cd', 32), NULL), "
          "('ca', NULL, 'pem')) v (name, hex, ca), "
          "LATERAL (SELECT v.name, v.hex::bytea AS pin, v.ca) x")
    c.sql("INSERT INTO audit (team_id, actor, action, object, detail) "
          "SELECT id, 'alice', 'endpoint_pinned', 'seen', "
          "jsonb_build_object('sha256', repeat('ab', 32)) FROM teams")
    c.ok('migrate')
    rows = c.sql('SELECT name, allow_clear, tls_pin_sha256 IS NOT NULL, '
                 'tls_ca_pem IS NOT NULL FROM endpoints ORDER BY name')
    assert rows == [('ca', False, False, True), ('given', False, True, False),
                    ('seen', True, False, False)]


def test_endpoint_password_is_sealed(demo):
    (box,), = demo.sql('SELECT secret_sealed FROM endpoints')
    assert len(box) == 8 + 40 and b'secret12' not in bytes(box)
    demo.ok('endpoint', 'set', 'desk1', '--no-password')
    assert demo.sql('SELECT secret_sealed FROM endpoints') == [(None,)]


def test_endpoint_remove(demo):
    demo.ok('user', 'grant', 'bob', 'desk1', 'control')
    demo.ok('endpoint', 'remove', 'desk1')
    assert demo.json('endpoint', 'list') == []
    assert demo.sql('SELECT secret_sealed IS NULL FROM endpoints') == [
        (True,)]
    assert demo.sql('SELECT count(*) FROM endpoint_rights') == [(0,)]
    assert 'no endpoint' in demo.fails(FAILED, 'endpoint', 'remove', 'desk1')
    demo.ok('endpoint', 'add', 'desk1', '--host', 'again')
    assert demo.json('check')['violations'] == []


@pytest.mark.parametrize('argv,status,says', [
    ([], USAGE, '--host'),
    (['--host', ''], USAGE, 'expected HOST'),
    (['--host', 'a:0'], USAGE, 'expected HOST'),
    (['--host', 'a:65536'], USAGE, 'expected HOST'),
    (['--host', 'a:x'], USAGE, 'expected HOST'),
    (['--host', '[::1'], USAGE, 'expected HOST'),
    (['--host', 'a/b'], USAGE, 'expected HOST'),
    (['--host', 'a:1', '--port', '2'], USAGE, 'given twice'),
    (['--host', 'a', '--port', '70000'], USAGE, 'from 1 to 65535'),
    (['--host', 'a', '--pin', 'abcd'], USAGE, '64 hex digits'),
    (['--host', 'a', '--pin', PIN + 'ef'], USAGE, '64 hex digits'),
    (['--host', 'a', '--pin', 'xy' * 32], USAGE, '64 hex digits'),
    (['--host', 'a', '--ca', '/nonexistent'], FAILED, 'No such file'),
    (['--host', 'a', '--ca', '/etc/passwd'], FAILED, 'PEM'),
    (['--host', 'a', '--access', 'odd'], USAGE, 'attended or unattended'),
])
def test_endpoint_refusals(demo, argv, status, says):
    assert says in demo.fails(status, 'endpoint', 'add', 'pc', *argv)
    assert len(demo.json('endpoint', 'list')) == 1


def test_endpoint_more_refusals(demo):
    assert 'already' in demo.fails(FAILED, 'endpoint', 'add', 'desk1',
                                   '--host', 'a')
    assert 'nothing to change' in demo.fails(USAGE, 'endpoint', 'set',
                                             'desk1', '--team', 'demo')
    demo.key_file.chmod(0o644)
    assert 'chmod 0600' in demo.fails(CONFIG, 'endpoint', 'set', 'desk1',
                                     '--password-stdin', input='x\n')
    demo.key_file.unlink()
    assert 'seal key' in demo.fails(CONFIG, 'endpoint', 'set', 'desk1',
                                    '--password-stdin', input='x\n')


# --- settings ---------------------------------------------------------------

def test_settings(demo):
    rows = demo.json('settings', 'show')
    assert [(r['access'], r['recording'], r['playback_role'])
            for r in rows] == [('attended', False, 'owner'),
                               ('unattended', False, 'owner')]
    demo.ok('settings', 'set', '--team', 'demo', 'unattended.recording=on',
            'unattended.max_session_s=90m', 'attended.segment_bytes=2M',
            'attended.playback_role=member', 'attended.retention_days=7',
            'attended.frame_rate=15', 'attended.min_visible_ms=40',
            'attended.on_record_failure=continue',
            'attended.clipboard=to_endpoint')
    attended, unattended = demo.json('settings', 'show')
    assert unattended['recording'] and not attended['recording']
    assert unattended['max_session_s'] == 5400
    assert unattended['clipboard'] == 'both'
    assert attended == {
        'team': 'demo', 'access': 'attended', 'recording': False,
        'playback_role': 'member', 'on_record_failure': 'continue',
        'manual_recording': False, 'consent': 'ask', 'consent_seconds': 30,
        'vnc_auth': False, 'clipboard': 'to_endpoint', 'frame_rate': 15,
        'min_visible_ms': 40, 'quality': 'text',
        'max_session_s': 86400,
        'warn_seconds': 300, 'segment_bytes': 2 << 20, 'retention_days': 7}
    changes = {r['object']: r['detail'] for r in audit(demo, 'settings_set')}
    assert changes['unattended.recording']['before'] == 'f'
    assert changes['unattended.recording']['after'] == 't'


@pytest.mark.parametrize('word', [
    'recording=on', 'unattended.recording', 'odd.recording=on',
    'unattended.odd=1', 'unattended.recording=maybe',
    'unattended.playback_role=king', 'unattended.playback_role=owner|admin',
    'unattended.min_visible_ms=39', 'unattended.min_visible_ms=101',
    'unattended.frame_rate=61', 'unattended.clipboard=on',
    'unattended.frame_rate=0',
    'unattended.segment_bytes=513M', 'unattended.max_session_s=25h',
    'unattended.retention_days=0', 'unattended.frame_rate='])
def test_settings_refusals_change_nothing(demo, word):
    before = demo.json('settings', 'show')
    demo.fails(USAGE, 'settings', 'set', 'attended.recording=on', word)
    assert demo.json('settings', 'show') == before
    assert audit(demo, 'settings_set') == []


# --- sessions and recordings ------------------------------------------------

def test_sessions(demo):
    a = demo.session(start='2026-11-20 10:00Z', end='2026-11-20 11:00Z')
    b = demo.session(start='2026-11-21 10:00Z', end=None)
    rows = demo.json('sessions', 'list')
    assert [r['id'] for r in rows] == [b, a]
    assert [r['state'] for r in rows] == ['active', 'ended']
    assert rows[1]['duration_ms'] == 3600_000 and rows[0]['ended_at'] is None
    for argv, want in (
            (['--limit', '1'], [b]), (['--state', 'active'], [b]),
            (['--state', 'ended'], [a]), (['--user', 'alice'], [b, a]),
            (['--user', 'bob'], []), (['--endpoint', 'desk1'], [b, a]),
            (['--from', '2026-11-21'], [b]), (['--to', '2026-11-21'], [a]),
            # 11:00 in Berlin is 10:00 UTC
            (['--from', '2026-11-20 11:00'], [b, a]),
            (['--from', '2026-11-20 11:01'], [b]),
            (['--from', '2026-11-20T10:01:00Z'], [b])):
        assert [r['id'] for r in demo.json('sessions', 'list', *argv)] == want
    assert '2026-11-20 11:00:00 +0100' in demo.ok('sessions', 'list')
    assert demo.json('sessions', 'show', a[:8])['recordings'] == []
    assert 'no session' in demo.fails(FAILED, 'sessions', 'show', 'ffff-ff')


def test_terminal_escapes_are_not_shown(demo):
    s = demo.session(desktop='\x1b[31mred')
    assert '\x1b' not in demo.ok('sessions', 'show', s)
    assert demo.json('sessions', 'show', s)['desktop_name'] == '\x1b[31mred'


@pytest.mark.parametrize('statuses,want', [
    ([], 'none'), (['available'], 'uploaded'),
    (['available', 'transfer'], 'under_way'),
    (['recording', 'missing'], 'failed'), (['expired'], 'uploaded')])
def test_recording_column(demo, statuses, want):
    s = demo.session()
    for i, status in enumerate(statuses):
        demo.segment(s, i + 1, status=status)
    assert demo.json('sessions', 'list')[0]['recording'] == want
    demo.sql('UPDATE sessions SET recorded = false')
    assert demo.json('sessions', 'list')[0]['recording'] == (
        want if statuses else 'off')


def test_recordings(demo):
    s, t = demo.session(), demo.session()
    third = demo.segment(s, 3, monitor=1)
    second = demo.segment(s, 2, monitor=2)
    first = demo.segment(s, 1, monitor=1)
    other = demo.segment(t, 1, status='transfer')
    rows = demo.json('recordings', 'list', '--session', s)
    # T11: by monitor, then by time
    assert [r['id'] for r in rows] == [first, third, second]
    assert rows[0]['sha256'] == 'ab' * 32 and rows[0]['bytes'] == 1000
    assert len(demo.json('recordings', 'list')) == 4
    assert [r['id'] for r in demo.json(
        'recordings', 'list', '--status', 'transfer')] == [other]
    assert demo.json('recordings', 'show', first)['session'] == s
    assert demo.json('sessions', 'show', s)['recordings'] == rows
    assert 'not stored' in demo.fails(FAILED, 'recordings', 'link', other)
    assert audit(demo, 'link') == []


def test_ambiguous_id(demo):
    for _ in range(2):
        demo.session()
    demo.sql("UPDATE sessions SET id = ('abcd0000' || substr(id::text, 9))"
             "::uuid")
    assert 'several sessions' in demo.fails(USAGE, 'sessions', 'show', 'abcd')


# --- check ------------------------------------------------------------------

TICKET = ("INSERT INTO tickets (person_id, endpoint_id, expires_at, {}) "
          "SELECT p.id, e.id, now() + interval '1 minute', {} "
          "FROM people p, endpoints e {}")

LOGIN = ("INSERT INTO logins (hash, person_id, client_addr, created_at, "
         "expires_at) SELECT sha256('l'), id, '::1', {}, {} FROM people "
         "WHERE name = 'alice'")

GAP = ("INSERT INTO gaps (session_id, after_seq, from_mono_ns, to_mono_ns, "
       "from_at, to_at, why) SELECT DISTINCT session_id, 3, 1, 2, now(), "
       "now(), '{}' FROM segments")

PROVEN = ("INSERT INTO evidence (segment_id, root, sha256, object_key) "
          "SELECT id, sha256('r'), {}, {} FROM segments WHERE seq = 1")
BESIDE = "regexp_replace(object_key, 'webm$', 'json')"

VIOLATIONS = {
    'own_review': "UPDATE segments SET reviewed_by = 'alice', reviewed_at = "
                  "now() WHERE seq = 1",
    'clip_range': "INSERT INTO clips (segment_id, from_ms, to_ms, reason, "
                  "author) SELECT id, 5, duration_ms + 1, 'x', 'alice' FROM "
                  "segments WHERE seq = 1",
    'segment_frames': "UPDATE segments SET frames = 9 WHERE seq = 1",
    'session_frames': "UPDATE segments SET first_frame = 12, last_frame = 21 "
                      "WHERE seq = 2",
    'segment_seq': "UPDATE segments SET seq = 4 WHERE seq = 3",
    'segment_start': "UPDATE segments SET split_reason = 'start'",
    'segment_order': "UPDATE segments SET start_mono_ns = 1 WHERE seq = 2",
    'segment_times': "UPDATE segments SET end_mono_ns = 0 WHERE seq = 1",
    'available_complete': "UPDATE segments SET sha256 = NULL WHERE seq = 1",
    'segment_bytes': "UPDATE segments SET bytes = 536870913 WHERE seq = 1",
    'overdue': "UPDATE segments SET expires_at = now() - interval '2 days'",
    'locked_gone': "UPDATE segments SET locked = true, status = 'expired' "
                   "WHERE seq = 3",
    'recording_after_end': "UPDATE segments SET status = 'recording' "
                           "WHERE seq = 3",
    'not_recorded': "DELETE FROM segments",
    'session_length': "UPDATE sessions SET started_at = ended_at "
                      "- interval '25 hours'",
    'session_reason': "UPDATE sessions SET end_reason = ''",
    'orphan_session':
        "INSERT INTO nodes (id, program, host, version, heartbeat_at) VALUES "
        "('00000000-0000-0000-0000-000000000001', 'relay', 'h', '1', "
        "now() - interval '1 hour'); UPDATE sessions SET node_id = "
        "'00000000-0000-0000-0000-000000000001', started_at = now(), "
        "ended_at = NULL, end_code = NULL",
    'session_team':
        "INSERT INTO teams (name) VALUES ('x'); UPDATE sessions SET team_id "
        "= (SELECT id FROM teams WHERE name = 'x')",
    'right_team':
        "INSERT INTO teams (name) VALUES ('x'); INSERT INTO people (team_id, "
        "name, role) SELECT id, 'eve', 'owner' FROM teams WHERE name = 'x'; "
        "INSERT INTO endpoint_rights (person_id, endpoint_id, control) "
        "SELECT p.id, e.id, true FROM people p, endpoints e "
        "WHERE p.name = 'eve'",
    'team_owner': "UPDATE people SET disabled = true WHERE role = 'owner'",
    'access_settings': "DELETE FROM access_settings WHERE access = "
                       "'attended'",
    'time_zone': "UPDATE teams SET time_zone = 'Mars/Base'",
    'stale_upload':
        "INSERT INTO uploads (segment_id, store, object_key, upload_id, "
        "part_bytes, started_at) SELECT id, 's3', 'k', 'u', 100, now() - "
        "interval '1 hour' FROM segments WHERE seq = 1",
    'upload_parts':
        "INSERT INTO uploads (segment_id, store, object_key, upload_id, "
        "part_bytes) SELECT id, 's3', 'k', 'u', 100 FROM segments WHERE "
        "seq = 1; INSERT INTO upload_parts SELECT segment_id, part, bytes, "
        "'e', '' FROM uploads, (VALUES (1, 50), (3, 100)) v (part, bytes)",
    'session_audit':
        "UPDATE sessions SET id = gen_random_uuid() WHERE id NOT IN "
        "(SELECT session_id FROM segments)",
    'audit_guard': "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
    'audit_reach': 'GRANT DELETE ON audit TO relaycam_storage',
    'session_revoked':
        "INSERT INTO nodes (id, program, host, version) VALUES "
        "('00000000-0000-0000-0000-000000000001', 'relay', 'h', '1'); "
        "UPDATE sessions SET node_id = "
        "'00000000-0000-0000-0000-000000000001', started_at = now() - "
        "interval '1 hour', ended_at = NULL, end_code = NULL; "
        "UPDATE people SET disabled = true",
    'access_notices': "ALTER TABLE people DISABLE TRIGGER person_access",
    'removed_endpoint':
        "ALTER TABLE endpoints DISABLE TRIGGER endpoint_removed; "
        "UPDATE endpoints SET deleted_at = now()",
    'endpoint_kind': "UPDATE endpoints SET reverse_secret_sha256 = "
                     "sha256('x')",
    'endpoint_trust': "UPDATE endpoints SET kind = 'agent', host = NULL, "
                      "tls_ca_pem = 'x', tls_pin_sha256 = NULL",
    'attended_age':
        "INSERT INTO endpoints (team_id, name, kind, access, created_at) "
        "SELECT id, '123456789', 'attended', 'attended', "
        "now() - interval '25 hours' FROM teams",
    'endpoint_node':
        "INSERT INTO nodes (id, program, host, version, stopped_at) VALUES "
        "('00000000-0000-0000-0000-000000000001', 'relay', 'h', '1', "
        "now() - interval '1 hour'); INSERT INTO attended_codes (code, "
        "node_id, expires_at) VALUES ('123456789', "
        "'00000000-0000-0000-0000-000000000001', now() + interval '1 hour')",
    'used_once': "DROP TRIGGER tickets_used_once ON tickets",
    'ticket_times': TICKET.format(
        "used_at, hash", "now() + interval '2 minutes', sha256('x')",
        "WHERE p.name = 'alice'"),
    'ticket_team':
        "INSERT INTO teams (name) VALUES ('x'); INSERT INTO people (team_id, "
        "name, role) SELECT id, 'eve', 'owner' FROM teams WHERE name = 'x'; "
        + TICKET.format("hash", "sha256('x')", "WHERE p.name = 'eve'"),
    'enrol_token':
        "INSERT INTO enrol_tokens (hash, endpoint_id, expires_at) "
        "SELECT sha256('x'), id, now() + interval '1 day' FROM endpoints",
    'session_consent': "UPDATE sessions SET consent = 'view'",
    'session_recording': "UPDATE sessions SET recording = true",
    'session_lost':
        "INSERT INTO audit (actor, action, object, at) SELECT 'relay', "
        "'session_lost', id::text, now() - interval '1 hour' FROM sessions",
    'known_logins':
        "INSERT INTO known_logins (id, person_id) SELECT "
        "sha256(g::text::bytea), p.id FROM generate_series(1, 33) g, "
        "(SELECT id FROM people LIMIT 1) p",
    'login_times': LOGIN.format("now()", "now() + interval '40 days'"),
    'login_overdue':
        LOGIN.format("now() - interval '1 day'", "now() - interval '2 hours'")
        + "; INSERT INTO nodes (id, program, host, version, started_at) VALUES"
        " (gen_random_uuid(), 'console', 'h', '0', now() - interval '1 day')",
    'login_disabled': "ALTER TABLE people DISABLE TRIGGER person_logins_end; "
                      "UPDATE people SET disabled = true; " + LOGIN.format(
                          "now()", "now() + interval '1 day'"),
    'login_ends': "DROP TRIGGER person_logins_end ON people",
    'gap_ledger': GAP.format('manual'),
    'gap_reason': GAP.format('unexplained'),
    'gap_audit': GAP.format('crash') + '; ALTER TABLE gaps DISABLE TRIGGER '
                 'gaps_audit_changed; UPDATE gaps SET to_mono_ns = 5000000000',
    'session_covered': 'UPDATE sessions s SET ended_mono_ns = '
                       '(SELECT max(end_mono_ns) + 60000000000 FROM segments '
                       'g WHERE g.session_id = s.id)',
    'stored_in_spool':
        "INSERT INTO nodes (id, program, host, version) VALUES "
        "(gen_random_uuid(), 'storage', 'h', '0'); UPDATE segments SET "
        "spool_node = (SELECT id FROM nodes LIMIT 1)",
    'activity_length':
        "UPDATE segments SET activity = "
        "decode(repeat('00000000', 99999), 'hex')",
    'merged_sum': "UPDATE segments SET n_merged = 2, "
                  "merged = '\\x0001' WHERE seq = 1",
    'poster_key': "UPDATE segments SET poster_key = 'x.jpg' WHERE seq = 1",
    'evidence_sha256': PROVEN.format("sha256('x')", BESIDE),
    'evidence_key': PROVEN.format('sha256', "'x.json'"),
    'evidence_missing': PROVEN.format('sha256', BESIDE),
    'evidence_unsigned':
        PROVEN.format('sha256', BESIDE).replace('= 1', '> 0') +
        "; INSERT INTO evidence_keys SELECT left(encode(sha256(k), 'hex'), "
        "16), k, 'h' FROM sha256('key') k; UPDATE evidence SET signature = "
        "sha512('s'), key_id = (SELECT id FROM evidence_keys) WHERE "
        "segment_id = (SELECT id FROM segments WHERE seq = 2)",
    'evidence_head':
        "INSERT INTO evidence (segment_id, head_from, head_to, head_sha256, "
        "head_at) SELECT id, 1, bytes + 1, sha256, now() FROM segments "
        "WHERE seq = 1",
    'quarantine_audit': "UPDATE segments SET status = 'missing', "
                        "status_detail = 'set aside: x' WHERE seq = 1",
    'session_sums': "UPDATE sessions SET bytes = bytes + 1",
    'disk_use': "UPDATE disk_use SET recordings = recordings - 1",
    'capture_status': "UPDATE segments SET is_capture = true WHERE seq = 1",
    'device_capture_endpoint':
        "WITH e AS (INSERT INTO endpoints (team_id, name, host, port) SELECT "
        "id, 'another', '127.0.0.1', 5901 FROM teams LIMIT 1 RETURNING id) "
        "INSERT INTO device_captures (id, session_id, endpoint_id, meta) "
        "SELECT gen_random_uuid(), s.id, e.id, '{}' FROM sessions s, e LIMIT 1",
    'device_capture_copy':
        "INSERT INTO device_captures (id, session_id, endpoint_id, meta, "
        "is_copy) SELECT g.id, s.id, s.endpoint_id, '{}', true FROM segments g "
        "JOIN sessions s ON s.id = g.session_id WHERE g.seq = 1",
    'device_capture_row':
        "ALTER TABLE device_captures DISABLE TRIGGER device_capture_ordered; "
        "INSERT INTO device_captures (id, session_id, endpoint_id, meta) "
        "SELECT gen_random_uuid(), id, endpoint_id, '{\"width\": 1}' "
        "FROM sessions LIMIT 1",
    'evidence_guard': "ALTER TABLE evidence_keys DISABLE TRIGGER "
                      "evidence_keys_stay",
    'events_bounded': "INSERT INTO events (name, team_id, object) SELECT "
                      "'access', 1, '' FROM generate_series(1, "
                      "events_kept() + 300)",
    'idempotency_answer': "INSERT INTO idempotency_keys (id, fingerprint) "
                          "VALUES (sha256('a'), sha256('b'))",
    'password_owner':
        "INSERT INTO single_sign_on (team_id, issuer, client_id, enabled, "
        "password_owner_id) SELECT team_id, 'https://x', 'x', true, id FROM "
        "people WHERE name = 'bob'",
    'identity_team':
        "INSERT INTO teams (name) VALUES ('x'); INSERT INTO identities "
        "(person_id, team_id, issuer, subject) SELECT p.id, t.id, "
        "'https://x', 's' FROM people p, teams t WHERE p.name = 'bob' AND "
        "t.name = 'x'",
    'segment_moves': "UPDATE segments SET status = 'recording' WHERE seq = 1",
    'segment_move_triggers':
        "ALTER TABLE segments DISABLE TRIGGER segment_moved",
    'webhook_triggers': "ALTER TABLE sessions DISABLE TRIGGER "
                        "session_webhook",
    'webhook_delivery_twice':
        "WITH w AS (INSERT INTO webhooks (team_id, url, events, secret_sealed) "
        "SELECT id, 'https://x/', '{session.ended}', '' FROM teams LIMIT 1 "
        "RETURNING id), d AS (INSERT INTO webhook_deliveries (webhook_id, "
        "event, body) SELECT id, 'session.ended', '' FROM w RETURNING *) "
        "INSERT INTO webhook_history (id, webhook_id, event, body, created_at, "
        "delivered, tries) SELECT id, webhook_id, event, body, created_at, "
        "true, 1 FROM d",
    'event_triggers': "ALTER TABLE segments DISABLE TRIGGER segment_event",
    'first_run_used':
        "INSERT INTO first_run_links (hash, expires_at, used_at) VALUES "
        "(sha256('x'), now() + interval '1 minute', now() + interval '1 hour')",
    'recovery_codes':
        "INSERT INTO totp (person_id, secret_sealed) SELECT id, '' FROM "
        "people WHERE name = 'bob'; INSERT INTO recovery_codes (person_id, "
        "hash) SELECT person_id, sha256('x') FROM totp",
    'limited_login':
        "INSERT INTO totp (person_id, secret_sealed, confirmed_at) SELECT id, "
        "'', now() FROM people WHERE name = 'bob'; INSERT INTO logins (hash, "
        "person_id, client_addr, expires_at, is_limited) SELECT sha256('x'), "
        "person_id, '', now() + interval '1 hour', true FROM totp",
}


@pytest.fixture
def recorded(demo):
    """A sound session with three files."""
    s = demo.session()
    for seq in (1, 2, 3):
        demo.segment(s, seq)
    demo.session()
    # the session without files was not to be recorded
    demo.sql("UPDATE sessions SET recorded = false WHERE id NOT IN "
             "(SELECT session_id FROM segments)")
    return demo


def test_check_names_are_all_planted(recorded):
    with open(os.path.join(ROOT, 'schema', 'check.sql'),
              encoding='utf-8') as f:
        names = set(re.findall(r"^SELECT '(\w+)' AS name", f.read(), re.M))
    assert names == set(VIOLATIONS)
    result = recorded.json('check')
    assert result == {'rules': len(names), 'violations': []}
    assert f'{len(names)} rules, all is well' in recorded.ok('check')


@pytest.mark.parametrize('name', VIOLATIONS)
def test_check_finds(recorded, name):
    recorded.sql(VIOLATIONS[name])
    r = recorded.run('check', '--json')
    assert r.returncode == FAILED, r.stderr
    found = json.loads(r.stdout)['violations']
    assert name in {v['name'] for v in found}
    assert all(v['object'] and v['detail'] for v in found)
    assert f'{name}: ' in recorded.run('check').stdout


# --- audit ------------------------------------------------------------------

def test_audit(demo):
    rows = demo.json('audit', 'list')
    assert [r['action'] for r in rows] == ['endpoint_add', 'user_add',
                                           'user_add', 'team_add']
    assert all(r['actor'].startswith('relaycam@') for r in rows)
    assert rows[0]['detail']['system_account']
    assert len(demo.json('audit', 'list', '--object', 'bob')) == 1
    assert len(demo.json('audit', 'list', '--limit', '2')) == 2
    assert demo.json('audit', 'list', '--to', '2020-01-01') == []
    with pytest.raises(Exception, match='cannot be changed'):
        demo.sql("DELETE FROM audit")


def test_failed_change_leaves_no_audit(demo):
    demo.fails(FAILED, 'user', 'disable', 'alice')
    demo.fails(FAILED, 'endpoint', 'add', 'desk1', '--host', 'x')
    assert audit(demo, 'user_disable') == []
    assert len(audit(demo, 'endpoint_add')) == 1


def test_lists_by_many_at_once(demo):
    results = []
    threads = [threading.Thread(target=lambda: results.append(
        demo.json('user', 'list'))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 4 and all(r == results[0] for r in results)


# --- doctor, where no daemon ever ran ---------------------------------------

def test_doctor_without_daemons(demo):
    demo.settings.update({'relay.metrics_listen': '127.0.0.1:1',
                          'storage.metrics_listen': '127.0.0.1:1'})
    r = demo.run('doctor', '--json')
    lines = {(x['check'], x['level']): x for x in json.loads(r.stdout)[
        'checks']}
    assert r.returncode == FAILED
    for program in ('relay', 'storage'):
        assert 'no answer' in lines[program, 'FAIL']['text']
        assert 'start the daemon' in lines[program, 'FAIL']['remedy']
    assert ('database', 'ok') in lines and ('config', 'warn') in lines
