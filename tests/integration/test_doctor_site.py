"""doctor on what is beyond settings and files: the daemons of the whole site,
certificates that were renewed and not read again, and whether the kernel lets
recorders lock themselves in."""
import os
import subprocess

import pytest

from test_ctl_services import FAILED, OK, Bound, certificate, in_days


@pytest.fixture(scope='module')
def ctl(rig):
    rig.stack.start_console()
    return Bound(rig.stack)


@pytest.fixture
def folder(ctl):
    path = ctl.stack.path('tmp', 'doctor')
    os.makedirs(path, exist_ok=True)
    ctl.stack._own(path)
    return path


@pytest.fixture
def nodes(ctl):
    """Rows of daemons on other machines."""
    ids = []

    def add(program, host, version, age_s):
        ids.append(ctl.stack.sql(
            'INSERT INTO nodes (id, program, host, version, heartbeat_at) '
            f"VALUES (gen_random_uuid(), '{program}', '{host}', '{version}', "
            f"now() - interval '{age_s} s') RETURNING id")[0][0])
    yield add
    for i in ids:
        ctl.stack.sql(f"DELETE FROM nodes WHERE id = '{i}'")


def test_all_is_well(ctl):
    lines, status = ctl.doctor()
    assert status == OK, lines
    assert lines['nodes', 'ok'].startswith('3 daemons')
    assert lines['sandbox', 'ok']
    for who in ('relay', 'console'):
        assert f'relaycam-{who} serves it' in lines[f'{who} TLS', 'ok']
    assert not {('nodes', 'warn'), ('sandbox', 'warn')} & set(lines)


def test_daemons_that_are_silent_or_of_another_version(ctl, nodes):
    nodes('relay', 'silent.example', '0.1.0', 3600)
    nodes('storage', 'long-gone.example', '0.1.0', 2 * 86400)
    nodes('relay', 'old.example', '0.0.9', 0)
    lines, status = ctl.doctor()
    said = lines['nodes', 'warn']
    assert status == OK
    assert 'relay on silent.example has given no sign of life' in said
    assert 'relay on old.example is version 0.0.9' in said
    assert 'long-gone' not in said


@pytest.mark.parametrize('who', ['relay', 'console'])
def test_a_certificate_that_was_not_read_again(ctl, folder, who):
    """Its file has been replaced; the daemon has the one of its start."""
    lines, status = ctl.doctor(
        **{f'{who}__tls_cert_file': certificate(ctl, folder, in_days(90))})
    assert f'relaycam-{who} serves another certificate' in \
        lines[f'{who} TLS', 'warn']


@pytest.mark.parametrize('script, level, says', [
    ('echo "sandbox_refused why=seccomp" >&2; exit 71', 'FAIL',
     'sandbox_refused why=seccomp'),
    ('echo "sandbox file_rules=none" >&2; exit 0', 'warn', 'alone')])
def test_a_kernel_that_forbids_the_sandbox(ctl, folder, script, level, says):
    version = subprocess.run(
        [ctl.stack.path('bin', 'relaycam-recorder'), '--version'], check=True,
        capture_output=True, text=True, env=ctl.stack.env).stdout.strip()
    path = os.path.join(folder, 'recorder')
    with open(path, 'w', encoding='ascii') as f:
        f.write(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; '
                f'exit 0; fi\n{script}\n')
    os.chmod(path, 0o755)
    lines, status = ctl.doctor(relay__recorder_program=path)
    assert says in lines['sandbox', level]
    assert (status == FAILED) == (level == 'FAIL')
