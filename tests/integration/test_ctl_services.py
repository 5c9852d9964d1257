"""relaycam with real daemons and a real VNC server: doctor, endpoint test,
links, downloads, verification (T6, X7)."""
import datetime
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import urllib.request
import uuid

import pytest


OK, FAILED, CONFIG = 0, 1, 78


class Bound:
    """relaycam with the settings of a running stack, and overrides."""

    def __init__(self, stack):
        self.stack = stack

    def run(self, *args, conf=None, **settings):
        argv = [self.stack.path('bin', 'relaycam'), '--config',
                conf or self.stack.conf_file]
        for key, value in settings.items():
            argv += ['--set', f'{key.replace("__", ".")}={value}']
        return subprocess.run(
            argv + [str(a) for a in args], env=self.stack.env, text=True,
            cwd='/', capture_output=True, timeout=120,
            **self.stack._as_user())

    def ok(self, *args, **kw):
        r = self.run(*args, **kw)
        assert r.returncode == OK, (args, r.stdout, r.stderr)
        return r.stdout

    def fails(self, status, *args, **kw):
        r = self.run(*args, **kw)
        assert r.returncode == status, (args, r.stdout, r.stderr)
        return r.stderr + r.stdout

    def doctor(self, *args, **kw):
        """{(check, level): all its texts} and the exit status."""
        r = self.run('doctor', '--json', *args, **kw)
        result = json.loads(r.stdout)
        lines = {}
        for x in result['checks']:
            assert x['level'] == 'ok' or x['remedy'] or \
                x['check'] == 'endpoint'
            lines.setdefault((x['check'], x['level']), []).append(x['text'])
        assert result['ok'] == (r.returncode == OK)
        return {k: '\n'.join(v) for k, v in lines.items()}, r.returncode


@pytest.fixture(scope='module')
def ctl(rig):
    rig.stack.start_console()
    return Bound(rig.stack)


# --- doctor -----------------------------------------------------------------

def test_doctor_all_is_well(ctl):
    lines, status = ctl.doctor('--endpoints')
    assert status == OK, lines
    assert {c for c, level in lines} >= {
        'config', 'database', 'rules', 'clock', 'spool', 'store', 'link key',
        'seal key', 'evidence key', 'relay TLS', 'storage TLS', 'recorder',
        'relay', 'storage', 'endpoint', 'viewers', 'web', 'page', 'reverse',
        'ports', 'console', 'console TLS', 'console API', 'libevent'}
    assert not any(level == 'FAIL' for _, level in lines)
    assert 'FAIL' not in ctl.ok('doctor')


@pytest.mark.parametrize('settings,check,level,says', [
    ({'database__url': 'postgresql:///x?host=/nonexistent'},
     'database', 'FAIL', 'No such file'),
    ({'spool__dir': '/nonexistent'}, 'spool', 'FAIL', 'No such file'),
    ({'spool__dir': '/proc'}, 'spool', 'FAIL', 'cannot be written'),
    ({'spool__min_free_bytes': '9999999G'}, 'spool', 'FAIL', 'are needed'),
    ({'spool__dir': '/dev/shm'}, 'spool', 'warn', 'in memory'),
    ({'store__folder': '/nonexistent'}, 'store', 'FAIL', 'No such file'),
    ({'store__folder': '/etc'}, 'store', 'FAIL', 'cannot be written'),
    ({'store__kind': 's3'}, 'store', 'FAIL', 'needs s3_endpoint'),
    ({'store__link_key_file': '/nonexistent'}, 'link key', 'FAIL',
     'No such file'),
    ({'store__link_key_file': '/etc/hostname'}, 'link key', 'FAIL',
     'chmod 0600'),
    ({'secrets__seal_key_file': '/nonexistent'}, 'seal key', 'FAIL',
     'No such file'),
    ({'secrets__evidence_key_file': ''}, 'evidence key', 'warn',
     'not signed'),
    ({'secrets__evidence_key_file': '/nonexistent'}, 'evidence key', 'warn',
     'not there yet'),
    ({'secrets__evidence_key_file': '/etc/hostname'}, 'evidence key', 'FAIL',
     'chmod 0600'),
    ({'relay__tls_cert_file': '/nonexistent'}, 'relay TLS', 'FAIL',
     '/nonexistent'),
    ({'storage__tls_key_file': '/etc/hostname'}, 'storage TLS', 'FAIL',
     'private key /etc/hostname'),
    ({'store__public_url': 'https://elsewhere.example:8444'}, 'storage TLS',
     'FAIL', 'no such name'),
    ({'store__public_url': 'localhost'}, 'storage TLS', 'FAIL', 'no URL'),
    ({'relay__recorder_program': '/bin/true'}, 'recorder', 'FAIL', 'says'),
    ({'relay__recorder_program': '/nonexistent'}, 'recorder', 'FAIL',
     'cannot be run'),
    ({'relay__metrics_listen': '127.0.0.1:1'}, 'relay', 'warn',
     'alive elsewhere'),
    ({'relay__listen': '127.0.0.1:1'}, 'viewers', 'warn', 'alive elsewhere'),
    ({'relay__listen': 'odd'}, 'viewers', 'FAIL', 'no address'),
    ({'relay__web_listen': ''}, 'web', 'warn', 'neither browsers nor'),
    ({'relay__web_listen': '127.0.0.1:1'}, 'web', 'warn', 'alive elsewhere'),
    ({'relay__web_listen': 'odd'}, 'web', 'FAIL', 'no address'),
    ({'relay__web_dir': '/nonexistent'}, 'page', 'warn', 'no index.html'),
    ({'relay__novnc_dir': '/nonexistent'}, 'page', 'warn', 'no core/rfb.js'),
    ({'relay__reverse_listen': '127.0.0.1:1'}, 'reverse', 'warn',
     'alive elsewhere'),
    ({'relay__reverse_listen': '127.0.0.1'}, 'reverse', 'FAIL', 'no address'),
    ({'relay__session_ports': '127.0.0.1:2-1'}, 'ports', 'FAIL', 'no range'),
    ({'relay__session_ports': '127.0.0.1:1-2'}, 'ports', 'warn',
     'alive elsewhere'),
    ({'relay__public_host': 'elsewhere.example'}, 'relay TLS', 'warn',
     'sent to elsewhere.example'),
    ({'relay__public_host': 'a b'}, 'relay TLS', 'FAIL', 'addresses'),
])
def test_doctor_finds(ctl, settings, check, level, says):
    lines, status = ctl.doctor(**settings)
    assert says in lines.get((check, level), ''), lines
    assert status == FAILED or level != 'FAIL'
    # one fault hides no other check
    assert ('recorder', 'ok') in lines or check == 'recorder'


def test_doctor_misses_doors_that_are_needed(ctl):
    ctl.ok('endpoint', 'add', 'rev', '--kind', 'reverse')
    ctl.ok('settings', 'set', 'unattended.vnc_auth=on')
    lines, status = ctl.doctor(relay__reverse_listen='',
                               relay__session_ports='')
    assert status == FAILED
    assert '1 endpoints of kind reverse' in lines['reverse', 'FAIL']
    assert 'have no port' in lines['ports', 'warn']
    ctl.ok('endpoint', 'remove', 'rev')
    ctl.ok('settings', 'set', 'unattended.vnc_auth=off')
    lines, _ = ctl.doctor(relay__reverse_listen='', relay__session_ports='')
    assert not {'reverse', 'ports'} & {check for check, _ in lines}


def own(stack, path, mode=0o600):
    os.chmod(path, mode)
    stack._own(str(path))
    return path


@pytest.fixture
def folder(ctl):
    path = ctl.stack.path('tmp', uuid.uuid4().hex)
    os.mkdir(path)
    own(ctl.stack, path, 0o700)
    return path


def certificate(ctl, folder, end):
    """Self-signed, ends at `end` (YYYYMMDDHHMMSSZ)."""
    conf = ctl.stack.path('conf')
    cert, setup = os.path.join(folder, 'x.pem'), os.path.join(folder, 'ca')
    with open(setup, 'w', encoding='ascii') as f:
        f.write(f'[ca]\ndefault_ca = a\n[a]\ndatabase = {setup}.index\n'
                f'new_certs_dir = {folder}\nrand_serial = yes\n'
                'default_md = sha256\npolicy = p\nunique_subject = no\n'
                '[p]\ncommonName = supplied\n')
    open(f'{setup}.index', 'w', encoding='ascii').close()
    subprocess.run(['openssl', 'ca', '-batch', '-selfsign', '-notext',
                    '-config', setup, '-in', f'{conf}/relay.csr', '-keyfile',
                    f'{conf}/relay.key', '-startdate', '20200101000000Z',
                    '-enddate', end, '-out', cert],
                   check=True, capture_output=True)
    return own(ctl.stack, cert)


def in_days(n):
    when = datetime.datetime.utcnow() + datetime.timedelta(days=n)
    return when.strftime('%Y%m%d%H%M%SZ')


def test_doctor_certificate_dates(ctl, folder):
    lines, status = ctl.doctor(
        relay__tls_cert_file=certificate(ctl, folder, in_days(10)))
    assert 'ends in' in lines['relay TLS', 'warn'] and status == OK
    lines, status = ctl.doctor(
        relay__tls_cert_file=certificate(ctl, folder, in_days(-2)))
    assert 'ended at' in lines['relay TLS', 'FAIL'] and status == FAILED


def test_doctor_foreign_keys(ctl, folder):
    conf = ctl.stack.path('conf')
    lines, _ = ctl.doctor(relay__tls_key_file=f'{conf}/endpoint.key')
    assert re.search(r'endpoint\.key does not belong to certificate \S+/'
                     r'relay\.pem', lines['relay TLS', 'FAIL'])
    key = os.path.join(folder, 'seal.key')
    with open(key, 'wb') as f:
        f.write(os.urandom(32))
    own(ctl.stack, key)
    lines, _ = ctl.doctor(secrets__seal_key_file=key)
    assert 'desk1 was sealed with another key' in lines['seal key', 'FAIL']
    own(ctl.stack, key, 0o644)
    lines, _ = ctl.doctor(secrets__seal_key_file=key)
    assert 'chmod 0600' in lines['seal key', 'FAIL']


def test_doctor_config_file(ctl, folder):
    path = os.path.join(folder, 'c.conf')
    with open(ctl.stack.conf_file, encoding='utf-8') as f:
        text = f.read()
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    for mode, level in ((0o640, 'ok'), (0o644, 'warn'), (0o666, 'FAIL')):
        own(ctl.stack, path, mode)
        lines, _ = ctl.doctor(conf=path)
        assert ('config', level) in lines


def test_doctor_schema_and_rules(ctl):
    url = ctl.stack.database_url.replace('/relaycam?', '/postgres?')
    lines, _ = ctl.doctor(database__url=url)
    assert 'version 0' in lines['database', 'FAIL']
    ctl.stack.sql("UPDATE teams SET time_zone = 'Mars/Base'")
    try:
        lines, status = ctl.doctor()
    finally:
        ctl.stack.sql("UPDATE teams SET time_zone = 'UTC'")
    assert '1 violations' in lines['rules', 'warn'] and status == OK


# --- endpoint test ----------------------------------------------------------

class FakeServer(threading.Thread):
    """Says what a VNC server might say to one caller."""

    def __init__(self, script):
        super().__init__(daemon=True)
        self.script = script
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        c, _ = self.listener.accept()
        with c:
            try:
                for step in self.script:
                    if isinstance(step, bytes):
                        c.sendall(step)
                    else:
                        c.recv(step, socket.MSG_WAITALL)
                c.settimeout(10)
                c.recv(1)
            except OSError:
                pass  # the caller has left
        self.listener.close()


V38 = b'RFB 003.008\n'
REASON = b'Too many\x1b[31m'


@pytest.mark.parametrize('script,extra,says', [
    ([b'SSH-2.0-OpenSSH_9.2\r\n'], [], 'no VNC server'),
    ([], [], 'does not send the RFB version'),
    ([b'RFB 002.001\n'], [], 'too old'),
    ([V38, 12, b'\0' + struct.pack('>I', len(REASON)) + REASON], [],
     'it refuses connections: Too many [31m'),
    ([V38, 12, b'\0' + struct.pack('>I', 0xffffffff)], [], 'no reason given'),
    ([V38, 12, b'\x02\x01'], [], 'does not send its security types'),
    ([V38, 12, b'\x01\x01'], [], 'no TLS'),
    ([V38, 12, b'\x01\x1e'], [], 'nothing that the relay speaks'),
    ([b'RFB 003.003\n', 12, b'\0\0\0\x02'], [], 'no TLS'),
    ([b'RFB 003.003\n', 12, b'\0\0\0\x02'], ['--allow-clear'],
     'none is stored'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x01'], [], 'VeNCrypt 0.1 is too old'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x02', 2, b'\0\x00'], [],
     'offers 0 VeNCrypt'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x02', 2, b'\0\x01\0\0\1\5'], [],
     'none is stored'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x02', 2, b'\0\x01\0\0\1\6'], [],
     'user name and password'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x02', 2, b'\0\x01\0\0\1\4', 4, b'\0'],
     [], 'refuses a VeNCrypt type'),
    ([V38, 12, b'\x01\x13', 1, b'\0\x02', 2, b'\0\x01\0\0\1\4', 4,
      b'\x01junk junk junk'], [], 'TLS:'),
])
def test_endpoint_test_says_what_is_wrong(ctl, script, extra, says):
    server = FakeServer(script)
    server.start()
    name = f'fake-{server.port}'
    ctl.ok('endpoint', 'add', name, '--host', '127.0.0.1', '--port',
           server.port, *extra)
    try:
        text = ctl.fails(FAILED, 'endpoint', 'test', name, '--timeout', 1)
    finally:
        ctl.ok('endpoint', 'remove', name)
        server.join(15)
    assert says in text and 'would not connect' in text
    assert '\x1b' not in text


def test_endpoint_test_in_clear(ctl):
    server = FakeServer([V38, 12, b'\x01\x01', 1, b'\0\0\0\0', 1,
                         bytes(20) + b'\0\0\0\4name'])
    server.start()
    ctl.ok('endpoint', 'add', 'clear', '--host', f'127.0.0.1:{server.port}',
           '--allow-clear')
    try:
        assert 'no authentication, in clear' in ctl.ok('endpoint', 'test',
                                                       'clear')
    finally:
        ctl.ok('endpoint', 'remove', 'clear')


def test_endpoint_test_real_server(ctl, folder):
    found = json.loads(ctl.ok('endpoint', 'test', 'desk1', '--json'))
    assert found['ok'] and found['choice'] == 'X509Vnc'
    assert found['trust'] == 'CA' and found['version'] == '003.008'
    assert found['problems'] == [] and found['tls_version'].startswith('TLS')
    right = found['certificate']['sha256']
    ctl.ok('endpoint', 'set', 'desk1', '--pin', right)
    ctl.ok('endpoint', 'test', 'desk1')
    ctl.ok('endpoint', 'set', 'desk1', '--pin', '00' * 32)
    assert right in ctl.fails(FAILED, 'endpoint', 'test', 'desk1')
    foreign = certificate(ctl, folder, in_days(10))
    ctl.ok('endpoint', 'set', 'desk1', '--no-pin', '--ca', foreign)
    assert 'certificate is refused' in ctl.fails(FAILED, 'endpoint', 'test',
                                                 'desk1')
    ctl.ok('endpoint', 'set', 'desk1', '--no-ca')
    assert 'first use' in ctl.ok('endpoint', 'test', 'desk1')
    ctl.ok('endpoint', 'set', 'desk1', '--ca', ctl.stack.path('ca.pem'))


def test_endpoint_test_nobody_there(ctl):
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = s.getsockname()[1]
    ctl.ok('endpoint', 'add', 'gone', '--host', f'127.0.0.1:{port}')
    assert 'refused' in ctl.fails(FAILED, 'endpoint', 'test', 'gone')
    ctl.ok('endpoint', 'set', 'gone', '--host', 'no.such.host.invalid')
    assert 'cannot be resolved' in ctl.fails(FAILED, 'endpoint', 'test',
                                             'gone')
    ctl.ok('endpoint', 'remove', 'gone')


# --- links, downloads, verification -----------------------------------------

DATA = os.urandom(1 << 20) + b'end'


def plant(stack, data=DATA, store='folder'):
    """A stored recording: rows, and, in the folder store, its file."""
    session, segment = str(uuid.uuid4()), str(uuid.uuid4())
    key = f'demo/desk1/{session}/monitor-1/2026-11-20T08-00-00+0000.webm'
    stack.sql(
        "INSERT INTO sessions (id, team_id, endpoint_id, person_id, access, "
        "recorded, client_addr, started_at, ended_at, end_code, end_reason) "
        f"SELECT '{session}', e.team_id, e.id, p.id, 'unattended', true, "
        "'127.0.0.1', '2026-11-20 08:00Z', '2026-11-20 09:00Z', 'normal', "
        "'left' FROM endpoints e, people p WHERE e.name = 'desk1' AND "
        "p.name = 'alice'")
    stack.sql(f"INSERT INTO audit (actor, action, object) VALUES ('alice', "
              f"'session_start', '{session}')")
    stack.sql(
        "INSERT INTO segments (id, session_id, seq, status, split_reason, "
        "frame_rate, width, height, codec, started_at, ended_at, "
        "start_mono_ns, end_mono_ns, first_frame, last_frame, frames, "
        "duration_ms, bytes, sha256, store, object_key, stored_at, "
        f"expires_at) VALUES ('{segment}', '{session}', 1, 'available', "
        "'start', 10, 640, 480, 'vp9', now(), now(), 1, 2, 1, 9, 9, 1000, "
        f"{len(data)}, '\\x{hashlib.sha256(data).hexdigest()}', '{store}', "
        f"'{key}', now(), now() + interval '90 days')")
    path = stack.path('recordings', key)
    if store == 'folder':
        os.makedirs(os.path.dirname(path))
        with open(path, 'wb') as f:
            f.write(data)
        subprocess.run(['chown', '-R', f'{stack.user.pw_uid}',
                        stack.path('recordings')], check=True)
    return segment, path


@pytest.fixture(scope='module')
def stored(ctl):
    return plant(ctl.stack)


def ca(ctl):
    return ctl.stack.path('ca.pem')


def audits(ctl, action, segment):
    return json.loads(ctl.ok('audit', 'list', '--action', action, '--object',
                             segment, '--json'))


def test_link(ctl, stored):
    segment, _ = stored
    link = json.loads(ctl.ok('recordings', 'link', segment[:13], '--json'))
    context = ssl.create_default_context(cafile=ca(ctl))
    with urllib.request.urlopen(link['url'], context=context) as r:
        assert r.read() == DATA
    row, = audits(ctl, 'link', segment)
    assert row['detail']['expires_at'] == link['expires_at']
    # the link itself would let readers of the log in
    assert 'signature' not in json.dumps(row)


def test_link_refusals(ctl, stored):
    segment, _ = stored
    assert 'chmod 0600' in ctl.fails(CONFIG, 'recordings', 'link', segment,
                                   store__link_key_file='/etc/hostname')
    assert 'no recording' in ctl.fails(FAILED, 'recordings', 'link',
                                       str(uuid.uuid4()))
    other, _ = plant(ctl.stack, b'x', store='s3')
    assert 'kept in the store "s3"' in ctl.fails(
        CONFIG, 'recordings', 'link', other)
    ctl.stack.sql(f"UPDATE segments SET status = 'expired' "
                  f"WHERE id = '{other}'")
    assert 'its file is gone' in ctl.fails(FAILED, 'recordings', 'link',
                                           other)


def test_fetch(ctl, stored, folder):
    segment, _ = stored
    out = os.path.join(folder, 'a.webm')
    ctl.ok('recordings', 'fetch', segment, '--output', out, '--ca', ca(ctl))
    with open(out, 'rb') as f:
        assert f.read() == DATA
    assert not os.path.exists(out + '.part')
    n = len(audits(ctl, 'download', segment))
    assert n == 1
    assert 'is there already' in ctl.ok('recordings', 'fetch', segment,
                                        '--output', out)
    with open(out, 'r+b') as f:
        f.write(b'x' + DATA[:1])
    assert 'another file' in ctl.fails(FAILED, 'recordings', 'fetch', segment,
                                       '--output', out)
    assert len(audits(ctl, 'download', segment)) == n


def test_fetch_into_a_folder_resumes(ctl, stored, folder):
    segment, path = stored
    # as the link's own file name: device, monitor, start, session
    device, session, monitor, file = path.split('/')[-4:]
    name = f'{device}_{monitor}_{file.removesuffix(".webm")}_' \
        f'{session[:8]}.webm'
    part = os.path.join(folder, name + '.part')
    with open(part, 'wb') as f:
        f.write(DATA[:700_001])
    own(ctl.stack, part)
    r = ctl.run('recordings', 'fetch', segment, '--output', folder, '--ca',
                ca(ctl))
    assert r.returncode == OK and 'continuing at byte 700001' in r.stderr
    with open(os.path.join(folder, name), 'rb') as f:
        assert f.read() == DATA


def test_fetch_removes_a_wrong_beginning(ctl, stored, folder):
    segment, _ = stored
    out = os.path.join(folder, 'b.webm')
    with open(out + '.part', 'wb') as f:
        f.write(b'\0' * 1000)
    own(ctl.stack, out + '.part')
    argv = ('recordings', 'fetch', segment, '--output', out, '--ca', ca(ctl))
    assert 'another SHA-256' in ctl.fails(FAILED, *argv)
    assert os.listdir(folder) == []
    ctl.ok(*argv)


def test_fetch_refusals(ctl, stored, folder):
    segment, _ = stored
    out = os.path.join(folder, 'c.webm')
    argv = ('recordings', 'fetch', segment, '--output', out)
    assert '--ca FILE' in ctl.fails(FAILED, *argv)
    assert 'cannot write' in ctl.fails(FAILED, *argv[:-1],
                                       '/nonexistent/x.webm')
    key = os.path.join(folder, 'link.key')
    with open(key, 'wb') as f:
        f.write(os.urandom(32))
    own(ctl.stack, key)
    assert 'refuses the link' in ctl.fails(
        FAILED, *argv, '--ca', ca(ctl), store__link_key_file=key)


def test_verify(ctl, stored, folder):
    segment, path = stored
    good = json.loads(ctl.ok('recordings', 'verify', segment, '--json'))
    assert good['ok'] and good['bytes'] == len(DATA)
    assert good['sha256'] == hashlib.sha256(DATA).hexdigest()
    copy = os.path.join(folder, 'copy')
    for data, says in ((DATA[:-5], '5 are missing'),
                       (DATA + b'123', '3 too many'),
                       (DATA[:-1] + b'D', 'content was changed'),
                       (b'', f'{len(DATA)} are missing')):
        with open(copy, 'wb') as f:
            f.write(data)
        own(ctl.stack, copy)
        assert says in ctl.fails(FAILED, 'recordings', 'verify', segment,
                                 '--file', copy)
    assert 'No such file' in ctl.fails(FAILED, 'recordings', 'verify',
                                       segment, '--file', '/nonexistent')


def test_verify_by_link(ctl, folder):
    """An account that cannot read the folder asks the storage daemon."""
    segment, path = plant(ctl.stack)
    ctl.ok('recordings', 'verify', segment, '--ca', ca(ctl),
           store__folder='/nonexistent')
    assert len(audits(ctl, 'verify', segment)) == 1
    with open(path, 'r+b') as f:
        f.truncate(1000)
    text = ctl.fails(FAILED, 'recordings', 'verify', segment)
    assert f'{len(DATA) - 1000} are missing' in text


# --- S3 ---------------------------------------------------------------------

def test_s3(s3_rig, tmp_path):
    ctl = Bound(s3_rig.stack)
    lines, status = ctl.doctor()
    assert status == OK and 'S3 bucket' in lines['store', 'ok'], lines
    lines, _ = ctl.doctor(store__s3_bucket='no-such-bucket')
    assert 'has no bucket' in lines['store', 'FAIL']
    key = ctl.stack.path('tmp', 'wrong.key')
    with open(key, 'w', encoding='ascii') as f:
        f.write('TESTKEY0123456789AB\nwrong\n')
    own(ctl.stack, key)
    lines, _ = ctl.doctor(store__s3_access_key_file=key)
    assert 'refuses our key' in lines['store', 'FAIL']
    lines, _ = ctl.doctor(store__s3_endpoint='http://127.0.0.1:1')
    assert ('store', 'FAIL') in lines
    segment, _ = plant(ctl.stack, store='s3')
    assert 'gone from the store' in ctl.fails(FAILED, 'recordings', 'verify',
                                              segment)


def test_presets_are_those_of_the_daemons(ctl):
    """doctor's own table of their settings must not drift."""
    main = os.path.join(os.path.dirname(__file__), '..', '..', 'ctl',
                        'main.c')
    with open(main, encoding='utf-8') as f:
        text = ' '.join(f.read().split())
    for program, section in (('relaycam-relay', 'relay'),
                             ('relaycam-storage', 'storage'),
                             ('relaycam-console', 'console')):
        r = subprocess.run([ctl.stack.path('bin', program),
                            '--config-reference'], capture_output=True,
                           text=True, check=True)
        body = r.stdout.split(f'## [{section}]')[1].split('\n## [')[0]
        presets = {c[1].strip(' `'): c[3].strip() for c in (
            line.split('|') for line in body.splitlines()) if len(c) > 4}
        own_rows = text.split(f'{section}_opts[] = {{')[1].split('};')[0]
        own = {'relay': ('recorder_program', 'web_listen', 'web_dir',
                         'novnc_dir'),
               'storage': ('recorder_program',), 'console': ()}
        for key in ('tls_cert_file', 'tls_key_file', 'metrics_listen',
                    'listen') + own[section]:
            row = own_rows.split(f'ROW("{key}",')[1].split('),')[0]
            assert row.split('"')[1] == presets[key], (section, key)
        if section == 'storage':
            row = own_rows.split('"capture_free_bytes",')[1]
            assert row.split('"')[1] == presets['capture_free_bytes']


def test_configuration_reference_is_current(ctl):
    root = os.path.join(os.path.dirname(__file__), '..', '..')
    from conftest import BUILD
    r = subprocess.run([os.path.join(root, 'docs', 'generate'), '--check',
                        '--build', BUILD], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


