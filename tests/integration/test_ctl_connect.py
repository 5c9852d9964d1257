"""relaycam for "any viewer, any endpoint": kinds of endpoints, tokens, IDs,
one-time tickets, viewers that it starts, commands to sessions. A private
PostgreSQL, no daemon."""
import hashlib
import os
import re

import pytest

from ctl import CTL, Ctl
from pg import Cluster

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78

pytestmark = pytest.mark.skipif(not os.path.exists(CTL),
                                reason='relaycam is not built')


@pytest.fixture(scope='module')
def cluster():
    """With a template: team demo, alice (owner), bob (member), desk1."""
    with Cluster() as c:
        c.database('template')
        t = Ctl(c, c.url('template'), None)
        t.ok('migrate')
        t.ok('team', 'add', 'demo')
        t.ok('user', 'add', 'alice', '--role', 'owner', '--generate')
        t.ok('user', 'add', 'bob', '--generate')
        t.ok('endpoint', 'add', 'desk1', '--host', 'localhost:5901')
        yield c


@pytest.fixture
def ctl(cluster, tmp_path):
    return Ctl(cluster, cluster.database(template='template'), tmp_path,
               **{'relay.public_host': 'relay.example',
                  'relay.session_ports': '127.0.0.1:5910-5911',
                  'relay.reverse_listen': '[::]:5500',
                  'relay.tls_cert_file': tmp_path / 'none.pem'})


def audit(ctl, action):
    return ctl.json('audit', 'list', '--action', action)


def sha256(text):
    return hashlib.sha256(text.encode()).digest()


# --- settings ---------------------------------------------------------------

def test_settings(ctl):
    attended, unattended = ctl.json('settings', 'show')
    assert (attended['consent'], unattended['consent']) == ('ask', 'off')
    for row in (attended, unattended):
        assert row['consent_seconds'] == 30 and row['warn_seconds'] == 300
        assert not row['vnc_auth'] and not row['manual_recording']
    ctl.ok('settings', 'set', 'unattended.manual_recording=on',
           'unattended.consent=ask', 'unattended.consent_seconds=2m',
           'unattended.vnc_auth=on', 'unattended.warn_seconds=0')
    assert ctl.json('settings', 'show')[0] == attended
    changed = ctl.json('settings', 'show')[1]
    assert changed['manual_recording'] and changed['vnc_auth']
    assert (changed['consent'], changed['consent_seconds'],
            changed['warn_seconds']) == ('ask', 120, 0)


@pytest.mark.parametrize('word', [
    'attended.consent=on', 'attended.consent=', 'attended.vnc_auth=perhaps',
    'attended.consent_seconds=4', 'attended.consent_seconds=301',
    'attended.warn_seconds=-1', 'attended.warn_seconds=25h',
    'attended.manual_recording=2'])
def test_settings_refusals(ctl, word):
    ctl.fails(USAGE, 'settings', 'set', word)
    assert audit(ctl, 'settings_set') == []


# --- tickets ----------------------------------------------------------------

def test_ticket(ctl):
    r = ctl.run('ticket', 'alice@desk1')
    assert r.returncode == OK
    assert re.fullmatch(r'rct_[A-Za-z0-9_-]{43}\n', r.stdout)
    assert 'within 60 s' in r.stderr and 'relay.example:5900' in r.stderr
    (kind, digest, target, person, endpoint, valid, used), = ctl.sql(
        'SELECT k.kind, k.hash, k.target, p.name, e.name, '
        'extract(epoch FROM k.expires_at - k.created_at), k.used_at '
        'FROM tickets k JOIN people p ON p.id = person_id '
        'JOIN endpoints e ON e.id = endpoint_id')
    assert bytes(digest) == sha256(r.stdout.strip())
    assert (kind, target, person, endpoint) == ('ticket', '', 'alice',
                                                'desk1')
    assert valid == 60 and used is None
    row, = audit(ctl, 'ticket')
    assert row['object'] == 'desk1' and row['detail']['user'] == 'alice'
    assert 'rct_' not in str(row)


@pytest.mark.parametrize('word,user,rest', [
    ('alice@desk1/second+2', 'alice@desk1/second+2', '/second+2'),
    ('alice:desk1+64', 'alice@desk1+64', '+64'),
    ('Alice#DESK1/Left', 'alice@desk1/left', '/left'),
    ('alice@desk1+0', 'alice@desk1+0', '+0')])
def test_ticket_targets(ctl, word, user, rest):
    k = ctl.json('ticket', word, '--valid', '5m')
    assert k['user'] == user and k['kind'] == 'ticket'
    assert k['address'] == 'relay.example:5900'
    assert k['url'] == f'https://relay.example/#ticket={k["password"]}'
    assert ctl.sql('SELECT target, expires_at - created_at = '
                   "interval '5 minutes' FROM tickets") == [(rest, True)]


@pytest.mark.parametrize('argv,status,says', [
    (['alice'], USAGE, 'expected PERSON@ENDPOINT'),
    (['@desk1'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1/'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1+'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1+65'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1+100'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1+-1'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1+2/second'], USAGE, 'expected PERSON@ENDPOINT'),
    (['alice@desk1/a/b'], USAGE, 'expected PERSON@ENDPOINT'),
    (['a' * 64 + '@desk1'], USAGE, 'expected PERSON@ENDPOINT'),
    (["alice@desk1';--"], USAGE, 'expected PERSON@ENDPOINT'),
    (['carl@desk1'], FAILED, 'no user "carl"'),
    (['alice@desk2'], FAILED, 'no endpoint "desk2"'),
    (['alice@123456789'], FAILED, 'session code'),
    (['bob@desk1'], FAILED, 'bob may not connect to desk1'),
    (['alice@desk1', '--valid', '0'], USAGE, '1 to 3600'),
    (['alice@desk1', '--valid', '2h'], USAGE, '1 to 3600'),
    (['alice@desk1', '--valid', '5x'], USAGE, '1 to 3600'),
    (['alice@desk1', '--valid', '9' * 30], USAGE, '1 to 3600'),
])
def test_ticket_refusals(ctl, argv, status, says):
    assert says in ctl.fails(status, 'ticket', *argv)
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]
    assert audit(ctl, 'ticket') == []


def test_ticket_needs_the_right(ctl):
    ctl.ok('user', 'grant', 'bob', 'desk1', 'control')
    ctl.ok('ticket', 'bob@desk1')
    ctl.ok('user', 'disable', 'bob')
    assert 'may not connect' in ctl.fails(FAILED, 'ticket', 'bob@desk1')
    ctl.ok('endpoint', 'remove', 'desk1')
    assert 'no endpoint' in ctl.fails(FAILED, 'ticket', 'alice@desk1')
    # what was not used went with the endpoint
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


def test_used_ticket_stays_used(ctl):
    ctl.ok('ticket', 'alice@desk1')
    ctl.sql('UPDATE tickets SET used_at = now()')
    with pytest.raises(Exception, match='used once'):
        ctl.sql('UPDATE tickets SET used_at = NULL')


def allow_vnc(ctl):
    ctl.ok('settings', 'set', 'unattended.vnc_auth=on')


def test_vnc_auth_ticket(ctl):
    said = ctl.fails(FAILED, 'ticket', 'alice@desk1', '--vnc-auth')
    assert 'unattended.vnc_auth' in said and 'team demo' in said
    allow_vnc(ctl)
    a = ctl.json('ticket', 'alice@desk1', '--vnc-auth')
    b = ctl.json('ticket', 'alice@desk1', '--vnc-auth', '--valid', '90')
    assert re.fullmatch('[A-Za-z0-9]{8}', a['password'])
    assert a['password'] != b['password'] and 'url' not in a
    assert [a['address'], b['address']] == ['127.0.0.1:5910',
                                            '127.0.0.1:5911']
    rows = ctl.sql('SELECT kind, hash, port, length(secret_sealed) '
                   'FROM tickets ORDER BY port')
    assert rows == [('vnc_auth', None, 5910, 48),
                    ('vnc_auth', None, 5911, 48)]
    assert a['password'] not in str(audit(ctl, 'ticket'))
    assert 'all session ports wait' in ctl.fails(
        FAILED, 'ticket', 'alice@desk1', '--vnc-auth')
    # used or over its time: the port is free again
    ctl.sql('UPDATE tickets SET used_at = now() WHERE port = 5911')
    assert ctl.json('ticket', 'alice@desk1', '--vnc-auth')[
        'address'] == '127.0.0.1:5911'
    ctl.sql("UPDATE tickets SET expires_at = now() WHERE port = 5910")
    assert ctl.json('ticket', 'alice@desk1', '--vnc-auth')[
        'address'] == '127.0.0.1:5910'
    r = ctl.run('check')
    assert r.returncode == OK, r.stdout


@pytest.mark.parametrize('ports', [
    '5910', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:5919-5910',
    '127.0.0.1:5910-', '127.0.0.1:5910-70000', '127.0.0.1:x',
    '127.0.0.1:5910-5911,5912', '127.0.0.1:1000-9000'])
def test_vnc_auth_bad_ports(ctl, ports):
    allow_vnc(ctl)
    ctl.settings['relay.session_ports'] = ports
    assert 'host:first-last' in ctl.fails(CONFIG, 'ticket', 'alice@desk1',
                                          '--vnc-auth')


def test_vnc_auth_without_ports_or_key(ctl):
    allow_vnc(ctl)
    ctl.key_file.unlink()
    assert 'seal key' in ctl.fails(CONFIG, 'ticket', 'alice@desk1',
                                   '--vnc-auth')
    ctl.settings['relay.session_ports'] = ''
    assert 'set [relay] session_ports' in ctl.fails(
        CONFIG, 'ticket', 'alice@desk1', '--vnc-auth')
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]
