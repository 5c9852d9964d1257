"""relaycam for "any viewer, any endpoint": kinds of endpoints, tokens, IDs,
one-time tickets, viewers that it starts, commands to sessions. A private
PostgreSQL, no daemon."""
import hashlib
import json
import os
import re
import select
import socket
import subprocess
import threading

import pytest

from ctl import CTL, ROOT, Ctl
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


def waiting(ctl):
    return ctl.sql('SELECT port, p.name, t.id FROM tickets t JOIN people p '
                   'ON p.id = person_id WHERE used_at IS NULL ORDER BY t.id')


def test_vnc_auth_ports_that_wait(ctl):
    """Viewers that never came: the same person's oldest password makes room,
    nobody else's does, and who has none reads how long to wait."""
    allow_vnc(ctl)
    for _ in range(5):
        ctl.ok('ticket', 'alice@desk1', '--vnc-auth', '--valid', '600')
    assert [w[:2] for w in waiting(ctl)] == [(5911, 'alice'), (5910, 'alice')]
    newest = waiting(ctl)[-1][2]
    ctl.sql("UPDATE tickets SET expires_at = now() + interval '90 s' "
            'WHERE port = 5911')
    ctl.ok('user', 'grant', 'bob', 'desk1', 'control')
    said = ctl.fails(FAILED, 'ticket', 'bob@desk1', '--vnc-auth')
    assert 'wait for viewers of other people' in said
    seconds = int(re.search(r'free in (\d+) s', said)[1])
    assert 30 <= seconds <= 90
    # bob gets the next free one and keeps it; alice has one of hers left
    ctl.sql('DELETE FROM tickets WHERE port = 5911')
    ctl.ok('ticket', 'bob@desk1', '--vnc-auth', '--valid', '600')
    ctl.ok('ticket', 'alice@desk1', '--vnc-auth')
    assert [w[:2] for w in waiting(ctl)] == [(5911, 'bob'), (5910, 'alice')]
    assert newest not in [w[2] for w in waiting(ctl)]
    r = ctl.run('check')
    assert r.returncode == OK, r.stdout


def test_vnc_auth_without_ports_or_key(ctl):
    allow_vnc(ctl)
    ctl.key_file.unlink()
    assert 'seal key' in ctl.fails(CONFIG, 'ticket', 'alice@desk1',
                                   '--vnc-auth')
    ctl.settings['relay.session_ports'] = ''
    assert 'set [relay] session_ports' in ctl.fails(
        CONFIG, 'ticket', 'alice@desk1', '--vnc-auth')
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


# --- kinds of endpoints -----------------------------------------------------

def one(ctl, name):
    return ctl.json('endpoint', 'show', name)


def test_agent_endpoint(ctl):
    text = ctl.ok('endpoint', 'add', 'pc-7', '--kind', 'agent',
                  '--consent', 'ask')
    line = re.search(r'^    relaycam-agent enroll --relay relay\.example '
                     r'--token (rce_[A-Za-z0-9_-]{43})$', text, re.M)
    assert line and 'within 24 h' in text
    rows = ctl.sql("SELECT hash, used_at, expires_at - created_at = "
                   "interval '24 hours' FROM enrol_tokens")
    assert [(bytes(h), u, v) for h, u, v in rows] == [
        (sha256(line[1]), None, True)]
    assert line[1] not in str(ctl.json('audit', 'list'))
    pc = one(ctl, 'pc-7')
    assert (pc['kind'], pc['state'], pc['consent'], pc['host'],
            pc['port']) == ('agent', 'not_enrolled', 'ask', None, None)
    # the next token makes this one void
    new = ctl.json('endpoint', 'token', 'pc-7', '--valid', '2h')
    assert new['command'].endswith(' --token ' + new['token'])
    rows = ctl.sql("SELECT hash, expires_at - created_at = "
                   "interval '2 hours' FROM enrol_tokens")
    assert [(bytes(h), v) for h, v in rows] == [(sha256(new['token']), True)]
    assert len(audit(ctl, 'endpoint_token')) == 1


def test_agent_line_names_port_and_pin(ctl, tmp_path):
    cert, _ = ctl.certificate(tmp_path, 'relay.example')
    ctl.settings['relay.tls_cert_file'] = cert
    ctl.settings['relay.web_listen'] = '0.0.0.0:8443'
    line = ctl.json('endpoint', 'add', 'pc', '--kind', 'agent')['command']
    assert re.match(r'relaycam-agent enroll --relay relay\.example:8443 '
                    r'--pin [0-9a-f]{64} --token rce_', line)


NODE = '00000000-0000-0000-0000-000000000001'


def node(ctl, age='1 second'):
    ctl.sql("INSERT INTO nodes (id, program, host, version, heartbeat_at) "
            f"VALUES (%s, 'relay', 'relay1', '0.1.0', now() - interval "
            f"'{age}')", (NODE,))


def enrolled(ctl):
    ctl.ok('endpoint', 'add', 'pc', '--kind', 'agent')
    ctl.sql("UPDATE enrol_tokens SET used_at = now()")
    ctl.sql("UPDATE endpoints SET agent_cert_sha256 = sha256('x'), "
            "agent_version = '0.1.0', agent_host = 'pc.lan', "
            "agent_displays = '{main,second}', agent_seen_at = now() "
            "WHERE name = 'pc'")


def test_agent_state(ctl):
    enrolled(ctl)
    assert one(ctl, 'pc')['state'] == 'away'
    r = ctl.run('endpoint', 'test', 'pc')
    assert r.returncode == FAILED and 'not connected' in r.stdout
    node(ctl)
    ctl.sql('UPDATE endpoints SET agent_node = %s WHERE name = %s',
            (NODE, 'pc'))
    pc = one(ctl, 'pc')
    assert pc['state'] == 'connected' and pc['agent_version'] == '0.1.0'
    assert pc['agent_displays'] == ['main', 'second']
    assert re.search(r'^pc .* agent .* connected .* 0\.1\.0 ',
                     ctl.ok('endpoint', 'list'), re.M)
    assert 'relaycam-agent 0.1.0 on pc.lan, by way of relay1' in ctl.ok(
        'endpoint', 'test', 'pc')
    assert ctl.json('endpoint', 'test', 'pc')['ok']
    # a relay that died without a word is not believed
    ctl.sql("UPDATE nodes SET heartbeat_at = now() - interval '1 hour'")
    assert one(ctl, 'pc')['state'] == 'away'
    r = ctl.run('endpoint', 'test', 'pc')
    assert r.returncode == FAILED and 'relay1' in r.stdout
    assert 'endpoint_node: pc' in ctl.run('check').stdout


def test_revoke_and_token(ctl):
    enrolled(ctl)
    node(ctl)
    ctl.sql('UPDATE endpoints SET agent_node = %s WHERE name = %s',
            (NODE, 'pc'))
    ctl.ok('endpoint', 'token', 'pc')
    ctl.ok('endpoint', 'revoke', 'pc')
    assert ctl.sql("SELECT agent_cert_sha256, agent_node FROM endpoints "
                   "WHERE name = 'pc'") == [(None, None)]
    # the used one stays as a trace, the unused one goes
    assert ctl.sql('SELECT count(*), count(used_at) FROM enrol_tokens') == [
        (1, 1)]
    r = ctl.run('endpoint', 'test', 'pc')
    assert r.returncode == FAILED and 'endpoint token pc' in r.stdout
    assert len(audit(ctl, 'endpoint_revoke')) == 1
    for verb in ('token', 'revoke'):
        assert 'of kind direct' in ctl.fails(FAILED, 'endpoint', verb,
                                             'desk1')
        assert 'no endpoint' in ctl.fails(FAILED, 'endpoint', verb, 'pc-9')
    for valid in ('59', '31d', 'x', ''):
        ctl.fails(USAGE, 'endpoint', 'token', 'pc', '--valid', valid)


def test_reverse_endpoint(ctl):
    text = ctl.ok('endpoint', 'add', 'pc-7', '--kind', 'reverse')
    secret = re.search(r'^    PC-7-([A-Z2-7]{26})$', text, re.M)[1]
    assert 'connect = relay.example:5500' in text
    assert f'repeater=ID:PC-7-{secret}+127.0.0.1:5500' in text
    (digest,), = ctl.sql("SELECT reverse_secret_sha256 FROM endpoints "
                         "WHERE name = 'pc-7'")
    assert bytes(digest) == sha256(secret)
    assert secret not in str(ctl.json('audit', 'list'))
    assert one(ctl, 'pc-7')['state'] == 'away' and one(ctl, 'pc-7')['has_id']
    node(ctl)
    ctl.sql('UPDATE endpoints SET parked_node = %s, parked_at = now() '
            'WHERE name = %s', (NODE, 'pc-7'))
    assert one(ctl, 'pc-7')['state'] == 'parked'
    assert 'waits at relay1' in ctl.ok('endpoint', 'test', 'pc-7')
    new = ctl.json('endpoint', 'token', 'pc-7')['id']
    assert secret not in new
    (digest,), = ctl.sql("SELECT reverse_secret_sha256 FROM endpoints "
                         "WHERE name = 'pc-7'")
    assert bytes(digest) == sha256(new[len('PC-7-'):])
    ctl.settings['relay.reverse_listen'] = ''
    r = ctl.run('endpoint', 'token', 'pc-7')
    assert 'set [relay] reverse_listen' in r.stderr
    assert ctl.json('check')['violations'] == []


def test_reverse_by_certificate(ctl, tmp_path):
    cert, _ = ctl.certificate(tmp_path, 'pc-7')
    pin = os.popen(f'openssl x509 -in {cert} -noout -fingerprint -sha256'
                   ).read().strip().split('=')[1]
    r = ctl.json('endpoint', 'add', 'a', '--kind', 'reverse',
                 '--client-cert', cert)
    assert r['id'] is None and 'cert = ' in r['stunnel']
    assert 'ID' not in r['x11vnc']
    hexa = pin.replace(':', '').lower()
    assert one(ctl, 'a')['client_cert_sha256'] == hexa
    assert 'another endpoint has this' in ctl.fails(
        FAILED, 'endpoint', 'add', 'b', '--kind', 'reverse',
        '--client-cert-sha256', pin)
    ctl.ok('endpoint', 'remove', 'a')
    ctl.ok('endpoint', 'add', 'b', '--kind', 'reverse',
           '--client-cert-sha256', pin)
    # an ID instead, and back
    assert ctl.json('endpoint', 'token', 'b')['id']
    assert one(ctl, 'b')['client_cert_sha256'] is None
    ctl.ok('endpoint', 'set', 'b', '--client-cert', cert)
    assert one(ctl, 'b')['client_cert_sha256'] == hexa
    assert not one(ctl, 'b')['has_id']


def test_change_of_kind(ctl):
    token = ctl.json('endpoint', 'set', 'desk1', '--kind', 'agent')['token']
    desk = one(ctl, 'desk1')
    assert (desk['kind'], desk['host'], desk['port']) == ('agent', None, None)
    assert ctl.sql('SELECT count(*) FROM enrol_tokens') == [(1,)]
    text = ctl.ok('endpoint', 'set', 'desk1', '--kind', 'agent', '--consent',
                  'off')
    assert token not in text and 'enroll' not in text
    assert one(ctl, 'desk1')['consent'] == 'off'
    assert ctl.json('endpoint', 'set', 'desk1', '--kind', 'reverse')['id']
    assert ctl.sql('SELECT count(*) FROM enrol_tokens') == [(0,)]
    assert '--host' in ctl.fails(USAGE, 'endpoint', 'set', 'desk1', '--kind',
                                 'direct')
    ctl.ok('endpoint', 'set', 'desk1', '--kind', 'direct', '--host', 'h',
           '--consent', 'team')
    desk = one(ctl, 'desk1')
    assert (desk['kind'], desk['host'], desk['port'], desk['has_id'],
            desk['consent'], desk['state']) == (
        'direct', 'h', 5900, False, 'team', None)
    assert ctl.json('check')['violations'] == []


def test_attended_endpoint_is_not_changed(ctl):
    ctl.sql("INSERT INTO endpoints (team_id, name, kind, access) SELECT id, "
            "'123456789', 'attended', 'attended' FROM teams")
    assert 'session code' in ctl.fails(FAILED, 'endpoint', 'set',
                                       '123456789', '--title', 'x')
    assert [e['name'] for e in ctl.json('endpoint', 'list', '--kind',
                                        'attended')] == ['123456789']
    ctl.ok('endpoint', 'remove', '123456789')


@pytest.mark.parametrize('kind', ['agent', 'reverse'])
def test_ca_of_an_endpoint_that_dials_in(ctl, kind, tmp_path):
    ca, _ = ctl.certificate(tmp_path, 'ca')
    add = ['endpoint', 'add', 'pc', '--kind', kind, '--ca', ca]
    said = ctl.fails(USAGE, *add)
    assert '--tls-name NAME' in said and '--pin SHA256' in said
    assert len(ctl.json('endpoint', 'list')) == 1
    ctl.ok(*add, '--tls-name', 'pc.example.com')
    assert ctl.json('endpoint', 'show', 'pc')['tls_name'] == 'pc.example.com'
    assert '--tls-name' in ctl.fails(USAGE, 'endpoint', 'set', 'pc',
                                     '--no-tls-name')
    ctl.ok('endpoint', 'set', 'pc', '--no-tls-name', '--pin', 'ab' * 32)
    assert '--no-ca' in ctl.fails(USAGE, 'endpoint', 'set', 'pc', '--no-pin')
    ctl.ok('endpoint', 'set', 'pc', '--no-pin', '--no-ca')
    # it had a host, and loses it
    ctl.ok('endpoint', 'add', 'desk2', '--host', 'h', '--ca', ca)
    assert '--tls-name' in ctl.fails(USAGE, 'endpoint', 'set', 'desk2',
                                     '--kind', kind)


@pytest.mark.parametrize('argv,says', [
    (['pc', '--kind', 'odd', '--host', 'h'], 'direct, agent or reverse'),
    (['pc', '--kind', 'attended'], 'direct, agent or reverse'),
    (['pc', '--kind', 'agent', '--host', 'h'], 'has no --host'),
    (['pc', '--kind', 'reverse', '--port', '1'], 'has no --host'),
    (['pc', '--kind', 'direct'], 'say where it is'),
    (['pc', '--host', 'h', '--valid', '1h'], '--valid goes with'),
    (['pc', '--kind', 'reverse', '--valid', '1h'], '--valid goes with'),
    (['pc', '--kind', 'agent', '--valid', '10'], '60 to'),
    (['pc', '--kind', 'agent', '--client-cert-sha256', 'ab' * 32],
     '--client-cert goes with'),
    (['pc', '--kind', 'reverse', '--client-cert-sha256', 'ab'],
     '64 hex digits'),
    (['pc', '--kind', 'reverse', '--client-cert', 'f',
      '--client-cert-sha256', 'ab' * 32], 'give one of'),
    (['pc', '--kind', 'agent', '--consent', 'maybe'], 'expected off, ask'),
    (['123456789', '--kind', 'agent'], 'session code'),
    (['pc', '--host', 'h', '--tls-name', 'a b'], 'the DNS name or IP'),
    (['pc', '--host', 'h', '--tls-name', ''], 'the DNS name or IP'),
])
def test_endpoint_refusals(ctl, argv, says):
    assert says in ctl.fails(USAGE, 'endpoint', 'add', *argv)
    assert len(ctl.json('endpoint', 'list')) == 1


@pytest.mark.parametrize('path', ['/nonexistent', '/etc/passwd', '/dev/null'])
def test_bad_client_certificate(ctl, path):
    said = ctl.fails(FAILED, 'endpoint', 'add', 'pc', '--kind', 'reverse',
                     '--client-cert', path)
    assert path in said


def test_token_is_made_for_what_is_stored_only(ctl):
    """A name that is taken leaves neither token nor audit."""
    ctl.fails(FAILED, 'endpoint', 'add', 'desk1', '--kind', 'agent')
    assert ctl.sql('SELECT count(*) FROM enrol_tokens') == [(0,)]
    assert len(audit(ctl, 'endpoint_add')) == 1


@pytest.mark.parametrize('listen,host', [
    ('127.0.0.1:5901', 'localhost'), ('[::1]:5901', 'localhost'),
    ('10.1.2.3:5901', '10.1.2.3'), ('vnc.lan:5901', 'vnc.lan'),
    ('[2001:db8::1]:5901', '[2001:db8::1]'),
    ('0.0.0.0:5901', socket.gethostname()),
    ('[::]:5901', socket.gethostname()), (':5901', socket.gethostname())])
def test_host_by_where_it_listens(ctl, listen, host):
    ctl.settings['relay.public_host'] = ''
    ctl.settings['relay.listen'] = listen
    assert ctl.json('ticket', 'alice@desk1')['address'] == f'{host}:5901'


@pytest.mark.parametrize('host', ['a b', 'relay.example:5900', 'a/b'])
def test_bad_public_host(ctl, host):
    ctl.settings['relay.public_host'] = host
    assert 'public_host' in ctl.fails(CONFIG, 'ticket', 'alice@desk1')
    assert 'public_host' in ctl.fails(CONFIG, 'endpoint', 'add', 'pc',
                                      '--kind', 'agent')
    assert len(ctl.json('endpoint', 'list')) == 1


# --- orders to sessions -----------------------------------------------------

class Relay:
    """Answers orders as a relay does: by the session's row."""

    STATEMENTS = {
        'end': "ended_at = now(), end_code = 'command', end_reason = %s",
        'monitor': 'monitor = %s::integer',
        'frame_rate': 'frame_rate = nullif(%s::integer, 0)',
        'recording': "recording = %s = 'start'",
        'view_only': "view_only = %s = 'on'",
    }

    def __init__(self, ctl):
        self.db = ctl.cluster.connect(ctl.name)
        self.db.cursor().execute('LISTEN relaycam_session')
        self.heard = []
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            ready, _, _ = select.select([self.db, self.stop_read], [], [])
            if self.stop_read in ready:
                return
            self.db.poll()
            while self.db.notifies:
                self.obey(json.loads(self.db.notifies.pop(0).payload))

    def obey(self, order):
        self.heard.append(order)
        change = self.STATEMENTS.get(order['command'])
        if change is not None:
            self.db.cursor().execute(
                f'UPDATE sessions SET {change} WHERE id = %s',
                (order['value'], order['session']))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        os.write(self.stop_write, b'x')
        self.thread.join()
        self.db.close()
        os.close(self.stop_read)
        os.close(self.stop_write)


def test_orders_to_a_session(ctl):
    s = ctl.session(end=None)
    with Relay(ctl) as relay:
        assert 'shows monitor 2' in ctl.ok('sessions', 'monitor', s[:8], '2')
        ctl.ok('sessions', 'frame-rate', s, '15')
        ctl.ok('sessions', 'recording', s, 'start')
        ctl.ok('sessions', 'view-only', s, 'on')
        ctl.ok('sessions', 'warn', s, 'Five minutes left, "alice"')
        row = ctl.json('sessions', 'show', s)
        assert (row['monitor'], row['frame_rate'], row['recording_now'],
                row['view_only'], row['door'], row['path']) == (
            2, 15, True, True, 'vnc', 'direct')
        ctl.ok('sessions', 'frame-rate', s, '0')
        ctl.ok('sessions', 'recording', s, 'stop')
        ctl.ok('sessions', 'view-only', s, 'off')
        row = ctl.json('sessions', 'show', s)
        assert (row['frame_rate'], row['recording_now'],
                row['view_only']) == (None, False, False)
        ctl.ok('sessions', 'end', s, 'maintenance')
    row = ctl.json('sessions', 'show', s)
    assert (row['state'], row['end_reason']) == ('ended', 'maintenance')
    warning = relay.heard[4]
    assert warning.pop('by').startswith('relaycam@')
    assert warning == {'session': s, 'command': 'warn', 'own': False,
                       'value': 'Five minutes left, "alice"'}
    rows = audit(ctl, 'session_command')
    assert len(rows) == 9 and {r['object'] for r in rows} == {s}
    assert rows[-1]['actor'].startswith('relaycam@')
    assert rows[-1]['detail']['command'] == 'monitor'
    assert rows[-1]['detail']['system_account']
    assert 'no such active session' in ctl.fails(FAILED, 'sessions', 'end', s)


def test_no_relay_answers(ctl):
    s = ctl.session(end=None)
    assert 'did not answer within 5 s' in ctl.fails(
        FAILED, 'sessions', 'monitor', s, '1')


@pytest.mark.parametrize('argv,status,says', [
    (['monitor', 'S'], USAGE, 'usage:'),
    (['monitor', 'S', '65'], FAILED, 'a monitor is a number'),
    (['monitor', 'S', 'x'], FAILED, 'a monitor is a number'),
    (['monitor', 'S', '1; DROP'], FAILED, 'a monitor is a number'),
    (['frame-rate', 'S', '61'], FAILED, '1 to 60'),
    (['frame-rate', 'S', ''], FAILED, '1 to 60'),
    (['recording', 'S', 'pause'], FAILED, 'to start or to stop'),
    (['view-only', 'S', 'yes'], FAILED, 'on or off'),
    (['warn', 'S', ''], FAILED, 'one line of 1 to 500'),
    (['warn', 'S', 'a\nb'], FAILED, 'one line of 1 to 500'),
    (['warn', 'S', 'x' * 501], FAILED, 'one line of 1 to 500'),
    (['end', 'S', 'x' * 501], FAILED, 'at most 500'),
    (['end', 'S', 'a', 'b'], USAGE, 'unexpected argument'),
    (['end', 'ffff-ffff'], FAILED, 'no session'),
    (['end', 'S', '\x1b[2J'], FAILED, 'one line'),
])
def test_refused_orders(ctl, argv, status, says):
    s = ctl.session(end=None)
    assert says in ctl.fails(status, 'sessions',
                             *[s if a == 'S' else a for a in argv])
    assert audit(ctl, 'session_command') == []


def test_orders_by_people(ctl):
    """What the console asks for people: rights are checked in one place."""
    s = ctl.session(end=None)  # alice's
    ids = {r['name']: r['id'] for r in ctl.json('user', 'list')}

    def order(who, what, value=''):
        return ctl.sql('SELECT session_command(%s, %s, %s, %s)',
                       (ids.get(who, 0), s, what, value))[0][0]
    assert order('alice', 'monitor', '1') is None
    assert order('bob', 'end') == 'you may not do that'
    assert order('nobody', 'end') == 'you may not do that'
    ctl.ok('user', 'grant', 'bob', 'desk1', 'control')
    # another's session: only who manages the endpoint
    assert order('bob', 'end') == 'you may not do that'
    ctl.ok('user', 'grant', 'bob', 'desk1', 'manage')
    assert order('bob', 'end') is None
    assert order('bob', 'recording', 'start') == 'you may not do that'
    ctl.ok('user', 'grant', 'bob', 'desk1', 'record')
    assert order('bob', 'recording', 'start') is None
    assert order('bob', 'fly') == 'there is no such command'
    assert len(audit(ctl, 'session_command_refused')) == 4
    assert {r['actor'] for r in audit(ctl, 'session_command')} == {'alice',
                                                                   'bob'}


# --- connect ----------------------------------------------------------------

@pytest.fixture
def bin_dir(ctl, tmp_path):
    """Programs of this machine, as far as relaycam sees them."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    ctl.env['PATH'] = str(folder)
    ctl.env['XDG_RUNTIME_DIR'] = str(tmp_path)
    for name in ('VNC_USERNAME', 'VNC_PASSWORD'):
        ctl.env.pop(name, None)
    return folder


TIGERVNC = 'TigerVNC Viewer 64-bit v1.12.0'
GVNCVIEWER = "Run 'gvncviewer --help' to see a full list"


def program(folder, name, version=TIGERVNC):
    """Says how it was started; when it is asked, what it is."""
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$1" != --version ] || '
                    f'{{ echo "{version}"; exit; }}\nfor a in "$0" "$@"; do echo "arg $a"; done\n'
                    'echo "user $VNC_USERNAME"\n'
                    'echo "password $VNC_PASSWORD"\nexit 7\n')
    path.chmod(0o755)
    return str(path)


def started(r):
    """[argv], user, password"""
    lines = r.stdout.splitlines()
    return ([x[4:] for x in lines if x.startswith('arg ')],
            lines[-2][5:], lines[-1][9:])


def digest_of_ticket(ctl):
    (digest,), = ctl.sql('SELECT hash FROM tickets')
    return bytes(digest)


def test_connect_with_tigervnc(ctl, bin_dir, tmp_path):
    cert, _ = ctl.certificate(tmp_path, 'relay.example')
    ctl.settings['relay.tls_cert_file'] = cert
    program(bin_dir, 'vncviewer')
    program(bin_dir, 'gvncviewer', GVNCVIEWER)
    path = program(bin_dir, 'xtigervncviewer')
    r = ctl.run('connect', 'alice@desk1+2')
    assert r.returncode == 7, r.stderr  # the viewer's own
    argv, user, password = started(r)
    assert argv == [path, '-SecurityTypes', 'X509Plain', '-X509CA',
                    str(cert), 'relay.example::5900']
    assert user == 'alice@desk1+2' and sha256(password) == digest_of_ticket(
        ctl)


def test_connect_checks_by_the_systems_cas(ctl, bin_dir):
    """A certificate that cannot be read, or of a CA: nothing to name."""
    program(bin_dir, 'vncviewer')
    assert started(ctl.run('connect', 'alice@desk1'))[0][1:] == [
        '-SecurityTypes', 'X509Plain', 'relay.example::5900']
    ctl.settings['relay.public_ca_file'] = bin_dir
    assert started(ctl.run('connect', 'alice@desk1'))[0][3:] == [
        '-X509CA', str(bin_dir), 'relay.example::5900']
    del ctl.settings['relay.public_ca_file']
    ctl.settings['relay.public_host'] = '2001:db8::1'
    ctl.settings['relay.listen'] = ':5999'
    assert started(ctl.run('connect', 'alice@desk1'))[0][-1] == \
        '[2001:db8::1]::5999'


def test_connect_with_a_viewer_that_asks(ctl, bin_dir):
    program(bin_dir, 'xtigervncviewer', 'something else')
    path = program(bin_dir, 'gvncviewer', GVNCVIEWER)
    r = ctl.run('connect', 'alice@desk1')
    argv, user, password = started(r)
    assert argv == [path, 'relay.example:0'] and (user, password) == (
        '', '')
    assert 'user name: alice@desk1' in r.stderr
    ticket = re.search(r'^password: (rct_\S{43})$', r.stderr, re.M)[1]
    assert sha256(ticket) == digest_of_ticket(ctl)


def test_connect_names_its_viewer(ctl, bin_dir, tmp_path):
    other = tmp_path / 'other'
    other.mkdir()
    path = program(other, 'mine')
    program(bin_dir, 'vncviewer', GVNCVIEWER)
    assert started(ctl.run('connect', '--viewer', path, 'alice@desk1'))[0][
        :2] == [path, '-SecurityTypes']
    assert 'no viewer "nope"' in ctl.fails(FAILED, 'connect', '--viewer',
                                           'nope', 'alice@desk1')


def test_connect_print(ctl, bin_dir, tmp_path):
    program(bin_dir, 'vncviewer')
    odd = tmp_path / "it's a CA.pem"
    odd.write_text('x')
    line = ctl.ok('connect', '--print', '--ca', odd, 'alice@desk1')
    assert ctl.sql('SELECT count(*) FROM tickets') == [(1,)]
    r = subprocess.run(['/bin/sh', '-c', line], capture_output=True,
                       text=True)
    argv, user, password = started(r)
    assert argv[3:5] == ['-X509CA', str(odd)] and user == 'alice@desk1'
    assert sha256(password) == digest_of_ticket(ctl)


def test_connect_with_the_browser(ctl, bin_dir, tmp_path):
    path = program(bin_dir, 'xdg-open')
    argv, _, password = started(ctl.run('connect', '--browser',
                                        'alice@desk1'))
    page = tmp_path / 'relaycam-connect.html'
    assert argv == [path, str(page)] and password == ''
    assert page.stat().st_mode & 0o777 == 0o600
    ticket = re.search(r'url=https://relay\.example/#ticket=(rct_\S{43})"',
                       page.read_text())[1]
    assert sha256(ticket) == digest_of_ticket(ctl)
    # the next one replaces it
    ctl.run('connect', '--browser', 'alice@desk1')
    assert ticket not in page.read_text()


def test_connect_browser_follows_no_link(ctl, bin_dir, tmp_path):
    program(bin_dir, 'xdg-open')
    victim = tmp_path / 'victim'
    victim.write_text('keep')
    (tmp_path / 'relaycam-connect.html').symlink_to(victim)
    ctl.run('connect', '--browser', 'alice@desk1')
    assert victim.read_text() == 'keep'


def test_connect_vnc_file(ctl, bin_dir, tmp_path):
    cert, _ = ctl.certificate(tmp_path, 'relay.example')
    ctl.settings['relay.tls_cert_file'] = cert
    path = tmp_path / 'desk1.vnc'
    path.write_text('old')
    path.chmod(0o644)
    text = ctl.ok('connect', '--vnc-file', path, 'alice@desk1')
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines() == [
        'TigerVNC Configuration file Version 1.0', '',
        'ServerName=relay.example::5900', 'SecurityTypes=X509Plain',
        f'X509CA={cert}']
    assert 'user name: alice@desk1' in text
    ticket = re.search(r'^password: (rct_\S{43})$', text, re.M)[1]
    assert sha256(ticket) == digest_of_ticket(ctl)
    assert 'No such file' in ctl.fails(FAILED, 'connect', '--vnc-file',
                                       tmp_path / 'no' / 'x', 'alice@desk1')


def test_connect_url(ctl, bin_dir):
    r = ctl.run('connect', '--url', 'alice@desk1/second+2', '--valid', '5m')
    vnc, web = r.stdout.splitlines()
    m = re.fullmatch(r'vnc://relay\.example:5900\?VncUsername='
                     r'alice%40desk1%2Fsecond%2B2&VncPassword=(rct_\S{43})',
                     vnc)
    assert sha256(m[1]) == digest_of_ticket(ctl)
    assert web == f'https://relay.example/#ticket={m[1]}'
    assert 'within 300 s' in r.stderr
    ctl.settings['relay.web_listen'] = '[::]:8443'
    assert 'https://relay.example:8443/#ticket=' in ctl.ok(
        'connect', '--url', 'alice@desk1')
    ctl.settings['relay.web_listen'] = ''
    assert 'https' not in ctl.ok('connect', '--url', 'alice@desk1')


@pytest.mark.parametrize('argv,status,says', [
    (['alice@desk1'], FAILED, 'no VNC viewer here'),
    (['alice@desk1', '--browser'], FAILED, 'no xdg-open'),
    (['alice@desk1', '--url', '--print'], USAGE, 'give one of'),
    (['alice@desk1', '--url', '--viewer', 'x'], USAGE, '--viewer goes'),
    (['alice@desk1', '--url', '--vnc-auth'], USAGE, '--vnc-auth goes'),
    (['alice@desk1', '--viewer-args', '{uri}'], USAGE, 'needs --viewer'),
    (['alice@desk1', '--url', '--ca', '/nonexistent'], FAILED,
     'No such file'),
    (['alice@desk1', '--url', '--valid', '2h'], USAGE, '1 to 3600'),
    (['bob@desk1', '--url'], FAILED, 'bob may not connect'),
    (['alice', '--url'], USAGE, 'expected PERSON@ENDPOINT'),
    ([], USAGE, 'usage:'),
])
def test_connect_refusals(ctl, bin_dir, argv, status, says):
    assert says in ctl.fails(status, 'connect', *argv)
    assert ctl.sql('SELECT count(*) FROM tickets') == [(0,)]


def test_connect_browser_without_web_door(ctl, bin_dir):
    program(bin_dir, 'xdg-open')
    ctl.settings['relay.web_listen'] = ''
    assert 'set [relay] web_listen' in ctl.fails(CONFIG, 'connect',
                                                 '--browser', 'alice@desk1')
    ctl.settings['relay.listen'] = 'nonsense'
    assert 'expected host:port' in ctl.fails(CONFIG, 'connect', '--url',
                                             'alice@desk1')


# --- from version 1 ---------------------------------------------------------

def test_upgrade_keeps_what_was_there(cluster, tmp_path):
    """A database of version 1 with rows becomes one of version 2."""
    folder = tmp_path / 'v1'
    folder.mkdir()
    with open(os.path.join(ROOT, 'schema', '001_init.sql'), 'rb') as f:
        (folder / '001_init.sql').write_bytes(f.read())
    c = Ctl(cluster, cluster.database(), tmp_path)
    assert c.ok('migrate', '--schema', folder) == 'applied 001_init\n'
    c.sql("INSERT INTO teams (name) VALUES ('demo'); "
          "UPDATE access_settings SET recording = true "
          "WHERE access = 'unattended'; "
          "INSERT INTO people (team_id, name, role) "
          "SELECT id, 'alice', 'owner' FROM teams; "
          "INSERT INTO endpoints (team_id, name, host, port, secret_sealed) "
          "SELECT id, 'desk1', 'h', 5901, 'sealed' FROM teams")
    s = c.session()
    live = c.session(end=None)
    c.segment(s, 1)
    # version 1 knew no roles of the programs
    c.sql('GRANT SELECT ON schema_migrations TO PUBLIC')
    assert '002_connect: run' in c.fails(FAILED, 'migrate', '--status') \
        .replace('the next is ', '')
    assert c.ok('migrate').startswith('applied 002_connect\n')
    attended, unattended = c.json('settings', 'show')
    assert (attended['consent'], attended['recording']) == ('ask', False)
    assert (unattended['consent'], unattended['recording']) == ('off', True)
    desk, = c.json('endpoint', 'list')
    assert (desk['kind'], desk['host'], desk['has_password'],
            desk['consent']) == ('direct', 'h', True, 'team')
    row = c.json('sessions', 'show', s)
    assert (row['door'], row['path'], row['monitor'], row['view_only'],
            row['recording_now']) == ('vnc', 'direct', 0, False, False)
    assert row['recording'] == 'uploaded'
    assert c.sql('SELECT session_command(NULL, %s, %s, %s)',
                 (live, 'monitor', '1')) == [(None,)]
    c.ok('ticket', 'alice@desk1')
    c.sql("UPDATE sessions SET started_at = now() WHERE ended_at IS NULL")
    assert c.json('check')['violations'] == []
