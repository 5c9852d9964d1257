"""relaycam single-sign-on, user link and unlink."""
import json

import pytest

from ctl import Ctl
from pg import Cluster

SECRET = 'top+secret/="'
FAILED, USAGE = 1, 2


@pytest.fixture(scope='module')
def cluster():
    with Cluster() as c:
        c.database('template')
        Ctl(c, c.url('template'), None).ok('migrate')
        yield c


@pytest.fixture
def ctl(cluster, tmp_path):
    c = Ctl(cluster, cluster.database(template='template'), tmp_path)
    c.ok('team', 'add', 'demo')
    for name, role in (('alice', 'owner'), ('bob', 'member')):
        c.ok('user', 'add', name, '--role', role, '--password-stdin',
             input='correct horse\n')
    return c


def set_up(ctl, *words, **kw):
    return ctl.ok('single-sign-on', 'set', 'issuer=https://op.example',
                  'client_id=r', *words, **kw)


def audit(ctl, action):
    return [(r['object'], r['detail']) for r in
            ctl.json('audit', 'list', '--action', action)]


def test_set_up_show_remove(ctl):
    assert 'sets it up' in ctl.fails(FAILED, 'single-sign-on', 'show')
    set_up(ctl, 'enabled=on', 'password_owner=alice', 'owner_groups=a,b c',
           'title=Example, Inc.', '--password-stdin', input=SECRET + '\n')
    text = ctl.ok('single-sign-on', 'show')
    assert SECRET not in text
    for line in ('enabled: on', 'issuer: https://op.example',
                 'owner_groups: a,b c', 'title: Example, Inc.',
                 'has_client_secret: on', 'algorithm: RS256',
                 'redirect_uri: [console] public_url is not set'):
        assert line in text.splitlines(), text
    s = json.loads(ctl.ok('--set', 'console.public_url=https://c.example',
                          'single-sign-on', 'show', '--json'))
    assert s['redirect_uri'] == ('https://c.example/api/v1/login/'
                                 'single-sign-on/callback')
    assert s['owner_groups'] == ['a', 'b c']
    # sealed as the console opens it
    sealed = bytes(ctl.sql('SELECT secret_sealed FROM single_sign_on')[0][0])
    assert len(sealed) == len(SECRET) + 40
    ctl.ok('single-sign-on', 'set', '--no-secret', 'owner_groups=')
    s = ctl.json('single-sign-on', 'show')
    assert s['has_client_secret'] is False and s['owner_groups'] == []
    ctl.ok('single-sign-on', 'remove')
    assert 'has no single' in ctl.fails(FAILED, 'single-sign-on', 'remove')


def test_changes_are_audited_without_the_secret(ctl):
    set_up(ctl, '--password-stdin', input=SECRET + '\n')
    rows = dict(audit(ctl, 'settings_set'))
    assert rows['single_sign_on.issuer']['after'] == 'https://op.example'
    assert rows['single_sign_on.has_client_secret']['after'] == 'true'
    assert rows['single_sign_on.issuer']['system_account']
    assert SECRET not in json.dumps(rows)


@pytest.mark.parametrize('word,says', [
    ('issuer=http://x', 'issuer'), ('algorithm=none', 'algorithm'),
    ('algorithm=HS256', 'algorithm'), ('scopes=email', 'scopes'),
    ('title=', 'title'), ('password_owner=bob', 'password_owner'),
    ('password_owner=nobody', 'password_owner'),
    ('enabled=on', 'password_owner')])
def test_values_that_cannot_be(ctl, word, says):
    words = [f'{k}={v}' for k, v in {
        'issuer': 'https://op.example', 'client_id': 'r',
        **dict([word.split('=')])}.items()]
    assert says in ctl.fails(FAILED, 'single-sign-on', 'set', *words)
    assert ctl.sql('SELECT count(*) FROM single_sign_on') == [(0,)]
    assert audit(ctl, 'settings_set') == []


@pytest.mark.parametrize('words', [
    ['nothing=1'], ['enabled'], ['enabled=maybe'], [], ['title=\udcff']])
def test_wrong_words(ctl, words):
    ctl.fails(USAGE, 'single-sign-on', 'set', *words)


def test_the_first_time_needs_issuer_and_client(ctl):
    assert 'issuer' in ctl.fails(FAILED, 'single-sign-on', 'set',
                                 'client_id=r')
    assert 'client_id' in ctl.fails(FAILED, 'single-sign-on', 'set',
                                    'issuer=https://op.example')


def test_the_password_owner_stays(ctl):
    set_up(ctl, 'enabled=on', 'password_owner=alice')
    ctl.ok('user', 'set', 'bob', '--role', 'owner')
    for words in (('disable', 'alice'), ('set', 'alice', '--role', 'member')):
        assert 'name another one first' in ctl.fails(FAILED, 'user', *words)
    ctl.ok('single-sign-on', 'set', 'password_owner=bob')
    ctl.ok('user', 'disable', 'alice')
    assert 'password_owner' not in ctl.ok('check')
    ctl.sql('ALTER TABLE people DISABLE TRIGGER person_password_owner')
    ctl.sql("UPDATE people SET password_hash = NULL WHERE name = 'bob'")
    assert 'password_owner' in ctl.run('check').stdout


def test_links_of_people(ctl):
    assert 'no single sign-on' in ctl.fails(
        FAILED, 'user', 'link', 'bob', '--subject', 'u1')
    set_up(ctl)
    ctl.ok('user', 'link', 'bob', '--subject', 'u1')
    assert ctl.sql('SELECT issuer, subject FROM identities') == [
        ('https://op.example', 'u1')]
    assert 'bob is linked' in ctl.fails(FAILED, 'user', 'link', 'alice',
                                        '--subject', 'u1')
    ctl.fails(USAGE, 'user', 'link', 'bob')
    ctl.fails(USAGE, 'user', 'link', 'bob', '--subject', 'x' * 256)
    ctl.ok('user', 'unlink', 'bob')
    assert 'linked to nobody' in ctl.fails(FAILED, 'user', 'unlink', 'bob')
    assert [a[0] for a in audit(ctl, 'user_link')] == ['bob']
    assert [a[0] for a in audit(ctl, 'user_unlink')] == ['bob']
