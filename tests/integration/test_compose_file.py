"""deploy/compose.yaml and what fills its volumes, without starting it:
containers are closed, and each gets its own secrets alone."""
import os
import re

import pytest
import yaml

from stack import ROOT

DEPLOY = os.path.join(ROOT, 'deploy')
# made at each start, by design as root, ended at once
ONE_SHOT = {'keys', 'setup'}


def read(*parts):
    with open(os.path.join(DEPLOY, *parts), encoding='utf-8') as f:
        return f.read()


@pytest.fixture(scope='module')
def compose():
    return yaml.safe_load(read('compose.yaml'))


def test_services_are_closed(compose):
    for name, s in compose['services'].items():
        assert s['image'].startswith(f'localhost/relaycam-')
        if name in ONE_SHOT:
            assert 'restart' not in s and 'ports' not in s
            continue
        assert s['read_only'] is True and s['cap_drop'] == ['ALL'], name
        assert s['security_opt'] == ['no-new-privileges:true'], name
        assert s['mem_limit'] and s['pids_limit'], name
        assert 'privileged' not in s and 'cap_add' not in s, name
        assert s['depends_on']['keys']['condition'] == (
            'service_completed_successfully')


def test_images_run_as_an_account_without_rights():
    """In Containerfile, each target but setup."""
    targets = dict(re.findall(r'^FROM \S+ AS (\w+)\n(.*?)(?=^FROM|\Z)',
                              read('Containerfile'), re.M | re.S))
    for name in ('relay', 'storage', 'console', 'ctl'):
        assert '\nUSER 10001:10001\n' in targets[name]
        assert 'RUN' not in targets[name], 'there is no shell to run it'
    for name in ('postgres', 's3', 'desk'):
        assert re.search(r'^USER [a-z]', targets[name], re.M)
    for name, port in (('relay', 9090), ('storage', 9091),
                       ('console', 9092)):
        assert f'relaycam-healthcheck", "{port}"]' in targets[name]


def test_volumes_are_declared_and_settings_read_only(compose):
    for name, s in compose['services'].items():
        for volume in s.get('volumes', []):
            source, target, *mode = volume.split(':')
            assert source in compose['volumes'], volume
            if source.startswith('conf-') and name not in ONE_SHOT:
                assert source == f'conf-{name}' and mode == ['ro'], volume
        shared = [v for v in s.get('volumes', []) if v.startswith('spool:')]
        assert bool(shared) == (name in ('relay', 'storage'))


def given():
    """{service: {file}} of the lines `give SERVICE UID FILE...`."""
    text = read('compose', 'setup').replace('\\\n', ' ')
    return {service: {f.split('=')[-1] for f in files.split()}
            for service, files in re.findall(r'^\tgive (\w+) \d+ (.*)$',
                                             text, re.M)}


def test_each_service_gets_its_own_secrets_alone():
    """docs/threat-model.md."""
    daemon = {'relaycam.conf', 'passfile', 'ca.pem', 'tls.crt', 'tls.key'}
    assert given() == {
        'relay': daemon | {'seal.key'},
        'storage': daemon | {'link.key', 's3.key'},
        'console': daemon | {'seal.key', 'link.key'},
        'postgres': {'postgres.crt', 'postgres.key', 'postgres.password'},
        's3': {'gateway.pem', 's3.key'},
        'desk': {'desk.crt', 'desk.key', 'desk.password'}}
