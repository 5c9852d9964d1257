"""The units of deploy/systemd: systemd reads them without a word, they are as
closed as docs/hardening.md says, and they name files that an installation
has."""
import json
import os
import re
import shutil
import subprocess

import pytest

from stack import ROOT

UNITS = os.path.join(ROOT, 'deploy', 'systemd')
SERVICES = sorted(f for f in os.listdir(UNITS) if f.endswith('.service'))
ACCOUNTS = {'relaycam', 'relaycam-console'}


def directives(service):
    """[('User', 'relaycam'), ...] of a unit, in its order."""
    with open(os.path.join(UNITS, service), encoding='ascii') as f:
        return [tuple(line.strip().split('=', 1)) for line in f
                if '=' in line and not line.startswith('#')]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """What meson installs, as far as units look at it, with the units and
    the targets they name."""
    top = tmp_path_factory.mktemp('root')
    units = top / 'usr/lib/systemd/system'
    units.mkdir(parents=True)
    for service in SERVICES:
        shutil.copy(os.path.join(UNITS, service), units)
    for target in ('sysinit', 'basic', 'multi-user', 'shutdown', 'umount',
                   'network-online'):
        (units / f'{target}.target').write_text(
            f'[Unit]\nDescription={target}\nDefaultDependencies=no\n')
    for path in ['/bin/kill', *(v.split()[0] for s in SERVICES
                                for k, v in directives(s)
                                if k == 'ExecStart')]:
        file = top / path.lstrip('/')
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy('/bin/true', file)
    return top


@pytest.mark.parametrize('service', SERVICES)
def test_systemd_reads_the_unit_without_a_word(root, service):
    r = subprocess.run(['systemd-analyze', 'verify', '--man=no',
                        f'--root={root}', service],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stdout + r.stderr == '', r.stderr


def test_verify_sees_a_wrong_word(root):
    unit = root / 'usr/lib/systemd/system' / 'wrong.service'
    unit.write_text((root / 'usr/lib/systemd/system' / SERVICES[0])
                    .read_text().replace('ProtectHome=', 'ProtectHomes='))
    r = subprocess.run(['systemd-analyze', 'verify', '--man=no',
                        f'--root={root}', 'wrong.service'],
                       capture_output=True, text=True, timeout=60)
    assert 'ProtectHomes' in r.stderr


def documented_scores():
    """{service: score} of the table in docs/hardening.md."""
    with open(os.path.join(ROOT, 'docs', 'hardening.md'),
              encoding='utf-8') as f:
        return dict(re.findall(r'^\| `(relaycam-\S+\.service)` \| ([0-9.]+) ',
                               f.read(), re.M))


@pytest.mark.parametrize('service', SERVICES)
def test_exposure_is_what_the_docs_say(service):
    score = documented_scores()[service]
    r = subprocess.run(
        ['systemd-analyze', 'security', '--offline=true', '--json=short',
         f'--threshold={round(float(score) * 10)}',
         os.path.join(UNITS, service)],
        capture_output=True, text=True, timeout=60)
    open_ones = [row['name'] for row in json.loads(r.stdout)
                 if row.get('exposure')]
    assert r.returncode == 0, f'worse than {score}: {open_ones}'
    r = subprocess.run(
        ['systemd-analyze', 'security', '--offline=true', '--no-pager',
         os.path.join(UNITS, service)],
        capture_output=True, text=True, timeout=60)
    assert f'{service}: {score} ' in r.stdout, r.stdout.splitlines()[-1]


@pytest.mark.parametrize('service', SERVICES)
def test_accounts_are_made_by_sysusers(service):
    values = dict(directives(service))
    with open(os.path.join(UNITS, 'sysusers.d', 'relaycam.conf'),
              encoding='ascii') as f:
        lines = [line.split() for line in f if line[0] in 'ugm']
    users = {w[1] for w in lines if w[0] == 'u'}
    assert users == ACCOUNTS
    if values.get('DynamicUser') != 'yes':
        assert values['User'] in users
        assert ['m', values['User'], values['SupplementaryGroups']] in lines


def test_sysusers_and_tmpfiles_make_accounts_and_folders(tmp_path):
    etc = tmp_path / 'etc'
    etc.mkdir()
    for kind in ('sysusers', 'tmpfiles'):
        r = subprocess.run(
            [f'systemd-{kind}', f'--root={tmp_path}',
             *(['--create'] if kind == 'tmpfiles' else []),
             os.path.join(UNITS, f'{kind}.d', 'relaycam.conf')],
            capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
    made = dict((line.split(':')[0], line.split(':')[2])
                for line in (etc / 'passwd').read_text().splitlines())
    assert ACCOUNTS <= set(made)
    for folder in ('var/spool/relaycam', 'var/lib/relaycam'):
        st = os.stat(tmp_path / folder)
        assert (st.st_mode & 0o777, str(st.st_uid)) == (0o700,
                                                        made['relaycam'])
    members = dict((line.split(':')[0], line.split(':')[3].split(','))
                   for line in (etc / 'group').read_text().splitlines())
    assert set(members['relaycam-keys']) == ACCOUNTS


def test_units_let_recorders_lock_themselves_in():
    """seccomp and Landlock are no part of @system-service."""
    wanted = {'seccomp', 'landlock_create_ruleset', 'landlock_add_rule',
              'landlock_restrict_self'}
    for service in ('relaycam-relay.service', 'relaycam-storage.service'):
        allowed = set()
        for key, value in directives(service):
            if key == 'SystemCallFilter':
                allowed |= set(value.split())
        assert wanted <= allowed
