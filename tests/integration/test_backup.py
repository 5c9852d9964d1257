"""deploy/backup and deploy/restore: what comes back is what was there, and
nothing is changed by halves or overwritten."""
import os
import subprocess

import pytest

from ctl import CTL, ROOT, Ctl
from pg import Cluster

TABLES = ('teams', 'people', 'endpoints', 'sessions', 'segments', 'audit',
          'access_settings', 'evidence_keys')


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        yield c


class Site:
    """A database with its settings file and keys."""

    def __init__(self, cluster, folder):
        folder.mkdir()
        self.dir = folder
        self.ctl = Ctl(cluster, cluster.database(), folder)
        for name in ('link.key', 'evidence.key', 'capture.key'):
            (folder / name).write_bytes(os.urandom(32))
            (folder / name).chmod(0o600)
        cert, key = Ctl.certificate(folder)
        self.config = folder / 'relaycam.conf'
        sections = {}
        for setting, value in {**self.ctl.settings,
                               'secrets.evidence_key_file':
                               folder / 'evidence.key',
                               'store.link_key_file':
                               f'{folder}/link.key ; signs links',
                               'storage.capture_key_file':
                               folder / 'capture.key',
                               'relay.tls_cert_file': cert,
                               'relay.tls_key_file': key,
                               'storage.tls_cert_file': cert,
                               'storage.tls_key_file': key,
                               'console.tls_cert_file': cert,
                               'console.tls_key_file': key}.items():
            section, _, name = setting.partition('.')
            sections.setdefault(section, []).append(f'{name} = {value}')
        self.config.write_text('# a site\n' + '\n'.join(
            f'[{s}]\n' + '\n'.join(lines) + '\n'
            for s, lines in sections.items()))

    def run(self, script, folder, **env):
        return subprocess.run(
            [os.path.join(ROOT, 'deploy', script), '--config', self.config,
             folder], env={**self.ctl.env, 'RELAYCAM': CTL, **env},
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120)

    def rows(self):
        return {t: self.ctl.sql(f'SELECT to_jsonb(t)::text FROM {t} t '
                                'ORDER BY 1') for t in TABLES}

    def keys(self):
        return {p.name: p.read_bytes() for p in self.dir.iterdir()
                if p.suffix in ('.key', '.pem', '.crt')}


@pytest.fixture
def site(cluster, tmp_path):
    s = Site(cluster, tmp_path / 'old')
    s.ctl.ok('migrate')
    s.ctl.ok('team', 'add', 'demo')
    s.ctl.ok('user', 'add', 'alice', '--team', 'demo', '--role', 'owner',
             '--password-stdin', input='correct horse\n')
    s.ctl.sql("INSERT INTO endpoints (team_id, name, host, port) SELECT id, "
              "'desk1', '127.0.0.1', 5900 FROM teams")
    return s


def backup(site, folder):
    r = site.run('backup', folder)
    assert r.returncode == 0, r.stderr
    return folder


@pytest.fixture
def empty(cluster, tmp_path, site):
    """Another database, with the settings of the same machine."""
    s = Site(cluster, tmp_path / 'new')
    s.config.write_text(site.config.read_text().replace(
        site.ctl.url, s.ctl.url).replace(str(site.dir), str(s.dir)))
    for name in s.keys():
        (s.dir / name).unlink()
    return s


def test_what_comes_back_is_what_was_there(site, empty, tmp_path):
    saved = backup(site, tmp_path / 'saved')
    assert not (tmp_path / 'saved.part').exists()
    for path in (saved, *saved.rglob('*')):
        assert path.stat().st_mode & 0o077 == 0 or path.parent != saved \
            or path.name == 'relaycam.conf', path
    r = empty.run('restore', saved)
    assert r.returncode == 0, r.stderr
    assert empty.rows() == site.rows()
    assert empty.keys() == site.keys()
    # numbers go on, and the roles have their rights
    empty.ctl.ok('user', 'add', 'bob', '--team', 'demo', '--password-stdin',
                 input='correct horse\n')
    r = empty.run('restore', saved)
    assert r.returncode == 1 and 'give an empty one' in r.stderr


def wrapper(folder, name, lines):
    path = folder / name
    path.write_text('#!/bin/bash\n' + lines)
    path.chmod(0o755)
    return path


def test_it_goes_on_after_a_failure(site, empty, tmp_path):
    """Of a step behind the one transaction that restores the tables."""
    saved = backup(site, tmp_path / 'saved')
    site.ctl.ok('team', 'add', 'later')
    other = backup(site, tmp_path / 'other')
    for step in ('migrate', 'check'):
        broken = wrapper(tmp_path, 'broken', f"""
            case "$* " in *" {step} ") echo no >&2; exit 1 ;; esac
            exec {CTL} "$@"\n""")
        r = empty.run('restore', saved, RELAYCAM=broken)
        assert r.returncode == 1 and r.stderr == 'no\n'
        # what was begun with one backup is not ended with another
        r = empty.run('restore', other)
        assert r.returncode == 1 and 'tables of another backup' in r.stderr
    r = empty.run('restore', saved)
    assert r.returncode == 0, r.stderr
    assert empty.ctl.sql("SELECT count(*), to_regclass('relaycam_restore') "
                         "FROM teams") == [(1, None)]
    r = empty.run('restore', saved)
    assert r.returncode == 1 and 'give an empty one' in r.stderr


def test_a_restore_that_was_cut_off_begins_anew(site, empty, tmp_path):
    """Killed before the tables were there, even with another backup."""
    saved = backup(site, tmp_path / 'saved')
    wrapper(tmp_path, 'pg_restore', 'echo cut >&2; exit 1\n')
    path = f'{tmp_path}:{os.environ["PATH"]}'
    r = empty.run('restore', saved, PATH=path)
    assert r.returncode == 1 and r.stderr == 'cut\n'
    site.ctl.ok('team', 'add', 'later')
    r = empty.run('restore', backup(site, tmp_path / 'other'))
    assert r.returncode == 0, r.stderr
    assert empty.rows() == site.rows()


def test_no_argument_has_the_password(site, empty, tmp_path):
    """Arguments of programs can be read by all accounts (ps)."""
    seen = tmp_path / 'seen'
    for program in ('psql', 'pg_dump', 'pg_restore'):
        wrapper(tmp_path, program, f"""
            echo "{program} $*" >>{seen}
            exec /usr/bin/{program} "$@"\n""")
    path = f'{tmp_path}:{os.environ["PATH"]}'
    for s in (site, empty):
        s.config.write_text(s.config.read_text().replace(
            s.ctl.url, s.ctl.url + '&password=hunter2'))
    r = site.run('backup', tmp_path / 'saved', PATH=path)
    assert r.returncode == 0, r.stderr
    r = empty.run('restore', tmp_path / 'saved', PATH=path)
    assert r.returncode == 0, r.stderr
    told = seen.read_text()
    assert {line.split()[0] for line in told.splitlines()} == {
        'psql', 'pg_dump', 'pg_restore'}
    assert 'hunter2' not in told and 'service=relaycam' in told


def test_another_key_is_not_overwritten(site, empty, tmp_path):
    saved = backup(site, tmp_path / 'saved')
    (empty.dir / 'link.key').write_bytes(b'x' * 32)
    r = empty.run('restore', saved)
    assert r.returncode == 1 and 'is another one' in r.stderr
    assert empty.keys() == {'link.key': b'x' * 32}
    assert empty.ctl.sql('SELECT count(*) FROM pg_tables WHERE schemaname = '
                         "'public'")[0][0] == 0


def test_a_damaged_backup_is_refused(site, empty, tmp_path):
    saved = backup(site, tmp_path / 'saved')
    with open(saved / 'database.dump', 'r+b') as f:
        f.seek(-1, os.SEEK_END)
        last = f.read(1)
        f.seek(-1, os.SEEK_END)
        f.write(bytes([last[0] ^ 1]))
    r = empty.run('restore', saved)
    assert r.returncode == 1 and 'not as it was written' in r.stderr
    assert empty.keys() == {}


def test_a_backup_is_whole_or_not_there(site, tmp_path):
    site.config.write_text(site.config.read_text().replace(
        site.ctl.name, 'nosuchdatabase'))
    r = site.run('backup', tmp_path / 'saved')
    assert r.returncode == 1 and 'nosuchdatabase' in r.stderr
    assert not (tmp_path / 'saved').exists()
    assert not (tmp_path / 'saved.part').exists()
    (tmp_path / 'mine').mkdir()
    r = site.run('backup', tmp_path / 'mine')
    assert r.returncode == 1 and 'is there already' in r.stderr
