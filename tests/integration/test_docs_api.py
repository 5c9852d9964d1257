"""The README's everyday commands have twins in docs/api.md, for curl, which do
what they say. A block there that begins with ```sh run=NAME is run."""
import json
import os
import re
import subprocess

import pytest

from console_env import Console
from ctl import ROOT
from pg import Cluster
from storage_env import wait_for


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as f:
        return f.read()


def read_blocks():
    page = read('docs', 'api.md')
    found = re.findall(r'^```sh run=(\S+)\n(.*?)^```$', page, re.M | re.S)
    assert len(found) == page.count('```sh'), 'a block without run='
    assert len({b[0] for b in found}) == len(found), 'two of one name'
    return dict(found)


BLOCKS = read_blocks()
# works on a file alone
WITHOUT = {'relaycam verify --key KEYS RECORDING.webm'}
RUN_HERE = set()


def everyday():
    section = read('README.md').split('## Everyday commands')[1].split('##')[0]
    return {line.strip() for line in section.splitlines()
            if line.startswith('    relaycam ')}


def test_every_everyday_command_has_a_twin():
    assert len(everyday()) >= 10
    twins = {text.splitlines()[0].removeprefix('# ')
             for name, text in BLOCKS.items() if name != 'setup'}
    assert twins == everyday() - WITHOUT


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster).start()
        c.token = c.login('alice').post('tokens', json={
            'name': 'curl', 'scopes': ['*'], 'days': 1}).json()['token']
        yield c
        assert c.stop() == 0, c.log()


def run(console, name, **words):
    """To its end; returns what it printed, and keeps the name."""
    RUN_HERE.update(('setup', name))
    text = BLOCKS['setup'] + BLOCKS[name]
    for theirs, ours in {'https://localhost:8443': console.url,
                         'CA=ca.pem': f'CA={console.cert}',
                         '127.0.0.1:9092':
                             f'127.0.0.1:{console.metrics_port}',
                         # desk2 is another team's in these tests
                         'desk2': 'desk3', **words}.items():
        text = text.replace(theirs, ours)
    r = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', text], cwd=console.dir,
        env={**os.environ, 'TOKEN': console.token}, timeout=120,
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, (name, r.stdout, r.stderr)
    return r.stdout


def values(text):
    """The JSON documents that were printed, one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        value, end = decoder.raw_decode(text.strip())
        found.append(value)
        text = text.strip()[end:]
    return found


def test_people_endpoints_and_rights(console):
    (bob,) = values(run(console, 'user-add'))
    assert (bob['name'], bob['role']) == ('bob', 'member')
    (console.dir / 'f').write_text('abcd1234')
    (desk,) = values(run(console, 'endpoint-add'))
    assert (desk['host'], desk['has_password']) == ('10.0.0.7', True)
    laptop, token = values(run(console, 'agent-add'))
    assert laptop['kind'] == 'agent' and token['token'].startswith('rce_')
    right = values(run(console, 'grant'))[-1]
    assert right == {'user': 'bob', 'role': 'member', 'control': True,
                     'record': False, 'manage': False}
    (ticket,) = values(run(console, 'connect'))
    assert ticket['user'] == 'alice@desk3'


def test_settings(console):
    (all_of_them,) = values(run(console, 'settings'))
    assert all_of_them['unattended']['recording'] is True
    assert console.sql("SELECT recording FROM access_settings a JOIN teams t "
                       "ON t.id = a.team_id WHERE t.name = 'demo' AND access "
                       "= 'unattended'") == [(True,)]


def test_recordings(console):
    session = console.ctl.session()
    segment = console.ctl.segment(session, 1)
    (page,) = values(run(console, 'recordings'))
    assert [i['id'] for i in page['items']] == [segment]
    (link,) = values(run(console, 'link', ID=segment))
    assert link['url'].startswith('https://')
    run(console, 'timeline', SESSION=session)


def test_health(console):
    assert run(console, 'doctor') == 'ok\n'
    wait_for('the row of the console', lambda: console.sql(
        "SELECT id FROM nodes WHERE program = 'console'"))


def test_every_block_is_run():
    assert RUN_HERE == set(BLOCKS)
