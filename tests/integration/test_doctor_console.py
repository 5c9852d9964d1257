"""relaycam doctor looks at the console: health, port, certificate, database
role, and the libevent that it runs with."""
import json
import os

import pytest

from console_env import Console
from ctl import Ctl
from pg import Cluster

FIXED = '2.1.12-stable-8+deb12u1'


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        c.settings['console.public_url'] = c.url
        c.start()
        c.ctl.settings.update({
            k: v for k, v in c.settings.items() if k in (
                'console.listen', 'console.metrics_listen',
                'console.public_url', 'console.tls_cert_file',
                'console.tls_key_file', 'database.console_user')})
        yield c
        assert c.stop() == 0, c.log()


def doctor(console, **settings):
    """{(check, level): lines}"""
    kept = dict(console.ctl.settings)
    console.ctl.settings.update(
        {k.replace('__', '.'): v for k, v in settings.items()})
    try:
        r = console.ctl.run('doctor', '--json')
    finally:
        console.ctl.settings = kept
    lines = {}
    for x in json.loads(r.stdout)['checks']:
        assert x['level'] == 'ok' or x['remedy'] or x['check'] == 'endpoint'
        lines.setdefault((x['check'], x['level']), []).append(x['text'])
    return {k: '\n'.join(v) for k, v in lines.items()}


CHECKS = ('console', 'console TLS', 'console API', 'libevent')


def test_all_is_well(console):
    lines = doctor(console)
    for check in CHECKS:
        assert (check, 'ok') in lines, lines
        assert (check, 'FAIL') not in lines and (check, 'warn') not in lines
    assert 'the console logs in as relaycam_console' in lines['roles', 'ok']
    assert lines['libevent', 'ok'].startswith('2.1.')


@pytest.mark.parametrize('settings,check,level,says', [
    ({'console__public_url': 'https://elsewhere.example'}, 'console TLS',
     'FAIL', 'points at elsewhere.example'),
    ({'console__public_url': 'elsewhere'}, 'console TLS', 'FAIL', 'no URL'),
    ({'console__public_url': ''}, 'console TLS', 'warn', 'neither passkeys'),
    ({'console__tls_cert_file': '/nonexistent'}, 'console TLS', 'FAIL',
     '/nonexistent'),
    ({'console__tls_key_file': '/etc/hostname'}, 'console TLS', 'FAIL',
     'private key /etc/hostname'),
    ({'console__listen': 'odd'}, 'console API', 'FAIL', 'no address'),
    ({'console__metrics_listen': ''}, 'console', 'warn', 'cannot be asked'),
    ({'database__console_user': 'postgres'}, 'roles', 'FAIL',
     'the console logs in as postgres'),
])
def test_what_is_wrong_is_found(console, settings, check, level, says):
    lines = doctor(console, **settings)
    assert says in lines.get((check, level), ''), lines


def test_an_old_certificate(console, tmp_path):
    cert, key = Ctl.certificate(tmp_path, days=5)
    lines = doctor(console, console__tls_cert_file=cert,
                   console__tls_key_file=key)
    assert 'ends in' in lines['console TLS', 'warn']


@pytest.mark.parametrize('version,level', [
    (FIXED, 'ok'), ('2.1.12-stable-8', 'FAIL'), ('2.1.12-stable-9', 'ok'),
    ('2.1.13-stable-1', 'ok'), ('2.0.21-stable-3', 'FAIL'), ('', 'warn')])
def test_libevent(console, tmp_path, version, level):
    """A dpkg-query of the test's own says what is installed."""
    fake = tmp_path / 'dpkg-query'
    fake.write_text(f'#!/bin/sh\nprintf "<{version}>"\n' if version else
                    '#!/bin/sh\necho no packages found >&2; exit 1\n')
    fake.chmod(0o755)
    path = console.ctl.env['PATH']
    console.ctl.env['PATH'] = f'{tmp_path}{os.pathsep}{path}'
    try:
        lines = doctor(console)
    finally:
        console.ctl.env['PATH'] = path
    found = [k[1] for k in lines if k[0] == 'libevent']
    assert found == [level], lines
    assert version in lines['libevent', level]


@pytest.fixture
def installed(tmp_path):
    """An installation whose console was never started."""
    with Cluster() as cluster:
        c = Console(tmp_path, cluster)
        c.ctl.settings.update({
            'console.listen': '127.0.0.1:1',
            'console.metrics_listen': '127.0.0.1:1',
            'console.tls_cert_file': c.settings['console.tls_cert_file'],
            'console.tls_key_file': c.settings['console.tls_key_file']})
        yield c


def test_where_no_console_runs(installed):
    """A site without one has a line that says so; one that had one, and now
    has none, has a failure."""
    lines = doctor(installed)
    assert 'no console runs here' in lines['console', 'warn'], lines
    assert not any(k[0] == 'console TLS' for k in lines)
    installed.sql("INSERT INTO nodes (id, program, host, version, "
                  "heartbeat_at) VALUES (gen_random_uuid(), 'console', "
                  "'other', '1', now() - interval '1 day')")
    lines = doctor(installed)
    assert 'no answer' in lines['console', 'FAIL'], lines
    assert 'no answer' in lines['console API', 'FAIL'], lines
    installed.sql('UPDATE nodes SET heartbeat_at = now()')
    lines = doctor(installed)
    assert 'alive elsewhere' in lines['console', 'warn'], lines
