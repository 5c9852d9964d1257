"""What is in the images, and that the same sources make the same ones."""
import json
import os
import re
import stat
import tarfile

import pytest

from conftest import build, build_debs, podman

OURS = ['relay', 'storage', 'console', 'ctl']
SBOM = 'usr/share/doc/relaycam/sbom.spdx.json'
AGAIN = ['relay', 'console']  # each of them installs everything anew
CLOSED = ['--read-only', '--cap-drop', 'all', '--security-opt',
          'no-new-privileges', '--network', 'none', '--pids-limit', '100',
          '--memory', '512m']


@pytest.fixture(scope='module')
def exported(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    found, sboms = {}, {}
    for name in OURS:
        cid = podman('create', f'localhost/relaycam-{name}:test'
                     ).stdout.strip()
        out = str(folder / f'{name}.tar')
        podman('export', '-o', out, cid)
        podman('rm', cid)
        with tarfile.open(out) as t:
            found[name] = {m.name: m for m in t}
            with t.extractfile(SBOM) as f:
                sboms[name] = json.load(f)
    return found, sboms


@pytest.fixture(scope='module')
def files(exported):
    """{image: {path: member}} of the whole root."""
    return exported[0]


@pytest.fixture(scope='module')
def sboms(exported):
    """{image: its bill of materials}."""
    return exported[1]


@pytest.mark.parametrize('name', OURS)
def test_there_is_no_shell(files, name):
    programs = {p for p, m in files[name].items() if m.isfile() and
                m.mode & 0o111 and not re.search(r'\.so(\.|$)', p)}
    wanted = {'usr/libexec/relaycam-healthcheck',
              'usr/bin/relaycam' if name == 'ctl' else
              f'usr/bin/relaycam-{name}'}
    if name in ('relay', 'storage'):
        wanted.add('usr/libexec/relaycam-recorder')
    assert programs == wanted
    assert not [p for p, m in files[name].items()
                if m.mode & (stat.S_ISUID | stat.S_ISGID)]


@pytest.mark.parametrize('name', OURS)
def test_programs_run_closed(images, name):
    """With all their libraries, as an account without rights."""
    r = podman('run', '--rm', *CLOSED, f'localhost/relaycam-{name}:test',
               '--version')
    assert re.match(r'relaycam\S* 0\.\d+\.\d+', r.stdout), r.stdout


@pytest.mark.parametrize('name', OURS)
def test_labels_account_and_health_check(images, name):
    (image,) = json.loads(podman('image', 'inspect',
                                 f'localhost/relaycam-{name}:test').stdout)
    labels = {k.rsplit('.', 1)[1]: v for k, v in image['Labels'].items()
              if k.startswith('org.opencontainers.image.')}
    assert labels['title'] == f'relaycam-{name}'
    assert labels['licenses'] == 'Apache-2.0'
    assert labels['version'] and labels['revision']
    assert image['Config']['User'] == '10001:10001'
    check = (image.get('Healthcheck') or {}).get('Test')
    assert (check is None) == (name == 'ctl')
    if check:
        assert check[1] == '/usr/libexec/relaycam-healthcheck'


@pytest.mark.parametrize('name', OURS)
def test_sbom_names_what_is_inside(files, sboms, name):
    sbom = sboms[name]
    assert sbom['spdxVersion'] == 'SPDX-2.3'
    packages = {p['name']: p for p in sbom['packages']}
    assert packages[f'relaycam-{name}']['licenseDeclared'] == 'Apache-2.0'
    debian = {n for n, p in packages.items()
              if p['externalRefs'][0]['referenceLocator'].startswith(
                  'pkg:deb/debian/')}
    assert {'libc6', 'libssl3', 'tzdata', 'ca-certificates'} <= debian
    assert ('novnc' in debian) == (name == 'relay')
    assert ('preact' in packages) == (name == 'console')
    assert all(p['versionInfo'] for p in packages.values())
    assert len({p['SPDXID'] for p in sbom['packages']}) == len(packages)
    # each library's package is named, and has its licence
    licences = {p.split('/')[3] for p in files[name]
                if p.startswith('usr/share/doc/') and
                p.endswith('/copyright')}
    assert debian <= licences | {'ca-certificates'}


def image_id(name, tag):
    return podman('image', 'inspect', '--format', '{{.Id}}',
                  f'localhost/relaycam-{name}:{tag}').stdout.strip()


def test_same_sources_same_images(images, debs, tmp_path):
    """Compiled again, from a clean copy: packages with the same bytes, and
    images with the same ID though no layer of the first ones is used."""
    build_debs(str(tmp_path))
    for name in sorted(os.listdir(debs)):
        with open(os.path.join(debs, name), 'rb') as a, \
                open(tmp_path / name, 'rb') as b:
            assert a.read() == b.read(), name
    try:
        build('again', '--debs', str(tmp_path), '--no-cache', *AGAIN)
        assert {n: image_id(n, 'again') for n in AGAIN} == {
            n: image_id(n, 'test') for n in AGAIN}
    finally:
        podman('rmi', '-f', *(f'localhost/relaycam-{n}:again'
                              for n in AGAIN), check=False)


def test_health_check_fails_without_a_daemon(images):
    r = podman('run', '--rm', *CLOSED, '--entrypoint',
               '/usr/libexec/relaycam-healthcheck',
               'localhost/relaycam-relay:test', '9090', check=False)
    assert r.returncode == 1 and 'Connection refused' in r.stderr


@pytest.mark.parametrize('profile, said', [
    (None, 'sandbox file_rules=landlock'),
    ('no-seccomp', 'sandbox_refused'),
    ('no-landlock', 'sandbox_without_file_rules')])
def test_sandbox_in_a_container(images, tmp_path, profile, said):
    """The recorder's own filter inside of the runtime's; and what the relay
    says at its start when a profile forbids it."""
    options = []
    if profile:
        denied = (['seccomp'] if profile == 'no-seccomp' else
                  ['landlock_create_ruleset', 'unshare', 'chroot'])
        rules = [{'names': denied, 'action': 'SCMP_ACT_ERRNO'}]
        if profile == 'no-seccomp':
            rules.append({'names': ['prctl'], 'action': 'SCMP_ACT_ERRNO',
                          'args': [{'index': 0, 'value': 22,
                                    'op': 'SCMP_CMP_EQ'}]})
        path = tmp_path / 'profile.json'
        path.write_text(json.dumps({
            'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': rules}))
        options = ['--security-opt', f'seccomp={path}']
    r = podman('run', '--rm', *CLOSED, *options, '--entrypoint',
               '/usr/libexec/relaycam-recorder',
               'localhost/relaycam-relay:test', '--check-sandbox',
               '/var/spool/relaycam', check=False)
    assert said in r.stderr, r.stderr
    assert (r.returncode == 0) == (profile != 'no-seccomp')
