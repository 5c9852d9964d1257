"""The Debian packages in a root of their own: installed, upgraded, purged."""
import glob
import os
import shutil
import subprocess

import pytest

from conftest import ROOT

PACKAGES = ['relaycam', 'relaycam-recorder', 'relaycam-relay',
            'relaycam-storage', 'relaycam-console', 'relaycam-agent']


def run(*argv, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=1800,
                       **kw)
    assert r.returncode == 0, f'{argv}: {r.stdout[-2000:]}{r.stderr[-2000:]}'
    return r.stdout


def newer(debs, folder):
    """The same packages as version 0.1.1, whose settings file changed."""
    for path in glob.glob(f'{debs}/*.deb'):
        work = f'{folder}/work'
        run('dpkg-deb', '-R', path, work)
        control = f'{work}/DEBIAN/control'
        with open(control, encoding='utf-8') as f:
            text = f.read()
        with open(control, 'w', encoding='utf-8') as f:
            f.write(text.replace('Version: 0.1.0', 'Version: 0.1.1')
                    .replace('(= 0.1.0)', '(= 0.1.1)'))
        conf = f'{work}/etc/relaycam/relaycam.conf'
        if os.path.exists(conf):
            with open(conf, 'a', encoding='utf-8') as f:
                f.write('; new in 0.1.1\n')
        run('dpkg-deb', '-b', '--root-owner-group', work, folder)
        shutil.rmtree(work)


class Root:
    def __init__(self, path):
        self.path = path
        sources = [f for pattern in ('sources.list', 'sources.list.d/*')
                   for f in glob.glob(f'/etc/apt/{pattern}')
                   if f.endswith(('.list', '.sources'))]
        run('mmdebstrap', '--quiet', '--variant=apt', 'bookworm', path,
            *sources)
        shutil.copy('/etc/resolv.conf', f'{path}/etc/resolv.conf')
        # systemd-tmpfiles does nothing without it
        run('mount', '-t', 'proc', 'proc', f'{path}/proc')
        self.chroot('apt-get', '-q', 'update')

    def chroot(self, *argv, **kw):
        return run('chroot', self.path, 'env', 'DEBIAN_FRONTEND='
                   'noninteractive', 'LC_ALL=C.UTF-8', *argv, **kw)

    def install(self, folder):
        target = f'{self.path}/debs'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
        self.chroot('apt-get', '-q', '-y', '--no-install-recommends',
                    '-o', 'Dpkg::Options::=--force-confold', 'install',
                    *('/debs/' + os.path.basename(p)
                      for p in sorted(glob.glob(f'{folder}/*.deb'))))

    def files(self):
        """Everything outside of what apt and dpkg keep for themselves."""
        found = set()
        for top, dirs, names in os.walk(self.path):
            rel = top[len(self.path):]
            if rel in ('/proc', '/sys', '/dev', '/debs', '/var/lib/apt',
                       '/var/lib/dpkg', '/var/cache', '/var/log', '/tmp'):
                dirs.clear()
                continue
            found |= {f'{rel}/{n}' for n in names + dirs}
        return found

    def versions(self):
        out = self.chroot('dpkg-query', '-W', '-f',
                          '${Package} ${Version} ${db:Status-Status}\n',
                          *PACKAGES)
        return sorted(line.split() for line in out.splitlines())


@pytest.fixture(scope='module')
def root(debs, tmp_path_factory):
    path = str(tmp_path_factory.mktemp('debian') / 'root')
    try:
        yield Root(path)
    finally:
        run('umount', f'{path}/proc')


def test_install(root, debs):
    root.install(debs)
    assert root.versions() == sorted([p, '0.1.0', 'installed']
                                     for p in PACKAGES)
    for program in ('relay', 'storage', 'console', 'agent'):
        assert root.chroot(f'/usr/bin/relaycam-{program}', '--version')
    root.chroot('/usr/libexec/relaycam-recorder', '--version')
    st = os.stat(f'{root.path}/var/spool/relaycam')
    uid = root.chroot('id', '-u', 'relaycam').strip()
    assert (str(st.st_uid), st.st_mode & 0o777) == (uid, 0o700)
    groups = root.chroot('id', '-nG', 'relaycam-console').split()
    assert groups == ['relaycam-console', 'relaycam-keys']
    # nothing is enabled: there is neither a database nor a key
    assert not glob.glob(f'{root.path}/etc/systemd/system/*/relaycam*')
    run('systemd-analyze', 'verify', '--man=no', f'--root={root.path}',
        *(f'relaycam-{p}.service'
          for p in ('relay', 'storage', 'console', 'agent')))


def test_upgrade_keeps_settings_and_recordings(root, debs,
                                               tmp_path_factory):
    conf = f'{root.path}/etc/relaycam/relaycam.conf'
    with open(conf, 'a', encoding='utf-8') as f:
        f.write('; of the site\n')
    for path in ('etc/relaycam/seal.key', 'var/spool/relaycam/kept'):
        with open(f'{root.path}/{path}', 'w', encoding='utf-8') as f:
            f.write('x')
    folder = str(tmp_path_factory.mktemp('newer'))
    newer(debs, folder)
    root.install(folder)
    assert root.versions() == sorted([p, '0.1.1', 'installed']
                                     for p in PACKAGES)
    with open(conf, encoding='utf-8') as f:
        assert f.read().endswith('; of the site\n')
    assert os.path.exists(f'{root.path}/var/spool/relaycam/kept')


def test_purge_leaves_evidence_and_keys_alone(root):
    root.chroot('apt-get', '-q', '-y', 'purge', *PACKAGES)
    left = {f for f in root.files() if 'relaycam' in f}
    assert left == {'/etc/relaycam', '/etc/relaycam/seal.key',
                    '/var/spool/relaycam', '/var/spool/relaycam/kept'}


def test_install_and_purge_without_a_trace(root, debs):
    for path in ('etc/relaycam/seal.key', 'var/spool/relaycam/kept'):
        os.unlink(f'{root.path}/{path}')
    root.install(debs)
    root.chroot('apt-get', '-q', '-y', 'purge', *PACKAGES)
    assert {f for f in root.files() if 'relaycam' in f} == set()
